"""Chat completions as responses, every field of them, and what is no answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from responses_api import (
    CITATION,
    DONE,
    LOGPROBS,
    NOW,
    chunk,
    completion,
    events,
    function_call,
    message,
    text,
    translator,
    whole,
)

from gateway.providers.dialects.responses import translate
from gateway.providers.translation import TranslationError

CALLS = [
    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":  1}'}},
    {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": ""}},
]
CUSTOM = {"id": "call_3", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}


def test_a_whole_response() -> None:
    response = whole({"content": "hello", "refusal": None})
    assert response == {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "model": "m-1",
        "output": [message(0, text("hello"))],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": None,
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": None,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 14,
        },
        "user": None,
    }


def test_the_request_is_told_back() -> None:
    request = {
        "instructions": "be kind",
        "max_output_tokens": 20,
        "max_tool_calls": 2,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "reasoning": {"effort": "low", "summary": "auto"},
        "safety_identifier": "s",
        "service_tier": "auto",
        "temperature": 0.5,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "tool_choice": {"type": "function", "name": "f"},
        "tools": [{"type": "function", "name": "f", "parameters": {"m": 2**70}, "strict": None}],
        "top_logprobs": 3,
        "top_p": 0.25,
        "user": "u",
    }
    response = json.loads(translator(**request).whole(completion({"content": "x"})))
    assert {name: response[name] for name in request} == request


@pytest.mark.parametrize(
    ("said", "reason", "more", "output"),
    [
        ({"content": ""}, "stop", {}, []),
        ({"content": None, "tool_calls": []}, "stop", {}, []),
        (
            {"content": None, "refusal": "no"},
            "stop",
            {},
            [message(0, {"type": "refusal", "refusal": "no"})],
        ),
        (
            {"content": "a", "annotations": [{"type": "url_citation", "url_citation": CITATION}]},
            "stop",
            {"logprobs": {"content": LOGPROBS, "refusal": None}},
            [message(0, text("a", annotations=[{"type": "url_citation", **CITATION}], logprobs=LOGPROBS))],
        ),
        (
            {"content": None, "tool_calls": CALLS},
            "tool_calls",
            {},
            [
                function_call(0, "call_1", "f", '{"a":  1}'),
                function_call(1, "call_2", "g", ""),
            ],
        ),
        (
            {"content": "x", "tool_calls": [CUSTOM]},
            "tool_calls",
            {},
            [
                message(0, text("x")),
                {
                    "id": "ctc_1_1",
                    "type": "custom_tool_call",
                    "status": "completed",
                    "call_id": "call_3",
                    "name": "sql",
                    "input": "SELECT 1",
                },
            ],
        ),
        (
            {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            None,
            {},
            [message(0, text("ab"))],
        ),
    ],
)
def test_output(said: dict[str, Any], reason: str | None, more: dict[str, Any], output: list[Any]) -> None:
    response = whole(said, reason, **more)
    assert response["status"] == "completed"
    assert response["output"] == output


@pytest.mark.parametrize(
    ("reason", "told"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter"), ("model_length", "model_length")],
)
def test_an_incomplete_answer(reason: str, told: str) -> None:
    response = whole({"content": "a", "tool_calls": CALLS[:1]}, reason)
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": told})
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    last = events(chunk({"content": "a"}) + chunk({}, reason) + DONE)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["output"] == [message(0, text("a"), status="incomplete")]


def test_what_the_provider_does_not_tell() -> None:
    answer = b'{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}'
    response = json.loads(translator().whole(answer))
    assert (response["id"], response["created_at"]) == (f"resp_{NOW:x}", NOW)
    assert (response["model"], response["usage"]) == ("up", None)


def test_calls_without_an_id_stay_apart() -> None:
    function = {"name": "f", "arguments": "{}"}
    output = whole({"content": None, "tool_calls": [{"function": function}, {"function": function}]})[
        "output"
    ]
    assert output == [function_call(0, "call_1_0", "f", "{}"), function_call(1, "call_1_1", "f", "{}")]


@pytest.mark.parametrize("name", ["cache_write_tokens", "cache_creation_tokens"])
def test_usage_without_a_total(name: str) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {name: 3}}
    answer = json.loads(completion({"content": "a"})) | {"usage": usage}
    told = json.loads(translator().whole(json.dumps(answer).encode()))["usage"]
    assert told["total_tokens"] == 14
    assert told["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 3}


def test_what_is_dropped_is_not_told_back() -> None:
    request = {
        "tools": [{"type": "mcp"}],
        "tool_choice": {"type": "mcp"},
        "reasoning": {"summary": "concise"},
    }
    body = json.dumps({"input": "hi", "truncation": "auto", "store": True, **request}).encode()
    translating = translate(body, "up", NOW, drop_unsupported=True).translator
    response = json.loads(translating.whole(completion({"content": "a"})))
    assert (response["tools"], response["tool_choice"]) == ([], "auto")
    assert (response["truncation"], response["store"]) == ("disabled", False)
    assert response["reasoning"]["summary"] is None


def test_the_tier_that_served_is_told() -> None:
    answer = json.loads(completion({"content": "a"})) | {"service_tier": "default"}
    response = json.loads(translator(service_tier="auto").whole(json.dumps(answer).encode()))
    assert response["service_tier"] == "default"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"object": "chat.completion"}',
        b'{"choices": []}',
        b'{"choices": [{"index": 0}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b'{"choices": [{"message": {"content": "\xff"}}]}',
        b'{"choices": [{"message": {"content": [{"type": "audio"}]}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"id": "c"}]}}]}',
        b'{"choices": [{"message": {"content": "a"}, "finish_reason": "error"}]}',
        b'{"choices": ' + b"[" * 100_000,
    ],
    ids=lambda answer: repr(answer[:60]),
)
def test_what_is_no_answer(answer: bytes) -> None:
    with pytest.raises(TranslationError) as raised:
        translator().whole(answer)
    assert str(raised.value).startswith("its ")


@pytest.mark.parametrize("body", [b'{"error": {"message": "m"}}', b"\xff", b""])
def test_errors_pass_unchanged(body: bytes) -> None:
    assert translator().error(429, body) == (429, body)
