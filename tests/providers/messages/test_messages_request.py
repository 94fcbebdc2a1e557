"""Parameters of a Messages request, and what becomes of each in one of chat completions.

Shapes: https://platform.claude.com/docs/en/api/messages/create and
https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from doubles.chat_rules import checked

from gateway.errors import GatewayError
from gateway.providers.dialects.messages import translate

HELLO = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "description": "The weather of a city.", "input_schema": SCHEMA}
FUNCTION = {"name": "get_weather", "description": "The weather of a city.", "parameters": SCHEMA}
# As Claude Code sends it.
LONG_USER = json.dumps({"device_id": "d" * 64, "account_uuid": "a" * 36, "session_id": "s" * 36})


def body_of(**members: Any) -> bytes:
    return json.dumps({"model": "any", "max_tokens": 100, "messages": HELLO, **members}).encode()


def put(model: str = "llama", *, drop: bool = False, **members: Any) -> dict[str, Any]:
    """The request for chat completions, which the double's rules have found good."""
    translation = translate(body_of(**members), model, drop_unsupported=drop)
    assert translation.target == b"/chat/completions"
    assert translation.fields == b""
    checked(translation.body, ())
    sent: dict[str, Any] = json.loads(translation.body)
    return sent


def refusal_of(*, drop: bool = False, **members: Any) -> GatewayError:
    with pytest.raises(GatewayError) as refused:
        translate(body_of(**members), "llama", drop_unsupported=drop)
    assert refused.value.status == 400
    assert refused.value.kind == "invalid_request_error"
    assert (refused.value.param or "") in refused.value.message
    return refused.value


BARE = {"model": "llama", "messages": HELLO, "max_tokens": 100}


def test_a_request_without_options_brings_none() -> None:
    assert put() == BARE


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"temperature": 0.5, "top_p": 1}, {"temperature": 0.5, "top_p": 1}),
        ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"metadata": {"user_id": "u-1"}}, {"user": "u-1"}),
        ({"metadata": {"user_id": "u" * 64}}, {"user": "u" * 64}),
        ({"metadata": {"user_id": LONG_USER}}, {"user": sha256(LONG_USER.encode()).hexdigest()}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 4095}}, {"reasoning_effort": "low"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 16384}}, {"reasoning_effort": "high"}),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, {"reasoning_effort": "max"}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "high"}},
            {"reasoning_effort": "high"},
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "output", "strict": True, "schema": SCHEMA},
                }
            },
        ),
    ],
)
def test_parameters_that_both_have(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert put(**given) == {**BARE, **sent}


@pytest.mark.parametrize(
    "given",
    [
        {"stream": False},
        {"stop_sequences": []},
        {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"service_tier": "auto"},
        {"speed": "standard"},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "adaptive", "display": "summarized"}},
        {"metadata": {"user_id": None}},
        {"metadata": {}},
        {"output_config": {}},
        {"tools": []},
        {"tools": [], "tool_choice": {"type": "auto"}},
        {"tools": [], "tool_choice": {"type": "none"}},
        {"context_management": {"edits": []}},
        {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
        {"system": None, "top_k": None, "container": None, "inference_geo": None, "no_such": None},
    ],
)
def test_what_asks_for_nothing_is_not_refused(given: dict[str, Any]) -> None:
    assert put(**given) == BARE


def test_tools_become_functions_and_hints_are_passed_over() -> None:
    hinted = {**WEATHER, "type": "custom", "cache_control": {"type": "ephemeral"}, "strict": True}
    harmless = {"eager_input_streaming": True, "defer_loading": False, "allowed_callers": ["direct"]}
    sent = put(tools=[WEATHER, {**hinted, **harmless, "name": "b"}])
    assert sent["tools"] == [
        {"type": "function", "function": FUNCTION},
        {"type": "function", "function": {**FUNCTION, "name": "b", "strict": True}},
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "get_weather"},
            {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
        ),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
        ({"type": "any", "disable_parallel_tool_use": False}, {"tool_choice": "required"}),
    ],
)
def test_choices_of_tools(choice: dict[str, Any], sent: dict[str, Any]) -> None:
    tools = [{"type": "function", "function": FUNCTION}]
    assert put(tools=[WEATHER], tool_choice=choice) == {**BARE, "tools": tools, **sent}


