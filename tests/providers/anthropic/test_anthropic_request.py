"""Parameters of a chat completion, and what becomes of each in a request to the Messages API.

Shapes: https://platform.openai.com/docs/api-reference/chat/create
and https://platform.claude.com/docs/en/api/messages
"""

import json
from typing import Any

import pytest
from doubles.anthropic_rules import check

from gateway.errors import GatewayError
from gateway.providers.anthropic.request import translate

MODEL = "claude-opus-4-8"
HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "number"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def put(model: str = MODEL, *, drop: bool = False, **members: Any) -> dict[str, Any]:
    """The request to the Messages API, which the double's rules have found good."""
    body = json.dumps({"model": "any", "messages": HELLO, **members}).encode()
    translation = translate(body, model, now=0, drop_unsupported=drop)
    assert translation.target == b"/messages"
    return check(translation.body, "2023-06-01")


def refusal(model: str = MODEL, **members: Any) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        put(model, **members)
    assert caught.value.status == 400
    assert caught.value.kind == "invalid_request_error"
    assert caught.value.param is None or f"`{caught.value.param}`" in caught.value.message
    return caught.value


def test_the_least_request() -> None:
    assert put() == {
        "model": MODEL,
        "max_tokens": 128_000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    }


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_completion_tokens": 8}, {"max_tokens": 8}),
        ({"max_completion_tokens": 8, "max_tokens": 7}, {"max_tokens": 8}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"stop": []}, {}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"stream": False}, {}),
        ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"user": "u1", "safety_identifier": "s1"}, {"metadata": {"user_id": "s1"}}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"service_tier": "auto"}, {}),
        ({"service_tier": "priority"}, {}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {
                        "name": "a",
                        "schema": SCHEMA,
                        "strict": True,
                        "description": "An answer.",
                    },
                },
                "reasoning_effort": "low",
            },
            {
                "thinking": {"type": "adaptive", "display": "summarized"},
                "output_config": {
                    "effort": "low",
                    "format": {"type": "json_schema", "schema": {**SCHEMA, "description": "An answer."}},
                },
            },
        ),
        ({"response_format": {"type": "text"}}, {}),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
    ],
)
def test_parameters(members: dict[str, Any], expected: dict[str, Any]) -> None:
    assert put(**members) == {**put(), **expected}


