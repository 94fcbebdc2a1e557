# cython: boundscheck=False, wraparound=False
"""The circuit breaker's decisions: who may call the provider now, and what the result changes.

The rules:

    closed     everybody may call. `max_failures` failures in a row open it; a success forgets them.
    open       nobody may call, for `timeout_s` from the failure that opened it.
    half-open  `half_open_probes` callers may. A success closes it, a failure opens it for a whole timeout.

The whole state is in `cells`, numbers in memory that the caller may share between threads and processes:
several cores over the same cells are one breaker. Nothing moves with time: what is open and what has
expired is computed from `now`, on a clock that all who share the cells share too. Fresh cells, all zero,
are a closed breaker.

A permit says what it was given for. Numbers are handed out in one rising sequence, one to each state that
begins (its generation) and one to each probe: `2 * number + 2` is the permit of a closed generation and
`2 * number + 1` that of a probe. A result whose generation is over, or whose probe is not out, is dropped.

What writes holds the lock. What only reads does not, nor do permits and successes while all is well: what a
reader sees half written leads it into the lock, where it looks again, or to a permit whose result is dropped.

Measured by bench/micro.py: acquire: pure 126 ns, compiled 19 ns; record of a success: pure 213 ns,
compiled 27 ns; record of a failure: pure 665 ns, compiled 188 ns (CPython 3.11, x86-64).
"""

from __future__ import annotations

from array import array
from math import isfinite
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

try:
    import cython
except ModuleNotFoundError:
    from gateway._speedups import shadow as cython

