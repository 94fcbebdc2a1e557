"""How one of several targets is chosen: each strategy brings them into an order, of which the first is taken.

All begin with an order by chance, in which weights are shares, and the sorts are stable: where a strategy
knows no difference, chance and weights decide. A target of weight 0 comes behind all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gateway.config.schema import Strategy
from gateway.routing.target import Target

TOLERANCE: Final = 1.1
"""Costs that differ by less are the same: who was measured a little better must not get everything."""
_BELOW_ONE: Final = 1.0 - 2.0**-53

Order = Callable[[Sequence[Target], float, float, bytes | None], list[Target]]
"""(targets, now, sample, session) -> the targets in the order in which they are to be asked.

`now` is in seconds of a monotonic clock, `sample` a draw from [0, 1), `session` what requests have in common
that are to stay together, None where nothing is known of it.
"""


def weighted(targets: Sequence[Target], now: float, sample: float, session: bytes | None) -> list[Target]:
    """By chance: each place goes to one of those that are left, with their weights as shares."""
    left = [target for target in targets if target.weight]
    order = []
    while len(left) > 1:
        sample *= sum(target.weight for target in left)
        for target in left[:-1]:
            if sample < target.weight:
                break
            sample -= target.weight
        else:
            target = left[-1]
        left.remove(target)
        order.append(target)
        # Where in its share the draw fell is a draw again, so that one is enough.
        sample = min(sample / target.weight, _BELOW_ONE)
    return order + left + [target for target in targets if not target.weight]


def least_inflight(
    targets: Sequence[Target], now: float, sample: float, session: bytes | None
) -> list[Target]:
    """Fewest attempts under way for their weight first."""
    return sorted(weighted(targets, now, sample, session), key=Target.load)


def lowest_latency(
    targets: Sequence[Target], now: float, sample: float, session: bytes | None
) -> list[Target]:
    """Lowest cost first. All are compared, for they are few; of hundreds one would compare two drawn ones."""
    peaks = [target.latency.peak_s for target in targets if target.latency.peak_s is not None]
    best_s = min(peaks, default=1.0)  # where nothing is known, what is under way decides
    costs = {target: target.cost(best_s, now) for target in targets}
    same = min(costs.values()) * TOLERANCE
    return sorted(weighted(targets, now, sample, session), key=lambda target: max(costs[target], same))


def by_session(targets: Sequence[Target], now: float, sample: float, session: bytes | None) -> list[Target]:
    """The one to which the session belongs first; by chance where there is no session."""
    if not session:
        return weighted(targets, now, sample, session)
    return sorted(targets, key=lambda target: target.affinity(session), reverse=True)


ORDERS: Final[Mapping[Strategy, Order]] = {
    "weighted": weighted,
    "least_inflight": least_inflight,
    "lowest_latency": lowest_latency,
    "session": by_session,
}
