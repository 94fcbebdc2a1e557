"""What was counted between two readings of the counters, summed up by provider and by model.

Counters only grow, and a series keeps its place, so a difference of two readings is what happened between
them. Gauges are no part of it. A percentile of a histogram is interpolated as Prometheus does it:
https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate, chain, repeat
from operator import sub
from typing import Final

from gateway.observe.metrics import LATENCY_BUCKETS, OVERHEAD_BUCKETS, UNROUTED, Reading
from gateway.observe.slab import GAUGE, Series

CLIENT, LIMITED, GONE, SERVER, TIMEOUT = "client", "limited", "gone", "server", "timeout"
_SPECIAL: Final = {429: LIMITED, 499: GONE, 504: TIMEOUT}
_RETRYABLE: Final = (LIMITED, SERVER, TIMEOUT)
_TRAFFIC: Final = {
    "gateway_requests",
    "gateway_request_duration_seconds",
    "gateway_time_to_first_byte_seconds",
    "gateway_tokens",
    "gateway_cost_usd",
}
_NO_LATENCY: Final[Sequence[float]] = (0.0,) * (len(LATENCY_BUCKETS) + 1)
_NO_OVERHEAD: Final[Sequence[float]] = (0.0,) * (len(OVERHEAD_BUCKETS) + 1)


def error_class(status: int) -> str | None:
    """Which class of errors an HTTP status (100 to 999) belongs to; None where it is no error."""
    if status < 400:
        return None
    return _SPECIAL.get(status) or (CLIENT if status < 500 else SERVER)


def percentiles(
    counts: Sequence[float], bounds: Sequence[float], shares: Sequence[float]
) -> list[float | None]:
    """The values that each of `shares` (above 0, to 1) of the observations does not exceed; None without any.

    `counts` are those of each bucket up to its bound, and last of the one without; what lies there counts as
    the last bound.
    """
    up_to = list(accumulate(counts))
    if not up_to[-1]:
        return [None] * len(shares)
    return [_interpolated(up_to, bounds, share * up_to[-1]) for share in shares]


def _interpolated(up_to: Sequence[float], bounds: Sequence[float], rank: float) -> float:
    index = bisect_left(up_to, rank)
    if index >= len(bounds):
        return bounds[-1]
    before, lower = (up_to[index - 1], bounds[index - 1]) if index else (0.0, 0.0)
    return lower + (bounds[index] - lower) * (rank - before) / (up_to[index] - before)


class Tally:
    """Requests of one kind: all, those of a provider, or those of a model there."""

    def __init__(self) -> None:
        self.requests = 0.0
        self.errors: defaultdict[str, float] = defaultdict(float)
        self.latency = _NO_LATENCY
        self.first_byte = _NO_LATENCY
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

    def take(self, metric: str, label: str, values: Sequence[float]) -> None:
        """Take in what one series of `metric` counted; `label` is that behind provider and model."""
        match metric:
            case "gateway_requests":
                self.requests += values[0]
                kind = error_class(int(label))
                if kind is not None:
                    self.errors[kind] += values[0]
            case "gateway_request_duration_seconds":
                self.latency = values[:-1]  # the last is no bucket but the sum of what was observed
            case "gateway_time_to_first_byte_seconds":
                self.first_byte = values[:-1]
            case "gateway_tokens":
                self.tokens[label] += values[0]
            case "gateway_cost_usd":
                self.cost_usd = values[0]

    def sum_up(self, parts: Collection[Tally]) -> None:
        """Become the sum of `parts`."""
        costs = [part.cost_usd for part in parts if part.cost_usd is not None]
        self.requests = sum(part.requests for part in parts)
        self.latency = _columns(part.latency for part in parts)
        self.first_byte = _columns(part.first_byte for part in parts)
        self.cost_usd = sum(costs) if costs else None
        for part in parts:
            for kind, amount in part.errors.items():
                self.errors[kind] += amount
            for kind, amount in part.tokens.items():
                self.tokens[kind] += amount


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
    """What happened from `before` to `after`, two readings of the same counters.

    `refused` are the requests for which no provider was chosen; they are in `total` too.
    """

    def __init__(self, before: Reading, after: Reading) -> None:
        self.seconds = after.at_s - before.at_s
        self.total = Tally()
        self.refused = Tally()
        self.overhead: Sequence[float] = _NO_OVERHEAD
        self.providers: dict[str, ProviderTally] = {}
        for series, values in _counted(before, after):
            self._take(series.metric, series.labels, values)
        for provider in self.providers.values():
            provider.sum_up(provider.models.values())
        self.total.sum_up([self.refused, *self.providers.values()])

    def __repr__(self) -> str:
        return f"<Change in {self.seconds:g} s, {self.total.requests:g} requests>"

    def per_s(self, amount: float) -> float | None:
        """`amount` a second; None where the time is too short to tell."""
        return amount / self.seconds if self.seconds >= 1.0 else None

    def _take(self, metric: str, labels: tuple[str, ...], values: array[float]) -> None:
        match (metric, *labels):
            case "gateway_overhead_seconds", *_:
                self.overhead = values[:-1]
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
                self._traffic(provider, model).take(metric, rest[0] if rest else "", values)

    def _provider(self, name: str) -> ProviderTally:
        return self.providers.get(name) or self.providers.setdefault(name, ProviderTally())

    def _traffic(self, provider: str, model: str) -> Tally:
        if provider == UNROUTED:
            return self.refused
        models = self._provider(provider).models
        return models.get(model) or models.setdefault(model, Tally())


def _counted(before: Reading, after: Reading) -> Iterator[tuple[Series, array[float]]]:
    """The series in which something was counted, and what, slot by slot."""
    zeros = repeat(0.0, len(after.slots) - len(before.slots))
    slots = array("d", map(sub, after.slots, chain(before.slots, zeros)))
    for series in after.series:
        values = slots[series.start : series.start + series.width]
        if any(values) and not series.metric.startswith(GAUGE):
            yield series, values


def _columns(rows: Iterable[Sequence[float]]) -> Sequence[float]:
    """Histograms added up."""
    return [sum(column) for column in zip(*rows, strict=True)] or _NO_LATENCY
