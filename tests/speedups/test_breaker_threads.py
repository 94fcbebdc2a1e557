"""The circuit breaker under threads, over both builds: counts are exact, and so is the number of probes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import ModuleType

import pytest

from gateway._speedups import codes
from gateway.resilience.outcome import Outcome

THREADS = 16


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    """Make the interpreter switch threads as often as it can, so that a missing lock shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def at_once(call: Callable[[], int]) -> list[int]:
    """Results of a call that every thread makes at the same time."""
    barrier = threading.Barrier(THREADS)

    def started_together() -> int:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(started_together) for _ in range(THREADS)]
        return [future.result() for future in futures]


def test_counts_are_exact(breaker: ModuleType) -> None:
    circuit = breaker.CircuitBreaker(max_failures=10**9)

    def fail_often() -> int:
        return sum(circuit.record(circuit.acquire(0.0), Outcome.FAILURE, 0.0) for _ in range(500))

    assert at_once(fail_often) == [codes.UNCHANGED] * THREADS
    assert circuit.failures == 500 * THREADS


def test_one_thread_opens_it(breaker: ModuleType) -> None:
    for _ in range(20):
        circuit = breaker.CircuitBreaker(max_failures=THREADS)
        results = at_once(partial(circuit.record, circuit.acquire(0.0), Outcome.FAILURE, 0.0))
        assert sorted(results) == [codes.UNCHANGED] * (THREADS - 1) + [codes.OPENED]


@pytest.mark.parametrize("probes", [1, 3])
def test_as_many_probes_as_allowed(breaker: ModuleType, probes: int) -> None:
    circuit = breaker.CircuitBreaker(max_failures=1, half_open_probes=probes)
    circuit.record(circuit.acquire(0.0), Outcome.FAILURE, 0.0)
    for now in range(30, 1230, 60):  # each round, the leases of the one before have ended
        permits = [permit for permit in at_once(partial(circuit.acquire, now)) if permit]
        assert len(permits) == len(set(permits)) == probes
