"""What happened between two readings: percentiles, classes of errors, sums by provider and by model."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._speedups import TallyCore
from gateway.admin.tally import Change, error_class, percentiles
from gateway.observe.metrics import LATENCY_BUCKETS, UNROUTED, Metrics, Reading, read
from gateway.observe.slab import Slab
from gateway.observe.usage import Price, Tokens

BOUNDS = (0.1, 0.5, 2.0)
NOTHING = read(Slab(), lambda: 0.0)


class Request(NamedTuple):
    """A finished request, as the metrics see it."""

    status: int = 200
    upstream_s: float = 0.0
    waited_s: float = 0.0
    first_byte_s: float = 0.0


class Counters:
    """Counters with a clock that stands still until it is told to go on."""

    def __init__(self, workers: int = 1) -> None:
        self.slab = Slab(workers)
        self.metrics = Metrics(self.slab, TallyCore)
        self.now = 0.0

    def read(self) -> Reading:
        return read(self.slab, lambda: self.now)

    def finish(self, provider: str = "a", model: str = "m", status: int = 200, took_s: float = 1.0) -> None:
        request = Request(status, upstream_s=took_s, first_byte_s=self.now)
        self.metrics.request_finished(provider, model, request, self.now - took_s, self.now)

    def change(self, seconds: float = 10.0) -> Change:
        """What was counted up to now, as if in so many seconds."""
        return Change(NOTHING, self.read()._replace(at_s=seconds))


# -- percentiles


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0, 0, 0, 0], 0.5, None),
        ([1, 0, 0, 0], 0.5, 0.05),  # half-way through the first bucket
        ([4, 0, 0, 0], 1.0, 0.1),
        ([2, 2, 0, 0], 0.5, 0.1),
        ([2, 2, 0, 0], 0.75, 0.3),
        ([0, 0, 10, 0], 0.9, 0.5 + 1.5 * 0.9),
        ([0, 0, 0, 5], 0.5, 2.0),  # beyond the last bound nothing is known but that
        ([99, 0, 0, 1], 0.99, 0.1),
        ([98, 0, 0, 2], 0.99, 2.0),
        ([1, 0, 1, 0], 0.5, 0.1),  # not somewhere in the empty bucket
    ],
)
def test_percentiles_are_interpolated(counts: list[float], share: float, expected: float | None) -> None:
    assert percentiles(counts, BOUNDS, (share,)) == [None if expected is None else pytest.approx(expected)]


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=4), st.lists(st.floats(0.001, 1.0), min_size=2))
def test_percentiles_stay_in_the_bounds_and_in_order(counts: list[int], shares: list[float]) -> None:
    found = percentiles(counts, BOUNDS, sorted(shares))
    low, high = found[0], found[-1]
    if low is None or high is None:
        assert not any(counts)
    else:
        assert 0.0 <= low <= high <= BOUNDS[-1]


# -- classes


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, None) for status in (101, 200, 204, 304, 399)),
        *((status, "client") for status in (400, 401, 404, 408, 428, 430, 498)),
        (429, "limited"),
        (499, "gone"),
        *((status, "server") for status in (500, 502, 503, 505, 529, 599, 999)),
        (504, "timeout"),
    ],
)
def test_each_status_is_in_one_class(status: int, expected: str | None) -> None:
    assert error_class(status) == expected


# -- sums


def test_requests_are_summed_by_provider_and_model() -> None:
    counters = Counters()
    for provider, model, status in (
        ("a", "x", 200),
        ("a", "x", 503),
        ("a", "y", 429),
        ("b", "x", 504),
        ("b", "x", 404),
        ("b", "x", 499),
    ):
        counters.finish(provider, model, status)
    change = counters.change()
    assert change.total.requests == 6.0
    assert dict(change.total.errors) == dict.fromkeys(("server", "limited", "timeout", "client", "gone"), 1.0)
    assert change.total.retryable_errors == 3.0
    a, b = change.providers["a"], change.providers["b"]
    assert (a.requests, a.models["x"].requests, a.models["y"].requests) == (3.0, 2.0, 1.0)
    assert (a.retryable_errors, a.models["x"].retryable_errors) == (2.0, 1.0)
    assert (b.requests, b.retryable_errors, list(b.models)) == (3.0, 1.0, ["x"])


def test_latencies_are_summed_over_models_and_providers() -> None:
    counters = Counters()
    for provider, model, took_s in (("a", "x", 0.004), ("a", "y", 0.2), ("b", "x", 30.0)):
        counters.now = 100.0
        counters.finish(provider, model, took_s=took_s)
    change = counters.change()
    assert sum(change.total.latency) == sum(change.total.first_byte) == 3.0
    assert change.providers["a"].latency[LATENCY_BUCKETS.index(0.25)] == 1.0
    assert sum(change.providers["a"].models["x"].latency) == 1.0
    assert sum(change.overhead) == 3.0


def test_a_refused_request_is_in_the_total_and_at_no_provider() -> None:
    counters = Counters()
    counters.metrics.count("gateway_requests", UNROUTED, "other", "404")
    counters.finish()
    change = counters.change()
    assert (change.total.requests, change.refused.requests) == (2.0, 1.0)
    assert change.total.errors["client"] == 1.0
    assert list(change.providers) == ["a"]


def test_fallbacks_are_seen_from_both_sides() -> None:
    counters = Counters()
    for reason in ("timeout", "timeout", "circuit_open"):
        counters.metrics.count("gateway_fallbacks", "a", "b", reason)
    change = counters.change()
    assert change.providers["a"].fallbacks_out == {("b", "timeout"): 2.0, ("b", "circuit_open"): 1.0}
    assert change.providers["b"].fallbacks_in == {("a", "timeout"): 2.0, ("a", "circuit_open"): 1.0}
    assert not change.providers["a"].fallbacks_in


def test_attempts_retries_and_broken_answers_are_the_providers() -> None:
    counters = Counters()
    counters.metrics.attempt("a", "failure")
    counters.metrics.count("gateway_retries", "a", "timeout", amount=2.0)
    counters.metrics.count("gateway_broken_responses", "a", "connection_reset")
    tally = counters.change().providers["a"]
    assert (tally.attempts, tally.retries, tally.broken) == ({"failure": 1.0}, {"timeout": 2.0}, 1.0)
    assert tally.requests == 0.0


def test_tokens_and_cost_are_summed_and_no_cost_is_not_0() -> None:
    counters = Counters()
    counters.metrics.tokens("a", "x", Tokens(input=10, output=5, cached=4, reasoning=3), Price(1e6, 2e6, 0.0))
    counters.metrics.tokens("a", "y", Tokens(input=1, output=1), None)
    tally = counters.change().providers["a"]
    assert tally.tokens == {"input": 11.0, "output": 6.0, "cached": 4.0, "reasoning": 3.0}
    assert tally.tokens_used == 17.0
    assert tally.cost_usd == tally.models["x"].cost_usd == 6.0 + 10.0
    assert tally.models["y"].cost_usd is None


def test_gauges_and_what_was_before_are_no_part_of_a_change() -> None:
    counters = Counters()
    counters.finish()
    counters.metrics.set_gauges("gateway_upstream_connections", {"gone": 7.0})
    before = counters.read()
    counters.now = 4.0
    counters.finish("b")  # a series that the reading before had not
    counters.metrics.set_gauges("gateway_upstream_connections", {"gone": 9.0})
    change = Change(before, counters.read())
    assert (change.seconds, change.total.requests) == (4.0, 1.0)
    assert list(change.providers) == ["b"]


@pytest.mark.parametrize(("seconds", "rate"), [(0.0, None), (0.999, None), (1.0, 6.0), (60.0, 0.1)])
def test_a_rate_needs_a_second(seconds: float, rate: float | None) -> None:
    assert Counters().change(seconds).per_s(6.0) == rate


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from((200, 429, 500)))))
def test_changes_one_after_the_other_add_up(requests: list[tuple[str, str, int]]) -> None:
    counters = Counters()
    readings = [counters.read()]
    for provider, model, status in requests:
        counters.now += 2.0
        counters.finish(provider, model, status)
        readings.append(counters.read())
    changes = [Change(before, after) for before, after in itertools.pairwise(readings)]
    whole = Change(readings[0], readings[-1])
    assert sum(change.total.requests for change in changes) == whole.total.requests == len(requests)
    assert sum(change.total.retryable_errors for change in changes) == whole.total.retryable_errors
