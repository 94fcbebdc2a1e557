"""The strategies: shares, loads, latencies, sessions; what is drawn is drawn from a seeded source."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Provider
from gateway.providers.factory import MockProvider
from gateway.routing.strategies import ORDERS, Order, by_session, least_inflight, lowest_latency, weighted
from gateway.routing.target import FAILED_S, Target

WEIGHTS = st.lists(st.floats(0.001, 1000.0), min_size=1, max_size=6)
SAMPLES = st.floats(0.0, 1.0, exclude_max=True)
NAMES = "abcdefgh"


def targets(*weights: float) -> list[Target]:
    return [
        Target(MockProvider(name, Provider(format="mock")), weight=weight)
        for name, weight in zip(NAMES, weights, strict=False)
    ]


def names(order: Sequence[Target]) -> str:
    return "".join(target.provider.name for target in order)


def assert_shares(counts: Counter[str], expected: dict[str, float]) -> None:
    """Every count is within five standard deviations of its share."""
    total = counts.total()
    for name, share in expected.items():
        assert abs(counts[name] - share * total) <= 5 * sqrt(total * share * (1 - share)) + 1e-9, counts
    assert set(counts) <= set(expected)


# All of them.


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@given(weights=st.lists(st.floats(0.0, 1000.0), min_size=1, max_size=6), sample=SAMPLES, data=st.data())
def test_an_order_has_every_target_once_and_weight_0_last(
    order: Order, weights: list[float], sample: float, data: st.DataObject
) -> None:
    given_ = targets(*weights)
    for target in given_:
        target.inflight = data.draw(st.integers(0, 5))
        if data.draw(st.booleans()):
            target.answered(data.draw(st.floats(0.0, 100.0)), 0.0)
    got = order(given_, 1.0, sample, data.draw(st.none() | st.binary(max_size=5)))
    assert sorted(names(got)) == sorted(names(given_))
    assert names(given_) == NAMES[: len(weights)]  # what was given is as it was
    zeros = [target.weight == 0.0 for target in got]
    assert zeros == sorted(zeros)


# Weighted.


@pytest.mark.parametrize(
    ("sample", "expected"),
    [(0.0, "abc"), (0.249, "acb"), (0.25, "bac"), (0.5, "cab"), (0.999999, "cba")],
)
def test_one_draw_makes_the_whole_order(sample: float, expected: str) -> None:
    assert names(weighted(targets(1.0, 1.0, 2.0), 0.0, sample, None)) == expected


def test_weights_are_shares_at_every_place() -> None:
    draw = random.Random(1).random
    given_ = targets(1.0, 2.0, 5.0, 0.0)
    orders = Counter(names(weighted(given_, 0.0, draw(), None)) for _ in range(20_000))
    expected = {
        first + second + third + "d": shares[first] / 8 * shares[second] / (8 - shares[first])
        for shares in [{"a": 1, "b": 2, "c": 5}]
        for first, second, third in ["abc", "acb", "bac", "bca", "cab", "cba"]
    }
    assert_shares(orders, expected)


@given(WEIGHTS, st.integers(0, 2**32))
def test_any_weights_are_shares(weights: list[float], seed: int) -> None:
    draw = random.Random(seed).random
    given_ = targets(*weights)
    counts = Counter(names(weighted(given_, 0.0, draw(), None))[0] for _ in range(500))
    assert_shares(counts, {name: w / sum(weights) for name, w in zip(NAMES, weights, strict=False)})


# Least in flight.


def test_fewest_in_flight_for_their_weight_come_first() -> None:
    given_ = targets(1.0, 1.0, 4.0)
    for target, inflight in zip(given_, (2, 1, 6), strict=True):
        target.inflight = inflight
    assert [names(least_inflight(given_, 0.0, sample, None)) for sample in (0.0, 0.5, 0.99)] == ["bca"] * 3


def test_of_those_as_busy_chance_decides() -> None:
    draw = random.Random(2).random
    counts = Counter(names(least_inflight(targets(1.0, 3.0), 0.0, draw(), None))[0] for _ in range(4000))
    assert_shares(counts, {"a": 0.25, "b": 0.75})


def test_what_is_under_way_settles_at_the_weights() -> None:
    draw = random.Random(3).random
    given_ = targets(1.0, 2.0, 3.0)
    for _ in range(600):
        least_inflight(given_, 0.0, draw(), None)[0].began()
    assert [target.inflight for target in given_] == [100, 200, 300]


# Lowest latency.


def test_the_fastest_comes_first() -> None:
    given_ = targets(1.0, 1.0, 1.0)
    for target, seconds in zip(given_, (0.9, 0.3, 2.0), strict=True):
        target.answered(seconds, 0.0)
    assert [names(lowest_latency(given_, 0.0, sample, None)) for sample in (0.0, 0.99)] == ["bac"] * 2


def test_one_that_is_busy_costs_more() -> None:
    given_ = targets(1.0, 1.0)
    given_[0].answered(0.3, 0.0)
    given_[1].answered(0.9, 0.0)
    chosen = []
    for _ in range(8):
        first = lowest_latency(given_, 0.0, 0.0, None)[0]
        first.began()
        chosen.append(first)
    assert names(chosen) == "aaabaaab"  # at a tie of 0.9 chance decides, here for the first


def test_those_as_fast_share() -> None:
    draw = random.Random(4).random
    given_ = targets(1.0, 1.0, 1.0)
    for target, seconds in zip(given_, (0.30, 0.32, 0.9), strict=True):
        target.answered(seconds, 0.0)
    counts = Counter(names(lowest_latency(given_, 0.0, draw(), None))[0] for _ in range(4000))
    assert_shares(counts, {"a": 0.5, "b": 0.5})


def test_one_that_nothing_is_known_of_is_tried() -> None:
    given_ = targets(1.0, 1.0)
    given_[0].answered(0.3, 0.0)
    given_[0].began()
    assert names(lowest_latency(given_, 0.0, 0.0, None)) == "ba"


def test_a_failure_is_as_bad_as_a_long_wait() -> None:
    given_ = targets(1.0, 1.0)
    given_[0].answered(0.001, 0.0)
    given_[1].answered(FAILED_S - 1.0, 0.0)
    given_[0].began()
    given_[0].ended(True, 0.0)
    assert names(lowest_latency(given_, 0.0, 0.0, None)) == "ba"


def test_nobody_is_spared_for_ever() -> None:
    draw = random.Random(5).random
    fast, slow = given_ = targets(1.0, 1.0)
    slow.began()
    slow.ended(True, 0.0)
    asked_at = []
    now = 0.0
    while now < 600.0:
        now += 0.5
        first = lowest_latency(given_, now, draw(), None)[0]
        first.began()
        first.answered(0.3 if first is fast else 5.0, now)
        first.ended(False, now)
        if first is slow:
            asked_at.append(now)
    waits = [after - before for before, after in zip([0.0, *asked_at], [*asked_at, now], strict=True)]
    assert max(waits) < 90.0
    assert len(asked_at) < 30  # and it is asked seldom, one request in forty


def test_in_a_simulation_the_slow_one_gets_little() -> None:
    """Ten requests a second at targets that take 0.2, 0.4 and 2 s: a share as to speed, and none starves."""
    draw = random.Random(6).random
    given_ = targets(1.0, 1.0, 1.0)
    takes = dict(zip(given_, (0.2, 0.4, 2.0), strict=True))
    counts: Counter[str] = Counter()
    under_way: list[tuple[float, Target]] = []
    for tick in range(6000):
        now = tick / 10
        for ends, target in [entry for entry in under_way if entry[0] <= now]:
            under_way.remove((ends, target))
            target.answered(takes[target], ends)
            target.ended(False, ends)
        first = lowest_latency(given_, now, draw(), None)[0]
        first.began()
        under_way.append((now + takes[first], first))
        counts[first.provider.name] += 1
    assert counts["a"] > counts["b"] > counts["c"] > 10
    assert counts["c"] < 600


# By session.

KEYS = [b"session-%d" % number for number in range(4000)]


def homes(given_: Sequence[Target]) -> dict[bytes, str]:
    return {key: by_session(given_, 0.0, 0.0, key)[0].provider.name for key in KEYS}


def test_a_session_stays_where_it_is_whatever_the_draw() -> None:
    given_ = targets(1.0, 1.0, 1.0)
    for key in KEYS[:50]:
        assert len({names(by_session(given_, now, now / 9, key)) for now in range(9)}) == 1


def test_sessions_are_shared_by_weight() -> None:
    assert_shares(Counter(homes(targets(1.0, 2.0, 5.0)).values()), {"a": 0.125, "b": 0.25, "c": 0.625})


def test_when_a_target_goes_only_its_own_sessions_move() -> None:
    given_ = targets(1.0, 2.0, 1.0, 3.0)
    before = homes(given_)
    for gone in given_:
        rest = [target for target in given_ if target is not gone]
        after = homes(rest)
        assert all(after[key] == home for key, home in before.items() if home != gone.provider.name)
        moved = Counter(after[key] for key, home in before.items() if home == gone.provider.name)
        total = sum(target.weight for target in rest)
        assert_shares(moved, {target.provider.name: target.weight / total for target in rest})


def test_when_a_target_comes_sessions_move_to_it_only() -> None:
    before, after = homes(targets(1.0, 1.0)), homes(targets(1.0, 1.0, 1.0))
    assert {after[key] for key in KEYS if after[key] != before[key]} == {"c"}


def test_the_place_in_the_list_does_not_matter() -> None:
    given_ = targets(1.0, 2.0, 3.0)
    assert homes(given_) == homes(given_[::-1])


def test_the_next_one_is_where_the_session_goes_when_its_own_is_away() -> None:
    given_ = targets(1.0, 1.0, 1.0)
    for key in KEYS[:100]:
        first, second, _ = by_session(given_, 0.0, 0.0, key)
        rest = [target for target in given_ if target is not first]
        assert by_session(rest, 0.0, 0.0, key)[0] is second


def test_every_process_comes_to_the_same() -> None:
    given_ = targets(1.0, 1.0, 1.0)
    found = "".join(by_session(given_, 0.0, 0.0, b"%d" % key)[0].provider.name for key in range(20))
    assert found == "caaacabbcacbacbbbbcb"


@pytest.mark.parametrize("session", [None, b""])
def test_without_a_session_chance_decides(session: bytes | None) -> None:
    draw = random.Random(7).random
    counts = Counter(names(by_session(targets(1.0, 3.0), 0.0, draw(), session))[0] for _ in range(4000))
    assert_shares(counts, {"a": 0.25, "b": 0.75})


def test_two_models_of_one_provider_are_two_targets() -> None:
    provider = MockProvider("a", Provider(format="mock"))
    both = [Target(provider, "x"), Target(provider, "y")]
    assert {by_session(both, 0.0, 0.0, key)[0].model for key in KEYS[:20]} == {"x", "y"}
