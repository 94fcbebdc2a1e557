"""The life of a connection: requests one after the other, bytes that nobody asked for, times, and pauses."""

from __future__ import annotations

import pytest

from gateway.errors import Fault
from gateway.upstream.protocol import NEVER
from gateway.upstream.response import ResponseHead

from .fakes import OPEN, REQUEST, WHOLE, FakeUser, Seen, Wire, ask, splits

OK = b"HTTP/1.1 200 OK\r\n"
HI = OK + b"content-length: 2\r\n\r\nhi"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


def test_a_request_goes_out_in_one_piece_and_unchanged() -> None:
    for body in (b"", b"small", b"large" * 20_000):
        wire = Wire()
        wire.send(body=body)
        assert wire.transport.written == REQUEST + body


def test_a_kept_connection_serves_one_request_after_the_other() -> None:
    wire = Wire()
    for status, body in ((200, b"hi"), (404, b"no"), (204, b""), (200, b"hi")):
        user = wire.send()
        wire.receives(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)
        assert user.seen == Seen(status, body, WHOLE)
    assert wire.pool.released == 4
    assert repr(wire.connection) == "<Connection idle to fake>"


def test_nothing_of_one_response_is_left_for_the_next() -> None:
    wire = Wire()
    wire.send()
    wire.receives(
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 16 + CHUNKED + b"2;e=f\r\nhi\r\n0\r\nx-trailer: 1\r\n\r\n"
    )
    user = wire.send()
    assert not wire.connection.received
    wire.receives(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 16 + HI)
    assert user.seen == Seen(200, b"hi", WHOLE)
    assert b"x-trailer" not in user.fields


def test_received_tells_whether_a_byte_of_the_answer_has_come() -> None:
    wire = Wire()
    wire.send()
    assert not wire.connection.received
    wire.receives(b"H")
    assert wire.connection.received


# -- bytes that nobody asked for


def test_bytes_on_an_idle_connection_close_it() -> None:
    for reads in splits(HI):
        wire = Wire()
        wire.send()
        wire.receives(HI)
        assert wire.kept
        wire.receives(*reads)
        assert wire.transport.closed
        assert wire.pool.lost_connections == 1
        assert not wire.connection.alive
        assert wire.user.seen == Seen(200, b"hi", WHOLE)


