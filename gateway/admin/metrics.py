"""`GET /metrics`: the family's counters in the Prometheus text format, the same whichever worker answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from gateway.admin.health import Client, Watched
from gateway.observe.metrics import DESCRIPTIONS, Description, Reading
from gateway.observe.slab import GAUGE, Series
from gateway.resilience.breaker import State

OWN_DESCRIPTIONS: Final = {
    "gateway_circuit_state": Description("gauge", "0 closed, 1 half-open, 2 open.", ("provider",)),
    "gateway_build_info": Description("gauge", "Version and build; always 1.", ("version", "speedups")),
}
"""What is not counted but known."""

_STATE_NUMBERS: Final = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


class MetricsPage(Collector):
    """Formats a `reading` of the counters, and the state of the circuits, which all workers share."""

    def __init__(
        self,
        *,
        reading: Callable[[], Reading],
        providers: Callable[[], Sequence[Watched]],
        clock: Callable[[], float],
        version: str,
        speedups: str,
    ) -> None:
        self._reading = reading
        self._providers = providers
        self._clock = clock
        self._version = version
        self._speedups = speedups
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def page(self, request: object, client: Client) -> None:
        """Answer with all metrics."""
        fields = [b"content-type: %b\r\n" % CONTENT_TYPE_LATEST.encode(), *client.date_field()]
        client.respond(200, fields, generate_latest(self._registry))

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        reading = self._reading()
        by_metric: dict[str, list[Series]] = {name: [] for name in DESCRIPTIONS}
        for series in reading.series:
            by_metric[series.metric].append(series)
        for name, description in DESCRIPTIONS.items():
            yield _family(name.removeprefix(GAUGE), description, by_metric[name], reading)
        yield self._own("gateway_circuit_state", self._circuits())
        yield self._own("gateway_build_info", [((self._version, self._speedups), 1.0)])

    def _circuits(self) -> Iterator[tuple[tuple[str], float]]:
        now = self._clock()
        for watched in self._providers():
            if watched.policy.breaker is not None:
                yield (watched.name,), _STATE_NUMBERS[watched.policy.breaker.state(now)]

    @staticmethod
    def _own(name: str, values: Iterable[tuple[Sequence[str], float]]) -> Metric:
        description = OWN_DESCRIPTIONS[name]
        family = GaugeMetricFamily(name, description.text, labels=description.labels)
        for labels, value in values:
            family.add_metric(labels, value)
        return family


def _family(name: str, description: Description, series: list[Series], reading: Reading) -> Metric:
    labels = list(description.labels)
    if description.kind == "histogram":
        histogram = HistogramMetricFamily(name, description.text, labels=labels)
        for one in series:
            counts, total = reading.buckets(one)
            histogram.add_metric(list(one.labels), _cumulative(counts, description.buckets), total)
        return histogram
    family_class = CounterMetricFamily if description.kind == "counter" else GaugeMetricFamily
    family = family_class(name, description.text, labels=labels)
    for one in series:
        family.add_metric(list(one.labels), reading.value(one))
    return family


def _cumulative(counts: list[float], bounds: tuple[float, ...]) -> list[tuple[str, float]]:
    buckets = []
    total = 0.0
    for count, bound in zip(counts, [*map(str, bounds), "+Inf"], strict=True):
        total += count
        buckets.append((bound, total))
    return buckets
