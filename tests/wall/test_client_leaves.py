"""The client leaves, at whatever point of its request: nothing of it goes on, and nothing is held for it."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from dead_ends import full_backlog
from harness import Running

from gateway.providers.mock import MockServer
from gateway.resilience.breaker import State
from gateway.resilience.outcome import Outcome

from .client import WAIT_S, request
from .gateways import breaker_of, count_failures, events_of, gateway_over, pool_of

AT_ONCE_S = 0.05
HALF_OPENS = "circuit_breaker: {max_failures: 1, timeout: 1ms}"
"""One request is let through at a time, the probe; its permit must come back."""


@dataclass(frozen=True)
class Point:
    """A point in the life of a request."""

    fault: str
    """Of the provider."""
    reached: Callable[[Running, MockServer], bool]
    """The request is there."""
    settings: str = ""
    asked: int = 1
    """Requests that the provider has seen by then."""
    behind_another: bool = False
    """Another request has the only connection."""
    unreachable: bool = False
    retry_due_s: float = 0.0
    """When the next attempt would be made."""
    event_first: bool = False
    """The client has an event already."""
    frees: bool = False
    """A connection to the provider is used for it alone."""


def seen_once(gateway: Running, a: MockServer) -> bool:
    return a.requests_seen == 1


POINTS = {
    "queued": Point(
        "stall",
        lambda gateway, a: pool_of(gateway).queued == 1,
        settings="pool: {max_connections: 1}",
        behind_another=True,
    ),
    "dialling": Point(
        "ok", lambda gateway, a: "dialling=1" in repr(pool_of(gateway)), asked=0, unreachable=True
    ),
    "waiting for the head": Point("stall", seen_once, frees=True),
    "held back": Point("stall_body;after=0;part=1", seen_once, frees=True),
    "waiting to try again": Point(
        "429", seen_once, settings="max_retries: 3, retry: {base_delay: 150ms}", retry_due_s=0.15
    ),
    "in the stream": Point("stall_body;after=1", seen_once, event_first=True, frees=True),
    "in a stream without end": Point("endless", seen_once, event_first=True, frees=True),
}


@pytest.fixture(params=POINTS)
def point(request: pytest.FixtureRequest) -> Point:
    found: Point = POINTS[request.param]
    return found


@pytest.fixture(params=["FIN", "RST"])
def close(request: pytest.FixtureRequest) -> Callable[[socket.socket], None]:
    def close(sock: socket.socket) -> None:
        if request.param == "RST":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    return close


def connected(gateway: Running) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), WAIT_S)


@pytest.fixture
def arranged(point: Point) -> Iterator[tuple[Running, MockServer]]:
    """A gateway and its provider for a point."""
    a = MockServer("a", fault=point.fault)
    settings = ", ".join(part for part in (HALF_OPENS, point.settings) if part)
    if point.unreachable:
        with (
            full_backlog() as port,
            gateway_over(a, f"{settings}, base_url: 'http://127.0.0.1:{port}'") as gateway,
        ):
            yield gateway, a
    else:
        with gateway_over(a, settings) as gateway:
            yield gateway, a


def test_a_client_that_leaves_takes_everything_with_it(
    point: Point,
    close: Callable[[socket.socket], None],
    arranged: tuple[Running, MockServer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway, a = arranged
    with connected(gateway) as other, connected(gateway) as client, caplog.at_level("INFO", "gateway"):
        if point.behind_another:
            other.sendall(request(stream=True))
            gateway.until(lambda: a.requests_seen == 1)
        let_half_open(gateway)
        client.sendall(request(stream=True))
        if point.event_first:
            assert b"data: " in client.recv(65536)
        gateway.until(lambda: point.reached(gateway, a))

        started = time.monotonic()
        close(client)
        gateway.until(lambda: bool(events_of(caplog.records, "access")))
        assert time.monotonic() - started < 4 * AT_ONCE_S
        if point.frees:
            gateway.until(lambda: a.connections_open == 0)
            assert a.connection_lost_times[-1] - started < AT_ONCE_S
        assert "dialling=0 queued=0" in repr(gateway.call(lambda: pool_of(gateway)))
        assert_permit_is_back(gateway)
        time.sleep(1.5 * point.retry_due_s)
        assert a.requests_seen == point.asked
    (access,) = events_of(caplog.records, "access")
    assert (access["status"], access["provider"], access["attempts"]) == (499, "a", 1)


def let_half_open(gateway: Running) -> None:
    """The next request is the probe of provider `a`."""
    count_failures(gateway, "a", 1)
    time.sleep(0.002)
    assert breaker_of(gateway).state(time.monotonic()) is State.HALF_OPEN


def assert_permit_is_back(gateway: Running) -> None:
    """The breaker is as it was before the probe, and lets the next one through."""
    breaker = breaker_of(gateway)
    permit = breaker.acquire(time.monotonic())
    assert permit
    breaker.record(permit, Outcome.NEUTRAL, time.monotonic())
    assert (breaker.failures, breaker.state(time.monotonic())) == (1, State.HALF_OPEN)


def test_a_client_that_leaves_is_not_held_against_the_provider() -> None:
    a = MockServer("a", fault="stall")
    with gateway_over(a, "circuit_breaker: {max_failures: 2}") as gateway:
        count_failures(gateway, "a", 1)
        for _ in range(3):
            with connected(gateway) as client:
                client.sendall(request())
                gateway.until(lambda: a.connections_open == 1)
            gateway.until(lambda: a.connections_open == 0)
        breaker = breaker_of(gateway)
        assert (breaker.failures, breaker.state(time.monotonic())) == (1, State.CLOSED)


def test_nobody_else_is_asked_for_a_client_that_has_left() -> None:
    a, b = MockServer("a", fault="reset_body;after=0"), MockServer("b")
    a.latency = 0.02
    with gateway_over(a, "max_retries: 3, retry: {base_delay: 1ms}", b) as gateway:
        with connected(gateway) as client:
            client.sendall(request())
            gateway.until(lambda: a.requests_seen == 1)
        gateway.until(lambda: a.connections_open == 0)
        time.sleep(0.04)
        assert (a.requests_seen, b.requests_seen) == (1, 0)
