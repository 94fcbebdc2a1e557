"""The statistics of measurements, on numbers whose answer is known."""

from __future__ import annotations

import math
import random

import pytest
from parts.figures import growth_exponent, percentile, ratio


def noisy(
    true_ratio: float, starts: int = 4, rounds: int = 10, noise: float = 0.05
) -> list[list[tuple[float, float]]]:
    chance = random.Random(7)
    return [
        [(true_ratio * chance.uniform(1, 1 + noise), chance.uniform(1, 1 + noise)) for _ in range(rounds)]
        for _ in range(starts)
    ]


def test_ratio_without_noise_is_exact() -> None:
    assert ratio([[(3.0, 2.0), (6.0, 4.0)], [(1.5, 1.0)]]) == pytest.approx((1.5, 1.5, 1.5))


@pytest.mark.parametrize("true_ratio", [0.1, 1.0, 1.5])
def test_interval_holds_the_true_ratio_and_is_narrow(true_ratio: float) -> None:
    figure = ratio(noisy(true_ratio))
    assert figure.low <= true_ratio <= figure.high
    assert figure.high / figure.low < 1.05


def test_interval_tells_a_difference_that_is_larger_than_the_noise() -> None:
    assert ratio(noisy(1.1)).low > 1.0


def test_starts_that_differ_widen_the_interval() -> None:
    steady = [[(1.0, 1.0)] * 10 for _ in range(4)]
    differing = [[(cost, 1.0)] * 10 for cost in (0.9, 1.0, 1.0, 1.1)]
    assert ratio(steady).high == 1.0
    assert ratio(differing).high > 1.02


def test_one_outlier_does_not_move_the_estimate() -> None:
    assert ratio([[(1.0, 1.0)] * 9 + [(50.0, 1.0)]]).value == 1.0


@pytest.mark.parametrize("blocks", [[], [[]], [[(1.0, 1.0)], []], [[(0.0, 1.0)]], [[(1.0, -1.0)]]])
def test_ratio_of_nothing_is_refused(blocks: list[list[tuple[float, float]]]) -> None:
    with pytest.raises(ValueError, match=r"pair|positive"):
        ratio(blocks)


@pytest.mark.parametrize(("share", "value"), [(0, 1.0), (0.5, 2.5), (1, 4.0), (0.25, 1.75)])
def test_percentile_is_interpolated(share: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == value


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        percentile([], 0.5)


@pytest.mark.parametrize("exponent", [0, 0.5, 1, 2])
def test_exponent_of_a_power_is_found(exponent: float) -> None:
    sizes = [1, 10, 100, 1000, 10000]
    assert growth_exponent(sizes, [3 * size**exponent for size in sizes]) == pytest.approx(exponent)


def test_a_fixed_cost_at_small_sizes_does_not_hide_growth() -> None:
    sizes = [1, 10, 100, 1000, 10_000, 100_000]
    assert growth_exponent(sizes, [100 + size**1.5 for size in sizes]) > 1.4


def test_a_logarithm_is_told_from_a_constant_and_from_a_line() -> None:
    sizes = [10, 100, 1000, 10_000]
    assert 0.05 < growth_exponent(sizes, [math.log(size) for size in sizes]) < 0.5


@pytest.mark.parametrize(
    ("sizes", "costs"), [([1], [1]), ([2, 2], [1, 3]), ([1, 2], [0, 1]), ([0, 2], [1, 1])]
)
def test_growth_that_cannot_be_told_is_refused(sizes: list[float], costs: list[float]) -> None:
    with pytest.raises(ValueError, match=r"positive|different"):
        growth_exponent(sizes, costs)
