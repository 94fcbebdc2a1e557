"""Counters in memory that all workers share: one row of float64 slots for each, summed when they are read.

A series (a metric with its label values) gets its slots once, for all workers, from a directory that only
grows. A worker adds to its own row without a lock; nobody else writes there. The memory outlives a worker,
and the next one in its place goes on in the same row, so that no counter ever falls. Gauges begin at 0 then.

Directory records: length of the key (uint32), first slot (uint32), the key in UTF-8. A record counts once the
end mark behind it is written.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import weakref
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import add
from typing import Final, NamedTuple

MAX_SLOTS: Final = 65_536
"""Slots of one worker: half a megabyte, of which only what is used takes memory."""
MAX_DIRECTORY: Final = 4 * 1024 * 1024
_RECORD: Final = struct.Struct("=II")
_END: Final = struct.Struct("=II")  # bytes used by records, slots given away; only read under the lock
_USED: Final = struct.Struct("=I")  # the first half of it, written last and at once
_SEPARATOR: Final = "\x1f"
_CELL: Final = 8


class Series(NamedTuple):
    """A metric with its label values, and the slots that it has in every row."""

    metric: str
    labels: tuple[str, ...]
    start: int
    width: int


class SlabFullError(Exception):
    """There is no room for another series."""


class Slab:
    """The counters of a process family with `workers` rows. Make it before the workers are forked.

    `cells` is the row of this worker, which `use_row` sets, for `cells[slot] += amount`.
    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._fd = os.memfd_create("gateway-slab")
        weakref.finalize(self, os.close, self._fd)
        size = _END.size + MAX_DIRECTORY + workers * MAX_SLOTS * _CELL
        os.ftruncate(self._fd, size)
        self._memory = mmap.mmap(self._fd, size)
        self._lock = threading.Lock()
        self._known: dict[tuple[str, tuple[str, ...]], Series] = {}
        self._read = 0
        self.cells = self._row(0)

    def __repr__(self) -> str:
        used, slots = _END.unpack_from(self._memory)
        return f"<Slab of {self.workers} rows, {len(self._known)} series known, {slots} slots, {used} bytes>"

    def use_row(self, row: int) -> None:
        """Count in `row` from now on, 0 to workers - 1; the gauges that a predecessor left there become 0."""
        if not 0 <= row < self.workers:
            raise ValueError(f"row must be from 0 to {self.workers - 1}, not {row}")
        self.cells = self._row(row)
        for series in self.series():
            if series.metric.startswith(GAUGE):
                self.cells[series.start] = 0.0

    def slots(self, metric: str, labels: tuple[str, ...] = (), count: int = 1) -> int:
        """The first of the `count` slots of a series, the same in every worker.

        Look it up once and keep it: this takes a lock where the series is new. Raises SlabFullError.
        """
        series = self._known.get((metric, labels))
        if series is None:
            with self._lock, self._alone():
                self._learn()
                series = self._known.get((metric, labels)) or self._add(metric, labels, count)
        return series.start

    def series(self) -> list[Series]:
        """Every series that any worker has counted in, in the order of their first appearance."""
        with self._lock:
            if _USED.unpack_from(self._memory)[0] != self._read:
                with self._alone():  # because on some processors the mark may be seen before the record is
                    self._learn()
            return list(self._known.values())

    def sums(self, series: Sequence[Series]) -> array[float]:
        """Every slot up to the last of `series`, summed over the rows.

        Others go on counting meanwhile: each slot is right at some time between call and return.
        """
        end = max((one.start + one.width for one in series), default=0)
        totals = self._row(0)[:end].tolist()
        for row in range(1, self.workers):
            totals = list(map(add, totals, self._row(row)[:end].tolist()))
        return array("d", totals)

    # -- inside

    def _row(self, row: int) -> memoryview[float]:
        start = _END.size + MAX_DIRECTORY + row * MAX_SLOTS * _CELL
        return memoryview(self._memory)[start : start + MAX_SLOTS * _CELL].cast("d")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process changes the directory meanwhile."""
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def _add(self, metric: str, labels: tuple[str, ...], count: int) -> Series:
        used, slots = _END.unpack_from(self._memory)
        key = _SEPARATOR.join((metric, str(count), *labels)).encode()
        if used + _RECORD.size + len(key) > MAX_DIRECTORY or slots + count > MAX_SLOTS:
            raise SlabFullError(f"no room for {metric}{labels}")
        at = _END.size + used
        _RECORD.pack_into(self._memory, at, len(key), slots)
        self._memory[at + _RECORD.size : at + _RECORD.size + len(key)] = key
        _END.pack_into(self._memory, 0, used, slots + count)
        _USED.pack_into(self._memory, 0, used + _RECORD.size + len(key))
        self._learn()
        return self._known[metric, labels]

    def _learn(self) -> None:
        """Read the records that came since the last time. Needs both locks."""
        (used,) = _USED.unpack_from(self._memory)
        for series in self._records(used):
            self._known[series.metric, series.labels] = series
        self._read = used

    def _records(self, used: int) -> Iterator[Series]:
        at = self._read
        while at < used:
            length, start = _RECORD.unpack_from(self._memory, _END.size + at)
            at += _RECORD.size
            key = self._memory[_END.size + at : _END.size + at + length].decode()
            at += length
            metric, count, *labels = key.split(_SEPARATOR)
            yield Series(metric, tuple(labels), start, int(count))


GAUGE: Final = "gauge:"
"""Metrics whose name begins so are what is now, not what has been."""
