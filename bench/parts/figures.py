"""Statistics of measurements: ratios with a confidence interval, and how fast a cost grows."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

RESAMPLES: Final = 4000
CONFIDENCE: Final = 0.95

Blocks = Sequence[Sequence[tuple[float, float]]]


class Interval(NamedTuple):
    """An estimate and the bounds of its 95 % confidence interval."""

    value: float
    low: float
    high: float


def ratio(blocks: Blocks, seed: int = 1) -> Interval:
    """The ratio of two costs that were measured in alternation, with a bootstrap confidence interval.

    It is the geometric mean over the blocks of the median ratio of each block's rounds.

    blocks: of each start of the processes, the pairs (cost, cost of the other) of its rounds. Two starts of
        one program differ more than two rounds of one start (addresses, hash seeds), so whole blocks are
        drawn, and then rounds within each: the cluster bootstrap of Davison & Hinkley, Bootstrap Methods and
        their Application (1997), section 3.8. With a single block only rounds are drawn.

    Raises:
        ValueError: There is no block, an empty one, or a cost that is not positive.
    """
    logs = [[_log_ratio(*pair) for pair in block] for block in blocks]
    if not logs or not all(logs):
        raise ValueError("a ratio needs at least one pair of costs in each block")
    chance = random.Random(seed)
    estimates = sorted(
        _estimate([chance.choices(block, k=len(block)) for block in chance.choices(logs, k=len(logs))])
        for _ in range(RESAMPLES)
    )
    tail = (1 - CONFIDENCE) / 2
    return Interval(_estimate(logs), percentile(estimates, tail), percentile(estimates, 1 - tail))


def _log_ratio(cost: float, other: float) -> float:
    if cost <= 0 or other <= 0:
        raise ValueError(f"costs must be positive, not {cost} and {other}")
    return math.log(cost / other)


def _estimate(logs: Sequence[Sequence[float]]) -> float:
    return math.exp(math.fsum(map(median, logs)) / len(logs))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which a share (0 to 1) of an ascending sequence lies, interpolated.

    Raises:
        ValueError: The sequence is empty.
    """
    if not ordered:
        raise ValueError("an empty sequence has no percentiles")
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def growth_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The b of cost = a * size**b over the larger half of the sizes, which are at least three.

    0 = it does not grow, 1 = like the size, 2 = like its square. Only the larger sizes, since a fixed cost
    hides at small ones how the rest grows. Fitted by least squares to the logarithms.

    Raises:
        ValueError: There are fewer than two different sizes, or a number is not positive.
    """
    points = sorted(zip(sizes, costs, strict=True))[-max(3, (len(sizes) + 1) // 2) :]
    if any(number <= 0 for point in points for number in point):
        raise ValueError(f"sizes and costs must be positive, not {points}")
    if len({size for size, _ in points}) < 2:
        raise ValueError("a growth needs two different sizes")
    xs = [math.log(size) for size, _ in points]
    ys = [math.log(cost) for _, cost in points]
    mean_x, mean_y = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    covariance = math.fsum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return covariance / math.fsum((x - mean_x) ** 2 for x in xs)
