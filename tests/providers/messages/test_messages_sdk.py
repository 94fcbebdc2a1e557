"""Anthropic's own SDK over the translation, against a double of a provider of chat completions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anthropic
import httpx2
import pydantic
import pytest
from doubles.chat import KEY, ChatDouble, Reply, ToolCall

from gateway.errors import GatewayError
from gateway.providers.dialects.messages import translate
from gateway.providers.translation import TranslationError

MODEL = "llama-3.3"
HI: Any = [{"role": "user", "content": "Hi"}]
TOOLS: Any = [
    {"name": name, "description": "A tool.", "input_schema": {"type": "object", "properties": {}}}
    for name in ("read", "write")
]
CALLS = (ToolCall("functions.read:0", "read", '{"path": "a/b", "n": 3}'), ToolCall("call_2", "write", "{}"))
INPUTS = [{"path": "a/b", "n": 3}, {}]

Client = anthropic.AsyncAnthropic
Scenario = Callable[[Client, ChatDouble], Awaitable[None]]


def run(scenario: Scenario, *script: Reply, extensions: tuple[str, ...] = (), model: str = MODEL) -> None:
    """Runs `scenario` with the SDK's client, whose requests are translated for a double."""

    async def go() -> None:
        double = ChatDouble(*script, extensions=extensions)
        # Without TLS there is nothing to verify, and loading the authorities takes most of a test's time.
        async with double, httpx2.AsyncClient(verify=False) as provider:

            async def answer(request: httpx2.Request) -> httpx2.Response:
                try:
                    return await _translated(await request.aread(), model, provider, double.url)
                except GatewayError as refused:
                    return httpx2.Response(refused.status, content=refused.body(anthropic=True))

            transport = httpx2.MockTransport(answer)
            http_client = httpx2.AsyncClient(transport=transport, verify=False)
            async with Client(api_key="sk-ant", max_retries=0, http_client=http_client) as client:
                await scenario(client, double)

    asyncio.run(go())


async def _translated(body: bytes, model: str, provider: httpx2.AsyncClient, url: str) -> httpx2.Response:
    translation = translate(body, model)
    fields = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    target = f"{url}/v1{translation.target.decode()}"
    request = provider.build_request("POST", target, content=translation.body, headers=fields)
    answer = await provider.send(request, stream=True)
    if answer.status_code >= 400:
        status, told = translation.translator.error(answer.status_code, await answer.aread())
        return httpx2.Response(status, content=told)
    if answer.headers["content-type"] == "application/json":
        return httpx2.Response(200, content=translation.translator.whole(await answer.aread()))

    async def events() -> AsyncIterator[bytes]:
        async for data in answer.aiter_raw(7):
            yield translation.translator.feed(data)
        try:
            yield translation.translator.end()
        except TranslationError as error:
            raise httpx2.ReadError(str(error)) from error

    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=events())


async def said(client: Client, *, stream: bool, **members: Any) -> Any:
    """The Message that the SDK makes."""
    members = {"model": "claude", "max_tokens": 64, "messages": HI, **members}
    if not stream:
        return await client.messages.create(**members)
    async with client.messages.stream(**members) as events:
        return await events.get_final_message()


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_with_its_usage(stream: bool) -> None:
    async def scenario(client: Client, double: ChatDouble) -> None:
        message = await said(client, stream=stream, system="Be brief.")
        assert [block.text for block in message.content] == ["Grüße, wie geht's?"]
        assert (message.id, message.model, message.role) == ("chatcmpl-double", MODEL, "assistant")
        assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
        usage = message.usage
        assert (usage.input_tokens, usage.output_tokens) == (5, 8)
        assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (12, 3)
        assert usage.output_tokens_details.thinking_tokens == 5
        assert double.requests[0]["messages"] == [{"role": "system", "content": "Be brief."}, *HI]

    run(scenario, Reply("Grüße, wie geht's?"))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("in_turn", [False, True])
