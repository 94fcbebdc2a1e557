"""`GET /metrics`: valid Prometheus text, every documented metric in it, right over several workers.

With GATEWAY_TEST_PROMTOOL=promtool in the environment, the program of that name (Debian package `prometheus`)
checks the page too.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway._speedups import TallyCore
from gateway.admin.health import Watched
from gateway.admin.metrics import OWN_DESCRIPTIONS, MetricsPage
from gateway.observe.metrics import DESCRIPTIONS, Metrics, read
from gateway.observe.slab import GAUGE, Slab
from gateway.resilience.breaker import CircuitBreaker
from gateway.resilience.outcome import Outcome
from gateway.resilience.plan import Policy

PROMTOOL = os.environ.get("GATEWAY_TEST_PROMTOOL")
AWKWARD = 'a "b" \\ c\n模 {x="y"}'


class Client:
    """What a page was answered with."""

    def respond(self, status: int, fields: list[bytes], body: bytes) -> None:
        self.status, self.fields, self.body = status, b"".join(fields), body

    def date_field(self) -> tuple[bytes, ...]:
        return (b"date: now\r\n",)


def text(metrics: Metrics, providers: Sequence[Watched] = (), now: float = 0.0) -> str:
    clock: Callable[[], float] = lambda: now  # noqa: E731 - it is a value here
    page = MetricsPage(
        reading=lambda: read(metrics.slab, clock),
        providers=lambda: providers,
        clock=clock,
        version="1.2.3",
        speedups="pure",
    )
    client = Client()
    page.page(None, client)
    assert client.status == 200
    assert client.fields.startswith(b"content-type: text/plain; version=")
    return client.body.decode()


def families(shown: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(shown)}


def values(shown: str) -> dict[tuple[str, ...], float]:
    """Samples by name and label values, in the order of the label names."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in families(shown).values()
        for sample in family.samples
    }


def with_everything() -> Metrics:
    """Something in every series."""
    metrics = Metrics(Slab(2), TallyCore)
    for key, description in DESCRIPTIONS.items():
        width = len(description.buckets) + 2 if description.buckets else 1
        labels = tuple(f"{label}-{AWKWARD}" for label in description.labels)
        metrics.slab.cells[metrics.slab.slots(key, labels, width)] = 2.0
    return metrics


def test_everything_that_is_described_is_shown() -> None:
    shown = families(text(with_everything(), [Watched("a", "openai", Policy("a"), None)]))
    for key, description in (DESCRIPTIONS | OWN_DESCRIPTIONS).items():
        family = shown.pop(key.removeprefix(GAUGE))
        assert (family.type, family.documentation) == (description.kind, description.text)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(description.labels)
    assert not shown


def test_label_values_come_through_whatever_they_hold() -> None:
    (sample,) = families(text(with_everything()))["gateway_retries"].samples
    assert sample.labels == {"provider": f"provider-{AWKWARD}", "reason": f"reason-{AWKWARD}"}


def test_histograms_are_cumulative_and_end_in_their_count() -> None:
    metrics = Metrics(Slab(), TallyCore)
    start = metrics.slab.slots("gateway_overhead_seconds")
    for bucket, count in ((0, 2.0), (1, 3.0), (13, 1.0)):  # the last is the one without a bound
        metrics.slab.cells[start + bucket] = count
    metrics.slab.cells[start + 14] = 1.5
    found = values(text(metrics))
    assert found["gateway_overhead_seconds_bucket", "5e-05"] == 2.0
    assert found["gateway_overhead_seconds_bucket", "0.0001"] == 5.0
    assert found["gateway_overhead_seconds_bucket", "1.0"] == 5.0
    assert found["gateway_overhead_seconds_bucket", "+Inf"] == 6.0
    assert found["gateway_overhead_seconds_count",] == 6.0
    assert found["gateway_overhead_seconds_sum",] == 1.5


def test_the_rows_of_all_workers_are_summed() -> None:
    metrics = Metrics(Slab(2), TallyCore)
    metrics.attempt("a", "success")
    metrics.slab.use_row(1)
    metrics.attempt("a", "success")
    metrics.request_started()
    found = values(text(metrics))
    assert found["gateway_upstream_attempts_total", "success", "a"] == 2.0
    assert found["gateway_inflight_requests",] == 1.0


@pytest.mark.parametrize(("now", "expected"), [(0.0, 2.0), (29.9, 2.0), (30.0, 1.0)])
def test_a_circuit_is_read_once_and_has_a_number(now: float, expected: float) -> None:
    breaker = CircuitBreaker(1, 30.0)
    watched = [
        Watched("a", "openai", Policy("a", breaker=breaker), None),
        Watched("b", "mock", Policy("b"), None),
    ]
    assert values(text(Metrics(Slab(2), TallyCore), watched))["gateway_circuit_state", "a"] == 0.0
    breaker.record(breaker.acquire(0.0), Outcome.FAILURE, 0.0)
    found = values(text(Metrics(Slab(2), TallyCore), watched, now))
    assert found["gateway_circuit_state", "a"] == expected
    assert ("gateway_circuit_state", "b") not in found


def test_the_build_is_told() -> None:
    (sample,) = families(text(Metrics(Slab(), TallyCore)))["gateway_build_info"].samples
    assert (sample.labels, sample.value) == ({"version": "1.2.3", "speedups": "pure"}, 1.0)


@pytest.mark.skipif(PROMTOOL is None, reason="GATEWAY_TEST_PROMTOOL names no promtool")
def test_promtool_finds_nothing_to_complain_about() -> None:
    assert PROMTOOL is not None
    shown = text(with_everything(), [Watched("a", "openai", Policy("a", breaker=CircuitBreaker()), None)])
    done = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=shown, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
