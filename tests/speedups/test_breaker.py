"""The circuit breaker case by case, over both builds. The cases are those that the known libraries test."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from gateway._speedups import codes
from gateway.resilience.outcome import Outcome

SUCCESS, FAILURE, NEUTRAL = Outcome


def opened(breaker: ModuleType, now: float = 0.0, **settings: Any) -> Any:
    """A breaker that opened at `now`."""
    circuit = breaker.CircuitBreaker(**{"max_failures": 3, "timeout": 30.0} | settings)
    while circuit.record(circuit.acquire(now), FAILURE, now) != breaker.Transition.OPENED:
        pass
    return circuit


def test_defaults_are_five_failures_thirty_seconds_and_one_probe(breaker: ModuleType) -> None:
    circuit = breaker.CircuitBreaker()
    transitions = [circuit.record(circuit.acquire(0.0), FAILURE, 0.0) for _ in range(5)]
    assert transitions == [0, 0, 0, 0, codes.OPENED]
    assert circuit.retry_in(0.0) == 30.0
    assert [circuit.acquire(30.0) > 0 for _ in range(2)] == [True, False]


@pytest.mark.parametrize("threshold", [1, 2, 5, 100])
def test_opens_exactly_at_the_threshold(breaker: ModuleType, threshold: int) -> None:
    circuit = breaker.CircuitBreaker(max_failures=threshold)
    for _ in range(threshold - 1):
        assert circuit.record(circuit.acquire(0.0), FAILURE, 0.0) == codes.UNCHANGED
        assert circuit.state(0.0) is breaker.State.CLOSED
    assert circuit.record(circuit.acquire(0.0), FAILURE, 0.0) == codes.OPENED
    assert circuit.state(0.0) is breaker.State.OPEN
    assert circuit.failures == threshold


def test_success_forgets_the_failures_before_it(breaker: ModuleType) -> None:
    circuit = breaker.CircuitBreaker(max_failures=2)
    for outcome in (FAILURE, SUCCESS, FAILURE):
        assert circuit.record(circuit.acquire(0.0), outcome, 0.0) == codes.UNCHANGED
    assert circuit.failures == 1
    assert circuit.state(0.0) is breaker.State.CLOSED


def test_neutral_neither_counts_nor_forgets(breaker: ModuleType) -> None:
    circuit = breaker.CircuitBreaker(max_failures=2)
    for outcome in (FAILURE, NEUTRAL, NEUTRAL):
        assert circuit.record(circuit.acquire(0.0), outcome, 0.0) == codes.UNCHANGED
        assert circuit.failures == 1
    assert circuit.record(circuit.acquire(0.0), FAILURE, 0.0) == codes.OPENED


def test_open_refuses_until_the_timeout_is_over(breaker: ModuleType) -> None:
    circuit = opened(breaker, now=100.1, timeout=30.0)
    for now in (100.1, 115.0, 130.0999):
        assert circuit.acquire(now) == codes.REFUSED
        assert circuit.state(now) is breaker.State.OPEN
        assert circuit.retry_in(now) == pytest.approx(130.1 - now)
    assert circuit.acquire(100.1 + 30.0) > 0


def test_state_becomes_half_open_by_time_alone(breaker: ModuleType) -> None:
    circuit = opened(breaker, now=0.0, timeout=30.0)
    assert circuit.state(30.0) is breaker.State.HALF_OPEN
    assert circuit.retry_in(30.0) == 0.0
    assert circuit.state(29.0) is breaker.State.OPEN  # asking has changed nothing


@pytest.mark.parametrize("probes", [1, 2, 64])
def test_half_open_lets_through_exactly_the_probes(breaker: ModuleType, probes: int) -> None:
    circuit = opened(breaker, timeout=30.0, half_open_probes=probes)
    permits = [circuit.acquire(30.0) for _ in range(probes + 3)]
    assert 0 not in permits[:probes]
    assert permits[probes:] == [0, 0, 0]
    assert len(set(permits[:probes])) == probes
    assert circuit.retry_in(31.0) == 59.0  # the first lease ends 60 s after it began


def test_successful_probe_closes_and_forgets(breaker: ModuleType) -> None:
    circuit = opened(breaker, max_failures=2)
    assert circuit.record(circuit.acquire(30.0), SUCCESS, 31.0) == codes.RECOVERED
    assert circuit.state(31.0) is breaker.State.CLOSED
    assert circuit.failures == 0
    assert circuit.retry_in(31.0) == 0.0
    assert circuit.record(circuit.acquire(31.0), FAILURE, 31.0) == codes.UNCHANGED


def test_failed_probe_opens_for_a_whole_new_timeout(breaker: ModuleType) -> None:
    circuit = opened(breaker, max_failures=3)
    assert circuit.record(circuit.acquire(30.0), FAILURE, 42.0) == codes.REOPENED
    assert circuit.failures == 4
    assert circuit.state(71.9) is breaker.State.OPEN
    assert circuit.state(72.0) is breaker.State.HALF_OPEN


def test_one_of_several_probes_decides_and_the_others_come_too_late(breaker: ModuleType) -> None:
    for outcome, transition, late in (
        (SUCCESS, codes.RECOVERED, FAILURE),
        (FAILURE, codes.REOPENED, SUCCESS),
    ):
        circuit = opened(breaker, half_open_probes=3)
        first, second, third = (circuit.acquire(30.0) for _ in range(3))
        assert circuit.record(second, outcome, 30.0) == transition
        settled = repr(circuit)
        assert circuit.record(first, late, 30.0) == codes.UNCHANGED
        assert circuit.record(third, late, 30.0) == codes.UNCHANGED
        assert repr(circuit) == settled


@pytest.mark.parametrize("outcome", list(Outcome))
def test_results_of_an_earlier_generation_are_dropped(breaker: ModuleType, outcome: Outcome) -> None:
    circuit = breaker.CircuitBreaker(max_failures=1)
    from_closed = circuit.acquire(0.0)
    circuit.record(circuit.acquire(0.0), FAILURE, 0.0)
    assert circuit.record(from_closed, outcome, 1.0) == codes.UNCHANGED
    assert circuit.state(1.0) is breaker.State.OPEN
    probe = circuit.acquire(30.0)
    assert circuit.record(from_closed, outcome, 31.0) == codes.UNCHANGED
    assert circuit.state(31.0) is breaker.State.HALF_OPEN
    circuit.record(probe, SUCCESS, 32.0)
    for permit in (from_closed, probe):
        assert circuit.record(permit, outcome, 33.0) == codes.UNCHANGED
    assert circuit.state(33.0) is breaker.State.CLOSED
    assert circuit.failures == 0


def test_neutral_probe_gives_its_place_to_the_next(breaker: ModuleType) -> None:
    circuit = opened(breaker)
    for now in (30.0, 31.0, 32.0):
        probe = circuit.acquire(now)
        assert circuit.acquire(now) == codes.REFUSED
        assert circuit.record(probe, NEUTRAL, now) == codes.UNCHANGED
        assert circuit.state(now) is breaker.State.HALF_OPEN
        assert circuit.retry_in(now) == 0.0
        assert circuit.failures == 3


def test_returned_permit_is_not_taken_back_twice(breaker: ModuleType) -> None:
    circuit = opened(breaker)
    probe = circuit.acquire(30.0)
    circuit.record(probe, NEUTRAL, 30.0)
    for outcome in Outcome:
        assert circuit.record(probe, outcome, 30.0) == codes.UNCHANGED
    assert circuit.acquire(30.0) > 0
    for outcome in Outcome:
        assert circuit.record(probe, outcome, 30.0) == codes.UNCHANGED  # nor does it free another's place
    assert circuit.acquire(30.0) == codes.REFUSED


@pytest.mark.parametrize(("timeout", "lease"), [(1.0, 60.0), (60.0, 60.0), (90.0, 90.0)])
def test_lost_permit_expires(breaker: ModuleType, timeout: float, lease: float) -> None:
    circuit = opened(breaker, timeout=timeout)
    lost = circuit.acquire(timeout)
    assert circuit.acquire(timeout + lease - 0.5) == codes.REFUSED
    assert circuit.retry_in(timeout + lease - 0.5) == 0.5
    assert circuit.record(lost, SUCCESS, timeout + lease) == codes.UNCHANGED
    replacement = circuit.acquire(timeout + lease)
    assert replacement > 0
    assert circuit.record(lost, FAILURE, timeout + lease) == codes.UNCHANGED
    assert circuit.record(replacement, SUCCESS, timeout + lease) == codes.RECOVERED


def test_retry_in_is_until_the_earliest_lease_ends(breaker: ModuleType) -> None:
    circuit = opened(breaker, half_open_probes=3)
    for now in (40.0, 35.0, 45.0):
        assert circuit.acquire(now) > 0
    assert circuit.retry_in(50.0) == 45.0
    assert circuit.retry_in(95.0) == 0.0


def waited(circuit: Any, now: float) -> float:
    """The time when it gives a permit again, for one who waits as often as he is told to."""
    for _ in range(3):
        now += circuit.retry_in(now)
    assert circuit.retry_in(now) == 0.0
    return now


@pytest.mark.parametrize("step_back", [1.0, 29.0, 1e3, 1e9])
def test_clock_that_steps_back_does_not_wedge_it(breaker: ModuleType, step_back: float) -> None:
    circuit = opened(breaker, now=0.0, timeout=30.0)
    half_open_at = waited(circuit, -step_back)
    assert half_open_at + step_back <= 60.0  # twice the timeout
    assert circuit.acquire(half_open_at) > 0  # and nobody gives it back
    free_at = waited(circuit, half_open_at - step_back)
    assert free_at - (half_open_at - step_back) <= 120.0  # twice the lease
    assert circuit.record(circuit.acquire(free_at), SUCCESS, free_at) == codes.RECOVERED


def test_moment_before_the_opening_is_still_open(breaker: ModuleType) -> None:
    circuit = opened(breaker, now=100.0)
    assert circuit.acquire(99.999) == codes.REFUSED  # another thread read its clock a little earlier


def test_first_probe_is_told_from_later_ones(breaker: ModuleType) -> None:
    circuit = breaker.CircuitBreaker(max_failures=1, half_open_probes=2)
    permit = circuit.acquire(0.0)
    assert not circuit.is_probe(permit)
    assert not circuit.is_first_probe(permit)
    for opened_at in (0.0, 50.0):
        circuit.record(permit, FAILURE, opened_at)
        permits = [circuit.acquire(opened_at + 30.0) for _ in range(3)]
        assert [circuit.is_probe(permit) for permit in permits] == [True, True, False]
        assert [circuit.is_first_probe(permit) for permit in permits] == [True, False, False]
        permit = permits[0]


def test_breakers_are_isolated_from_each_other(breaker: ModuleType) -> None:
    opened(breaker)
    assert breaker.CircuitBreaker().state(0.0) is breaker.State.CLOSED


def test_cores_over_the_same_cells_are_one_breaker(breaker: ModuleType) -> None:
    cells = array("d", bytes(8 * breaker.cell_count(1)))
    one, other = (breaker.CircuitBreaker(max_failures=2, cells=cells) for _ in range(2))
    permit = one.acquire(0.0)
    assert one.record(permit, FAILURE, 0.0) == codes.UNCHANGED
    assert other.failures == 1
    assert other.record(permit, FAILURE, 0.0) == codes.OPENED
    assert one.acquire(1.0) == codes.REFUSED
    probe = one.acquire(30.0)
    assert other.acquire(30.0) == codes.REFUSED
    assert other.record(probe, SUCCESS, 30.0) == codes.RECOVERED
    assert one.state(30.0) is breaker.State.CLOSED
    assert one.generation == other.generation > 0


def test_cells_of_a_larger_memory_are_left_alone_beyond_its_own(breaker: ModuleType) -> None:
    count = breaker.cell_count(2)
    memory = memoryview(bytearray(8 * (count + 2))).cast("d")
    memory[0] = memory[-1] = 7.0
    circuit = opened(breaker, cells=memory[1:-1], half_open_probes=2)
    for now in (30.0, 31.0):
        circuit.record(circuit.acquire(now), NEUTRAL, now)
    assert (memory[0], memory[-1]) == (7.0, 7.0)
    assert memory[1] == 1.0


class CountingLock:
    """A lock that counts how often it was taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __enter__(self) -> None:
        self.taken += 1

    def __exit__(self, *_: object) -> None:
        pass


