"""Requests that are refused, and handlers that fail: what the client hears, and has time to read."""

from __future__ import annotations

import logging

import pytest
from conversation import HEAD, TIMEOUTS, Conversation, answers, splits

from gateway.config.schema import Limits
from gateway.errors import GatewayError
from gateway.server.protocol import LINGER_S, MAX_LINGER_S, ClientConnection
from gateway.server.request import Request
from gateway.server.site import Page

GET = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n"


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"HEAD /v1/models HTTP/1.1\r\n\r\n", 400),
        (b"HEAD /v1/models HTTP/1.1\r\nhost: gw\r\nbad\r\n\r\n", 400),
        (b"HEAD /v1/models\x05 HTTP/1.1\r\n", 400),
        (b"HEAD /v1/models HTTP/2.0\r\nhost: gw\r\n\r\n", 505),
        (b"HEAD /nothing HTTP/1.1\r\nhost: gw\r\n\r\n", 404),
    ],
)
def test_refused_head_gets_no_body(request_head: bytes, status: int) -> None:
    talk = Conversation().says(request_head)
    for pieces in splits(request_head):
        assert Conversation().says(*pieces).wire == talk.wire
    (answer,) = answers(talk.wire, b"HEAD")
    assert answer.status == status
    assert int(answer.fields[b"content-length"]) > 0


@pytest.mark.parametrize("start", [b"HEAD /v1/models HTTP/1.1\r\nx: ", b"HEAD /v1/models HTTP/1.1\r\n"])
def test_head_that_is_not_read_to_its_end_gets_no_body(start: bytes) -> None:
    late = Conversation().says(start)
    late.waits(TIMEOUTS.header)
    large = Conversation(limits=Limits(max_header=100)).says(start + b"x" * 100)
    assert [answer.status for answer in answers(late.wire, b"HEAD")] == [408]
    assert [answer.status for answer in answers(large.wire, b"HEAD")] == [431]


@pytest.mark.parametrize(
    "rest",
    [
        b" HTTP/1.1\r\nhost: gw\r\nexpect: x\r\n\r\n",
        b" HTTP/1.1\r\nhost: gw\r\nbad\r\n\r\n",
        b" HTTP/1.1\r\nhost: gw\r\ncontent-length: 99999999999\r\n\r\n",
    ],
)
def test_refused_message_has_the_shape_of_its_api(rest: bytes) -> None:
    talk = Conversation().says(b"POST /v1/messages" + rest)
    assert talk.heard[0].body.startswith(b'{"type":"error","error":{"type":')


def test_target_that_cannot_be_read_is_of_no_api_whatever_the_split() -> None:
    request = b"POST /v1/messages\x05 HTTP/1.1\r\n"
    for pieces in ([request], *splits(request)):
        assert Conversation().says(*pieces).heard[0].error["code"] == "malformed_request"


def own_fields(request: Request | None, error: GatewayError, read_s: float) -> bytes:
    return b"x-request-id: %b\r\n" % ((request and request.request_id) or b"new")


def test_refusal_has_the_id_of_its_request_or_a_new_one() -> None:
    talk = Conversation(refused=own_fields).says(HEAD + b"x-request-id: 7\r\nexpect: x\r\n\r\n")
    assert talk.heard[0].fields[b"x-request-id"] == b"7"
    for bad in (b"GET / HTTP/1.1\r\nhost: gw\r\n\r\n", b"BAD\r\n"):
        talk = Conversation(refused=own_fields).says(bad)
        assert talk.heard[0].fields[b"x-request-id"] == b"new"


def test_refusal_is_whole() -> None:
    talk = Conversation().says(b"BAD / HTTP/1.1\r\n\r\n")
    (answer,) = talk.heard
    assert answer.fields == {
        b"content-type": b"application/json",
        b"date": b"Thu, 01 Jan 1970 00:00:00 GMT",
        b"connection": b"close",
        b"content-length": b"%d" % len(answer.body),
    }
    assert talk.transport.writes == 1


def test_client_has_time_to_read_a_refusal() -> None:
    talk = Conversation().says(HEAD + b"content-length: 99999999999\r\n\r\n")
    assert talk.transport.eof
    for _ in range(5):
        talk.waits(LINGER_S - 0.1)
        assert not talk.transport.closed
        talk.says(b"x" * 1000)  # it still uploads, and each read gives it more time
    talk.waits(LINGER_S)
    assert talk.transport.aborted
    assert len(talk.heard) == 1


def test_client_that_does_not_go_away_is_cut_off() -> None:
    talk = Conversation().says(b"BAD / HTTP/1.1\r\n\r\n")
    talk.waits(LINGER_S - 0.1)
    assert not talk.transport.closed
    talk.waits(0.1)
    assert talk.transport.aborted


def test_client_that_uploads_for_ever_is_cut_off() -> None:
    talk = Conversation().says(HEAD + b"content-length: 99999999999\r\n\r\n")
    for _ in range(int(MAX_LINGER_S) + 1):
        talk.says(b"x")
        talk.waits(1.0)
    assert talk.transport.aborted


def test_one_connection_too_many_gets_503() -> None:
    first = Conversation(max_connections=1)
    second = Conversation(site=first.site)
    (answer,) = second.heard
    assert (answer.status, answer.error["code"]) == (503, "overloaded")
    assert answer.fields[b"retry-after"] == b"1"
    assert answer.closes
    assert second.ended
    second.leaves()
    first.says(GET)
    assert len(first.heard) == 1
    first.leaves()
    assert Conversation(site=first.site).wire == b""


def test_handler_that_fails_is_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: Request, client: ClientConnection) -> None:
        raise LookupError("defect")

    talk = Conversation(pages={b"/page": Page(fail)}).says(b"GET /page HTTP/1.1\r\nhost: gw\r\n\r\n" + GET)
    assert [answer.status for answer in talk.heard] == [500, 200]
    assert talk.heard[0].error["code"] == "internal_error"
    assert "defect" in caplog.text
    (record,) = (one for one in caplog.records if one.__dict__.get("event") == "internal_error")
    assert record.levelno == logging.ERROR


def test_handler_that_fails_is_500_behind_a_stream_too() -> None:
    def fail(request: Request, client: ClientConnection) -> None:
        raise LookupError("defect")

    talk = Conversation(held=True, pages={b"/page": Page(fail)}).says(GET)
    talk.requests[0].client.start(200, [], None, b"a")
    talk.requests[0].client.end(b"")
    talk.says(b"GET /page HTTP/1.1\r\nhost: gw\r\n\r\n")
    assert [answer.status for answer in talk.heard] == [200, 500]


def test_handler_that_fails_in_the_middle_of_its_answer_cuts_it() -> None:
    def fail(request: Request, client: ClientConnection) -> None:
        client.start(200, [], 10, b"half")
        raise LookupError("defect")

    talk = Conversation(pages={b"/page": Page(fail)}).says(b"GET /page HTTP/1.1\r\nhost: gw\r\n\r\n" + GET)
    assert talk.wire.endswith(b"\r\n\r\nhalf")
    assert talk.ended


def test_handler_that_fails_behind_its_answer_does_no_harm() -> None:
    def fail(request: Request, client: ClientConnection) -> None:
        client.respond(200, [], b"done")
        raise LookupError("defect")

    talk = Conversation(pages={b"/page": Page(fail)}).says(b"GET /page HTTP/1.1\r\nhost: gw\r\n\r\n" + GET)
    assert [answer.status for answer in talk.heard] == [200, 200]
