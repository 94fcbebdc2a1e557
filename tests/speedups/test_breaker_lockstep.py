"""Any sequence of calls: both builds do the same, and what an independent model of the rules says.

The model keeps each permit that is out as an object, the breaker as numbers in shared cells. Each build
runs as two cores over the same cells, and each call goes to either of them.
"""

from __future__ import annotations

import importlib.util
from array import array
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from gateway._speedups import codes
from gateway.resilience.outcome import Outcome

HAS_COMPILED = importlib.util.find_spec("gateway._speedups.breaker_c") is not None
BUILDS = ("breaker", "breaker_c") if HAS_COMPILED else ("breaker",)

SECONDS = st.sampled_from([0.0, 0.25, 1.0, 9.75, 10.0, 10.25, 59.75, 60.0, 61.0, 130.0])
"""Exact in binary, and on both sides of the timeouts and leases."""


@dataclass(eq=False)
class Permit:
    """A permit that the model gave; a probe's has an end."""

    end: float | None = None


@dataclass
class Model:
    """The rules, told once more in the plainest way."""

    max_failures: int
    timeout: float
    probes: int
    failures: int = 0
    open_until: float | None = None
    current: Permit = field(default_factory=Permit)
    places: list[Permit | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begin(open_until=None)

    def begin(self, open_until: float | None) -> None:
        self.open_until = open_until
        self.current = Permit()
        self.places = [None] * self.probes

    def state(self, now: float) -> int:
        if self.open_until is None:
            return codes.CLOSED
        return codes.OPEN if self.running(self.open_until, self.timeout, now) else codes.HALF_OPEN

    def running(self, end: float, span: float, now: float) -> bool:
        return now < end and now >= end - 2 * span

    def lease_left(self, permit: Permit | None, now: float) -> float:
        if permit is None or permit.end is None or not self.running(permit.end, max(self.timeout, 60.0), now):
            return 0.0
        return permit.end - now

    def retry_in(self, now: float) -> float:
        state = self.state(now)
        if state == codes.OPEN:
            assert self.open_until is not None
            return self.open_until - now
        if state == codes.HALF_OPEN:
            return min(self.lease_left(permit, now) for permit in self.places)
        return 0.0

    def acquire(self, now: float) -> Permit | None:
        if self.open_until is None:
            return self.current
        if self.retry_in(now) > 0.0:
            return None
        free = next(place for place, out in enumerate(self.places) if self.lease_left(out, now) == 0.0)
        self.places[free] = permit = Permit(end=now + max(self.timeout, 60.0))
        return permit

    def record(self, permit: Permit, outcome: Outcome, now: float) -> int:
        if permit.end is not None:
            if permit not in self.places or self.lease_left(permit, now) == 0.0:
                return codes.UNCHANGED
            self.places[self.places.index(permit)] = None
        elif permit is not self.current or self.open_until is not None:
            return codes.UNCHANGED
        if outcome is Outcome.NEUTRAL:
            return codes.UNCHANGED
        if outcome is Outcome.SUCCESS:
            self.failures = 0
            if permit.end is None:
                return codes.UNCHANGED
            self.begin(open_until=None)
            return codes.RECOVERED
        self.failures += 1
        if permit.end is None and self.failures < self.max_failures:
            return codes.UNCHANGED
        self.begin(open_until=now + self.timeout)
        return codes.OPENED if permit.end is None else codes.REOPENED


class Lockstep(RuleBasedStateMachine):
    """Drives the model and all cores with the same calls."""

    permits: Bundle[tuple[int, Permit]] = Bundle("permits")

    @initialize(
        max_failures=st.integers(1, 3), timeout=st.sampled_from([10.0, 120.0]), probes=st.integers(1, 3)
    )
    def begin(self, max_failures: int, timeout: float, probes: int) -> None:
        self.now = 0.0
        self.model = Model(max_failures, timeout, probes)
        self.cells = []
        self.cores: list[tuple[Any, Any]] = []
        for name in BUILDS:
            module = importlib.import_module(f"gateway._speedups.{name}")
            cells = array("d", bytes(8 * module.cell_count(probes)))
            cores = [module.BreakerCore(max_failures, timeout, probes, cells) for _ in range(2)]
            self.cells.append(cells)
            self.cores.append((cores[0], cores[1]))

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=SECONDS)
    def clock_steps_back(self, seconds: float) -> None:
        self.now -= seconds

    @rule(target=permits, core=st.integers(0, 1))
    def acquire(self, core: int) -> Any:
        expected = self.model.acquire(self.now)
        permits = {cores[core].acquire(self.now) for cores in self.cores}
        assert len(permits) == 1
        permit = permits.pop()
        assert (permit > 0) == (expected is not None)
        return multiple() if expected is None else (permit, expected)

    @rule(permit=permits, outcome=st.sampled_from(Outcome), core=st.integers(0, 1))
    def record(self, permit: tuple[int, Permit], outcome: Outcome, core: int) -> None:
        expected = self.model.record(permit[1], outcome, self.now)
        assert [cores[core].record(permit[0], outcome, self.now) for cores in self.cores] == (
            [expected] * len(BUILDS)
        )

    @invariant()
    def all_agree(self) -> None:
        for cores in self.cores:
            for core in cores:
                assert core.state_code(self.now) == self.model.state(self.now)
                assert core.retry_in(self.now) == self.model.retry_in(self.now)
                assert core.failures == self.model.failures
                assert core.open_until == (self.model.open_until or 0.0)

    @invariant()
    def builds_keep_the_same_cells(self) -> None:
        assert len({bytes(cells) for cells in self.cells}) == 1


TestLockstep = Lockstep.TestCase
TestLockstep.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
