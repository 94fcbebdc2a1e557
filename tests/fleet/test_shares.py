"""Who gets how many requests, by each strategy."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from harness import Running, running

from gateway.routing.target import FAILED_S

from .members import Asker, Member, ask, break_down, chat, inflight, raw, route_of

CONFIG = """
providers:
  a: {format: openai, base_url: "{a}", max_retries: 0, circuit_breaker: {max_failures: 1}}
  b: {format: openai, base_url: "{b}", max_retries: 0, circuit_breaker: {max_failures: 1}}
models:
  m: {targets: [{provider: a, weight: WEIGHT}, {provider: b}], strategy: STRATEGY}
"""


@contextmanager
def fleet(a: Member, b: Member, strategy: str, weight: str = "1") -> Iterator[Running]:
    """A gateway over both, whose chance is always the same."""
    config = CONFIG.replace("WEIGHT", weight).replace("STRATEGY", strategy)
    with running(config, a=a, b=b) as gateway:
        gateway.app._service.sample = random.Random(7).random
        yield gateway


def asked(gateway: Running, times: int) -> Counter[str]:
    """How many of so many requests each has answered."""
    with Asker(gateway.port) as asker:
        return Counter(asker.ask().provider for _ in range(times))


@pytest.mark.parametrize(("weight", "low", "high"), [("1", 80, 120), ("3", 130, 170), ("0", 0, 0)])
def test_weights_are_shares(weight: str, low: int, high: int) -> None:
    with fleet(Member("a"), Member("b"), "weighted", weight) as gateway:
        shares = asked(gateway, 200)
    assert shares.total() == 200
    assert low <= shares["a"] <= high


def test_one_of_weight_0_is_asked_when_no_other_is_left() -> None:
    with fleet(Member("a"), Member("b"), "weighted", "0") as gateway:
        break_down(gateway, "b")
        assert asked(gateway, 5) == {"a": 5}


def test_the_one_with_fewest_under_way_for_its_weight() -> None:
    a, b = Member("a", fault="stall"), Member("b", fault="stall")
    with fleet(a, b, "least_inflight", "2") as gateway, ExitStack() as stack:
        for number in range(9):
            stack.enter_context(gateway.connect()).send(raw(chat()))
            gateway.until(lambda before=number: sum(inflight(gateway)) > before)  # type: ignore[misc]
        assert inflight(gateway) == [6, 3]


def test_the_fast_one_gets_nearly_all_and_the_slow_one_another_chance() -> None:
    a, b = Member("a", latency=0.03), Member("b")
    with fleet(a, b, "lowest_latency") as gateway:
        assert asked(gateway, 30)["a"] <= 2
        a.latency, b.latency = 0.0, 0.03
        asked(gateway, 1)  # b has become slow, and that counts at once
        assert asked(gateway, 2)["b"] <= 2
        # What was seen of it fades.
        gateway.app._service.clock = lambda: time.monotonic() + 120.0
        assert asked(gateway, 20)["a"] >= 15


@pytest.mark.parametrize("faults", [{"a": "500", "b": None}, {"a": "500", "b": "429"}])
def test_one_that_fails_is_not_the_fast_one(faults: dict[str, str | None]) -> None:
    a, b = (Member(name, fault=fault, latency=0.005) for name, fault in faults.items())
    with fleet(a, b, "lowest_latency") as gateway:
        route = route_of(gateway)
        while None in (peaks := [target.latency.peak_s for target in route.targets if target is not None]):
            ask(gateway)
    assert [peak == FAILED_S for peak in peaks] == [fault is not None for fault in faults.values()]
