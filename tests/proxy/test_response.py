"""How long a response is held back, what it shows meanwhile, and whether it was whole in the end."""

from __future__ import annotations

import gzip
import itertools
import json

import pytest
from heads import head
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UPSTREAM, GatewayError
from gateway.proxy.response import MAX_HELD, Look, Response

SSE = "text/event-stream"
KEY = b"sk-0123456789"
EVENT = b'data: {"choices": []}\n\n'
DONE = b"data: [DONE]\n\n"
NOTHING_YET, READY = Look.NOTHING_YET, Look.READY


def response(
    status: int = 200,
    content_type: str = SSE,
    fields: dict[str, str] | None = None,
    *,
    bodiless: bool = False,
) -> Response:
    return Response(head(status, content_type=content_type, **fields or {}), bodiless=bodiless)


def looks(held: Response, *reads: bytes, complete: bool = False) -> list[Look]:
    """What each of `reads` shows, the last of which may complete the response."""
    last = len(reads) - 1
    return [held.hold(data, complete and index == last, (KEY,)) for index, data in enumerate(reads)]


# How long it is held.


@pytest.mark.parametrize(
    ("status", "content_type", "expected"),
    [
        (200, "application/json", "whole"),
        (200, "application/json; charset=utf-8", "whole"),
        (200, "Application/JSON;charset=utf-8", "whole"),
        (201, "application/json", "whole"),
        (400, "text/plain", "whole"),
        (429, "", "whole"),
        (500, SSE, "whole"),
        (503, "audio/mpeg", "whole"),
        (200, SSE, "first event"),
        (200, "text/event-stream; charset=utf-8", "first event"),
        (200, "TEXT/EVENT-STREAM", "first event"),
        (200, "audio/mpeg", "first byte"),
        (200, "text/plain", "first byte"),
        (200, "", "first byte"),
        (302, "text/html", "first byte"),
        (204, SSE, "first byte"),
        (304, SSE, "first byte"),
    ],
)
def test_the_rule(status: int, content_type: str, expected: str) -> None:
    seen = looks(response(status, content_type), b"", b"data: ", b"x\n\n")
    held_for = {
        "whole": [NOTHING_YET, NOTHING_YET, NOTHING_YET],
        "first event": [NOTHING_YET, NOTHING_YET, READY],
        "first byte": [NOTHING_YET, READY, READY],
    }
    assert seen == held_for[expected]


def test_a_coded_stream_is_opaque() -> None:
    held = response(fields={"content_encoding": "gzip"})
    assert not held.is_stream
    assert looks(held, b"\x1f\x8b") == [READY]
    assert response(fields={"content_encoding": "identity"}).is_stream


@pytest.mark.parametrize("content_type", ["application/json", SSE, "audio/mpeg"])
def test_the_answer_to_head_is_not_waited_for(content_type: str) -> None:
    held = response(200, content_type, bodiless=True)
    assert looks(held, b"", complete=True) == [READY]
    assert not held.is_stream


@pytest.mark.parametrize("content_type", ["application/json", SSE])
def test_nothing_is_held_beyond_64_kib(content_type: str) -> None:
    held = response(200, content_type)
    assert looks(held, b":" * MAX_HELD, b":") == [NOTHING_YET, READY]
    assert held.held == b":" * (MAX_HELD + 1)


@pytest.mark.parametrize("content_type", ["application/json", "audio/mpeg"])
def test_a_whole_body_is_ready(content_type: str) -> None:
    assert looks(response(200, content_type), b"", complete=True) == [READY]
    assert looks(response(200, content_type), b"", b"{}", complete=True)[-1] is READY


# Event streams.


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        ([b": ping\n\n", b": ping\n\n", EVENT], [NOTHING_YET, NOTHING_YET, READY]),
        ([EVENT[:9], EVENT[9:-1], b"\n"], [NOTHING_YET, NOTHING_YET, READY]),
        ([EVENT + EVENT], [READY]),
    ],
)
def test_the_first_complete_event_makes_a_stream_ready(reads: list[bytes], expected: list[Look]) -> None:
    assert looks(response(), *reads) == expected


@pytest.mark.parametrize("stream", [b"", b": ping\n\n", b"\n\n", b"data: unfinished", b"event: x\n\n"])
def test_a_stream_that_ends_without_any_event_is_empty(stream: bytes) -> None:
    assert looks(response(), stream, complete=True) == [Look.EMPTY_STREAM]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"message": "overloaded", "code": 503}, Look.ERROR_FIRST),
        ({"message": "slow down", "code": 429}, Look.ERROR_FIRST),
        ({"message": "no such model", "code": 404}, Look.CALLERS_ERROR_FIRST),
        ({"message": "bad", "type": "invalid_request_error"}, Look.CALLERS_ERROR_FIRST),
    ],
)
@pytest.mark.parametrize("complete", [False, True])
def test_an_error_as_first_event_is_seen(error: dict[str, object], expected: Look, complete: bool) -> None:
    held = response()
    stream = b": ping\n\ndata: " + json.dumps({"error": error}).encode() + b"\n\n"
    assert looks(held, stream, complete=complete) == [expected]
    assert held.error == error


