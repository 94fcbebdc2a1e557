"""What requests, attempts, tokens and gauges leave in the counters, and what happens when those are full."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import pytest

from gateway._speedups import TallyCore
from gateway.observe import slab as slab_module
from gateway.observe.metrics import (
    DESCRIPTIONS,
    LATENCY_BUCKETS,
    OVERHEAD_BUCKETS,
    Metrics,
    Reading,
    read,
)
from gateway.observe.slab import GAUGE, Slab
from gateway.observe.usage import Price, Tokens


class Request(NamedTuple):
    """A finished request, as the metrics see it."""

    status: int = 200
    upstream_s: float = 0.0
    waited_s: float = 0.0
    first_byte_s: float = 0.0


def values(slab: Slab) -> dict[tuple[str, ...], float]:
    """Counters and gauges by metric and labels; histograms are left out."""
    reading = read(slab, lambda: 0.0)
    return {(one.metric, *one.labels): reading.value(one) for one in reading.series if one.width == 1}


def buckets(slab: Slab, metric: str, *labels: str) -> tuple[list[float], float]:
    reading = read(slab, lambda: 0.0)
    (found,) = [one for one in reading.series if (one.metric, one.labels) == (metric, labels)]
    return reading.buckets(found)


# -- requests


def test_a_request_is_counted_once_by_provider_model_and_code() -> None:
    slab = Slab()
    metrics = Metrics(slab, TallyCore)
    for status in (200, 200, 503):
        metrics.request_started()
        metrics.request_finished("a", "m", Request(status), 10.0, 10.5)
    found = values(slab)
    assert found["gateway_requests", "a", "m", "200"] == 2.0
    assert found["gateway_requests", "a", "m", "503"] == 1.0
    counts, total = buckets(slab, "gateway_request_duration_seconds", "a", "m")
    assert (sum(counts), total) == (3.0, 1.5)


def test_requests_are_in_flight_from_start_to_finish() -> None:
    slab = Slab()
    metrics = Metrics(slab, TallyCore)
    metrics.request_started()
    metrics.request_started()
    assert values(slab)[f"{GAUGE}gateway_inflight_requests",] == 2.0
    metrics.request_finished("a", "m", Request(), 0.0, 1.0)
    assert values(slab)[f"{GAUGE}gateway_inflight_requests",] == 1.0


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [
        (0.0, 0),
        (LATENCY_BUCKETS[0], 0),  # a bound is part of its bucket
        (math.nextafter(LATENCY_BUCKETS[0], 1.0), 1),
        (0.3, LATENCY_BUCKETS.index(0.5)),
        (LATENCY_BUCKETS[-1], len(LATENCY_BUCKETS) - 1),
        (LATENCY_BUCKETS[-1] + 1.0, len(LATENCY_BUCKETS)),
    ],
)
def test_a_duration_falls_into_the_bucket_of_the_next_bound(seconds: float, bucket: int) -> None:
    slab = Slab()
    Metrics(slab, TallyCore).request_finished("a", "m", Request(), 0.0, seconds)
    counts, total = buckets(slab, "gateway_request_duration_seconds", "a", "m")
    assert [number for number, count in enumerate(counts) if count] == [bucket]
    assert total == seconds


def test_the_own_part_is_what_providers_and_waits_do_not_explain() -> None:
    slab = Slab()
    request = Request(upstream_s=2.0, waited_s=1.0, first_byte_s=103.004)
    Metrics(slab, TallyCore).request_finished("a", "m", request, 100.0, 110.0)
    counts, total = buckets(slab, "gateway_overhead_seconds")
    assert counts[OVERHEAD_BUCKETS.index(0.005)] == 1.0
    assert total == pytest.approx(0.004)
    counts, total = buckets(slab, "gateway_time_to_first_byte_seconds", "a", "m")
    assert counts[LATENCY_BUCKETS.index(5.0)] == 1.0
    assert total == pytest.approx(3.004)


def test_a_request_without_a_first_byte_has_neither() -> None:
    slab = Slab()
    Metrics(slab, TallyCore).request_finished("a", "m", Request(499), 0.0, 1.0)
    assert buckets(slab, "gateway_time_to_first_byte_seconds", "a", "m") == ([0.0] * 17, 0.0)
    assert sum(buckets(slab, "gateway_overhead_seconds")[0]) == 0.0


# -- the rest


def test_attempts_and_other_counters_add_up() -> None:
    slab = Slab()
    metrics = Metrics(slab, TallyCore)
    for outcome in ("success", "failure", "failure"):
        metrics.attempt("a", outcome)
    metrics.count("gateway_retries", "a", "timeout")
    metrics.count("gateway_retries", "a", "timeout", amount=2.0)
    found = values(slab)
    assert found["gateway_upstream_attempts", "a", "success"] == 1.0
    assert found["gateway_upstream_attempts", "a", "failure"] == 2.0
    assert found["gateway_retries", "a", "timeout"] == 3.0


def test_tokens_are_counted_by_type_and_cost_only_where_a_price_is_known() -> None:
    slab = Slab()
    metrics = Metrics(slab, TallyCore)
    metrics.tokens("a", "m", Tokens(input=100, output=20, cached=40, reasoning=5), None)
    assert ("gateway_cost_usd", "a", "m") not in values(slab)
    metrics.tokens("a", "m", Tokens(input=1_000_000), Price(input=2.5, output=10.0, cached=1.25))
    found = values(slab)
    assert found["gateway_tokens", "a", "m", "input"] == 1_000_100.0
    assert found["gateway_tokens", "a", "m", "output"] == 20.0
    assert found["gateway_tokens", "a", "m", "cached"] == 40.0
    assert found["gateway_tokens", "a", "m", "reasoning"] == 5.0
    assert found["gateway_cost_usd", "a", "m"] == 2.5


def test_gauges_are_set_and_labels_that_went_away_become_0() -> None:
    slab = Slab(2)
    slab.use_row(1)
    Metrics(slab, TallyCore).set_gauges("gateway_upstream_connections", {"a": 10.0})
    slab.use_row(0)  # another worker
    metrics = Metrics(slab, TallyCore)
    metrics.set_gauges("gateway_upstream_connections", {"a": 3.0, "b": 4.0})
    metrics.set_gauges("gateway_upstream_connections", {"b": 5.0})
    found = values(slab)
    assert found[f"{GAUGE}gateway_upstream_connections", "a"] == 10.0
    assert found[f"{GAUGE}gateway_upstream_connections", "b"] == 5.0


def test_a_successor_that_finds_its_series_goes_on_with_them() -> None:
    slab = Slab(2)
    slab.use_row(1)
    first = Metrics(slab, TallyCore)
    first.request_started()
    first.request_started()
    first.request_finished("a", "m", Request(), 0.0, 1.0)
    slab.use_row(1)
    second = Metrics(slab, TallyCore)
    second.request_started()
    second.request_finished("a", "m", Request(), 0.0, 1.0)
    assert values(slab)["gateway_requests", "a", "m", "200"] == 2.0
    assert values(slab)[f"{GAUGE}gateway_inflight_requests",] == 0.0  # nobody answers what the first one left


# -- full


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> tuple[Slab, Metrics]:
    """There is room for the fixed series and one small one more."""
    monkeypatch.setattr(slab_module, "MAX_SLOTS", len(OVERHEAD_BUCKETS) + 2 + 3)
    slab = Slab()
    return slab, Metrics(slab, TallyCore)


def test_what_finds_no_room_is_counted_as_dropped_once_each(full: tuple[Slab, Metrics]) -> None:
    slab, metrics = full
    metrics.attempt("a", "success")
    metrics.attempt("a", "failure")
    metrics.attempt("a", "failure")
    metrics.count("gateway_retries", "a", "timeout")
    metrics.request_started()
    metrics.request_finished("a", "m", Request(), 0.0, 1.0)
    metrics.tokens("a", "m", Tokens(1, 1), None)
    metrics.set_gauges("gateway_upstream_connections", {"a": 1.0})  # a gauge is no observation
    found = values(slab)
    assert found["gateway_upstream_attempts", "a", "success"] == 1.0
    assert found["gateway_dropped_observations",] == 5.0
    assert found[f"{GAUGE}gateway_inflight_requests",] == 0.0
    assert len(found) == 3


def test_what_found_no_room_does_not_ask_again(
    full: tuple[Slab, Metrics], monkeypatch: pytest.MonkeyPatch
) -> None:
    slab, metrics = full
    metrics.attempt("a", "success")
    metrics.attempt("a", "failure")
    monkeypatch.setattr(
        slab, "slots", lambda *_: pytest.fail("it takes a lock to find out that nothing changed")
    )
    metrics.attempt("a", "failure")
    assert values(slab)["gateway_dropped_observations",] == 2.0


# -- the table


@pytest.mark.parametrize("key", DESCRIPTIONS)
def test_names_follow_the_conventions(key: str) -> None:
    # https://prometheus.io/docs/practices/naming/
    description = DESCRIPTIONS[key]
    name = key.removeprefix(GAUGE)
    assert re.fullmatch(r"gateway_[a-z]+(_[a-z]+)*", name)
    assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_info"))
    assert (description.kind == "gauge") == key.startswith(GAUGE)
    assert (description.kind == "histogram") == name.endswith("_seconds") == bool(description.buckets)
    assert description.text.endswith(".")
    assert "le" not in description.labels
    assert list(description.buckets) == sorted(set(description.buckets))


def test_a_reading_tells_its_time() -> None:
    slab = Slab()
    reading = read(slab, lambda: 42.0)
    assert isinstance(reading, Reading)
    assert reading.at_s == 42.0
