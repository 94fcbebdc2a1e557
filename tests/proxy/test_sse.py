"""Server-sent events as a relay must know them, checked against the decoder of the OpenAI SDK."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._streaming import SSEDecoder

from gateway.proxy.sse import (
    Event,
    ends_between_events,
    error_event,
    error_of,
    first_event,
    is_callers_fault,
    is_terminal,
    parse_event,
)

ENDINGS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}
ERROR = {"message": "it broke", "type": "upstream_error", "param": None, "code": "upstream_closed"}


def decoded(stream: bytes) -> list[tuple[str, str]]:
    """Name and data of every event with data, as the SDK sees them."""
    return [
        (event.event or "", event.data) for event in SSEDecoder().iter_bytes(iter([stream])) if event.data
    ]


# Where an event ends.


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: x\n\n", Event("", b"x")),
        (b"data: x\r\n\r\n", Event("", b"x")),
        (b"data: x\r\r", Event("", b"x")),
        (b"data: x\n\r\n", Event("", b"x")),
        (b"data: x\r\n\n", Event("", b"x")),
        (b"data: x\r\n\r", Event("", b"x")),
        (b"data: x\n\r", Event("", b"x")),
        (b"data: x\r\n", None),
        (b"data: x\n", None),
        (b"data: x", None),
        (b"", None),
        # Comments and empty blocks do not count.
        (b": ping\n\n", None),
        (b": ping\n\n: ping\n\n", None),
        (b": ping\n\ndata: x\n\n", Event("", b"x")),
        (b"\n\n\ndata: x\n\n", Event("", b"x")),
        (b"\ndata: x\n\n", Event("", b"x")),
        (b": ping\ndata: x\n\n", Event("", b"x")),
        # Nor does an event without data: nobody ever sees it.
        (b"event: start\n\n", None),
        (b"id: 1\nretry: 5\n\n", None),
        (b"event: start\n\ndata: x\n\n", Event("", b"x")),
        # Fields.
        (b"event: start\ndata: x\n\n", Event("start", b"x")),
        (b"data: x\nevent: start\n\n", Event("start", b"x")),
        (b"data:x\n\n", Event("", b"x")),
        (b"data:  x \n\n", Event("", b" x ")),
        (b"data: a\ndata: b\n\n", Event("", b"a\nb")),
        (b"data: a\r\ndata:\r\ndata: b\r\n\r\n", Event("", b"a\n\nb")),
        (b"data\n\n", Event("", b"")),
        (b"data: a: b\n\n", Event("", b"a: b")),
        (b"database: x\ndata: y\n\n", Event("", b"y")),
        (b"event: \xff\ndata: \xff\n\n", Event("\ufffd", b"\xff")),
        # A byte order mark stands before the first field only.
        (b"\xef\xbb\xbfdata: x\n\n", Event("", b"x")),
        (b"\xef\xbb\xbf: ping\n\ndata: x\n\n", Event("", b"x")),
        # The first of several.
        (b"data: x\n\ndata: y\n\n", Event("", b"x")),
    ],
)
def test_the_first_event(stream: bytes, expected: Event | None) -> None:
    assert first_event(stream) == expected


def test_a_block_without_data_is_no_event() -> None:
    assert parse_event(b"event: x\n\n") is None
    assert parse_event(b"") is None
    assert parse_event(b"event: x\ndata: y") == Event("x", b"y")


LINES = st.sampled_from([b"data: x", b"data: y z", b"event: e", b": ping", b"id: 7", b""])
STREAMS = st.lists(st.tuples(LINES, st.sampled_from(list(ENDINGS.values())))).map(
    lambda lines: b"".join(itertools.chain.from_iterable(lines))
)


@settings(deadline=None)
@given(STREAMS)
def test_the_sdk_sees_the_same_first_event(stream: bytes) -> None:
    events = decoded(stream)
    first = first_event(stream)
    assert (None if first is None else (first.name, first.data.decode())) == (events[0] if events else None)


@settings(deadline=None)
@given(STREAMS)
def test_what_comes_later_does_not_change_the_first_event(stream: bytes) -> None:
    seen = [first_event(stream[:end]) for end in range(len(stream) + 1)]
    whole = next((event for event in seen if event is not None), None)
    assert all(event in (None, whole) for event in seen)
    assert seen[-1] == whole


# Whether it is an error.


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        # Chat completions, vLLM, Azure, LiteLLM …
        ("", {"error": {"message": "m", "code": 500}}, {"message": "m", "code": 500}),
        ("", {"error": {"message": "m"}, "choices": []}, {"message": "m"}),
        ("", {"error": "overloaded"}, {"message": "overloaded"}),
        ("", {"error": ["a"]}, {"message": "['a']"}),
        ("", {"error": True}, {"message": "True"}),
        # Responses API: flat.
        ("error", {"type": "error", "message": "m", "code": "x"}, {"message": "m", "code": "x"}),
        ("", {"type": "error", "message": "m"}, {"message": "m"}),
        # Messages API: nested, and named.
        (
            "error",
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            {"type": "overloaded_error", "message": "m"},
        ),
        ("error", {"message": "m"}, {"message": "m"}),
        ("error", "plain text", {"message": '"plain text"'}),
        ("error", {}, {}),
        # No error.
        ("", {"error": None, "choices": []}, None),
        ("", {"error": {}, "choices": []}, None),
        ("", {"error": "", "choices": []}, None),
        ("", {"choices": [{"delta": {"content": '{"error": {}}'}}]}, None),
        ("", {"type": "response.created", "response": {"error": {"message": "m"}}}, None),
        ("message", {"error_count": 1}, None),
        ("", ["error"], None),
    ],
)
def test_an_error_in_every_shape(name: str, data: Any, error: dict[str, Any] | None) -> None:
    assert error_of(Event(name, json.dumps(data).encode())) == error


@pytest.mark.parametrize(
    "data", [b"[DONE]", b"", b'{"error": ', b'{"error": "\xff"}', b'{"error": ' + b"[" * 100_000]
)
def test_what_cannot_be_read_is_no_error_unless_it_says_so(data: bytes) -> None:
    assert error_of(Event("", data)) is None
    assert error_of(Event("error", data)) == {"message": data.decode("utf-8", "replace")}


@settings(deadline=None)
@given(
    st.sampled_from(["", "error", "e"]),
    st.binary() | st.binary().map(lambda noise: b'{"error":' + noise + b"}"),
)
def test_no_event_raises(name: str, data: bytes) -> None:
    error = error_of(Event(name, data))
    if error is not None:
        assert is_callers_fault(error) in (True, False)
    is_terminal(b"data: " + data + b"\n\n")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"type": "invalid_request_error"}, True),
        ({"type": "invalid_request_error", "code": 500}, True),
        ({"code": 400}, True),
        ({"code": 404}, True),
        ({"code": 499}, True),
        ({"code": "400"}, True),
        ({"code": "422", "type": "BadRequestError"}, True),
        ({"code": 408}, False),
        ({"code": 429}, False),
        ({"code": "429"}, False),
        ({"code": 399}, False),
        ({"code": 500}, False),
        ({"code": "500"}, False),
        ({"code": "rate_limit_exceeded"}, False),
        ({"code": "40"}, False),
        ({"code": "4000"}, False),
        ({"code": 400.0}, False),
        ({"code": True}, False),
        ({"code": None}, False),
        ({"code": [400]}, False),
        ({"type": ["invalid_request_error"]}, False),
        ({"type": "server_error"}, False),
        ({"type": "overloaded_error"}, False),
        ({}, False),
    ],
)
def test_whose_fault_it_is(error: dict[str, Any], expected: bool) -> None:
    assert is_callers_fault(error) is expected


# Whether a stream that ends with the connection is whole.


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize(
    "last",
    [
        b"data: [DONE]",
        b"data:[DONE] ",
        b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}',
        b'data: {"choices": [{"index": 0}, {"finish_reason": "length"}]}',
        b'data: {"choices": [], "usage": {"total_tokens": 3}}',
        b'data: {"type": "response.completed"}',
        b'data: {"type": "response.incomplete"}',
        b'event: response.failed\ndata: {"x": 1}',
        b'event: message_stop\ndata: {"type": "message_stop"}',
        b'data: {"error": {"message": "m"}}',
        b'event: error\ndata: {"message": "m"}',
        b'data: {"choices": [{"finish_reason": "stop"}]}\n\n: a comment behind it',
        b"data: [DONE]\n\nevent: without data",
    ],
)
def test_a_terminal_event_ends_a_stream(last: bytes, ending: bytes) -> None:
    stream = (b'data: {"choices": [{"delta": {}}]}\n\n' + last + b"\n\n").replace(b"\n", ending)
    assert is_terminal(stream)
    assert not is_terminal(stream[: -2 * len(ending)])
    assert not is_terminal(stream + b"data: ")


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"\n\n",
        b": ping\n\n",
        b'data: {"choices": [{"delta": {}, "finish_reason": null}]}\n\n',
        b'data: {"choices": [{"delta": {}}]}\n\n: ping\n\n',
        b'data: {"choices": [], "prompt_filter_results": []}\n\n',
        b'data: {"choices": [], "usage": null}\n\n',
        b'data: {"choices": ["x", null, 1]}\n\n',
        b'data: {"choices": {}}\n\n',
        b'data: {"type": "response.created"}\n\n',
        b'data: {"type": []}\n\n',
        b'data: {"type": {"a": 1}, "error": null}\n\n',
        b"data: 1\n\n",
        b"data: [DONE\n\n",
        b"data: [DONE]\n\ndata: more\n\n",
        b'on_reason": "stop"}]}\n\n',  # the end of an event whose beginning is not in the tail
    ],
)
def test_anything_else_was_cut_short(tail: bytes) -> None:
    assert not is_terminal(tail)


@pytest.mark.parametrize(
    "blank", [b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r", b"\n\r\n", b"\r\n\n", b"\r\n\r", b"\r\r\n"]
)
def test_a_blank_line_ends_an_event(blank: bytes) -> None:
    assert ends_between_events(b"x" + blank)
    assert ends_between_events(blank[-4:])
    assert not ends_between_events(blank + b"x")


@pytest.mark.parametrize("tail", [b"x", b"x\n", b"x\r", b"x\r\n", b"\r\n\r\nx\r\n"])
def test_an_event_is_unfinished_without_one(tail: bytes) -> None:
    assert not ends_between_events(tail)


def test_a_stream_that_has_not_begun_has_no_unfinished_event() -> None:
    assert ends_between_events(b"")


# The error that ends a broken stream.

EVENTS = [b'data: {"n": 1}', b": ping", b'event: e\ndata: {"n": 2}\ndata: more', b'data: {"n": 3}']


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_stream_cut_anywhere_ends_with_the_error(ending: bytes, responses: bool) -> None:
    stream = b"".join(event.replace(b"\n", ending) + 2 * ending for event in EVENTS)
    whole = decoded(stream)
    for cut in range(len(stream) + 1):
        beginning = stream[:cut]
        *before, (name, data) = decoded(beginning + error_event(beginning[-4:], ERROR, responses=responses))
        payload = json.loads(data)
        if responses:
            assert (name, payload) == ("error", {**ERROR, "type": "error"})
        else:
            assert (name, payload) == ("", {"error": ERROR})
        # What was complete stays, and only what was unfinished may follow it.
        complete = [event for event in decoded(beginning) if event in whole]
        assert before[: len(complete)] == complete
        assert len(before) <= len(complete) + 1


@pytest.mark.parametrize(
    "tail", [b"data: x\r", b"data: x\n", b"data: x", b"x\r\n", b": ping", b"x\r\n\r", b"\r"]
)
def test_the_error_never_becomes_part_of_what_was_unfinished(tail: bytes) -> None:
    stream = b"data: first\n\n" + tail + error_event(tail, ERROR, responses=False)
    assert json.loads(decoded(stream)[-1][1]) == {"error": ERROR}


def test_between_events_nothing_stands_before_the_error() -> None:
    assert error_event(b"}\n\n", ERROR, responses=False).startswith(b"data: {")
    assert error_event(b"", ERROR, responses=True).startswith(b"event: error\ndata: {")


def test_the_error_is_one_line_whatever_it_says() -> None:
    event = error_event(b"", {"message": "a\r\n\r\ndata: b\n"}, responses=False)
    assert event.count(b"\n") == 2
    assert json.loads(decoded(event)[0][1]) == {"error": {"message": "a\r\n\r\ndata: b\n"}}