def test_a_later_error_is_the_client_s_to_see() -> None:
    assert looks(response(), EVENT + b'data: {"error": {"code": 500}}\n\n') == [READY]


def test_an_error_is_kept_and_passed_on_without_our_key() -> None:
    held = response()
    stream = b'data: {"error": {"message": "bad key %b", "code": 401}}\n\n' % KEY
    assert looks(held, stream) == [Look.CALLERS_ERROR_FIRST]
    assert held.error["message"] == "bad key *************"
    assert held.release((KEY,), False)[1] == stream.replace(KEY, b"*" * len(KEY))


STREAM = b": ping\r\n\r\n" + EVENT + b"data: more\n\n"


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, len(STREAM))))
def test_however_a_stream_is_divided_all_of_it_is_held_until_it_is_ready(cuts: list[int]) -> None:
    ends = sorted({0, len(STREAM), *cuts})
    held = response()
    taken = b""
    for start, end in itertools.pairwise(ends):
        taken += STREAM[start:end]
        if held.hold(STREAM[start:end], False, ()) is READY:
            break
    assert held.held == taken
    assert EVENT in taken


# Going out.


def test_what_was_held_goes_out_once() -> None:
    held = response(200, "application/json")
    looks(held, b'{"a": ', b"1}", complete=True)
    assert held.release((), True) == ([b"content-type: application/json\r\n"], b'{"a": 1}')
    assert held.held == b""


def test_an_error_longer_than_can_be_held_must_be_masked_further_on() -> None:
    assert response(500, "text/plain").needs_masking
    assert not response(500, "text/plain", {"content_encoding": "gzip"}).needs_masking
    assert not response().needs_masking


def test_a_coded_error_that_shows_our_key_is_decoded() -> None:
    body = gzip.compress(b"bad key " + KEY)
    held = response(401, "text/plain", {"content_encoding": "gzip"})
    looks(held, body, complete=True)
    fields, data = held.release((KEY,), True)
    assert data == b"bad key *************"
    assert b"content-encoding" not in fields


# Whether it was whole.


@pytest.mark.parametrize(
    ("fields", "stream", "whole"),
    [
        # The framing ended: whole, with or without a last event.
        ({"transfer_encoding": "chunked"}, EVENT, True),
        ({"content_length": "23"}, EVENT, True),
        # The end of the connection is the end of the stream: only its last event tells.
        ({}, EVENT + DONE, True),
        ({}, EVENT, False),
        ({}, EVENT + DONE[:-1], False),
    ],
)
def test_a_stream_without_framing_must_end_with_a_terminal_event(
    fields: dict[str, str], stream: bytes, whole: bool
) -> None:
    for size in (1, 7, len(stream)):
        sent = response(fields=fields)
        for start in range(0, len(stream), size):
            sent.watch(stream[start : start + size])
        assert sent.is_whole() == whole


def test_other_responses_without_framing_cannot_be_judged() -> None:
    assert response(200, "audio/mpeg").is_whole()


def test_a_last_event_of_many_kilobytes_is_recognised() -> None:
    sent = response()
    last = json.dumps({"type": "response.completed", "response": "x" * 60_000}).encode()
    sent.watch(EVENT)
    sent.watch(b"data: " + last + b"\n\n")
    assert sent.is_whole()


# The error that ends a broken stream.

BROKEN = GatewayError(502, UPSTREAM, "upstream_connection_closed", "Provider 'a' failed: it closed.")


@pytest.mark.parametrize(
    ("path", "start"),
    [(b"/v1/chat/completions", b'data: {"error":{'), (b"/v1/responses", b"event: error\ndata: {")],
)
@pytest.mark.parametrize(("sent", "end"), [(EVENT, b""), (EVENT[:-1], b"\n"), (EVENT[:5], b"\n\n")])
def test_a_stream_ends_with_an_event_of_its_own_api(
    path: bytes, start: bytes, sent: bytes, end: bytes
) -> None:
    stream = response()
    stream.watch(sent)
    event = stream.error_event(BROKEN, path)
    assert event.startswith(end + start)
    assert b"Provider 'a' failed: it closed." in event


def test_what_is_no_stream_ends_without_a_word() -> None:
    assert response(200, "audio/mpeg").error_event(BROKEN, b"/v1/audio/speech") == b""


def test_it_tells_its_state() -> None:
    held = response()
    looks(held, b"data")
    assert repr(held) == "<Response <ResponseHead 200 text/event-stream> held=4>"
