"""The last 5 minutes of the counters, noted every 5 s, for windows and for charts.

Each worker keeps its own notes of the counters of all. A window is the difference between now and a note, so
it is right whichever worker is asked; one that was just started has only shorter ones.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from gateway.admin.tally import Change, Tally, percentiles
from gateway.observe.metrics import LATENCY_BUCKETS, Reading

STEP_S: Final = 5.0
MAX_STEPS: Final = 60
_SLACK_S: Final = 0.5
"""A note may be taken this much later than it was due, and still begin the window that it was meant for."""


class Point(NamedTuple):
    """One step of a chart: rates a second, and latencies in seconds (None without a request)."""

    requests_per_s: float
    errors_per_s: float
    tokens_per_s: float
    p50_s: float | None
    p99_s: float | None


class Step(NamedTuple):
    """What happened in the step that ended at `at_s`: in all, and by provider."""

    at_s: float
    total: Point
    providers: dict[str, Point]


def step(change: Change, at_s: float) -> Step:
    """The step of a chart for a `change` over more than 0 s that ended at `at_s`."""

    def point(tally: Tally) -> Point:
        return Point(
            tally.requests / change.seconds,
            tally.retryable_errors / change.seconds,
            tally.tokens_used / change.seconds,
            *percentiles(tally.latency, LATENCY_BUCKETS, (0.5, 0.99)),
        )

    return Step(at_s, point(change.total), {name: point(one) for name, one in change.providers.items()})


def begin(notes: Iterable[Reading], since_s: float) -> Reading:
    """The first of `notes`, oldest first, that was taken at `since_s` or later; else the last.

    Raises ValueError where there is none at all.
    """
    last = None
    for last in notes:
        if last.at_s >= since_s:
            break
    if last is None:
        raise ValueError("nothing was noted yet")
    return last


class History:
    """Notes of what `read` gives, of counters that began at 0 at `started_s` (of the readings' clock)."""

    def __init__(self, read: Callable[[], Reading], started_s: float) -> None:
        self._read = read
        self._zero = Reading(started_s, [], array("d"))
        self._notes: deque[Reading] = deque(maxlen=MAX_STEPS + 1)
        self.steps: deque[Step] = deque(maxlen=MAX_STEPS)
        self._due_s = started_s

    def __repr__(self) -> str:
        return f"<History of {len(self._notes)} notes>"

    def tick(self, now: float) -> None:
        """Take a note where one is due; to be called several times in `STEP_S`."""
        if now < self._due_s:
            return
        late = now - self._due_s >= STEP_S
        self._due_s = (now if late else self._due_s) + STEP_S
        note = self._read()
        if self._notes and note.at_s > self._notes[-1].at_s:
            self.steps.append(step(Change(self._notes[-1], note), note.at_s))
        self._notes.append(note)

    def change(self, now: Reading, window_s: float) -> Change:
        """What happened up to `now` in the last `window_s` seconds, or in as many of them as are known.

        Infinity is the time since the start.
        """
        since_s = now.at_s - window_s - _SLACK_S
        if self._zero.at_s >= since_s or not self._notes:
            return Change(self._zero, now)
        return Change(begin(self._notes, since_s), now)