from gateway._speedups.codes import (
    CLOSED,
    HALF_OPEN,
    NEUTRAL,
    OPEN,
    OPENED,
    RECOVERED,
    REFUSED,
    REOPENED,
    SUCCESS,
    UNCHANGED,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from typing_extensions import Buffer

    # Cython converts an argument annotated as `int`: it lets 2.0 and True pass. A name that it does not know
    # leaves the argument as it came.
    Int: TypeAlias = int

MIN_LEASE_S = 60.0
"""A probe's permit that nobody gives back is good for this long, or for the timeout where that is longer."""
MAX_PROBES = 64
MAX_THRESHOLD = 1_000_000_000

# Which cell holds what. A number is exact in a float64 up to 2**53: a million a second for 285 years.
_TRIPPED = cython.declare(cython.Py_ssize_t, 0)  # 0 closed; 1 open or half-open, whichever the time says
_GENERATION = cython.declare(cython.Py_ssize_t, 1)  # the number of the state that holds now
_FAILURES = cython.declare(cython.Py_ssize_t, 2)  # in a row
_OPEN_UNTIL = cython.declare(cython.Py_ssize_t, 3)  # means something while tripped
_LAST_NUMBER = cython.declare(cython.Py_ssize_t, 4)  # the last one handed out
_PROBES = cython.declare(cython.Py_ssize_t, 5)  # two cells each: number, 0 for none; end of the lease


def cell_count(half_open_probes: Int) -> int:
    """Return how many float64 cells a breaker with so many probes needs."""
    return 5 + 2 * half_open_probes


@cython.cclass
class BreakerCore:
    """A circuit breaker without names, logs or a clock.

    Every `now` is in seconds, and may step back between calls. One that is not finite raises ValueError,
    one that is no real number TypeError, an int too large for a float OverflowError. A call that raises
    changes nothing.

    Args:
        max_failures: How many failures in a row open it, from 1 to 10**9.
        timeout_s: Seconds from opening to half-open, more than 0.
        half_open_probes: How many callers a half-open breaker lets through at a time, from 1 to 64.
        cells: Where the state is kept: `cell_count(half_open_probes)` float64 numbers or more, writable. By
            default its own.
        lock: The lock of those who share the cells. By default its own.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its range.
    """

    __slots__ = ("_cells", "_half_open_probes", "_lease_s", "_lock", "_max_failures", "_timeout_s")

    _max_failures: cython.longlong
    _timeout_s: cython.double
    _lease_s: cython.double
    _half_open_probes: cython.Py_ssize_t
    _cells: cython.double[::1]
    _lock: AbstractContextManager[object]

    def __init__(
        self,
        max_failures: Int,
        timeout_s: float,
        half_open_probes: Int,
        cells: Buffer | None = None,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        _check_count("max_failures", max_failures, MAX_THRESHOLD)
        _check_count("half_open_probes", half_open_probes, MAX_PROBES)
        if not (isfinite(timeout_s) and timeout_s > 0.0):
            raise ValueError(f"timeout must be a finite number of seconds, more than 0, not {timeout_s!r}")
        view = memoryview(array("d", bytes(8 * cell_count(half_open_probes))) if cells is None else cells)
        _check_cells(view, cell_count(half_open_probes))
        if lock is None:
            lock = Lock()
        elif not (hasattr(lock, "__enter__") and hasattr(lock, "__exit__")):
            raise TypeError(f"lock must be a context manager, not {lock!r}")
        self._max_failures = max_failures
        self._timeout_s = float(timeout_s)
        self._lease_s = max(float(timeout_s), MIN_LEASE_S)
        self._half_open_probes = half_open_probes
        self._cells = view
        self._lock = lock

    def acquire(self, now: float) -> int:
        """Return a permit for one call of the provider, which `record` must get back, or 0 to refuse it."""
        if not now * 0.0 <= 0.0:  # nan and the infinities; what is no real number raises TypeError by itself
            raise ValueError(f"now must be finite, not {now!r}")
        if self._cells[_TRIPPED] == 0.0:
            return int(2.0 * self._cells[_GENERATION] + 2.0)
        if self._wait(now) > 0.0:
            return REFUSED
        with self._lock:
            if self._cells[_TRIPPED] == 0.0:
                return int(2.0 * self._cells[_GENERATION] + 2.0)
            if _left(self._cells[_OPEN_UNTIL], self._timeout_s, now) > 0.0:
                return REFUSED
            return self._lend(now)

    def record(self, permit: Int, outcome: Int, now: float) -> int:
        """Give a permit back with the result of its call, and return which transition that made, of `codes`.

        Args:
            permit: What `acquire` returned. A result that comes too late is dropped, and so is the second one
                of a probe.
            outcome: `codes.SUCCESS`, `FAILURE` or `NEUTRAL`.
            now: When the result was known.

        Raises:
            TypeError: `permit` or `outcome` is not an int.
            ValueError: The permit was never issued, or there is no such outcome.
        """
        if not now * 0.0 <= 0.0:
            raise ValueError(f"now must be finite, not {now!r}")
        if type(permit) is not int:
            raise TypeError(f"permit must be an int that acquire() returned, not {permit!r}")
        if not isinstance(outcome, int) or isinstance(outcome, bool):
            raise TypeError(f"outcome must be SUCCESS, FAILURE or NEUTRAL, not {outcome!r}")
        if (
            outcome == SUCCESS
            and self._cells[_FAILURES] == 0.0
            and permit == int(2.0 * self._cells[_GENERATION] + 2.0)
        ):
            return UNCHANGED
        if not SUCCESS <= outcome <= NEUTRAL:
            raise ValueError(f"outcome must be SUCCESS (0), FAILURE (1) or NEUTRAL (2), not {outcome!r}")
        with self._lock:
            newest: cython.double = self._cells[_LAST_NUMBER] if permit & 1 else self._cells[_GENERATION]
            if permit < 2 or permit > int(2.0 * newest + 2.0):
                raise ValueError(f"permit must be one that acquire() returned, not {permit!r}")
            if permit & 1:
                return self._settle_probe((permit - 1) >> 1, outcome, now)
            return self._settle((permit - 1) >> 1, outcome, now)

    def is_probe(self, permit: Int) -> bool:
        """Tell whether a permit was given for a probe of a half-open circuit."""
        return permit & 1 == 1

    def is_first_probe(self, permit: Int) -> bool:
        """Tell whether a permit, just given by `acquire`, is of the first probe since the circuit opened."""
        return permit == int(2.0 * self._cells[_GENERATION] + 3.0)

    def state_code(self, now: float) -> int:
        """Return the state at a time: `codes.CLOSED`, `HALF_OPEN` or `OPEN`."""
        if not now * 0.0 <= 0.0:
            raise ValueError(f"now must be finite, not {now!r}")
        if self._cells[_TRIPPED] == 0.0:
            return CLOSED
        return OPEN if _left(self._cells[_OPEN_UNTIL], self._timeout_s, now) > 0.0 else HALF_OPEN

    def retry_in(self, now: float) -> float:
        """Return the seconds until `acquire` gives a permit if no result comes before, 0.0 for at once."""
        if not now * 0.0 <= 0.0:
            raise ValueError(f"now must be finite, not {now!r}")
        return 0.0 if self._cells[_TRIPPED] == 0.0 else self._wait(now)

    @property
    def failures(self) -> int:
        """How many failures there were in a row, failed probes included."""
        return int(self._cells[_FAILURES])

    @property
    def generation(self) -> int:
        """A number that rises with every transition, not always by one; 0 for a breaker that never opened."""
        return int(self._cells[_GENERATION])

    @property
    def open_until(self) -> float:
        """When an open circuit becomes, or a half-open one became half-open; 0.0 for a closed one."""
        return float(self._cells[_OPEN_UNTIL])

    @cython.final
    @cython.cfunc
    def _wait(self, now: cython.double) -> cython.double:
        """Seconds until a tripped breaker has a permit to give."""
        soonest: cython.double = _left(self._cells[_OPEN_UNTIL], self._timeout_s, now)
        if soonest > 0.0:
            return soonest
        soonest = self._lease_left(0, now)
        probe: cython.Py_ssize_t
        for probe in range(1, self._half_open_probes):
            soonest = min(soonest, self._lease_left(probe, now))
        return soonest

    @cython.final
    @cython.cfunc
    def _lease_left(self, probe: cython.Py_ssize_t, now: cython.double) -> cython.double:
        """Seconds for which a probe's place is taken, 0.0 for a free one."""
        if self._cells[_PROBES + 2 * probe] == 0.0:
            return 0.0
        return _left(self._cells[_PROBES + 2 * probe + 1], self._lease_s, now)

    @cython.final
    @cython.cfunc
    def _lend(self, now: cython.double) -> object:
        """Give the permit of a probe if a place is free. Needs the lock."""
        probe: cython.Py_ssize_t
        for probe in range(self._half_open_probes):
            if self._lease_left(probe, now) == 0.0:
                self._cells[_LAST_NUMBER] += 1.0
                self._cells[_PROBES + 2 * probe + 1] = now + self._lease_s
                self._cells[_PROBES + 2 * probe] = self._cells[_LAST_NUMBER]
                return int(2.0 * self._cells[_LAST_NUMBER] + 1.0)
        return REFUSED

    @cython.final
    @cython.cfunc
    def _settle(self, number: cython.longlong, outcome: object, now: cython.double) -> object:
        """Take the result of a call that a closed breaker let through. Needs the lock."""
        if self._cells[_TRIPPED] != 0.0 or self._cells[_GENERATION] != number or outcome == NEUTRAL:
            return UNCHANGED
        if outcome == SUCCESS:
            self._cells[_FAILURES] = 0.0
            return UNCHANGED
        self._cells[_FAILURES] += 1.0
        if self._cells[_FAILURES] < self._max_failures:
            return UNCHANGED
        self._begin(1.0, now + self._timeout_s)
        return OPENED

    @cython.final
    @cython.cfunc
    def _settle_probe(self, number: cython.longlong, outcome: object, now: cython.double) -> object:
        """Take the result of a probe. Needs the lock."""
        probe: cython.Py_ssize_t
        for probe in range(self._half_open_probes):
            if self._cells[_PROBES + 2 * probe] == number and self._lease_left(probe, now) > 0.0:
                break
        else:
            return UNCHANGED
        self._cells[_PROBES + 2 * probe] = 0.0
        if outcome == NEUTRAL:
            return UNCHANGED
        if outcome == SUCCESS:
            self._cells[_FAILURES] = 0.0
            self._begin(0.0, 0.0)
            return RECOVERED
        self._cells[_FAILURES] += 1.0
        self._begin(1.0, now + self._timeout_s)
        return REOPENED

    @cython.final
    @cython.cfunc
    def _begin(self, tripped: cython.double, open_until: cython.double) -> object:
        """Begin a new generation with no probe out. Needs the lock."""
        # _TRIPPED comes last: until then, readers see the old state, or are led into the lock.
        probe: cython.Py_ssize_t
        for probe in range(self._half_open_probes):
            self._cells[_PROBES + 2 * probe] = 0.0
        self._cells[_OPEN_UNTIL] = open_until
        self._cells[_LAST_NUMBER] += 1.0
        self._cells[_GENERATION] = self._cells[_LAST_NUMBER]
        self._cells[_TRIPPED] = tripped
        return None


@cython.cfunc
def _left(end: cython.double, span: cython.double, now: cython.double) -> cython.double:
    """Seconds left of a span of time that ends at `end`, 0.0 when it is over."""
    # A clock that stepped back makes the span longer. Past twice its length it is over, lest it never end.
    left: cython.double = end - now
    return left if 0.0 < left <= 2.0 * span else 0.0


def _check_count(name: str, value: Int, most: Int) -> None:
    if type(value) is not int:
        raise TypeError(f"{name} must be an int, not {value!r}")
    if not 1 <= value <= most:
        raise ValueError(f"{name} must be from 1 to {most}, not {value!r}")


def _check_cells(cells: memoryview, count: int) -> None:
    flat = cells.ndim == 1 and cells.c_contiguous
    if not flat or cells.format != "d" or cells.readonly or len(cells) < count:
        access = "read-only" if cells.readonly else "writable"
        raise ValueError(
            f"cells must be at least {count} float64 numbers (format 'd') in one writable piece,"
            f" not {access} memory of format {cells.format!r} and shape {cells.shape}"
        )
