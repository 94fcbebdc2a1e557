"""Chat completions parameters as Gemini has them, and what is refused.

https://ai.google.dev/api/generate-content, https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.providers.gemini import request

Sent = Callable[..., dict[str, Any]]
Refusal = Callable[..., GatewayError]
ONE_USER = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer", "maximum": 12345678901234567890123}}}


def test_the_least_request(sent: Sent) -> None:
    assert sent() == ONE_USER


@pytest.mark.parametrize(
    ("parameters", "config"),
    [
        ({"max_tokens": 7}, {"maxOutputTokens": 7}),
        ({"max_completion_tokens": 8}, {"maxOutputTokens": 8}),
        ({"max_tokens": 7, "max_completion_tokens": 8}, {"maxOutputTokens": 8}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"temperature": 1.5}, {"temperature": 1.5}),
        ({"top_p": 0.25}, {"topP": 0.25}),
        ({"top_k": 40}, {"topK": 40}),
        ({"seed": -3}, {"seed": -3}),
        ({"presence_penalty": 0.5}, {"presencePenalty": 0.5}),
        ({"frequency_penalty": -0.5}, {"frequencyPenalty": -0.5}),
        ({"n": 3}, {"candidateCount": 3}),
        ({"stop": "END"}, {"stopSequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"modalities": ["text", "image"]}, {"responseModalities": ["TEXT", "IMAGE"]}),
        ({"logprobs": True}, {"responseLogprobs": True}),
        ({"logprobs": True, "top_logprobs": 5}, {"responseLogprobs": True, "logprobs": 5}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "strict": True, "schema": SCHEMA},
                }
            },
            {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "description": "Why", "schema": SCHEMA},
                }
            },
            {"responseMimeType": "application/json", "responseJsonSchema": {"description": "Why", **SCHEMA}},
        ),
    ],
    ids=repr,
)
def test_what_goes_into_the_generation_config(
    sent: Sent, parameters: dict[str, Any], config: dict[str, Any]
) -> None:
    assert sent(**parameters) == {**ONE_USER, "generationConfig": config}


@pytest.mark.parametrize(
    "parameters",
    [
        {"n": 1},
        {"logprobs": False, "top_logprobs": 0},
        {"presence_penalty": 0, "frequency_penalty": 0.0},
        {"stop": []},
        {"response_format": {"type": "text"}},
        {"store": False},
        {"parallel_tool_calls": True},
        {"parallel_tool_calls": False},  # of no tools
        {"modalities": ["text"]},
        {"verbosity": "medium"},
        {"logit_bias": {}},
        {"service_tier": "auto"},
        {"user": "u", "safety_identifier": "s", "metadata": {"a": "b"}},
        {"prompt_cache_key": "k", "prompt_cache_retention": "24h"},
        {"stream": False, "stream_options": None},
        {"model": "another", "tools": [], "tool_choice": "auto"},
        dict.fromkeys(["temperature", "tools", "response_format", "functions", "audio", "made_up"]),
    ],
    ids=repr,
)
def test_what_means_nothing_is_left_out(sent: Sent, parameters: dict[str, Any]) -> None:
    assert sent(**parameters) == ONE_USER


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"store": True}, "store"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"verbosity": "low"}, "verbosity"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"functions": []}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"made_up": 1}, "made_up"),
        ({"extra_body": {"other": {}}}, "extra_body.other"),
        ({"extra_body": {"google": {"made_up": 1}}}, "extra_body.google.made_up"),
        ({"response_format": {"type": "text", "more": 1}}, "response_format.more"),
        ({"reasoning_effort": "none"}, "reasoning_effort"),
    ],
    ids=repr,
)
def test_what_cannot_be_put_is_refused_or_dropped(
    sent: Sent, refusal: Refusal, parameters: dict[str, Any], param: str
) -> None:
    error = refusal(**parameters)
    assert (error.param, error.code) == (param, "unsupported_parameter")
    assert f"`{param}` cannot be put to this provider: " in error.message
    assert "`drop_unsupported: true`" in error.message
    assert sent(drop=True, **parameters) == ONE_USER


def test_no_member_of_a_schema_goes_unread(refusal: Refusal) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "made_up": 1}}
    assert refusal(response_format=wanted).param == "response_format.json_schema.made_up"


def test_parallel_calls_cannot_be_turned_off(sent: Sent, refusal: Refusal) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    error = refusal(tools=tools, parallel_tool_calls=False)
    assert (error.param, error.code) == ("parallel_tool_calls", "unsupported_parameter")
    assert sent(tools=tools, parallel_tool_calls=False, drop=True) == sent(tools=tools)


@pytest.mark.parametrize(
    ("parameters", "param", "message"),
    [
        (
            {"messages": None},
            "messages",
            "`messages` must have one that is not a system or developer message.",
        ),
        ({"messages": "Hi"}, "messages", "`messages` must be an array of objects."),
        ({"messages": ["Hi"]}, "messages[0]", "`messages[0]` must be a JSON object."),
        ({"messages": []}, "messages", "`messages` must have one that is not a system or developer message."),
        ({"temperature": "hot"}, "temperature", "`temperature` must be a number."),
        ({"max_tokens": 1.5}, "max_tokens", "`max_tokens` must be an integer."),
        ({"n": True}, "n", "`n` must be an integer."),
        ({"stream": "yes"}, "stream", "`stream` must be true or false."),
        ({"stop": 1}, "stop", "`stop` must be a string or an array of strings."),
        ({"stop": ["a", 1]}, "stop", "`stop` must be a string or an array of strings."),
        (
            {"response_format": {"type": "grammar"}},
            "response_format.type",
            "`response_format.type` must be one of text, json_object, json_schema.",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": []}}},
            "response_format.json_schema.schema",
            "`response_format.json_schema.schema` must be a JSON object.",
        ),
        (
            {"reasoning_effort": "some"},
            "reasoning_effort",
            "`reasoning_effort` must be one of none, minimal, low, medium, high, xhigh.",
        ),
    ],
    ids=repr,
)
def test_what_is_wrong_is_told_by_its_path(
    refusal: Refusal, parameters: dict[str, Any], param: str, message: str
) -> None:
    error = refusal(**parameters)
    assert (error.param, error.message) == (param, message)
    assert refusal(drop=True, **parameters).param == param  # no matter of what the API lacks


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request body must be JSON in UTF-8 (RFC 8259)."),
        (b"[]", "The request body must be a JSON object."),
        (b'{"a": 1', "The request body must be JSON in UTF-8 (RFC 8259)."),
        (b'{"a": "\xff"}', "The request body must be JSON in UTF-8 (RFC 8259)."),
        (b'{"a": ' + b"[" * 100_000, "The request body is nested too deeply."),
        (b'{"a": {"b": "\\ud800"}}', "The request body must be JSON in UTF-8 (RFC 8259)."),
    ],
)
def test_a_body_that_cannot_be_read(body: bytes, message: str) -> None:
    with pytest.raises(GatewayError) as caught:
        request.read(body, "gemini-3.5-flash", drop=False)
    assert (caught.value.status, caught.value.message, caught.value.param) == (400, message, None)


@pytest.mark.parametrize(
    ("stream", "target"),
    [
        (True, b"/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        (False, b"/models/gemini-2.5-flash:generateContent"),
        (None, b"/models/gemini-2.5-flash:generateContent"),
    ],
)
def test_the_method_tells_whether_it_streams(stream: bool | None, target: bytes) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "stream": stream}).encode()
    made = request.read(body, "gemini-2.5-flash", drop=False)
    assert (made.target, made.streamed) == (target, bool(stream))


@pytest.mark.parametrize(
    ("options", "asked"),
    [(None, False), ({}, False), ({"include_usage": True}, True), ({"include_usage": False}, False)],
)
def test_usage_is_asked_for(options: dict[str, Any] | None, asked: bool) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "stream_options": options}).encode()
    assert request.read(body, "gemini-2.5-flash", drop=False).usage_asked is asked


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", b"/models/gemini-2.5-flash:generateContent"),
        ("models/gemini-2.5-flash", b"/models/gemini-2.5-flash:generateContent"),
        ("tunedModels/mine", b"/tunedModels/mine:generateContent"),
        ("../files/x", b"/models/..%2Ffiles%2Fx:generateContent"),
        ("models/../x?a#b", b"/models/..%2Fx%3Fa%23b:generateContent"),
        ("é :\r\n", b"/models/%C3%A9%20%3A%0D%0A:generateContent"),
    ],
)
def test_a_name_of_a_model_stays_one_segment(model: str, path: bytes) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}]}).encode()
    assert request.read(body, model, drop=False).target == path


def test_numbers_keep_their_digits() -> None:
    body = b"""{"messages": [{"role": "user", "content": "Hi"}], "temperature": 0.30000000000000004441,
        "response_format": {"type": "json_schema",
                            "json_schema": {"schema": {"maximum": 123456789012345678901}}}}"""
    made = request.read(body, "gemini-2.5-flash", drop=False).body
    assert b'"temperature":0.30000000000000004441' in made
    assert b'"maximum":123456789012345678901' in made


@pytest.mark.parametrize(
    ("tier", "expected"), [("default", "standard"), ("flex", "flex"), ("priority", "priority")]
)
def test_service_tiers(sent: Sent, tier: str, expected: str) -> None:
    assert sent(service_tier=tier)["serviceTier"] == expected


def test_what_only_google_has(sent: Sent) -> None:
    google = {
        "cached_content": "cachedContents/1",
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "thinking_config": {"include_thoughts": True, "thinking_budget": 512},
    }
    assert sent(extra_body={"google": google}) == {
        **ONE_USER,
        "cachedContent": google["cached_content"],
        "safetySettings": google["safety_settings"],
        "generationConfig": {"thinkingConfig": google["thinking_config"]},
    }


# Thinking: https://ai.google.dev/gemini-api/docs/openai#thinking


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "minimal", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-pro", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("models/gemini-2.5-flash", "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
        ("gemini-2.5-flash", "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-2.5-flash", "xhigh", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-3.5-flash", "minimal", {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ("gemini-3.5-pro", "minimal", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-3-flash-preview", "low", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-flash-latest", "medium", {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ("gemini-10-pro", "high", {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ("gemini-3.5-flash", "xhigh", {"thinkingLevel": "XHIGH", "includeThoughts": True}),
    ],
)
def test_efforts(sent: Sent, model: str, effort: str, thinking: dict[str, Any]) -> None:
    made = sent(model=model, reasoning_effort=effort)
    assert made["generationConfig"] == {"thinkingConfig": thinking}


def test_an_effort_beside_a_thinking_config_is_refused(refusal: Refusal) -> None:
    extra = {"google": {"thinking_config": {"thinking_budget": 1}}}
    assert refusal(reasoning_effort="low", extra_body=extra).param == "reasoning_effort"
