"""The double of a provider of chat completions, by OpenAI's own SDK: what it takes, and what it answers."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from doubles.chat import KEY, ChatDouble, Reply, ToolCall

HI: Any = {"role": "user", "content": "Hi"}
TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL: Any = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING: Any = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT: Any = {"role": "tool", "tool_call_id": "call_1", "content": "1"}


def asked(*script: Reply, key: str = KEY, **members: Any) -> Any:
    """What the SDK makes of the answer; a stream is put together by its own helper."""

    async def ask() -> Any:
        async with ChatDouble(*script) as double:
            # Without TLS there is nothing to verify, and loading the authorities takes most of a test's time.
            client = openai.AsyncOpenAI(
                base_url=f"{double.url}/v1",
                api_key=key,
                max_retries=0,
                http_client=openai.DefaultAsyncHttpxClient(verify=False),
            )
            request = {"model": "llama", "messages": [HI], **members}
            async with client:
                if request.pop("stream", False):
                    async with client.chat.completions.stream(**request) as events:
                        return await events.get_final_completion()
                return await client.chat.completions.create(**request)

    return asyncio.run(ask())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("in_turn", [False, True])
def test_it_answers_as_the_sdk_wants(stream: bool, in_turn: bool) -> None:
    calls = (ToolCall("a", "f", '{"x": "yz"}'), ToolCall("b", "f", "{}"))
    reply = Reply("Hello, World", calls=calls, finish_reason="tool_calls", in_turn=in_turn)
    options = {"stream_options": {"include_usage": True}} if stream else {}
    completion = asked(reply, stream=stream, tools=[TOOL], **options)
    message = completion.choices[0].message
    assert message.content == "Hello, World"
    assert [(call.id, call.function.arguments) for call in message.tool_calls] == [
        ("a", '{"x": "yz"}'),
        ("b", "{}"),
    ]
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.usage.total_tokens == 28


def test_it_tells_usage_of_streams_only_where_it_is_asked() -> None:
    assert asked(Reply("a"), stream=True).usage is None


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [HI, CALLING, RESULT, HI], "tools": [TOOL], "tool_choice": "auto"},
        {"messages": [{"role": "system", "content": "s"}, HI], "stop": ["a"], "user": "u", "temperature": 2},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}},
        {"model": "gpt-5", "max_completion_tokens": 5, "reasoning_effort": "low"},
    ],
)
def test_it_takes_what_is_right(members: Any) -> None:
    assert asked(Reply("a"), **members).choices[0].message.content == "a"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "human", "content": "a"}]}, "role"),
        ({"messages": [{**HI, "cache_control": {}}]}, "cache_control"),
        ({"messages": [{"role": "user", "content": [{"type": "document"}]}]}, "document"),
        ({"messages": [{"role": "assistant", "content": "a", "reasoning": "b"}]}, "reasoning"),
        ({"messages": [{"role": "assistant"}]}, "content"),
        ({"messages": [HI, CALLING, HI]}, "must be followed by tool messages"),
        ({"messages": [HI, CALLING]}, "must be followed by tool messages"),
        ({"messages": [HI, RESULT]}, "must be a response to"),
        ({"messages": [HI, CALLING, RESULT, RESULT]}, "must be a response to"),
        ({"messages": [{**CALLING, "tool_calls": [{**CALL, "id": "c" * 41}]}]}, "length <= 40"),
        ({"extra_body": {"top_k": 1}}, "top_k"),
        ({"tool_choice": "auto"}, "tools"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "not found"),
        ({"stream_options": {"include_usage": True}}, "stream"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "length <= 4"),
        ({"user": "u" * 65}, "length <= 64"),
        ({"temperature": 2.1}, "<= 2"),
        ({"model": "o3", "max_tokens": 5}, "max_completion_tokens"),
        ({"response_format": {"type": "json_schema"}}, "json_schema"),
    ],
)
def test_it_refuses_what_is_wrong(members: Any, why: str) -> None:
    with pytest.raises(openai.BadRequestError, match=why):
        asked(**members)


def test_it_wants_its_key() -> None:
    with pytest.raises(openai.AuthenticationError):
        asked(key="sk-other")


def test_it_fails_as_it_is_told() -> None:
    fault = {"message": "Slow down.", "type": "rate_limit_error"}
    with pytest.raises(openai.RateLimitError, match="Slow down"):
        asked(Reply(status=429, error=fault))
    with pytest.raises(openai.APIError, match="Slow down"):
        asked(Reply("Hello, World", after=2, error=fault), stream=True)