def test_bytes_before_the_first_request_close_the_connection() -> None:
    wire = Wire()
    wire.receives(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
    assert wire.transport.closed


def test_surplus_in_the_same_read_never_reaches_the_next_request() -> None:
    wire = Wire()
    wire.pool.next_user = FakeUser()
    wire.send()
    wire.receives(HI + b"HTTP/1.1 500 Not Yours\r\ncontent-length: 0\r\n\r\n")
    assert wire.user.seen == Seen(200, b"hi", WHOLE)
    assert wire.pool.next_user.seen == Seen(0, b"", OPEN)
    assert wire.pool.released == 0


def test_a_connection_that_is_handed_on_at_once_serves_the_next_request() -> None:
    wire = Wire()
    waiting = wire.pool.next_user = FakeUser()
    user = wire.send()
    wire.receives(HI)
    wire.pool.next_user = None
    wire.receives(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
    assert user.seen == Seen(200, b"hi", WHOLE)
    assert waiting.seen == Seen(404, b"", WHOLE)


def test_a_connection_that_closes_while_it_is_idle_is_given_up_in_silence() -> None:
    for close in (Wire.fin, Wire.rst):
        wire = Wire()
        wire.send()
        wire.receives(HI)
        close(wire)
        assert wire.user.told == ["head", "last body"]
        assert wire.pool.lost_connections == 1


# -- an answer before the request was taken


def test_an_answer_before_the_request_was_sent_is_passed_on_and_the_connection_dropped() -> None:
    wire = Wire()
    wire.send(body=b"x" * 100_000)
    wire.transport.unsent = 60_000
    wire.receives(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nhi")
    assert wire.user.seen == Seen(413, b"hi", WHOLE)
    assert wire.transport.closed
    assert wire.pool.released == 0


# -- a user who leaves


class Leaver(FakeUser):
    """Abandons its connection as soon as it is told `when`."""

    def __init__(self, wire: Wire, when: str) -> None:
        super().__init__()
        self._wire = wire
        self._when = when

    def on_head(self, head: ResponseHead) -> None:
        super().on_head(head)
        self._leave("head")

    def on_body(self, data: bytes, complete: bool) -> None:
        super().on_body(data, complete)
        self._leave("body")

    def _leave(self, told: str) -> None:
        if told == self._when:
            self._wire.connection.abandon()


@pytest.mark.parametrize("when", ["head", "body"])
def test_a_user_who_leaves_inside_a_callback_is_told_no_more(when: str) -> None:
    wire = Wire()
    user = Leaver(wire, when)
    ask(wire.connection, user)
    wire.receives(CHUNKED + b"2\r\nhi\r\nnonsense\r\n")
    assert user.told == (["head"] if when == "head" else ["head", "body"])
    assert wire.transport.closed
    assert wire.pool.lost_connections == 1


def test_an_abandoned_connection_closes_at_once_and_only_once() -> None:
    wire = Wire()
    wire.send()
    wire.connection.abandon()
    wire.connection.abandon()
    wire.lose(None)
    assert wire.transport.closed
    assert wire.user.told == []
    assert wire.pool.lost_connections == 1
    assert repr(wire.connection) == "<Connection closed to fake>"


# -- times, as the pool's sweep enforces them

IDLE_S = 5.0
POOLED_S = 4.0


def sent(deadline_s: float = 10.0, limit_s: float = 100.0) -> Wire:
    """A request whose first byte is due at `deadline_s`, and its commit at `limit_s`; it is 0 now."""
    wire = Wire()
    user = wire.user = FakeUser()
    wire.connection.send(user, b"", b"", bodiless=False, deadline_s=deadline_s, limit_s=limit_s)
    return wire


def look(wire: Wire, *times: float) -> None:
    for now in times:
        wire.connection.look(now, IDLE_S, POOLED_S)


def assert_timed_out(wire: Wire, setting: str) -> None:
    assert (wire.user.end, wire.user.detail) == (Fault.TIMEOUT, setting)
    assert wire.transport.closed
    assert wire.pool.lost_connections == 1


def test_silence_before_the_head_runs_into_the_first_byte_timeout() -> None:
    wire = sent(deadline_s=10.0)
    look(wire, 1.0, 9.9)
    assert wire.user.end == OPEN
    look(wire, 10.0)
    assert_timed_out(wire, "first_byte")


@pytest.mark.parametrize("drip", [b"HTTP/1.1 100 Continue\r\n\r\n", b""])
def test_a_head_that_drips_does_not_move_the_first_byte_timeout(drip: bytes) -> None:
    wire = sent(deadline_s=10.0)
    for now in range(10):
        wire.receives(drip or OK[now : now + 1])
        look(wire, float(now))
    assert wire.user.end == OPEN
    look(wire, 10.0)
    assert_timed_out(wire, "first_byte")


def test_silence_in_the_body_runs_into_the_idle_timeout() -> None:
    wire = sent()
    wire.receives(CHUNKED)
    look(wire, 1.0, 1.0 + IDLE_S - 0.1)
    wire.receives(b"2\r\nhi\r\n")
    look(wire, 7.0, 7.0 + IDLE_S - 0.1)
    assert wire.user.end == OPEN
    look(wire, 7.0 + IDLE_S)
    assert_timed_out(wire, "idle")
    assert wire.user.body == b"hi"


def test_a_body_that_drips_is_not_idle() -> None:
    wire = sent(limit_s=NEVER)
    wire.receives(CHUNKED)
    for now in range(100):
        wire.receives(b"1\r\nx\r\n")
        look(wire, float(now), now + 0.5)
    assert wire.user.seen == Seen(200, b"x" * 100, OPEN)


def test_the_total_time_runs_out_however_much_comes() -> None:
    wire = sent(limit_s=8.0)
    wire.receives(CHUNKED)
    for now in range(8):
        wire.receives(b"1\r\nx\r\n")
        look(wire, float(now))
    assert wire.user.end == OPEN
    wire.receives(b"1\r\nx\r\n")
    look(wire, 8.0)
    assert_timed_out(wire, "total")


def test_the_total_time_counts_only_until_the_response_goes_out() -> None:
    wire = sent(limit_s=8.0)
    wire.receives(CHUNKED)
    wire.connection.commit()
    for now in range(20):
        wire.receives(b"1\r\nx\r\n")
        look(wire, float(now))
    assert wire.user.end == OPEN


def test_a_paused_response_is_not_idle_and_has_all_its_time_again_afterwards() -> None:
    wire = sent()
    wire.receives(CHUNKED + b"2\r\nhi\r\n")
    wire.connection.commit()
    look(wire, 1.0)
    wire.receives(b"2\r\nhi\r\n")
    wire.connection.pause()
    reading = [wire.transport.reading]
    look(wire, 2.0, 1000.0)
    assert wire.user.end == OPEN
    wire.connection.resume()
    reading.append(wire.transport.reading)
    assert reading == [False, True]
    look(wire, 1001.0, 1001.0 + IDLE_S - 0.1)
    assert wire.user.end == OPEN
    look(wire, 1001.0 + IDLE_S)
    assert_timed_out(wire, "idle")


def test_pausing_twice_is_pausing_once_and_a_closed_connection_is_left_alone() -> None:
    wire = sent()
    wire.receives(CHUNKED)
    wire.connection.resume()
    wire.connection.pause()
    wire.connection.pause()
    wire.connection.resume()
    assert wire.transport.reading
    wire.connection.abandon()
    wire.connection.pause()
    assert wire.transport.reading


def test_an_unused_connection_is_closed_after_its_time() -> None:
    wire = sent()
    wire.receives(HI)
    wire.connection.idle_since_s = 3.0
    look(wire, 3.0 + POOLED_S - 0.1)
    assert wire.kept
    look(wire, 3.0 + POOLED_S)
    assert wire.transport.closed
    assert wire.user.told == ["head", "last body"]
