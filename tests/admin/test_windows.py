"""Windows and charts: notes every 5 s, the right one to begin with, short windows of young workers."""

from __future__ import annotations

from array import array
from math import inf

import pytest

from gateway._speedups import TallyCore
from gateway.admin.tally import Change
from gateway.admin.windows import MAX_STEPS, STEP_S, History, begin, step
from gateway.observe.metrics import LATENCY_BUCKETS, Metrics, Reading, read
from gateway.observe.slab import Slab
from gateway.observe.usage import Tokens

PERIOD_S = 0.5


def note(at_s: float) -> Reading:
    return Reading(at_s, [], array("d"))


class Worker:
    """The history of a worker of a gateway that started at 0; it counts a retry a second from then on."""

    def __init__(self, born_s: float = 0.0) -> None:
        self.now = 0.0
        self.metrics = Metrics(Slab(), TallyCore)
        self.run_to(born_s, sampling=False)
        self.history = History(self.read, 0.0)
        self.history.tick(self.now)

    def read(self) -> Reading:
        return read(self.metrics.slab, lambda: self.now)

    def run_to(self, now: float, *, sampling: bool = True) -> None:
        while self.now < now:
            self.now += PERIOD_S
            self.metrics.count("gateway_retries", "a", "timeout", amount=PERIOD_S)
            if sampling:
                self.history.tick(self.now)

    def window(self, seconds: float) -> tuple[float, float]:
        """Seconds covered, and the retries counted in them."""
        change = self.history.change(self.read(), seconds)
        return change.seconds, change.providers["a"].retries["timeout"]


# -- where a window begins


@pytest.mark.parametrize(
    ("since_s", "expected"),
    [(0.0, 10.0), (10.0, 10.0), (10.1, 15.0), (20.0, 20.0), (99.0, 20.0)],
)
def test_a_window_begins_at_the_first_note_in_it_or_else_the_last(since_s: float, expected: float) -> None:
    assert begin([note(10.0), note(15.0), note(20.0)], since_s).at_s == expected


def test_without_notes_there_is_nothing_to_begin_with() -> None:
    with pytest.raises(ValueError, match="nothing was noted yet"):
        begin([], 0.0)


# -- windows


@pytest.mark.parametrize(
    ("now", "minute", "five_minutes"),
    [
        (1.0, 1.0, 1.0),
        (42.0, 42.0, 42.0),
        (60.0, 60.0, 60.0),
        (63.0, 58.0, 63.0),  # from the note at 5 s
        (300.0, 60.0, 300.0),
        (303.0, 58.0, 298.0),
        (1000.0, 60.0, 300.0),
    ],
)
def test_windows_grow_to_their_length_and_then_move(now: float, minute: float, five_minutes: float) -> None:
    worker = Worker()
    worker.run_to(now)
    assert worker.window(60.0) == (minute, minute)
    assert worker.window(300.0) == (five_minutes, five_minutes)
    assert worker.window(inf) == (now, now)


def test_a_young_worker_has_short_windows_and_the_whole_time_since_the_start() -> None:
    worker = Worker(born_s=1000.0)
    assert worker.history.change(worker.read(), 60.0).seconds == 0.0
    worker.run_to(1032.0)
    assert worker.window(60.0) == worker.window(300.0) == (32.0, 32.0)
    assert worker.window(inf) == (1032.0, 1032.0)


def test_a_late_note_still_begins_its_window() -> None:
    worker = Worker()
    worker.run_to(100.0)
    worker.now += 0.4
    assert worker.window(60.0)[0] == pytest.approx(60.4)


# -- notes


def test_notes_are_taken_every_5_s_however_often_it_ticks() -> None:
    taken: list[float] = []
    clock = 0.0

    def read_now() -> Reading:
        taken.append(clock)
        return note(clock)

    history = History(read_now, 0.0)
    for tenth in range(201):
        clock = tenth / 10
        history.tick(clock)
    assert taken == [0.0, 5.0, 10.0, 15.0, 20.0]
    for clock in (
        37.0,
        38.0,
        41.9,
        42.0,
    ):  # the loop stood still for 17 s: what was missed is not made up for
        history.tick(clock)
    assert taken[5:] == [37.0, 42.0]


def test_the_charts_hold_5_minutes() -> None:
    worker = Worker()
    worker.run_to(1000.0)
    times = [one.at_s for one in worker.history.steps]
    assert len(times) == MAX_STEPS
    assert (times[0], times[-1]) == (1000.0 - 59 * STEP_S, 1000.0)


def test_a_new_history_has_no_steps() -> None:
    assert not Worker().history.steps


def test_a_step_holds_rates_and_percentiles_by_provider() -> None:
    metrics = Metrics(Slab(), TallyCore)
    before = read(metrics.slab, lambda: 10.0)
    metrics.count("gateway_requests", "a", "m", "200", amount=30.0)
    metrics.count("gateway_requests", "a", "m", "503", amount=10.0)
    metrics.count("gateway_requests", "b", "m", "404", amount=5.0)
    metrics.tokens("b", "m", Tokens(input=40, output=10), None)
    start = metrics.slab.slots("gateway_request_duration_seconds", ("a", "m"), len(LATENCY_BUCKETS) + 2)
    metrics.slab.cells[start + LATENCY_BUCKETS.index(1.0)] += 4.0
    made = step(Change(before, read(metrics.slab, lambda: 15.0)), 15.0)
    assert made.at_s == 15.0
    assert made.total[:3] == (9.0, 2.0, 10.0)
    assert made.providers["a"] == (8.0, 2.0, 0.0, 0.75, 0.995)
    assert made.providers["b"] == (1.0, 0.0, 10.0, None, None)