def test_numbers_and_schemas_keep_their_digits() -> None:
    schema = b'{"type": "object", "maximum": 123456789012345678901234567890, "minimum":1.10}'
    body = body_of(temperature=0.5, tools=[{"name": "f", "input_schema": {}}])
    sent = translate(body.replace(b"0.5", b"0.30000000000000000001").replace(b"{}", schema), "llama").body
    assert b'"temperature":0.30000000000000000001' in sent
    assert b'"parameters":' + schema in sent


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"top_k": 40}, "top_k"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
        ({"diagnostics": {"previous_message_id": "msg"}}, "diagnostics"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"speed": "fast"}, "speed"),
        ({"no_such_parameter": 1}, "no_such_parameter"),
        ({"messages": [{**HELLO[0], "name": "Ann"}]}, "messages[0].name"),
        (
            {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": {}}]}},
            "context_management.edits[0].type",
        ),
        ({"metadata": {"user_id": "u", "team": "x"}}, "metadata.team"),
        ({"output_config": {"task_budget": {"type": "tokens", "total": 1}}}, "output_config.task_budget"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        (
            {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
            "context_management.edits[0].type",
        ),
        ({"tools": [{**WEATHER, "input_examples": [{"city": "Oslo"}]}]}, "tools[0].input_examples"),
        ({"tools": [{**WEATHER, "defer_loading": True}]}, "tools[0].defer_loading"),
        (
            {"tools": [{**WEATHER, "allowed_callers": ["code_execution_20250825"]}]},
            "tools[0].allowed_callers",
        ),
        ({"tools": [WEATHER, {"type": "web_search_20250305", "name": "web_search"}]}, "tools[1].type"),
    ],
)
def test_optional_parameters_that_chat_completions_lacks(given: dict[str, Any], param: str) -> None:
    refusal = refusal_of(**given)
    assert (refusal.code, refusal.param) == ("unsupported_parameter", param)
    assert "`drop_unsupported: true`" in refusal.message
    sent = put(drop=True, **given)
    sent.pop("user", None)
    sent.pop("tools", None)
    assert sent == BARE


def test_a_tool_of_anthropics_is_refused_by_its_name_and_can_be_dropped() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
    assert "`web_search` (web_search_20250305)" in refusal_of(tools=[search]).message
    assert put(drop=True, tools=[search], tool_choice={"type": "auto"}) == BARE
    assert put(drop=True, tools=[search, WEATHER])["tools"] == [{"type": "function", "function": FUNCTION}]


@pytest.mark.parametrize(
    ("given", "param", "right"),
    [
        ({"max_tokens": None}, "max_tokens", "an integer"),
        ({"max_tokens": 0}, "max_tokens", "at least 1"),
        ({"max_tokens": "many"}, "max_tokens", "an integer"),
        ({"temperature": "hot"}, "temperature", "a number"),
        ({"stream": "true"}, "stream", "true or false"),
        ({"stop_sequences": "end"}, "stop_sequences", "an array of strings"),
        ({"messages": None}, "messages", "at least one message"),
        ({"messages": []}, "messages", "at least one message"),
        ({"messages": "hi"}, "messages", "an array of objects"),
        ({"messages": ["hi"]}, "messages[0]", "a JSON object"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "a string or an array"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "user, assistant, system"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "a string or an array"),
        ({"metadata": "me"}, "metadata", "a JSON object"),
        ({"service_tier": "priority"}, "service_tier", "auto or standard_only"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens", "an integer"),
        ({"thinking": {"type": "adaptive", "display": "all"}}, "thinking.display", "summarized or omitted"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort", "low, medium"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type", "json_schema"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema", "an object"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name", "a string"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema", "JSON schema"),
        ({"tools": [{"name": "f", "input_schema": []}]}, "tools[0].input_schema", "JSON schema"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "required"}},
            "tool_choice.type",
            "auto, any, tool or none",
        ),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "tool_choice.name", "a string"),
        ({"tool_choice": {"type": "any"}}, "tool_choice.type", "none in `tools`"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_what_would_be_right(
    given: dict[str, Any], param: str, right: str
) -> None:
    for drop in (False, True):
        refusal = refusal_of(drop=drop, **given)
        assert (refusal.code, refusal.param) == (None, param)
        assert right in refusal.message


@pytest.mark.parametrize(
    ("body", "right"),
    [
        (b"", "must be JSON"),
        (b"{", "must be JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"max_tokens": 5, "messages": "\xff"}', "UTF-8"),
        (b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (
            b'{"max_tokens": ' + b"9" * 5000 + b', "messages": [{"role": "user", "content": ""}]}',
            "an integer",
        ),
        (b'{"max_tokens": 5, "messages": [{"role": "user", "content": "\\ud800"}]}', "JSON"),
    ],
)
def test_a_body_that_is_no_request(body: bytes, right: str) -> None:
    with pytest.raises(GatewayError) as refused:
        translate(body, "llama")
    assert refused.value.status == 400
    assert right in refused.value.message
