# cython: boundscheck=False, wraparound=False
"""Counting a finished request: additions to numbers in memory that all workers share, and nothing else.

Which slot counts what is for the caller to know. A histogram has a slot for each bucket, the unbounded one
too, and behind them one for the sum.

Measured by bench/micro.py: a finished request: pure 770 ns, compiled 190 ns (CPython 3.11, x86-64).
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, TypeAlias

try:
    import cython
except ModuleNotFoundError:
    from gateway._speedups import shadow as cython

if TYPE_CHECKING:
    from typing_extensions import Buffer

    # Cython converts an argument annotated as `int`; a name that it does not know leaves it as it came.
    Int: TypeAlias = int


@cython.cclass
class TallyCore:
    """Adds to `cells`, float64 numbers in one writable piece of memory.

    Args:
        cells: The numbers. Every slot that the methods are given must be one of them.
        latency_bounds: Upper bounds of the buckets of durations, in seconds, rising.
        overhead_bounds: Those of the gateway's own share.
        overhead: The first slot of the histogram of that.
        inflight: The slot of the number of requests under way.
    """

    __slots__ = ("_cells", "_inflight", "_latency_bounds", "_overhead", "_overhead_bounds")

    _cells: cython.double[::1]
    _latency_bounds: tuple[float, ...]
    _overhead_bounds: tuple[float, ...]
    _overhead: cython.Py_ssize_t
    _inflight: cython.Py_ssize_t

    def __init__(
        self,
        cells: Buffer,
        latency_bounds: tuple[float, ...],
        overhead_bounds: tuple[float, ...],
        overhead: Int,
        inflight: Int,
    ) -> None:
        self._cells = memoryview(cells)
        self._latency_bounds = latency_bounds
        self._overhead_bounds = overhead_bounds
        self._overhead = overhead
        self._inflight = inflight

    def add(self, slot: cython.Py_ssize_t, amount: cython.double) -> None:
        """Add an amount."""
        self._cells[slot] += amount

    def started(self) -> None:
        """Count one more request under way."""
        self._cells[self._inflight] += 1.0

    def ended(self) -> None:
        """Count one less, and nothing else of it."""
        self._cells[self._inflight] -= 1.0

    def finished(
        self,
        slots: tuple[int, int, int, int],
        duration_s: cython.double,
        first_byte_s: cython.double,
        own_s: cython.double,
    ) -> None:
        """Count one less, which took `duration_s`.

        `slots` are those of the requests, of the histograms of duration and time to first byte, and of the
        attempts, -1 where the last one was counted already. `first_byte_s` and `own_s` count unless there was
        no first byte (0).
        """
        requests: cython.Py_ssize_t = slots[0]
        duration: cython.Py_ssize_t = slots[1]
        first_byte: cython.Py_ssize_t = slots[2]
        attempts: cython.Py_ssize_t = slots[3]
        count: cython.Py_ssize_t = len(self._latency_bounds)
        bucket: cython.Py_ssize_t = bisect_left(self._latency_bounds, duration_s)
        self._cells[self._inflight] -= 1.0
        self._cells[requests] += 1.0
        self._cells[duration + bucket] += 1.0
        self._cells[duration + count + 1] += duration_s
        if attempts >= 0:
            self._cells[attempts] += 1.0
        if first_byte_s == 0.0:
            return
        if first_byte_s != duration_s:
            bucket = bisect_left(self._latency_bounds, first_byte_s)
        self._cells[first_byte + bucket] += 1.0
        self._cells[first_byte + count + 1] += first_byte_s
        bucket = bisect_left(self._overhead_bounds, own_s)
        self._cells[self._overhead + bucket] += 1.0
        self._cells[self._overhead + len(self._overhead_bounds) + 1] += own_s

    def tokens(
        self,
        slots: list[int],
        of_input: cython.double,
        of_output: cython.double,
        cached: cython.double,
        reasoning: cython.double,
    ) -> None:
        """Add what a request used to the four slots."""
        slot: cython.Py_ssize_t = slots[0]
        self._cells[slot] += of_input
        slot = slots[1]
        self._cells[slot] += of_output
        if cached:
            slot = slots[2]
            self._cells[slot] += cached
        if reasoning:
            slot = slots[3]
            self._cells[slot] += reasoning
