"""Streams of chat completions as the typed events of a response: every event, and what is no end."""

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
    events,
    function_call,
    message,
    parsed,
    text,
    translator,
    types,
)

from gateway.providers.dialects.responses import translate
from gateway.providers.translation import TranslationError


def test_what_is_told_back_of_a_request_in_many_lines_stays_in_one() -> None:
    request: dict[str, Any] = {
        "input": "hi",
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
    }
    translating = translate(json.dumps(request, indent=2).encode(), "up", NOW).translator
    stream = chunk({"content": "a"}, "stop") + DONE
    created = parsed(translating.feed(stream) + translating.end())[0]["response"]
    assert (created["tools"], created["tool_choice"]) == (request["tools"], request["tool_choice"])
    assert created["text"] == {**request["text"], "verbosity": "medium"}


def test_a_streamed_text() -> None:
    found = events(
        chunk({"role": "assistant", "content": ""})
        + chunk({"content": "hel"})
        + chunk({"content": "lo"}, logprobs={"content": LOGPROBS})
        + chunk({}, "stop")
        + chunk()
        + DONE
    )
    assert types(found) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    place = {"item_id": "msg_1_0", "output_index": 0, "content_index": 0}
    del found[0]["response"]["tools"]
    assert found[0]["response"]["status"] == "in_progress"
    assert found[2]["item"] == message(0, status="in_progress")
    assert found[3] == {
        **place,
        "type": "response.content_part.added",
        "sequence_number": 3,
        "part": text(""),
    }
    assert found[4] == {
        **place,
        "type": "response.output_text.delta",
        "sequence_number": 4,
        "delta": "hel",
        "logprobs": [],
    }
    assert (found[5]["delta"], found[5]["logprobs"]) == ("lo", LOGPROBS)
    assert (found[6]["text"], found[6]["logprobs"]) == ("hello", LOGPROBS)
    assert found[7]["part"] == text("hello", logprobs=LOGPROBS)
    assert found[8]["item"] == message(0, text("hello", logprobs=LOGPROBS))
    assert found[9]["response"]["output"] == [found[8]["item"]]
    assert found[9]["response"]["usage"]["total_tokens"] == 14


def test_tokens_of_half_a_character_are_told() -> None:
    logprobs = {"content": LOGPROBS}
    found = events(
        chunk({"content": ""}, logprobs=logprobs) + chunk({"content": "a"}, "stop", logprobs=logprobs)
    )
    assert found[-1]["response"]["output"] == [message(0, text("a", logprobs=LOGPROBS * 2))]


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "hm"},
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]},
    ],
)
def test_tokens_of_what_is_no_message_make_none(delta: dict[str, Any]) -> None:
    found = events(chunk(delta, "stop", logprobs={"content": LOGPROBS}))
    assert len(found[-1]["response"]["output"]) == 1
    assert "output_text.delta" not in types(found)