@pytest.mark.parametrize(
    "members",
    [
        {"n": 1},
        {"temperature": 1, "top_p": 1.0},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}},
        {"logprobs": False, "top_logprobs": 0},
        {"modalities": ["text"], "verbosity": "medium"},
        {"store": False, "metadata": {"team": "a"}},
        {"prompt_cache_key": "k", "prompt_cache_retention": "24h", "prompt_cache_options": {"ttl": "30m"}},
        {"stream_options": {"include_obfuscation": False}},
        dict.fromkeys(
            (
                "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
                "max_completion_tokens", "max_tokens", "metadata", "modalities", "n", "parallel_tool_calls",
                "prediction", "presence_penalty", "reasoning_effort", "response_format", "seed",
                "service_tier", "stop", "store", "stream", "stream_options", "temperature", "tool_choice",
                "tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options", "anything",
            )
        ),
    ],
)  # fmt: skip
def test_what_asks_for_nothing_is_no_refusal(members: dict[str, Any]) -> None:
    assert put(**members) == put()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("audio", {"voice": "a", "format": "mp3"}),
        ("frequency_penalty", 0.5),
        ("logit_bias", {"1": 2}),
        ("logprobs", True),
        ("modalities", ["text", "audio"]),
        ("n", 2),
        ("prediction", {"type": "content", "content": "x"}),
        ("presence_penalty", -1),
        ("seed", 7),
        ("service_tier", "flex"),
        ("store", True),
        ("temperature", 0.5),
        ("temperature", 1.5),
        ("top_k", 5),
        ("top_logprobs", 3),
        ("top_p", 0.9),
        ("verbosity", "low"),
        ("web_search_options", {}),
        ("invented", 1),
    ],
)
def test_what_the_api_lacks_is_refused_or_dropped(name: str, value: object) -> None:
    error = refusal(**{name: value})
    assert (error.param, error.code) == (name, "unsupported_parameter")
    assert "drop_unsupported: true" in error.message
    assert put(drop=True, **{name: value}) == put()


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"response_format": {"type": "text", "x": 1}}, "response_format.x"),
        ({"stream_options": {"x": 1}}, "stream_options.x"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
    ],
)
def test_nested_members_are_refused_by_their_path(members: dict[str, Any], param: str) -> None:
    error = refusal(**members)
    assert (error.param, error.code) == (param, "unsupported_parameter")
    put(drop=True, **members)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [*HELLO, {"content": "x"}]}, "messages[1].role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "7"}, "max_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"stop": ["a", 1]}, "stop[1]"),
        ({"stream": "yes"}, "stream"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {}}},
            "response_format.json_schema.schema",
        ),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [WEATHER], "tool_choice": "always"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
    ],
)
def test_what_is_wrong_is_named(members: dict[str, Any], param: str) -> None:
    error = refusal(**members)
    assert (error.param, error.code) == (param, None)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'"x"', b'{"a":"\xff"}', b'{"messages":"\\ud800"}', b'{"a":' + b"[" * 9000]
)
def test_what_is_no_object_is_named(body: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        translate(body, MODEL, now=0)
    assert caught.value.status == 400


def test_schemas_keep_their_bytes() -> None:
    schema = '{ "type" : "object", "maximum": 123456789012345678901234567890, "x": 1.10 }'
    tool = f'{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}'
    body = f'{{"messages":[{{"role":"user","content":"x"}}],"tools":[{tool}]}}'
    translated = translate(body.encode(), MODEL, now=0).body
    assert b"123456789012345678901234567890" in translated
    assert b"1.10" in translated


TOOL = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": WEATHER["function"]["parameters"],  # type: ignore[index]
}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"tools": [WEATHER]}, {"tools": [TOOL]}),
        ({"tools": [WEATHER], "tool_choice": "auto"}, {"tools": [TOOL], "tool_choice": {"type": "auto"}}),
        ({"tools": [WEATHER], "tool_choice": "none"}, {"tools": [TOOL], "tool_choice": {"type": "none"}}),
        ({"tools": [WEATHER], "tool_choice": "required"}, {"tools": [TOOL], "tool_choice": {"type": "any"}}),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "get_weather"}},
        ),
        (
            {"tools": [WEATHER], "parallel_tool_calls": False},
            {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
        (
            {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False},
            {"tools": [TOOL], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        ),
        (
            {"tools": [WEATHER], "tool_choice": "none", "parallel_tool_calls": False},
            {"tools": [TOOL], "tool_choice": {"type": "none"}},
        ),
        ({"tools": [WEATHER], "parallel_tool_calls": True}, {"tools": [TOOL]}),
        (
            {"tools": [{"type": "function", "function": {"name": "now", "strict": True}}]},
            {
                "tools": [
                    {"name": "now", "input_schema": {"type": "object", "properties": {}}, "strict": True}
                ]
            },
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "now", "parameters": {}, "strict": False}}]},
            {"tools": [{"name": "now", "input_schema": {"type": "object", "properties": {}}}]},
        ),
        (
            {"tools": [{**WEATHER, "cache_control": {"type": "ephemeral"}}]},
            {"tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}]},
        ),
        (
            {"functions": [WEATHER["function"]], "function_call": "auto"},
            {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
        (
            {"functions": [WEATHER["function"]], "function_call": {"name": "get_weather"}},
            {
                "tools": [TOOL],
                "tool_choice": {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
            },
        ),
    ],
)
def test_tools(members: dict[str, Any], expected: dict[str, Any]) -> None:
    assert put(**members) == {**put(), **expected}


def test_the_newest_models_take_no_forced_call() -> None:
    members = {"tools": [WEATHER], "tool_choice": "required"}
    error = refusal("claude-opus-5-5", **members)
    assert (error.param, error.code) == ("tool_choice", "unsupported_parameter")
    assert "tool_choice" not in put("claude-opus-5-5", drop=True, **members)
