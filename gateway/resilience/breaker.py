"""The circuit breaker: it stops calls of a provider that keeps failing, and finds out when it works again.

The decisions are in `gateway._speedups.breaker`, which tells the rules; here they get names.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from gateway._speedups import BreakerCore, cell_count, codes

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from typing_extensions import Buffer


__all__ = ["CircuitBreaker", "State", "Transition", "cell_count"]


class State(StrEnum):
    """What a circuit lets through."""

    CLOSED = "closed"
    """Every call."""
    HALF_OPEN = "half-open"
    """A few probes, which find out whether the provider works again."""
    OPEN = "open"
    """Nothing."""


class Transition(IntEnum):
    """A change of state."""

    OPENED = codes.OPENED
    """The failures in a row reached the threshold."""
    HALF_OPENED = 4
    """The timeout was over and the first probe was let through; `record` never returns this one."""
    REOPENED = codes.REOPENED
    """A probe failed."""
    RECOVERED = codes.RECOVERED
    """A probe succeeded."""

    @property
    def before(self) -> State:
        """The state that ended."""
        return _CHANGES[self][0]

    @property
    def after(self) -> State:
        """The state that began."""
        return _CHANGES[self][1]


_CHANGES = {
    Transition.OPENED: (State.CLOSED, State.OPEN),
    Transition.HALF_OPENED: (State.OPEN, State.HALF_OPEN),
    Transition.REOPENED: (State.HALF_OPEN, State.OPEN),
    Transition.RECOVERED: (State.HALF_OPEN, State.CLOSED),
}
_STATES = {codes.CLOSED: State.CLOSED, codes.HALF_OPEN: State.HALF_OPEN, codes.OPEN: State.OPEN}


class CircuitBreaker(BreakerCore):
    """A circuit breaker that consecutive failures open.

    Every call needs a permit of `acquire`, and every permit goes back to `record` with an `Outcome`. Time
    is an argument: `now` in seconds of a monotonic clock. Safe under threads, and with shared `cells` and
    `lock` between processes. Methods raise as `BreakerCore` says, and then change nothing.

    Args:
        max_failures: How many failures in a row open it, from 1 to 10**9.
        timeout: Seconds from opening to half-open, more than 0.
        half_open_probes: How many callers a half-open breaker lets through at a time, from 1 to 64.
        cells: Where the state is kept, see `BreakerCore`. By default its own memory.
        lock: The lock that those who share the cells share too. By default its own.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of its range.
    """

    __slots__ = ()

    def __init__(
        self,
        max_failures: int = 5,
        timeout: float = 30.0,
        half_open_probes: int = 1,
        *,
        cells: Buffer | None = None,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        super().__init__(max_failures, timeout, half_open_probes, cells, lock)

    def __repr__(self) -> str:
        # Without a clock it cannot be told whether an open circuit has become half-open.
        state = f"open_until={self.open_until}" if self.open_until else "closed"
        return f"<CircuitBreaker {state} failures={self.failures} generation={self.generation}>"

    def state(self, now: float) -> State:
        """Return the state at a time; only the time moves it from open to half-open."""
        return _STATES[self.state_code(now)]
