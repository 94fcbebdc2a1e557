"""Clients that send too slowly, read too slowly, or not at all."""

from __future__ import annotations

from conversation import CONTINUE, TIMEOUTS, Conversation, Exchange, FakeTransport, post

from gateway.config.schema import Limits
from gateway.server.protocol import HIGH_WATER, LINGER_S, NEVER, ClientConnection
from gateway.server.request import Request
from gateway.server.site import Page

GET = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n"
SMALL = Limits(max_header=1000)


# -- slow readers


def test_little_is_held_for_a_slow_client() -> None:
    assert Conversation().transport.high_water == HIGH_WATER


def test_slow_client_is_made_known() -> None:
    talk = Conversation(held=True).says(GET)
    talk.connection.pause_writing()
    talk.connection.resume_writing()
    assert talk.requests[0].told == ["pause", "resume"]
    talk.requests[0].respond()
    talk.connection.pause_writing()
    talk.connection.resume_writing()
    assert talk.requests[0].told == ["pause", "resume"]


def test_client_that_is_slow_while_its_request_begins_is_made_known() -> None:
    told: list[Exchange] = []

    def begin(request: Request, client: ClientConnection) -> Exchange:
        client.start(200, [], None, b"much")
        client.pause_writing()
        told.append(Exchange(request, client))
        return told[0]

    talk = Conversation(pages={b"/page": Page(begin)}).says(b"GET /page HTTP/1.1\r\nhost: gw\r\n\r\n")
    talk.connection.resume_writing()
    assert told[0].told == ["pause", "resume"]


def test_no_request_is_begun_while_its_client_does_not_read() -> None:
    talk = Conversation(held=True).says(GET + GET)
    talk.connection.pause_writing()
    talk.requests[0].respond()
    talk.says(GET)
    assert len(talk.requests) == 1
    talk.connection.resume_writing()
    assert len(talk.requests) == 2
    talk.requests[1].respond()
    assert len(talk.requests) == 3
    assert talk.requests[2].told == []


def test_nothing_is_begun_on_a_connection_that_was_finished_meanwhile() -> None:
    talk = Conversation(held=True).says(GET + GET)
    talk.connection.pause_writing()
    talk.requests[0].respond()
    talk.connection.finish()
    talk.connection.resume_writing()
    assert len(talk.requests) == 1


def test_client_that_does_not_read_has_its_bytes_bounded() -> None:
    talk = Conversation(limits=SMALL).says(GET)
    talk.connection.pause_writing()
    talk.says(*([GET] * 100))
    assert len(talk.requests) == 1
    talk.connection.resume_writing()
    assert len(talk.requests) == 1
    assert talk.ended


def test_refusal_waits_until_its_client_reads() -> None:
    talk = Conversation(held=True).says(GET + b"BAD / HTTP/1.1\r\n\r\n")
    talk.connection.pause_writing()
    talk.requests[0].respond()
    assert len(talk.heard) == 1
    talk.connection.resume_writing()
    assert [answer.status for answer in talk.heard] == [200, 501]


def test_transport_that_pauses_and_resumes_within_a_write_gets_everything_once() -> None:
    class Eager(FakeTransport):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            super().write(data)
            talk.connection.pause_writing()
            talk.connection.resume_writing()

    talk = Conversation()
    talk.transport = Eager()
    talk.connection.connection_made(talk.transport)
    talk.says(GET + GET + post(b"1", b"expect: 100-continue")[:-1], b"1" + b"BAD / HTTP/1.1\r\n\r\n")
    assert talk.wire.count(CONTINUE) == 1
    assert [answer.status for answer in talk.heard] == [200, 200, 200, 501]


def test_client_that_does_not_read_a_finished_answer_is_cut_off() -> None:
    talk = Conversation(held=True).says(GET)
    talk.connection.pause_writing()
    talk.requests[0].respond()
    talk.transport.unsent = 100
    talk.waits(TIMEOUTS.keepalive - 1)
    assert not talk.transport.closed
    talk.waits(1)
    assert talk.transport.aborted


# -- deadlines


def test_connection_without_a_byte_is_closed_in_silence() -> None:
    talk = Conversation()
    talk.waits(TIMEOUTS.header - 1)
    assert not talk.ended
    talk.waits(1)
    assert talk.transport.closed
    assert talk.wire == b""


def test_head_that_drips_is_408() -> None:
    talk = Conversation()
    for byte in (b"G", b"E", b"T"):
        talk.waits(TIMEOUTS.header / 4)
        talk.says(byte)
    assert not talk.ended
    talk.waits(TIMEOUTS.header / 4)
    (answer,) = talk.heard
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")
    assert "server.timeouts.header" in answer.error["message"]
    assert answer.closes
    talk.waits(LINGER_S)
    assert talk.transport.aborted


def test_body_that_drips_is_408() -> None:
    talk = Conversation().says(post(b"x" * 1000)[:-999])
    for _ in range(9):
        talk.waits(TIMEOUTS.body / 10)
        talk.says(b"x")
    assert not talk.ended
    talk.waits(TIMEOUTS.body / 10)
    assert talk.heard[0].status == 408
    assert "server.timeouts.body" in talk.heard[0].error["message"]
    assert talk.site.buffered == 0


def test_connection_between_two_requests_is_closed_in_silence() -> None:
    talk = Conversation().says(GET)
    talk.waits(TIMEOUTS.keepalive - 1)
    talk.says(b"\r\n")  # an empty line is no request
    assert not talk.ended
    talk.waits(1)
    assert talk.transport.closed
    assert len(talk.heard) == 1


def test_later_head_that_drips_is_408() -> None:
    talk = Conversation().says(GET)
    talk.waits(TIMEOUTS.keepalive - 1)
    talk.says(b"GET /")
    talk.waits(TIMEOUTS.header - 1)
    assert not talk.ended
    talk.waits(1)
    assert [answer.status for answer in talk.heard] == [200, 408]


def test_no_deadline_runs_while_an_answer_is_due() -> None:
    talk = Conversation(held=True).says(GET + GET[:5])
    assert talk.connection.deadline_s == NEVER
    talk.waits(10_000)
    talk.requests[0].respond()
    talk.waits(TIMEOUTS.header - 1)  # the second head could not come before
    assert not talk.ended
    talk.says(GET[5:])
    talk.requests[1].respond()
    assert len(talk.heard) == 2
