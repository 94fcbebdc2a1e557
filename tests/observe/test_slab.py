"""The shared counters: one place for a series in all workers; nothing is lost when they meet, die, return."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from gateway.observe import slab as module
from gateway.observe.slab import GAUGE, Series, Slab, SlabFullError


def fork(work: Callable[[], None]) -> int:
    """Runs `work` in a process of its own; the exit code tells whether it raised."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return pid


def join(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def value(slab: Slab, metric: str, *labels: str) -> float:
    """The sum over all rows; fails where the series is unknown."""
    series = slab.series()
    (found,) = [one for one in series if (one.metric, one.labels) == (metric, labels)]
    return slab.sums(series)[found.start]


def overlapping(series: list[Series]) -> bool:
    taken = [slot for one in series for slot in range(one.start, one.start + one.width)]
    return len(taken) != len(set(taken))


# -- one process


def test_a_series_keeps_its_slots_and_shares_them_with_no_other() -> None:
    slab = Slab()
    first = slab.slots("requests", ("a", "200"))
    histogram = slab.slots("seconds", ("a",), 18)
    second = slab.slots("requests", ("a", "503"))
    assert slab.slots("requests", ("a", "200")) == first
    assert slab.slots("seconds", ("a",), 18) == histogram
    assert slab.series() == [
        Series("requests", ("a", "200"), first, 1),
        Series("seconds", ("a",), histogram, 18),
        Series("requests", ("a", "503"), second, 1),
    ]
    assert not overlapping(slab.series())


def test_labels_may_hold_any_text_and_none() -> None:
    slab = Slab()
    labels = ("gpt-4o", "", "模型", 'with "quotes", = and \\', "claude-*")
    slab.slots("m", labels)
    slab.slots("m")
    assert [one.labels for one in slab.series()] == [labels, ()]


def test_an_empty_slab_has_no_series_and_no_sums() -> None:
    slab = Slab(3)
    assert slab.series() == []
    assert list(slab.sums([])) == []


def test_rows_are_summed() -> None:
    slab = Slab(3)
    slot = slab.slots("requests")
    for row, amount in enumerate((1.0, 10.0, 100.0)):
        slab.use_row(row)
        slab.cells[slot] += amount
    assert value(slab, "requests") == 111.0


def test_a_successor_goes_on_with_the_counters_of_its_row_and_new_gauges() -> None:
    slab = Slab(2)
    counter, gauge = slab.slots("requests"), slab.slots(f"{GAUGE}inflight")
    for row in (0, 1):
        slab.use_row(row)
        slab.cells[counter] += 5.0
        slab.cells[gauge] += 3.0
    slab.use_row(1)
    assert value(slab, "requests") == 10.0
    assert value(slab, f"{GAUGE}inflight") == 3.0  # that of the other worker, which lives
    slab.cells[counter] += 1.0
    assert value(slab, "requests") == 11.0


@pytest.mark.parametrize("row", [-1, 2])
def test_a_row_that_is_not_there_is_refused_and_changes_nothing(row: int) -> None:
    slab = Slab(2)
    slot = slab.slots("requests")
    slab.use_row(1)
    with pytest.raises(ValueError, match=f"row must be from 0 to 1, not {row}"):
        slab.use_row(row)
    slab.cells[slot] += 1.0
    assert value(slab, "requests") == 1.0


@pytest.mark.parametrize(("limit", "room"), [("MAX_SLOTS", 20), ("MAX_DIRECTORY", 32)])
def test_a_full_slab_says_so_and_what_is_there_goes_on(
    limit: str, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, limit, room)
    slab = Slab()
    slot = slab.slots("seconds", (), 18)
    with pytest.raises(SlabFullError, match=r"no room for other\('a',\)"):
        slab.slots("other", ("a",), 18)
    slab.cells[slot] += 1.0
    assert slab.slots("seconds", (), 18) == slot
    assert [one.metric for one in slab.series()] == ["seconds"]
    assert slab.sums(slab.series())[slot] == 1.0


def test_its_repr_tells_how_full_it_is() -> None:
    slab = Slab(2)
    slab.slots("m", (), 18)
    assert repr(slab).startswith("<Slab of 2 rows, 1 series known, 18 slots, ")


# -- several processes


def test_workers_that_add_the_same_series_at_once_agree_on_them() -> None:
    workers, names = 4, [f"series-{number}" for number in range(40)]
    slab = Slab(workers)
    start, go = os.pipe()

    def work(row: int) -> Callable[[], None]:
        def count() -> None:
            os.close(go)
            slab.use_row(row)
            learn = slab._learn

            def learn_and_wait() -> None:
                learn()
                time.sleep(0.0002)  # whoever is not kept out comes in now

            slab._learn = learn_and_wait  # type: ignore[method-assign]
            os.read(start, 1)  # the end of the pipe: all begin together
            for name in names:
                slab.cells[slab.slots("m", (name,), 2)] += 1.0

        return count

    pids = [fork(work(row)) for row in range(workers)]
    os.close(start)
    os.close(go)
    assert [join(pid) for pid in pids] == [0] * workers
    series = slab.series()
    assert sorted(one.labels[0] for one in series) == sorted(names)
    assert not overlapping(series)
    sums = slab.sums(series)
    assert {sums[one.start] for one in series} == {float(workers)}


def test_a_series_of_another_worker_is_found_and_counted_in_too() -> None:
    slab = Slab(2)
    before = slab.slots("before")

    def work() -> None:
        slab.use_row(1)
        slab.cells[slab.slots("between")] += 1.0

    assert join(fork(work)) == 0
    slab.cells[slab.slots("after")] += 1.0
    slab.cells[slab.slots("between")] += 1.0
    assert slab.slots("before") == before
    assert value(slab, "between") == 2.0
    assert value(slab, "after") == 1.0
    assert not overlapping(slab.series())


def test_readings_while_a_worker_counts_never_fall_and_hold_no_halves() -> None:
    counts = 60_000
    slab = Slab(2)
    slot = slab.slots("m")

    def work() -> None:
        slab.use_row(1)
        cells = slab.cells
        for _ in range(counts):
            cells[slot] += 1.0

    pid = fork(work)
    seen = 0.0
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        now = value(slab, "m")
        assert seen <= now <= counts
        assert now == int(now)
        seen = now
    assert value(slab, "m") == counts


def test_a_worker_that_is_killed_while_it_adds_series_leaves_a_slab_that_works() -> None:
    slab = Slab(2)

    def work() -> None:
        slab.use_row(1)
        for number in range(30_000):
            slab.slots("m", (str(number),))

    for after in (1, 7, 40):
        pid = fork(work)
        while len(slab.series()) < after:
            pass
        os.kill(pid, signal.SIGKILL)
        assert join(pid) == -signal.SIGKILL
        slab.slots("mine", (str(after),))
        series = slab.series()
        assert not overlapping(series)
        assert {one.metric for one in series} == {"m", "mine"}
