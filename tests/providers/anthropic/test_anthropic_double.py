"""The double of Anthropic's API: Anthropic's own SDK takes it for the real one, and it takes our requests."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import httpx
import pytest
from doubles.anthropic import KEY, Answer, AnthropicDouble, Failure, Request, text, thinking, tool_use
from doubles.anthropic_rules import ApiError, sign
from openai.types.chat import ChatCompletion

from gateway.providers.anthropic.request import translate
from gateway.providers.translation import Translation, TranslationError

MODEL = "claude-opus-4-8"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
TOOL: Any = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
CHAT_TOOL = {"type": "function", "function": {"name": "f"}}


def run(test: Callable[[AnthropicDouble], Awaitable[None]]) -> None:
    async def main() -> None:
        async with AnthropicDouble() as double:
            await test(double)

    asyncio.run(main())


def sdk(double: AnthropicDouble, key: str = KEY) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=double.url, api_key=key, max_retries=0)


def test_the_sdk_gets_a_message() -> None:
    async def test(double: AnthropicDouble) -> None:
        double.script.append(
            Answer([thinking("Hm."), text("Hi."), tool_use("toolu_1", "f", a=1)], "tool_use")
        )
        async with sdk(double) as client:
            made = await client.messages.create(model=MODEL, max_tokens=9, messages=HELLO, tools=[TOOL])
        assert [block.type for block in made.content] == ["thinking", "text", "tool_use"]
        assert made.stop_reason == "tool_use"
        assert double.requests[0].body["messages"] == HELLO

    run(test)


def test_the_sdk_gets_a_stream() -> None:
    async def test(double: AnthropicDouble) -> None:
        answer = Answer(
            [thinking("Hm, let me see."), text("Hi there, Ada."), tool_use("toolu_1", "f", a="b c")]
        )
        double.script.append(answer)
        asked: Any = {"model": MODEL, "max_tokens": 9, "messages": HELLO}
        async with sdk(double) as client, client.messages.stream(**asked) as stream:
            texts = [piece async for piece in stream.text_stream]
            made = await stream.get_final_message()
        assert len(texts) > 1
        content = [block.model_dump(exclude_none=True) for block in made.content]
        assert content == answer.content

    run(test)


def test_the_sdk_counts_tokens_and_lists_models() -> None:
    async def test(double: AnthropicDouble) -> None:
        async with sdk(double) as client:
            count = await client.messages.count_tokens(model=MODEL, messages=HELLO)
            models = await client.models.list()
        assert count.input_tokens > 0
        assert MODEL in [model.id for model in models.data]

    run(test)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure(429, "rate_limit_error", "Slow down.", {"retry-after": "3"}), anthropic.RateLimitError),
        (Failure(529, "overloaded_error", "Overloaded"), anthropic.InternalServerError),
        (Failure(400, "invalid_request_error", "No."), anthropic.BadRequestError),
    ],
)
def test_the_sdk_gets_errors(failure: Failure, error: type[anthropic.APIStatusError]) -> None:
    async def test(double: AnthropicDouble) -> None:
        double.script.append(failure)
        async with sdk(double) as client:
            with pytest.raises(error, match=failure.message) as caught:
                await client.messages.create(model=MODEL, max_tokens=9, messages=HELLO)
        assert caught.value.status_code == failure.status
        assert caught.value.type == failure.kind
        assert dict(caught.value.response.headers).items() >= dict(failure.fields).items()

    run(test)


def test_a_wrong_key_is_refused() -> None:
    async def test(double: AnthropicDouble) -> None:
        async with sdk(double, "sk-wrong") as client:
            with pytest.raises(anthropic.AuthenticationError):
                await client.messages.create(model=MODEL, max_tokens=9, messages=HELLO)

    run(test)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"messages": []}, "at least one message"),
        ({"max_tokens": 200_000}, "max_tokens"),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, "alternate"),
        ({"messages": [*HELLO, *HELLO]}, "alternate"),
        ({"messages": [{"role": "user", "content": [text("")]}]}, "non-whitespace"),
        (
            {"messages": [*HELLO, {"role": "assistant", "content": [tool_use("t", "f")]}]},
            "without `tool_result`",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]},
            "unexpected `tool_use_id`",
        ),
        (
            {
                "messages": [
                    *HELLO,
                    {"role": "assistant", "content": [{**thinking("a"), "signature": sign("b")}]},
                ]
            },
            "Invalid `signature`",
        ),
        ({"invented": 1}, "invented: Extra inputs are not permitted"),
        ({"temperature": 0.5}, "deprecated for this model"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "not supported for this model"),
        ({"tool_choice": {"type": "auto"}}, "only be specified while providing tools"),
        ({"tools": [{"name": "f", "input_schema": {}}]}, "input_schema.type"),
        ({"metadata": {"team": "a"}}, "metadata.team"),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            "additionalProperties",
        ),
    ],
)
def test_requests_that_the_api_refuses(members: dict[str, Any], message: str) -> None:
    async def test(double: AnthropicDouble) -> None:
        request: Any = {"model": MODEL, "max_tokens": 9, "messages": HELLO}
        body = json.dumps({**request, **members}).encode()
        response = await _post(
            double, Translation(b"/messages", body, translate(_chat(), MODEL, now=0).translator)
        )
        assert response.status_code == 400
        assert message in response.json()["error"]["message"]
        assert double.requests == []

    run(test)


def _chat(**members: Any) -> bytes:
    return json.dumps({"messages": HELLO, **members}).encode()


async def _post(double: AnthropicDouble, translation: Translation) -> httpx.Response:
    fields = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    async with httpx.AsyncClient() as client:
        url = f"{double.url}/v1{translation.target.decode()}"
        return await client.post(url, content=translation.body, headers=fields)


def test_a_conversation_with_tools_and_thoughts() -> None:
    async def test(double: AnthropicDouble) -> None:
        double.script += [
            Answer([thinking("Ask f."), text("One moment."), tool_use("toolu_1", "f", a=1)], "tool_use"),
            Answer([text("Done.")]),
        ]
        messages = [*HELLO]
        for _ in range(2):
            chat = _chat(messages=messages, tools=[CHAT_TOOL], reasoning_effort="high")
            translation = translate(chat, MODEL, now=0)
            response = await _post(double, translation)
            completion = ChatCompletion.model_validate_json(translation.translator.whole(response.content))
            message = completion.choices[0].message
            messages.append(message.model_dump())
            calls = message.tool_calls or []
            messages += [{"role": "tool", "tool_call_id": call.id, "content": "42"} for call in calls]
        assert message.content == "Done."
        second = double.requests[1].body["messages"]
        assert second[1]["content"] == [
            thinking("Ask f."),
            text("One moment."),
            tool_use("toolu_1", "f", a=1),
        ]

    run(test)


def test_a_stream_in_pieces_as_the_network_brings_them() -> None:
    async def test(double: AnthropicDouble) -> None:
        double.script.append(Answer([text("Hello, this is a text of some length.")]))
        translation = translate(_chat(stream=True), MODEL, now=0)
        response = await _post(double, translation)
        out = translation.translator.feed(response.content) + translation.translator.end()
        chunks = [json.loads(part[6:]) for part in out.split(b"\n\n")[:-2]]
        said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        assert said == "Hello, this is a text of some length."

    run(test)


def test_a_stream_that_breaks_and_one_that_fails() -> None:
    async def test(double: AnthropicDouble) -> None:
        double.script += [
            Answer([text("Hello")], cut=3),
            Answer([text("Hello")], cut=3, fault=ApiError(529, "overloaded_error", "Overloaded")),
        ]
        with pytest.raises(httpx.RemoteProtocolError):
            await _post(double, translate(_chat(stream=True), MODEL, now=0))
        translation = translate(_chat(stream=True), MODEL, now=0)
        response = await _post(double, translation)
        assert b'"code":"overloaded"' in translation.translator.feed(response.content)
        with pytest.raises(TranslationError, match="overloaded_error"):
            translation.translator.end()

    run(test)


def test_what_came_is_kept() -> None:
    async def test(double: AnthropicDouble) -> None:
        await _post(double, translate(_chat(user="u1"), MODEL, now=0))
        (request,) = double.requests
        assert isinstance(request, Request)
        assert (request.method, request.path) == ("POST", "/v1/messages")
        assert request.fields["x-api-key"] == KEY
        assert request.body["metadata"] == {"user_id": "u1"}

    run(test)
