"""Peak EWMA: worse counts at once, better slowly, and what is not observed fades."""

from __future__ import annotations

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.latency import DECAY_S, LEAST_S, PeakEwma


def observed(*observations: tuple[float, float]) -> PeakEwma:
    """After observations of (now, seconds)."""
    latency = PeakEwma()
    for now, seconds in observations:
        latency.observe(seconds, now)
    return latency


def test_nothing_is_known_at_first() -> None:
    assert PeakEwma().peak_s is None
    assert PeakEwma().estimate(0.3, 100.0) == 0.3


def test_a_worse_observation_counts_at_once() -> None:
    assert observed((0.0, 0.2), (0.1, 3.0)).peak_s == 3.0


def test_a_better_one_counts_as_much_as_time_has_passed() -> None:
    assert observed((5.0, 3.0), (5.0, 1.0)).peak_s == 3.0
    assert observed((5.0, 3.0), (5.0 + DECAY_S, 1.0)).peak_s == pytest.approx(1.0 + 2.0 * exp(-1.0))
    assert observed((5.0, 3.0), (1e6, 1.0)).peak_s == pytest.approx(1.0)


def test_what_is_known_fades_towards_the_best() -> None:
    latency = observed((0.0, 4.0))
    assert latency.estimate(1.0, 0.0) == 4.0
    assert latency.estimate(1.0, DECAY_S) == pytest.approx(1.0 + 3.0 * exp(-1.0))
    assert latency.estimate(1.0, 100 * DECAY_S) == pytest.approx(1.0)
    assert latency.estimate(4.0, 50.0) == 4.0  # the best itself


def test_nothing_costs_nothing() -> None:
    assert observed((0.0, 0.0)).peak_s == LEAST_S


def test_a_clock_that_steps_back_makes_nothing_worse() -> None:
    latency = observed((100.0, 2.0), (50.0, 1.0))
    assert latency.peak_s == 2.0
    assert latency.estimate(1.0, 0.0) == 2.0


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e3)), min_size=1))
def test_it_stays_within_what_was_observed(observations: list[tuple[float, float]]) -> None:
    peak_s = observed(*sorted(observations)).peak_s
    assert peak_s is not None
    seconds = [max(LEAST_S, seconds) for _, seconds in observations]
    assert min(seconds) <= peak_s * (1 + 1e-9)
    assert peak_s <= max(seconds) * (1 + 1e-9)