def test_no_lock_while_all_is_well_nor_to_refuse(breaker: ModuleType) -> None:
    lock = CountingLock()
    circuit = breaker.CircuitBreaker(max_failures=1, lock=lock)
    for _ in range(3):
        circuit.record(circuit.acquire(0.0), SUCCESS, 0.0)
    assert lock.taken == 0
    circuit.record(circuit.acquire(0.0), FAILURE, 0.0)
    assert lock.taken == 1
    assert circuit.acquire(1.0) == codes.REFUSED
    assert circuit.acquire(30.0) > 0
    assert lock.taken == 2
    assert circuit.acquire(30.0) == codes.REFUSED
    assert lock.taken == 2


class Interrupted:
    """A lock that lets another act just before it is taken."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def __enter__(self) -> None:
        self.act()

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("outcome", "permitted", "state"),
    [(SUCCESS, True, "closed"), (FAILURE, False, "open"), (NEUTRAL, True, "half-open")],
)
def test_another_settles_it_between_the_look_and_the_lock(
    breaker: ModuleType, outcome: Outcome, permitted: bool, state: str
) -> None:
    cells = array("d", bytes(8 * breaker.cell_count(2)))
    other = opened(breaker, cells=cells, half_open_probes=2)
    probe = other.acquire(30.0)
    lock = Interrupted(lambda: other.record(probe, outcome, 30.0))
    circuit = breaker.CircuitBreaker(half_open_probes=2, cells=cells, lock=lock)
    permit = circuit.acquire(30.0)
    assert (permit > 0) == permitted
    assert circuit.is_probe(permit) == (state == "half-open")
    assert circuit.state(30.0) == state


def test_another_takes_the_last_place_between_the_look_and_the_lock(breaker: ModuleType) -> None:
    cells = array("d", bytes(8 * breaker.cell_count(1)))
    other = opened(breaker, cells=cells)
    circuit = breaker.CircuitBreaker(cells=cells, lock=Interrupted(lambda: other.acquire(30.0)))
    assert circuit.acquire(30.0) == codes.REFUSED


@pytest.mark.parametrize("outcome", list(Outcome))
def test_permit_read_while_another_opens_it_is_dropped(breaker: ModuleType, outcome: Outcome) -> None:
    circuit = opened(breaker)
    half_written = 2 * circuit.generation + 2  # the new generation, from one who still saw it closed
    assert circuit.record(half_written, outcome, 1.0) == codes.UNCHANGED
    assert circuit.failures == 3
    assert circuit.state(1.0) is breaker.State.OPEN


def test_texts(breaker: ModuleType) -> None:
    assert [str(state) for state in breaker.State] == ["closed", "half-open", "open"]
    changes = {f"{change.name}: {change.before} -> {change.after}" for change in breaker.Transition}
    assert changes == {
        "OPENED: closed -> open",
        "HALF_OPENED: open -> half-open",
        "REOPENED: half-open -> open",
        "RECOVERED: half-open -> closed",
    }
    assert repr(breaker.CircuitBreaker()) == "<CircuitBreaker closed failures=0 generation=0>"
    assert repr(opened(breaker, now=5.0)) == "<CircuitBreaker open_until=35.0 failures=3 generation=1>"


def test_outcomes_are_the_numbers_that_the_core_knows() -> None:
    assert (SUCCESS, FAILURE, NEUTRAL) == (codes.SUCCESS, codes.FAILURE, codes.NEUTRAL)
