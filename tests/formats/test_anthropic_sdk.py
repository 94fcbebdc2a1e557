"""Anthropic's own SDK on /v1/messages: passed through to providers that have that API, else translated."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import pytest
from backends import ALL, ANTHROPIC, AZURE, GEMINI, OPENAI, TINY_PNG, Backend, Call
from doubles.anthropic import Answer, text, thinking
from doubles.running import over

Connect = Callable[..., anthropic.Anthropic]

HI: Any = [{"role": "user", "content": "Hi"}]
TEXT = "Grüße, 世界: three words."
TOOLS: Any = [
    {"name": name, "description": "A tool.", "input_schema": {"type": "object", "properties": {}}}
    for name in ("weather", "clock")
]
CALLS = [Call("call_1", "weather", {"city": "Köln"}), Call("call_2", "clock", {})]

each = pytest.mark.parametrize("backend", ALL, ids=lambda backend: backend.name)
translated = pytest.mark.parametrize("backend", [OPENAI, GEMINI, AZURE], ids=lambda backend: backend.name)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


def said(resource: Any, stream: bool, **request: Any) -> Any:
    """The message that the SDK makes of an answer."""
    request = {"max_tokens": 64, "messages": HI, **request}
    if not stream:
        return resource.create(**request)
    with resource.stream(**request) as events:
        return events.get_final_message()


@each
@both_ways
def test_an_answer(anthropic_sdk: Connect, backend: Backend, stream: bool) -> None:
    double = backend.make()
    double.script.append(backend.says(TEXT))
    with over(backend.config(), p=double) as gateway:
        message = said(anthropic_sdk(gateway.url).messages, stream, model=backend.model, system="Be brief.")
    assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
    assert [block.text for block in message.content] == [TEXT]
    usage = message.usage
    inputs = usage.input_tokens + (usage.cache_read_input_tokens or 0)
    assert (inputs + (usage.cache_creation_input_tokens or 0), usage.output_tokens) == backend.usage
    assert "Be brief." in json.dumps(backend.heard(double)[0])


@each
def test_events_come_in_the_order_of_the_api(anthropic_sdk: Connect, backend: Backend) -> None:
    double = backend.make()
    double.script.append(backend.says(TEXT))
    with over(backend.config(), p=double) as gateway:
        client = anthropic_sdk(gateway.url)
        events = list(client.messages.create(model=backend.model, max_tokens=64, messages=HI, stream=True))
    kinds = [event.type for event in events if event.type != "ping"]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds.count("content_block_delta") > 2
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


@each
@both_ways
def test_parallel_calls_and_their_results(anthropic_sdk: Connect, backend: Backend, stream: bool) -> None:
    double = backend.make()
    double.script += [backend.calls(CALLS), backend.says(TEXT)]
    with over(backend.config(), p=double) as gateway:
        messages = anthropic_sdk(gateway.url).messages
        first = said(messages, stream, model=backend.model, tools=TOOLS)
        assert first.stop_reason == "tool_use"
        calls = [block for block in first.content if block.type == "tool_use"]
        assert [(call.name, call.input) for call in calls] == [(call.name, call.arguments) for call in CALLS]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": call.name} for call in calls]
        turns = [*HI, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        last = said(messages, stream, model=backend.model, tools=TOOLS, messages=turns)
    assert (last.content[0].text, last.stop_reason) == (TEXT, "end_turn")


@each
def test_an_image(anthropic_sdk: Connect, backend: Backend) -> None:
    double = backend.make()
    double.script.append(backend.says(TEXT))
    source = {"type": "base64", "media_type": "image/png", "data": TINY_PNG}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    with over(backend.config(), p=double) as gateway:
        messages = anthropic_sdk(gateway.url).messages
        said(messages, False, model=backend.model, messages=[{"role": "user", "content": content}])
    assert TINY_PNG in json.dumps(backend.heard(double)[0])


ERRORS = {
    400: (400, anthropic.BadRequestError, "invalid_request_error"),
    401: (401, anthropic.AuthenticationError, "authentication_error"),
    404: (404, anthropic.NotFoundError, "not_found_error"),
    429: (429, anthropic.RateLimitError, "rate_limit_error"),
    500: (500, anthropic.InternalServerError, "api_error"),
    503: (529, anthropic.APIStatusError, "overloaded_error"),
}


@each
@both_ways
@pytest.mark.parametrize("status", ERRORS)
def test_an_error_has_the_shape_of_the_api(
    anthropic_sdk: Connect, backend: Backend, status: int, stream: bool
) -> None:
    expected, kind, name = ERRORS[status]
    double = backend.make()
    double.script.append(backend.fails(status))
    with over(backend.config(), p=double) as gateway, pytest.raises(kind) as raised:
        said(anthropic_sdk(gateway.url).messages, stream, model=backend.model)
    error = raised.value
    assert isinstance(error, anthropic.APIStatusError)
    assert isinstance(error.body, dict)
    assert (error.status_code, error.body["type"], error.body["error"]["type"]) == (expected, "error", name)
    assert error.response.headers["x-gateway-provider"] == "p"


@translated
def test_tokens_cannot_be_counted_elsewhere(anthropic_sdk: Connect, backend: Backend) -> None:
    double = backend.make()
    with over(backend.config(), p=double) as gateway, pytest.raises(anthropic.NotFoundError) as raised:
        anthropic_sdk(gateway.url).messages.count_tokens(model=backend.model, messages=HI)
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["error"]["type"] == "not_found_error"
    assert "/v1/messages/count_tokens" in raised.value.body["error"]["message"]
    assert not backend.heard(double)


def test_anthropic_counts_tokens(anthropic_sdk: Connect) -> None:
    with over(ANTHROPIC.config(), p=ANTHROPIC.make()) as gateway:
        counted = anthropic_sdk(gateway.url).messages.count_tokens(model=ANTHROPIC.model, messages=HI)
    assert counted.input_tokens > 0


@both_ways
def test_signed_thoughts_reach_anthropic_unchanged(anthropic_sdk: Connect, stream: bool) -> None:
    double = ANTHROPIC.make()
    double.script += [Answer([thinking("Hm."), text(TEXT)]), Answer([text("Bye.")])]
    with over(ANTHROPIC.config(), p=double) as gateway:
        messages = anthropic_sdk(gateway.url).messages
        asked = {"model": ANTHROPIC.model, "thinking": {"type": "adaptive"}}
        first = said(messages, stream, **asked)
        assert [block.type for block in first.content] == ["thinking", "text"]
        turns = [*HI, {"role": "assistant", "content": first.content}, *HI]
        assert said(messages, stream, messages=turns, **asked).content[0].text == "Bye."  # the double checked


@pytest.mark.parametrize("field", ["x-api-key", "authorization"])
def test_a_client_s_key_comes_in_either_field(anthropic_sdk: Connect, field: str) -> None:
    double = ANTHROPIC.make()
    config = f"server: {{port: 0, api_keys: [key-of-a-team]}}\n{ANTHROPIC.config()}"
    with over(config, p=double) as gateway:
        key = "key-of-a-team" if field == "x-api-key" else "Bearer key-of-a-team"
        other = "authorization" if field == "x-api-key" else "x-api-key"
        fields = {field: key, other: anthropic.Omit()}
        client = anthropic_sdk(gateway.url, default_headers=fields)
        assert said(client.messages, False, model=ANTHROPIC.model)
        with pytest.raises(anthropic.AuthenticationError) as raised:
            said(anthropic_sdk(gateway.url).messages, False, model=ANTHROPIC.model)
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["error"]["type"] == "authentication_error"
    assert len(double.requests) == 1
    assert "key-of-a-team" not in str(double.requests[0].fields)