def test_a_loop_with_parallel_calls_and_thoughts(stream: bool, in_turn: bool) -> None:
    async def scenario(client: Client, double: ChatDouble) -> None:
        first = await said(client, stream=stream, tools=TOOLS)
        assert first.stop_reason == "tool_use"
        assert [block.type for block in first.content] == ["thinking", "text", "tool_use", "tool_use"]
        calls = first.content[2:]
        assert [call.input for call in calls] == INPUTS
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": call.name} for call in calls]
        turns = [*HI, first.to_param(), {"role": "user", "content": results}]
        last = await said(client, stream=stream, tools=TOOLS, messages=turns)
        assert last.content[0].text == "Done."
        thought, *given = double.requests[1]["messages"][1:]
        made = thought.pop("tool_calls")
        assert thought == {"role": "assistant", "content": "Let me see.", "reasoning": "I need two tools."}
        assert [call["id"] for call in made] == ["functions.read:0", "call_2"]
        assert [json.loads(call["function"]["arguments"]) for call in made] == INPUTS
        assert given == [
            {"role": "tool", "tool_call_id": "functions.read:0", "content": "read"},
            {"role": "tool", "tool_call_id": "call_2", "content": "write"},
        ]

    calling = Reply(
        "Let me see.",
        thoughts="I need two tools.",
        thinks_as="reasoning",
        calls=CALLS,
        finish_reason="tool_calls",
        in_turn=in_turn,
    )
    run(scenario, calling, Reply("Done."), extensions=("reasoning",))


def test_another_model_is_asked_without_the_thoughts_of_the_first() -> None:
    async def scenario(client: Client, double: ChatDouble) -> None:
        signed = {"type": "thinking", "thinking": "Hm.", "signature": "of another"}
        turns = [*HI, {"role": "assistant", "content": [signed, {"type": "text", "text": "Hi!"}]}, *HI]
        assert (await said(client, stream=False, messages=turns)).content[0].text == "Hello"
        assert double.requests[0]["messages"][1] == {"role": "assistant", "content": "Hi!"}

    run(scenario, Reply("Hello"))


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output(stream: bool) -> None:
    class City(pydantic.BaseModel):
        name: str
        people: int

    async def scenario(client: Client, double: ChatDouble) -> None:
        members: Any = {"model": "claude", "max_tokens": 64, "messages": HI, "output_format": City}
        if stream:
            async with client.messages.stream(**members) as events:
                message = await events.get_final_message()
        else:
            message = await client.messages.parse(**members)
        assert message.parsed_output == City(name="Oslo", people=700_000)
        form = double.requests[0]["response_format"]
        assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
        assert set(form["json_schema"]["schema"]["properties"]) == {"name", "people"}

    run(scenario, Reply('{"name": "Oslo", "people": 700000}'))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (401, anthropic.AuthenticationError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (503, anthropic.InternalServerError),
    ],
)
def test_errors_of_the_provider_raise_the_usual_class(
    stream: bool, status: int, raised: type[anthropic.APIStatusError]
) -> None:
    async def scenario(client: Client, _: ChatDouble) -> None:
        with pytest.raises(raised) as found:
            await said(client, stream=stream)
        assert "Not now." in str(found.value)

    run(scenario, Reply(status=status, error={"message": "Not now.", "type": "x", "code": None}))


def test_what_cannot_be_expressed_raises_a_bad_request() -> None:
    async def scenario(client: Client, _: ChatDouble) -> None:
        with pytest.raises(anthropic.BadRequestError, match="top_k"):
            await said(client, stream=False, extra_body={"top_k": 5})

    run(scenario)


def test_an_error_within_a_stream_raises() -> None:
    async def scenario(client: Client, _: ChatDouble) -> None:
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            await said(client, stream=True)

    fault = {"message": "Overloaded", "type": "service_unavailable_error", "code": None}
    run(scenario, Reply("Hello, World", after=2, error=fault))


def test_a_stream_that_is_cut_short_never_looks_whole() -> None:
    async def scenario(client: Client, _: ChatDouble) -> None:
        with pytest.raises(httpx2.ReadError, match="cut short"):
            await said(client, stream=True)

    run(scenario, Reply("Hello, World", cut_after=3))


@pytest.mark.parametrize("stream", [False, True])
def test_the_end_of_an_answer_is_told(stream: bool) -> None:
    async def scenario(client: Client, double: ChatDouble) -> None:
        message = await said(client, stream=stream, stop_sequences=["END"])
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
        assert (await said(client, stream=stream)).stop_reason == "max_tokens"
        refused = await said(client, stream=stream)
        assert (refused.stop_reason, refused.content[0].text) == ("refusal", "I will not.")
        assert double.requests[0]["stop"] == ["END"]

    script = [Reply("a", stop_reason="END"), Reply("a", finish_reason="length"), Reply(refusal="I will not.")]
    run(scenario, *script)


def test_a_model_of_openais_that_thinks() -> None:
    async def scenario(client: Client, double: ChatDouble) -> None:
        thinking = {"type": "enabled", "budget_tokens": 5000}
        await said(client, stream=False, thinking=thinking, metadata={"user_id": "u" * 200})
        sent = double.requests[0]
        assert (sent["max_completion_tokens"], sent["reasoning_effort"]) == (64, "medium")

    run(scenario, Reply("a"), model="gpt-5.2")
