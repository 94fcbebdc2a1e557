"""However a request ends, the attempts under way at its targets come back to none, and no permit is lost."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import pytest
from dead_ends import full_backlog
from harness import Raw, Running
from logs import logging_to

from gateway.config import loads
from gateway.resilience.breaker import State

from .members import (
    Asker,
    Member,
    ask,
    break_down,
    breaker_of,
    chat,
    fleet,
    has_all_permits,
    inflight,
    raw,
    route_of,
)

CONFIG = """
providers:
  a:
    format: openai
    base_url: "{a}"
    api_keys: [first-key-of-a, second-key-of-a]
    max_retries: 1
    retry: {base_delay: 1ms, max_delay: 5s}
    circuit_breaker: {max_failures: 9, timeout: 1ms}
  b: {format: openai, base_url: "{b}", max_retries: 0}
  c: {format: anthropic, base_url: "{b}", max_retries: 0}
models:
  m:
    targets: [{provider: a}, {provider: b}]
    fallbacks: {context_window: long}
  long: {targets: [{provider: c, model: claude-sonnet-4-5}]}
"""
TOO_LONG = "400;code=context_length_exceeded"
ONE_CONNECTION = "max_retries: 1\n    pool: {max_connections: 1, max_queue: 1}"


@contextmanager
def two(
    a: Member, b: Member | None = None, settings: str = "max_retries: 1", address: str | None = None
) -> Iterator[Running]:
    """A gateway over both; `a` is asked first, with these settings, at this address where it is given."""
    config = CONFIG.replace("max_retries: 1", settings).replace("{a}", address or "{a}")
    with fleet(config, a=a, b=b or Member("b")) as gateway:
        yield gateway


def assert_none_under_way(gateway: Running) -> None:
    gateway.until(lambda: inflight(gateway) == [0, 0] and inflight(gateway, "long") == [0])


def let_half_open(gateway: Running) -> None:
    """The next request is the probe of `a`."""
    break_down(gateway, "a")
    time.sleep(0.002)
    assert breaker_of(gateway, "a").state(time.monotonic()) is State.HALF_OPEN


# Answers.


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("at_a", "at_b", "status", "attempts"),
    [
        (["ok"], [], 200, 1),
        (["400"], [], 400, 1),
        (["500", "ok"], [], 200, 2),
        (["500", "garbage"], ["ok"], 200, 3),
        (["500", "502"], ["503"], 503, 3),
        (["429;retry_after=60", "429;retry_after=60"], ["ok"], 200, 3),
        (["401", "ok"], [], 200, 2),
        (["401", "402"], [], 402, 2),
        (["garbage", "401", "ok"], [], 200, 3),
        (["401", "500"], ["close"], 502, 4),
    ],
)
def test_an_answer_whoever_gives_it(
    at_a: list[str], at_b: list[str], status: int, attempts: int, stream: bool
) -> None:
    a, b = Member("a", faults=at_a), Member("b", faults=at_b)
    if at_a[:2] == ["401", "500"]:
        a.fault = "500"
    with two(a, b) as gateway:
        answer = ask(gateway, chat(stream=stream))
        assert (answer.status, answer.attempts) == (status, attempts)
        assert_none_under_way(gateway)
    assert (a.requests_seen + b.requests_seen) == attempts


def test_a_provider_that_is_not_there() -> None:
    with two(Member("a")) as gateway:
        gateway.kill("a")
        assert ask(gateway).provider == "b"
        assert_none_under_way(gateway)


def test_a_connection_that_has_died_meanwhile_is_no_attempt() -> None:
    a = Member("a", faults=["stale"])
    with two(a) as gateway, Asker(gateway.port) as asker:
        answers = [asker.ask() for _ in range(2)]
        assert_none_under_way(gateway)
    assert [(answer.provider, answer.attempts) for answer in answers] == [("a", 1), ("a", 1)]
    assert a.connections_made == 2


def test_a_request_that_the_other_model_cannot_take() -> None:
    a = Member("a", faults=[TOO_LONG])
    with two(a) as gateway:
        let_half_open(gateway)
        answer = ask(gateway, chat(logit_bias={"1": 1}))
        assert (answer.status, answer.attempts) == (400, 1)
        assert answer.error["code"] == "unsupported_parameter"
        assert has_all_permits(gateway, "a")
        assert_none_under_way(gateway)


def test_a_queue_that_is_full_and_a_time_that_is_over() -> None:
    a = Member("a", fault="stall")
    settings = f"{ONE_CONNECTION}\n    timeouts: {{total: 80ms}}"
    with two(a, settings=settings) as gateway, gateway.connect() as first, gateway.connect() as second:
        first.send(raw(chat()))
        gateway.until(lambda: a.requests_seen == 1)
        second.send(raw(chat()))
        gateway.until(lambda: gateway.app._pools["a"].queued == 1)
        assert inflight(gateway) == [2, 0]
        assert ask(gateway).provider == "b"
        for client in (first, second):
            assert b" 504 " in client.receive_until(b"\r\n\r\n")
        assert_none_under_way(gateway)


# The client leaves, or the gateway ends.


@dataclass(frozen=True)
class Point:
    """A point in the life of a request: what brings it there, and how to see that it is there."""

    faults: tuple[str, ...]
    reached: Callable[[Running, Member], bool]
    settings: str = "max_retries: 1"
    address: Callable[[], AbstractContextManager[int | None]] = nullcontext
    behind_another: bool = False
    """Another request has the only connection."""
    streams: bool = False
    """The client has an event already."""
    inflight: int = 1


def seen(times: int) -> Callable[[Running, Member], bool]:
    return lambda gateway, a: a.requests_seen == times


POINTS = {
    "queued": Point(
        ("stall",),
        lambda gateway, a: gateway.app._pools["a"].queued == 1,
        settings=ONE_CONNECTION,
        behind_another=True,
        inflight=2,
    ),
    "dialling": Point(
        (), lambda gateway, a: "dialling=1" in repr(gateway.app._pools["a"]), address=full_backlog
    ),
    "waiting for the head": Point(("stall",), seen(1)),
    "held back": Point(("stall_body;after=0;part=1",), seen(1)),
    "waiting to try again": Point(("429;retry_after=1", "429;retry_after=1"), seen(2), inflight=0),
    "trying the other key": Point(("401", "stall"), seen(2)),
    "in the stream": Point(("stall_body;after=1",), seen(1), streams=True),
}


@dataclass(frozen=True)
class UnderWay:
    """A request at a point, the probe of a half-open circuit; `begun` is what its client has read."""

    gateway: Running
    a: Member
    client: Raw
    other: Raw
    begun: bytes

    def leave(self) -> None:
        self.client.close()
        self.other.close()


@pytest.fixture(params=POINTS)
def under_way(request: pytest.FixtureRequest) -> Iterator[UnderWay]:
    point = POINTS[request.param]
    a = Member("a", faults=point.faults)
    with (
        point.address() as port,
        two(
            a, settings=point.settings, address=None if port is None else f"http://127.0.0.1:{port}"
        ) as gateway,
        gateway.connect() as client,
        gateway.connect() as other,
    ):
        if point.behind_another:
            other.send(raw(chat(stream=True)))
            gateway.until(lambda: a.requests_seen == 1)
        let_half_open(gateway)
        client.send(raw(chat(stream=True)))
        begun = client.receive_until(b"data:") if point.streams else b""
        gateway.until(lambda: point.reached(gateway, a))
        assert sum(inflight(gateway)) == point.inflight
        yield UnderWay(gateway, a, client, other, begun)


def test_the_client_leaves(under_way: UnderWay) -> None:
    gateway, asked = under_way.gateway, under_way.a.requests_seen
    under_way.leave()
    assert_none_under_way(gateway)
    assert has_all_permits(gateway, "a")
    assert under_way.a.requests_seen == asked


def test_the_gateway_ends(under_way: UnderWay) -> None:
    gateway = under_way.gateway
    gateway.call(gateway.app.begin_drain)
    gateway.call(gateway.app.cut_off)
    assert_none_under_way(gateway)
    assert has_all_permits(gateway, "a")
    told = under_way.begun + under_way.client.receive_all()
    assert b"shutting_down" in told
    assert told.startswith(b"HTTP/1.1 200 " if under_way.begun else b"HTTP/1.1 503 ")


def test_the_targets_are_exchanged_meanwhile(under_way: UnderWay) -> None:
    gateway = under_way.gateway
    old = route_of(gateway).targets
    without_a = gateway.text.replace("targets: [{provider: a}, {provider: b}]", "targets: [{provider: b}]")
    for name, address in gateway.addresses.items():
        without_a = without_a.replace(f"{{{name}}}", address)
    gateway.app._load = lambda: loads(without_a, "test.yaml", {})
    with logging_to(io.StringIO()):
        gateway.call(gateway.app.reload)
    assert ask(gateway).provider == "b"
    assert inflight(gateway) == [0]
    under_way.leave()
    gateway.until(lambda: [target.inflight for target in old if target is not None] == [0, 0])
    assert has_all_permits(gateway, "a")
