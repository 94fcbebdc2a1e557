"""What bounds a request in time: each attempt by itself, and all of them with every wait between them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from dead_ends import full_backlog
from harness import Running

from gateway.providers.mock import MockServer
from gateway.providers.mock.script import Step, Wait

from .client import WAIT_S, Answer, ask, request
from .gateways import gateway_over, pool_of
from .observe import Raw

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
COMMENT = b"3\r\n:\n\n\r\n"
TOTAL_S = 0.12
TOTAL = f"timeouts: {{total: {TOTAL_S}s}}"
SLACK_S = 0.15


def timed(gateway: Running, *, stream: bool = False) -> tuple[Answer, float]:
    started = time.monotonic()
    answer = ask(gateway.port, stream=stream)
    return answer, time.monotonic() - started


def assert_out_of_time(answer: Answer, setting: str) -> None:
    assert answer.status == 504
    assert answer.error is not None
    assert (answer.error["type"], answer.error["code"]) == ("timeout_error", "upstream_timeout")
    assert f"(providers.a.timeouts.{setting})" in answer.error["message"]


def test_the_message_says_what_was_waited_for_and_how_long() -> None:
    with gateway_over(MockServer("a", fault="stall"), "timeouts: {first_byte: 50ms}") as gateway:
        answer = ask(gateway.port)
    assert answer.error is not None
    assert answer.error["message"] == (
        "Provider 'a' sent no response within 0.05 s (providers.a.timeouts.first_byte)."
    )


WAITS = (
    "for a connection to be made",
    "in the queue",
    "for the head",
    "for the first event, among comments",
    "for the rest of a body",
)


@contextmanager
def waiting(where: str) -> Iterator[Running]:
    """A gateway at which the next request waits, for longer than the total time allows."""
    with ExitStack() as stack:
        if where == "for a connection to be made":
            settings = f"{TOTAL}, base_url: 'http://127.0.0.1:{stack.enter_context(full_backlog())}'"
            yield stack.enter_context(gateway_over(MockServer("a"), settings))
        elif where == "in the queue":
            a = MockServer("a", fault="stall_body;after=1")
            gateway = stack.enter_context(gateway_over(a, f"{TOTAL}, pool: {{max_connections: 1}}"))
            holder = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), WAIT_S))
            holder.sendall(request(stream=True))
            holder.recv(1)  # its answer has begun: the total time does not end it any more
            yield gateway
        elif where == "for the head":
            yield stack.enter_context(gateway_over(MockServer("a", fault="stall"), TOTAL))
        elif where == "for the first event, among comments":
            drip: tuple[Step, ...] = (STREAM, *(COMMENT, Wait(0.01)) * 100)
            yield stack.enter_context(gateway_over(Raw("a", drip), TOTAL))
        elif where == "for the rest of a body":
            a = MockServer("a", fault="slow_drip;interval=10ms")
            yield stack.enter_context(gateway_over(a, TOTAL))


@pytest.mark.parametrize("where", WAITS)
def test_the_total_time_bounds_every_wait(where: str) -> None:
    with waiting(where) as gateway:
        answer, took_s = timed(gateway, stream="event" in where)
        assert repr(pool_of(gateway)).endswith("dialling=0 queued=0>")
    assert_out_of_time(answer, "total")
    assert TOTAL_S - 0.01 <= took_s < TOTAL_S + SLACK_S


def test_no_retry_is_waited_for_that_would_come_too_late() -> None:
    a = MockServer("a", fault="500")
    retries = "max_retries: 9, retry: {base_delay: 50ms, multiplier: 1}"
    with gateway_over(a, f"{TOTAL}, {retries}") as gateway:
        answer, took_s = timed(gateway)
    assert answer.status == 500
    assert answer.headers["x-gateway-attempts"] == "3"
    assert took_s < TOTAL_S


def test_the_total_time_is_that_of_the_first_provider_also_at_the_fallback() -> None:
    a, b = MockServer("a", fault="503"), MockServer("b", fault="stall")
    with gateway_over(a, f"{TOTAL}, max_retries: 0", b) as gateway:
        answer, took_s = timed(gateway)
    assert answer.headers["x-gateway-provider"] == "b"
    assert_out_of_time(answer, "total")
    assert took_s < TOTAL_S + SLACK_S


def test_a_stream_that_has_begun_is_bounded_by_silence_alone() -> None:
    drip: tuple[Step, ...] = (STREAM, *(b"9\r\ndata: 1\n\n\r\n", Wait(0.02)) * 12, b"0\r\n\r\n")
    settings = "timeouts: {first_byte: 80ms, idle: 80ms, total: 80ms}"
    with gateway_over(Raw("a", drip), settings) as gateway:
        answer, took_s = timed(gateway, stream=True)
    assert (answer.ending, len(answer.events)) == ("whole", 12)
    assert took_s > 0.2


def test_each_attempt_has_its_own_time_for_the_first_byte() -> None:
    a = MockServer("a", faults=["stall", "stall"])
    settings = "timeouts: {first_byte: 60ms}, max_retries: 2, retry: {base_delay: 0}"
    with gateway_over(a, settings) as gateway:
        answer, took_s = timed(gateway)
    assert (answer.status, answer.headers["x-gateway-attempts"]) == (200, "3")
    assert 0.11 < took_s < 0.12 + 2 * SLACK_S
