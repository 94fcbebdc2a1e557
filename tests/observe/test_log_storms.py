"""Storms of events: what is written of them, what is summed up, and what is never left out."""

from __future__ import annotations

import io
import logging
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logs import entries, logging_to

from gateway.observe.log import STORMY, LineHandler
from gateway.observe.throttle import BURST, LONG_S, PER_S, QUIET_S, Suppressed, Throttle

START_S = 1000.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START_S

    def __call__(self) -> float:
        return self.now


# The token bucket.


def test_a_burst_passes_then_a_trickle() -> None:
    throttle: Throttle[str] = Throttle(burst=20, per_s=5.0)
    assert [throttle.admits("a", START_S) for _ in range(25)] == [True] * 20 + [False] * 5
    assert not throttle.admits("a", START_S + 0.19)
    assert throttle.admits("a", START_S + 0.2)
    assert sum(throttle.admits("a", START_S + 1.2) for _ in range(25)) == 5
    assert sum(throttle.admits("a", START_S + 3600.0) for _ in range(50)) == 20


def test_kinds_do_not_take_from_each_other() -> None:
    throttle: Throttle[str] = Throttle(burst=1, per_s=1.0)
    assert throttle.admits("a", START_S)
    assert not throttle.admits("a", START_S)
    assert throttle.admits("b", START_S)


def test_a_storm_is_summed_up_once_when_it_is_over() -> None:
    throttle: Throttle[str] = Throttle(burst=1, per_s=0.001)
    for at in (0.0, 0.1, 0.5, 2.5):
        throttle.admits("a", START_S + at)
    last_s = START_S + 2.5
    assert throttle.summaries(last_s + QUIET_S - 0.01) == []
    assert throttle.summaries(last_s + QUIET_S) == [Suppressed("a", 3, pytest.approx(2.4))]
    assert throttle.summaries(last_s + 100.0) == []


def test_a_long_storm_is_summed_up_while_it_lasts_and_a_last_one_at_the_end() -> None:
    throttle: Throttle[str] = Throttle(burst=1, per_s=0.001)
    throttle.admits("a", START_S)
    sums = []
    for tenth in range(1, 251):
        now = START_S + tenth / 10
        throttle.admits("a", now)
        sums += throttle.summaries(now)
    assert len(sums) == 25 // LONG_S
    sums += throttle.summaries(START_S + 25.0, ending=True)
    assert sum(summary.events for summary in sums) == 250


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.0, 5.0)), max_size=200))
def test_every_event_is_admitted_or_summed_up_exactly_once(steps: list[tuple[str, float]]) -> None:
    throttle: Throttle[str] = Throttle(burst=3, per_s=1.0)
    now, told, seen = START_S, Counter[str](), Counter[str]()
    for kind, pause_s in steps:
        now += pause_s
        seen[kind] += 1
        told[kind] += throttle.admits(kind, now)
        told.update({summary.kind: summary.events for summary in throttle.summaries(now)})
    told.update({summary.kind: summary.events for summary in throttle.summaries(now, ending=True)})
    assert told == seen


# In the log.


def flood(handler: LineHandler, event: str, count: int, **fields: object) -> None:
    for _ in range(count):
        handler.handle(
            logging.makeLogRecord(
                {"name": "gateway", "msg": event, "event": event, "levelname": "INFO", **fields}
            )
        )


@pytest.mark.parametrize("event", sorted(STORMY))
def test_a_storm_is_cut_short_and_summed_up(event: str) -> None:
    stream, clock = io.StringIO(), Clock()
    with logging_to(stream) as handler:
        handler._clock = clock
        flood(handler, event, 100, provider="a")
        flood(handler, event, 3, provider="b")
        clock.now += QUIET_S
        flood(handler, "started", 1)
    counts = Counter((entry["event"], entry.get("provider")) for entry in entries(stream))
    assert counts == {(event, "a"): BURST, (event, "b"): 3, ("started", None): 1, ("suppressed", "a"): 1}
    last = entries(stream)[-1]
    assert (last["suppressed_event"], last["count"], last["level"]) == (event, 100 - BURST, "warning")


@pytest.mark.parametrize(
    "event", ["circuit", "access", "reload", "reload_failed", "draining", "stopped", "started", "worker_died"]
)
def test_what_matters_is_never_left_out(event: str) -> None:
    stream = io.StringIO()
    with logging_to(stream) as handler:
        flood(handler, event, 10 * BURST)
    assert len(entries(stream)) == 10 * BURST


def test_a_library_that_repeats_itself_is_cut_short_too() -> None:
    stream, clock = io.StringIO(), Clock()
    with logging_to(stream) as handler:
        handler._clock = clock
        for _ in range(100):
            logging.getLogger("asyncio").error("socket.accept() out of system resource")
        clock.now += 1.0
        logging.getLogger("asyncio").error("and once more")
        handler.report_storms(ending=True)
    told = entries(stream)
    assert [entry["event"] for entry in told].count("asyncio") == BURST + 1
    assert told[-1] == told[-1] | {"event": "suppressed", "suppressed_event": "asyncio", "count": 80}
    assert "provider" not in told[-1]


def test_what_was_left_out_is_told_at_the_end() -> None:
    stream = io.StringIO()
    with logging_to(stream) as handler:
        handler._clock = Clock()
        flood(handler, "retry", BURST + int(PER_S), provider="a")
        assert "suppressed" not in stream.getvalue()
        handler.report_storms(ending=True)
    assert entries(stream)[-1]["count"] == PER_S