def test_a_streamed_refusal_behind_text() -> None:
    found = events(chunk({"content": "well"}) + chunk({"refusal": "n"}) + chunk({"refusal": "o"}, "stop"))
    assert types(found)[4:] == [
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert found[10]["refusal"] == "no"
    assert found[10]["content_index"] == 1
    assert found[-1]["response"]["output"] == [message(0, text("well"), {"type": "refusal", "refusal": "no"})]


def test_a_streamed_citation() -> None:
    annotation = {"type": "url_citation", "url_citation": CITATION}
    found = events(chunk({"content": "a"}) + chunk({"annotations": [annotation] * 2}) + chunk({}, "stop"))
    told = [event for event in found if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation_index"] for event in told] == [0, 1]
    assert told[0]["annotation"] == {"type": "url_citation", **CITATION}
    assert found[-1]["response"]["output"][0]["content"][0]["annotations"] == [told[0]["annotation"]] * 2


def piece(index: int | None, arguments: str, **more: Any) -> bytes:
    numbered = {} if index is None else {"index": index}
    return chunk({"tool_calls": [{**numbered, **more, "function": {"arguments": arguments}}]})


def begun(index: int | None, call_id: str | None, name: str, arguments: str = "") -> bytes:
    numbered = {} if index is None else {"index": index}
    function = {"name": name, "arguments": arguments}
    return chunk({"tool_calls": [{**numbered, "id": call_id, "type": "function", "function": function}]})


def test_a_streamed_call() -> None:
    found = events(
        begun(0, "call_1", "f") + piece(0, '{"a":') + piece(0, " 1}") + chunk({}, "tool_calls") + DONE
    )
    assert types(found)[2:] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert found[2]["item"] == function_call(0, "call_1", "f", "", "in_progress")
    assert found[5] == {
        "type": "response.function_call_arguments.done",
        "sequence_number": 5,
        "item_id": "fc_1_0",
        "output_index": 0,
        "name": "f",
        "arguments": '{"a": 1}',
    }
    assert found[6]["item"] == function_call(0, "call_1", "f", '{"a": 1}')


def test_streamed_calls_may_take_turns() -> None:
    found = events(
        begun(0, "call_1", "f")
        + begun(1, "call_2", "g", "[")
        + piece(0, "{")
        + piece(1, "]")
        + piece(0, "}")
        + chunk({}, "tool_calls")
    )
    assert found[-1]["response"]["output"] == [
        function_call(0, "call_1", "f", "{}"),
        function_call(1, "call_2", "g", "[]"),
    ]
    deltas = [(event["output_index"], event["delta"]) for event in found if "delta" in event]
    assert deltas == [(1, "["), (0, "{"), (1, "]"), (0, "}")]


@pytest.mark.parametrize("index", [0, None])
def test_streamed_calls_that_are_not_numbered_differ_by_their_id(index: int | None) -> None:
    found = events(
        begun(index, "call_1", "f", "{")
        + piece(index, "}", id="call_1")
        + begun(index, "call_2", "g", "[]")
        + chunk({}, "tool_calls")
    )
    assert found[-1]["response"]["output"] == [
        function_call(0, "call_1", "f", "{}"),
        function_call(1, "call_2", "g", "[]"),
    ]


def test_a_streamed_call_without_an_id_gets_one() -> None:
    found = events(chunk({"content": "a"}) + begun(0, None, "f", "{}") + chunk({}, "tool_calls"))
    assert found[-1]["response"]["output"][1] == function_call(1, "call_1_1", "f", "{}")


def test_a_streamed_custom_call() -> None:
    begin = {"index": 0, "id": "call_3", "type": "custom", "custom": {"name": "sql", "input": ""}}
    more = {"index": 0, "custom": {"input": "SELECT 1"}}
    found = events(chunk({"tool_calls": [begin]}) + chunk({"tool_calls": [more]}) + chunk({}, "tool_calls"))
    assert types(found)[2:6] == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    assert found[-1]["response"]["output"][0]["input"] == "SELECT 1"


@pytest.mark.parametrize(
    "last", [b"", DONE, chunk() + DONE, chunk({}, "stop") + chunk(), chunk() + chunk({"content": ""})]
)
def test_a_stream_is_whole_with_its_finish_reason(last: bytes) -> None:
    assert types(events(chunk({"content": "a"}, "stop") + last))[-1] == "completed"


def test_the_last_usage_is_told() -> None:
    early = chunk().replace(b'"total_tokens": 14', b'"total_tokens": 7')
    for stream in (early + chunk() + chunk({}, "stop"), chunk() + chunk({}, "stop")):
        assert events(stream)[-1]["response"]["usage"]["total_tokens"] == 14


def test_a_choice_that_nobody_asked_for_is_left_out() -> None:
    stray = chunk({"content": "b"}, "stop").replace(b'"choices": [{"index": 0', b'"choices": [{"index": 1')
    found = events(chunk({"content": "a"}) + stray + chunk({}, "length"))
    assert found[-1]["type"] == "response.incomplete"
    assert [event["delta"] for event in found if "delta" in event] == ["a"]


def test_a_stream_is_whole_with_done() -> None:
    assert types(events(chunk({"content": "a"}) + DONE))[-1] == "completed"


@pytest.mark.parametrize(
    "stream", [b"", b": comment\n\n", chunk({"content": "a"}), chunk({"content": "a"}) + b"data: [DO"]
)
def test_a_stream_that_is_cut_short_has_no_end(stream: bytes) -> None:
    translating = translator(stream=True)
    told = translating.feed(stream)
    assert b"completed" not in told
    with pytest.raises(TranslationError, match="ended before its last event"):
        translating.end()


@pytest.mark.parametrize("stream", [DONE, b"data: nonsense\n\n", b"data: 7\n\n", chunk({"content": 7})])
def test_a_stream_of_something_else_is_broken(stream: bytes) -> None:
    with pytest.raises(TranslationError):
        translator(stream=True).feed(stream)


def test_an_error_in_a_stream() -> None:
    error = {"message": "too many", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}
    translating = translator(stream=True)
    failing = b"data: %b\n\n" % json.dumps({"error": error}).encode()
    calls = chunk({"content": "a"}) + begun(0, "call_1", "f", '{"half')
    found = parsed(translating.feed(calls + failing + chunk({"content": "b"}) + DONE))
    assert types(found)[-3:] == ["function_call_arguments.delta", "error", "failed"]
    assert found[-2] == {
        "type": "error",
        "sequence_number": len(found) - 2,
        "code": "rate_limit_exceeded",
        "message": "too many",
        "param": None,
    }
    failed = found[-1]["response"]
    assert (failed["status"], failed["error"]) == (
        "failed",
        {"code": "rate_limit_exceeded", "message": "too many"},
    )
    assert failed["output"] == [message(0, text("a"))]  # half a call is none
    with pytest.raises(TranslationError, match="ended with an error"):
        translating.end()


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        ({"code": 429, "type": "x"}, "429", "The provider's stream ended with an error."),
        ({"message": "m", "type": "overloaded_error"}, "overloaded_error", "m"),
        ("plain", "server_error", "plain"),
    ],
)
def test_an_error_before_all_else(error: Any, code: str, says: str) -> None:
    [event] = parsed(translator(stream=True).feed(b"data: %b\n\n" % json.dumps({"error": error}).encode()))
    assert (event["type"], event["code"], event["message"]) == ("error", code, says)
