"""What is looked at twice a second: gauges that follow what is there, and the notes of the history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gateway._speedups import TallyCore
from gateway.admin.sampler import PERIOD_S, Sampler
from gateway.observe.metrics import Metrics
from gateway.observe.slab import GAUGE, Slab


class Pool(NamedTuple):
    """Connections to a provider."""

    connections: int
    used: int
    queued: int


class Timer:
    """A timer that remembers whether it was cancelled."""

    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Worker:
    """A sampler over pools that can be exchanged, with a loop that only collects what is to be called."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pools = {"a": Pool(3, 2, 1), "b": Pool(4, 0, 0)}
        self.calls: list[tuple[float, Callable[[], None], Timer]] = []
        self.sampler = Sampler(
            Metrics(Slab(), TallyCore),
            0.0,
            clients=lambda: 9,
            pools=lambda: self.pools,
            call_later=self.call_later,
            clock=lambda: self.now,
        )

    def call_later(self, delay_s: float, function: Callable[[], None]) -> Any:
        timer = Timer()
        self.calls.append((delay_s, function, timer))
        return timer

    def gauges(self) -> dict[tuple[str, ...], float]:
        reading = self.sampler.reading()
        return {
            (one.metric.removeprefix(f"{GAUGE}gateway_"), *one.labels): reading.value(one)
            for one in reading.series
            if one.metric.startswith(GAUGE)
        }


def test_gauges_are_what_is_there_at_the_time_of_the_reading() -> None:
    worker = Worker()
    assert worker.gauges() == {
        ("inflight_requests",): 0.0,
        ("open_connections", "client"): 9.0,
        ("open_connections", "upstream"): 7.0,
        ("upstream_connections", "a"): 3.0,
        ("upstream_connections", "b"): 4.0,
        ("upstream_inflight_requests", "a"): 2.0,
        ("upstream_inflight_requests", "b"): 0.0,
        ("upstream_queued_requests", "a"): 1.0,
        ("upstream_queued_requests", "b"): 0.0,
    }


def test_the_gauges_of_a_provider_that_a_reload_removed_become_0() -> None:
    worker = Worker()
    worker.gauges()
    worker.pools = {"b": Pool(1, 1, 0)}
    found = worker.gauges()
    assert found["open_connections", "upstream"] == 1.0
    assert {found[name, "a"] for name, *label in found if label == ["a"]} == {0.0}


def test_it_samples_at_once_and_then_periodically_until_it_is_stopped() -> None:
    worker = Worker()
    worker.sampler.start()
    for tick in range(1, 11):
        (delay_s, function, _) = worker.calls[-1]
        assert delay_s == PERIOD_S
        worker.now = tick * PERIOD_S
        function()
    assert [one.at_s for one in worker.sampler.history.steps] == [5.0]
    worker.sampler.stop()
    assert worker.calls[-1][2].cancelled


def test_stopping_what_was_not_started_is_allowed() -> None:
    Worker().sampler.stop()
