"""OpenAI's own SDK through the gateway: whatever format the provider has, it gets what it always gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import openai
import pydantic
import pytest
from backends import ANTHROPIC, AZURE, AZURE_DATED, FOREIGN, GEMINI, RETRY_AFTER_S, TINY_PNG, Backend, Call
from doubles.running import over
from harness import WAIT_S

Connect = Callable[..., openai.OpenAI]

HI: Any = [{"role": "user", "content": "Hi"}]
TEXT = "Grüße, 世界: three words."
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": "A tool.", "parameters": WEATHER}}
    for name in ("weather", "clock")
]
CALLS = [Call("call_1", "weather", {"city": "Köln"}), Call("call_2", "clock", {"city": "Oslo"})]

OF_THE_SDK: Any = {
    "parsed": True,
    "tool_calls": {"__all__": {"index": True, "function": {"parsed_arguments": True}}},
}
"""What the SDK adds to a message that it has put together."""

each = pytest.mark.parametrize("backend", FOREIGN, ids=lambda backend: backend.name)


@each
def test_a_plain_answer(openai_sdk: Connect, backend: Backend) -> None:
    double = backend.make()
    double.script.append(backend.says(TEXT))
    with over(backend.config(), p=double) as gateway:
        create = openai_sdk(gateway.url).chat.completions.with_raw_response.create
        raw = create(model=backend.model, messages=HI, temperature=1, stop=["END"])
    answer = raw.parse()
    choice = answer.choices[0]
    assert (answer.object, choice.message.role) == ("chat.completion", "assistant")
    assert (choice.message.content, choice.finish_reason) == (TEXT, "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == backend.usage
    assert (raw.headers["x-gateway-provider"], raw.headers["x-gateway-attempts"]) == ("p", "1")
    assert raw.headers["x-request-id"]
    assert raw.headers["content-type"].startswith("application/json")
    assert "upstream;dur=" in raw.headers["server-timing"]


@each
def test_a_streamed_answer(openai_sdk: Connect, backend: Backend) -> None:
    double = backend.make()
    double.script.append(backend.says(TEXT))
    with over(backend.config(), p=double) as gateway:
        create = openai_sdk(gateway.url).chat.completions.with_raw_response.create
        options: Any = {"include_usage": True}
        raw = create(model=backend.model, messages=HI, stream=True, stream_options=options)
        chunks = list(raw.parse())
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == TEXT
    assert len([choice for choice in choices if choice.delta.content]) > 2
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == backend.usage
    assert raw.headers["x-gateway-provider"] == "p"
    assert raw.headers["content-type"].startswith("text/event-stream")


@each
def test_no_usage_that_nobody_asked_for(openai_sdk: Connect, backend: Backend) -> None:
    double = backend.make()
    double.script.append(backend.says(TEXT))
    with over(backend.config(), p=double) as gateway:
        client = openai_sdk(gateway.url)
        chunks = list(client.chat.completions.create(model=backend.model, messages=HI, stream=True))
    assert all(chunk.usage is None for chunk in chunks)


@each
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_parallel_calls_and_their_results(openai_sdk: Connect, backend: Backend, stream: bool) -> None:
    double = backend.make()
    double.script += [backend.calls(CALLS), backend.says(TEXT)]
    with over(backend.config(), p=double) as gateway:
        completions = openai_sdk(gateway.url).chat.completions
        system: Any = {"role": "system", "content": "Be brief."}
        messages: Any = [system, *HI]
        first = said(completions, stream, model=backend.model, messages=messages, tools=TOOLS)
        assert first.finish_reason == "tool_calls"
        calls = first.message.tool_calls or []
        made = [(call.function.name, json.loads(call.function.arguments)) for call in calls]
        assert made == [(call.name, call.arguments) for call in CALLS]
        assert len({call.id for call in calls}) == 2
        results = [{"role": "tool", "tool_call_id": call.id, "content": call.function.name} for call in calls]
        messages += [first.message.model_dump(exclude_none=True, exclude=OF_THE_SDK), *results]
        last = said(completions, stream, model=backend.model, messages=messages, tools=TOOLS)
    assert (last.message.content, last.finish_reason) == (TEXT, "stop")
    told = json.dumps(backend.heard(double)[1], ensure_ascii=False)
    assert all(word in told for word in ("Be brief.", "weather", "clock", "Oslo"))


def said(completions: Any, stream: bool, **request: Any) -> Any:
    """The choice of an answer; the SDK puts the pieces of a stream together."""
    if not stream:
        return completions.create(**request).choices[0]
    with completions.stream(**request) as events:
        return events.get_final_completion().choices[0]


class Place(pydantic.BaseModel):
    """A shape for an answer."""

    city: str
    people: int


@each
def test_structured_output(openai_sdk: Connect, backend: Backend) -> None:
    double = backend.make()
    double.script.append(backend.says('{"city": "Köln", "people": 1087353}'))
    with over(backend.config(), p=double) as gateway:
        client = openai_sdk(gateway.url)
        answer = client.chat.completions.parse(model=backend.model, messages=HI, response_format=Place)
    assert answer.choices[0].message.parsed == Place(city="Köln", people=1087353)
    assert '"people"' in json.dumps(backend.heard(double)[0])


@each
def test_an_image(openai_sdk: Connect, backend: Backend) -> None:
    double = backend.make()
    with over(backend.config(), p=double) as gateway:
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{TINY_PNG}"}}
        messages: Any = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}]
        assert openai_sdk(gateway.url).chat.completions.create(model=backend.model, messages=messages)
    assert TINY_PNG in json.dumps(backend.heard(double)[0])


@pytest.mark.parametrize(
    ("backend", "model"),
    [(GEMINI, "gemini-embedding-001"), (AZURE, "my-embedding"), (AZURE_DATED, "my-embedding")],
    ids=lambda value: getattr(value, "name", value),
)
def test_embeddings(openai_sdk: Connect, backend: Backend, model: str) -> None:
    with over(backend.config(), p=backend.make()) as gateway:
        answer = openai_sdk(gateway.url).embeddings.create(model=model, input=["four", "sevenyy"])
    first = [vector.embedding[0] for vector in answer.data]
    assert first == ([4.0, 7.0] if backend is GEMINI else [0.5])  # the doubles': lengths, or always the same
    assert [vector.index for vector in answer.data] == list(range(len(answer.data)))


def test_anthropic_has_no_embeddings(openai_sdk: Connect) -> None:
    with over(ANTHROPIC.config(), p=ANTHROPIC.make()) as gateway:
        client = openai_sdk(gateway.url)
        with pytest.raises(openai.NotFoundError) as raised:
            client.embeddings.create(model=ANTHROPIC.model, input="a")
    assert raised.value.code == "unsupported_endpoint"
    assert "/v1/embeddings" in raised.value.message


ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
}


@each
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("status", ERRORS)
def test_an_error_is_the_usual_one(openai_sdk: Connect, backend: Backend, status: int, stream: bool) -> None:
    double = backend.make()
    double.script.append(backend.fails(status))
    with over(backend.config(), p=double) as gateway:
        client = openai_sdk(gateway.url)
        with pytest.raises(ERRORS[status]) as raised:
            client.chat.completions.create(model=backend.model, messages=HI, stream=stream)
    error = raised.value
    assert error.status_code == status
    assert "no: " in error.message or "quota" in error.message
    assert isinstance(error.body, dict)
    assert error.body["message"]
    if status == 429 and backend is ANTHROPIC:
        assert error.response.headers["retry-after"] == str(RETRY_AFTER_S)
    assert error.response.headers["x-gateway-provider"] == "p"
    assert error.response.headers["content-type"].startswith("application/json")


@each
def test_the_async_client(backend: Backend) -> None:
    async def ask(url: str) -> tuple[str | None, str]:
        http_client = openai.DefaultAsyncHttpxClient(verify=False)
        options: Any = {"base_url": f"{url}/v1", "api_key": "sk-client", "max_retries": 0}
        async with openai.AsyncOpenAI(http_client=http_client, timeout=WAIT_S, **options) as client:
            create = client.chat.completions.create
            plain = await create(model=backend.model, messages=HI)
            chunks = [chunk async for chunk in await create(model=backend.model, messages=HI, stream=True)]
        pieces = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
        return plain.choices[0].message.content, "".join(pieces)

    double = backend.make()
    double.script += [backend.says(TEXT)] * 2
    with over(backend.config(), p=double) as gateway:
        assert asyncio.run(ask(gateway.url)) == (TEXT, TEXT)
