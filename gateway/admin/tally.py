"""What was counted between two readings of the counters, summed up by provider and by model.

Counters only grow, and a series keeps its place, so a difference of two readings is what happened between
them. Gauges are no part of it. A percentile of a histogram is interpolated as Prometheus does it:
https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from gateway.observe.metrics import LATENCY_BUCKETS, OVERHEAD_BUCKETS, UNROUTED, Reading
from gateway.observe.slab import GAUGE, Series

CLIENT, LIMITED, GONE, SERVER, TIMEOUT = "client", "limited", "gone", "server", "timeout"
_SPECIAL: Final = {429: LIMITED, 499: GONE, 504: TIMEOUT}
_RETRYABLE: Final = (LIMITED, SERVER, TIMEOUT)


def error_class(status: int) -> str | None:
    """Which class of errors an HTTP status (100 to 999) belongs to; None where it is no error."""
    if status < 400:
        return None
    return _SPECIAL.get(status) or (CLIENT if status < 500 else SERVER)


def percentile(counts: Sequence[float], bounds: Sequence[float], share: float) -> float | None:
    """The value that `share` (0 to 1) of the observations do not exceed; None where there are none.

    `counts` are those of each bucket up to its bound, and last of the one without; what lies there counts as
    the last bound.
    """
    rank = share * sum(counts)
    if not any(counts):
        return None
    seen = lower = 0.0
    for count, bound in zip(counts, bounds, strict=False):
        if count and seen + count >= rank:
            return lower + (bound - lower) * (rank - seen) / count
        seen += count
        lower = bound
    return bounds[-1]


class Tally:
    """Requests of one kind: all, those of a provider, or those of a model there."""

    def __init__(self) -> None:
        self.requests = 0.0
        self.errors: defaultdict[str, float] = defaultdict(float)
        self.latency = [0.0] * (len(LATENCY_BUCKETS) + 1)
        self.first_byte = [0.0] * (len(LATENCY_BUCKETS) + 1)
        self.tokens: defaultdict[str, float] = defaultdict(float)
        self.cost_usd: float | None = None

    @property
    def retryable_errors(self) -> float:
        """Errors that a client would want tried again."""
        return sum(self.errors[kind] for kind in _RETRYABLE)

    @property
    def tokens_used(self) -> float:
        """Input and output."""
        return self.tokens["input"] + self.tokens["output"]

    def add(self, metric: str, label: str, values: Sequence[float]) -> None:
        """Take in what one series of `metric` counted; `label` is that behind provider and model."""
        match metric:
            case "gateway_requests":
                self.requests += values[0]
                kind = error_class(int(label))
                if kind is not None:
                    self.errors[kind] += values[0]
            case "gateway_request_duration_seconds":
                self.latency = _sum(self.latency, values)
            case "gateway_time_to_first_byte_seconds":
                self.first_byte = _sum(self.first_byte, values)
            case "gateway_tokens":
                self.tokens[label] += values[0]
            case "gateway_cost_usd":
                self.cost_usd = (self.cost_usd or 0.0) + values[0]


class ProviderTally(Tally):
    """The requests of a provider, and its attempts; fallbacks are by the other provider and the reason."""

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[str, Tally] = {}
        self.attempts: defaultdict[str, float] = defaultdict(float)
        self.retries: defaultdict[str, float] = defaultdict(float)
        self.broken = 0.0
        self.fallbacks_out: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.fallbacks_in: defaultdict[tuple[str, str], float] = defaultdict(float)


class Change:
    """What happened from `before` to `after`, two readings of the same counters."""

    def __init__(self, before: Reading, after: Reading) -> None:
        self.seconds = after.at_s - before.at_s
        self.total = Tally()
        self.overhead = [0.0] * (len(OVERHEAD_BUCKETS) + 1)
        self.providers: dict[str, ProviderTally] = {}
        self.refused = 0.0
        for series, values in _counted(before, after):
            self._add(series.metric, series.labels, values)

    def __repr__(self) -> str:
        return f"<Change in {self.seconds:g} s, {self.total.requests:g} requests>"

    def per_s(self, amount: float) -> float | None:
        """`amount` a second; None where the time is too short to tell."""
        return amount / self.seconds if self.seconds >= 1.0 else None

    def _add(self, metric: str, labels: tuple[str, ...], values: list[float]) -> None:
        match (metric, *labels):
            case "gateway_overhead_seconds", *_:
                self.overhead = _sum(self.overhead, values)
            case "gateway_upstream_attempts", provider, outcome:
                self._provider(provider).attempts[outcome] += values[0]
            case "gateway_retries", provider, reason:
                self._provider(provider).retries[reason] += values[0]
            case "gateway_broken_responses", provider, _:
                self._provider(provider).broken += values[0]
            case "gateway_fallbacks", before, after, reason:
                self._provider(before).fallbacks_out[after, reason] += values[0]
                self._provider(after).fallbacks_in[before, reason] += values[0]
            case _, provider, model, *rest if metric in _TRAFFIC:
                self._add_traffic(metric, provider, model, rest[0] if rest else "", values)

    def _add_traffic(self, metric: str, provider: str, model: str, label: str, values: list[float]) -> None:
        self.total.add(metric, label, values)
        if provider == UNROUTED:
            self.refused += values[0]
            return
        tally = self._provider(provider)
        tally.add(metric, label, values)
        tally.models.setdefault(model, Tally()).add(metric, label, values)

    def _provider(self, name: str) -> ProviderTally:
        tally = self.providers.get(name)
        if tally is None:
            tally = self.providers[name] = ProviderTally()
        return tally


_TRAFFIC: Final = {
    "gateway_requests",
    "gateway_request_duration_seconds",
    "gateway_time_to_first_byte_seconds",
    "gateway_tokens",
    "gateway_cost_usd",
}


def _counted(before: Reading, after: Reading) -> Iterator[tuple[Series, list[float]]]:
    """The series in which something was counted, and what, slot by slot."""
    slots = [new - old for new, old in zip_longest(after.slots, before.slots, fillvalue=0.0)]
    for series in after.series:
        values = slots[series.start : series.start + series.width]
        if any(values) and not series.metric.startswith(GAUGE):
            yield series, values


def _sum(buckets: list[float], values: Sequence[float]) -> list[float]:
    """Histograms added up; the last of `values` is no bucket but the sum of what was observed."""
    return [one + other for one, other in zip(buckets, values[:-1], strict=True)]
