"""What is counted, in which series, and with which labels. DESCRIPTIONS is the one table of all metrics.

Label sets are closed: providers and models by configuration, codes and reasons by their enumerations. What
finds no room any more is not counted, and gateway_dropped_observations says how often that was. Observing
costs a few additions in shared memory; formatting is for whoever reads.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from gateway.observe.slab import GAUGE, Series, Slab, SlabFullError
from gateway.observe.usage import Price, Tokens

LATENCY_BUCKETS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    *(2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)
OVERHEAD_BUCKETS: Final = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025),
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0),
)
UNROUTED: Final = "none"
"""Stands for the provider of a request that was refused before one was chosen."""


class Description(NamedTuple):
    """A metric: what it says, its labels, and its upper bucket bounds in seconds where it is a histogram.

    Its key in the table has no `_total`: prometheus-client adds that to a counter.
    """

    kind: str
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


DESCRIPTIONS: Final = {
    "gateway_requests": Description(
        "counter", "Data requests, by the provider that answered last.", ("provider", "model", "code")
    ),
    "gateway_request_duration_seconds": Description(
        "histogram",
        "From the whole request to the end of its answer.",
        ("provider", "model"),
        LATENCY_BUCKETS,
    ),
    "gateway_time_to_first_byte_seconds": Description(
        "histogram",
        "From the whole request to the first byte of its answer.",
        ("provider", "model"),
        LATENCY_BUCKETS,
    ),
    "gateway_overhead_seconds": Description(
        "histogram", "What the gateway itself added before the first byte.", (), OVERHEAD_BUCKETS
    ),
    "gateway_upstream_attempts": Description(
        "counter", "Attempts at providers: success, failure or neutral.", ("provider", "outcome")
    ),
    "gateway_broken_responses": Description(
        "counter", "Responses that broke off after their first bytes had gone out.", ("provider", "reason")
    ),
    "gateway_retries": Description(
        "counter", "Further attempts at the same provider.", ("provider", "reason")
    ),
    "gateway_fallbacks": Description(
        "counter", "Requests passed on to the next provider.", ("from", "to", "reason")
    ),
    "gateway_circuit_transitions": Description(
        "counter", "Changes of a circuit's state.", ("provider", "from_state", "to_state")
    ),
    "gateway_tokens": Description(
        "counter",
        "Tokens by the providers' own count: input (of which cached) and output (of which reasoning).",
        ("provider", "model", "type"),
    ),
    "gateway_cost_usd": Description(
        "counter", "What the tokens cost by the configured prices, in US dollars.", ("provider", "model")
    ),
    f"{GAUGE}gateway_inflight_requests": Description("gauge", "Data requests being answered."),
    f"{GAUGE}gateway_open_connections": Description(
        "gauge", "Open connections: client or upstream.", ("side",)
    ),
    f"{GAUGE}gateway_upstream_connections": Description(
        "gauge", "Open connections to a provider, used or not.", ("provider",)
    ),
    f"{GAUGE}gateway_upstream_inflight_requests": Description(
        "gauge", "Requests that a provider is answering.", ("provider",)
    ),
    f"{GAUGE}gateway_upstream_queued_requests": Description(
        "gauge", "Requests that wait for a connection to a provider.", ("provider",)
    ),
    "gateway_dropped_observations": Description(
        "counter", "What was not counted because there was no room for another series."
    ),
}


class Tally(Protocol):
    """Adds to slots (see `gateway._speedups.tally`)."""

    def add(self, slot: int, amount: float) -> None: ...
    def tokens(
        self, slots: list[int], of_input: float, of_output: float, cached: float, reasoning: float
    ) -> None: ...
    def started(self) -> None: ...
    def ended(self) -> None: ...
    def finished(
        self, slots: tuple[int, int, int, int], duration_s: float, first_byte_s: float, own_s: float
    ) -> None: ...


class Tallies(Protocol):
    """Makes the tally over cells, with the bounds of latencies and overhead, and the slots of two series."""

    def __call__(
        self,
        cells: memoryview[float],
        latency_bounds: tuple[float, ...],
        overhead_bounds: tuple[float, ...],
        overhead: int,
        inflight: int,
    ) -> Tally: ...


class Observed(Protocol):
    """What a finished request is counted by; times in seconds, `first_byte_s` 0 where there was none."""

    @property
    def status(self) -> int: ...
    @property
    def upstream_s(self) -> float: ...
    @property
    def waited_s(self) -> float: ...
    @property
    def first_byte_s(self) -> float: ...


class Metrics:
    """Counts in `slab`, in the row that is this worker's by now, by means of a tally."""

    def __init__(self, slab: Slab, tally: Tallies) -> None:
        self.slab = slab
        self._requests: dict[tuple[str, str, int, str | None], tuple[int, int, int, int]] = {}
        self._attempts: dict[tuple[str, str], int] = {}
        self._tokens: dict[tuple[str, str], list[int]] = {}
        overhead = slab.slots("gateway_overhead_seconds", (), len(OVERHEAD_BUCKETS) + 2)
        inflight = slab.slots(f"{GAUGE}gateway_inflight_requests")
        self._tally = tally(slab.cells, LATENCY_BUCKETS, OVERHEAD_BUCKETS, overhead, inflight)
        self._dropped = slab.slots("gateway_dropped_observations")
        self._homeless: set[tuple[str, tuple[str, ...]]] = set()
        self._gauges: dict[str, set[str]] = {}
        self.request_started = self._tally.started

    def request_finished(
        self,
        provider: str,
        model: str,
        request: Observed,
        received_s: float,
        now: float,
        outcome: str | None = None,
    ) -> None:
        """A request has its answer, or its client has left; `outcome` is of an attempt not yet counted."""
        key = (provider, model, request.status, outcome)
        slots = self._requests.get(key) or self._request_slots(*key)
        if slots is None:
            self._tally.ended()
            return
        first_byte_s = request.first_byte_s
        own_s = 0.0
        if first_byte_s:
            first_byte_s -= received_s
            own_s = max(0.0, first_byte_s - request.upstream_s - request.waited_s)
        self._tally.finished(slots, now - received_s, first_byte_s, own_s)

    def attempt(self, provider: str, outcome: str) -> None:
        """An attempt at `provider` ended as success, failure or neutral."""
        slot = self._attempts.get((provider, outcome))
        if slot is None:
            slots = self._slots(("gateway_upstream_attempts", (provider, outcome), 1))
            if slots is None:
                return
            slot = self._attempts[provider, outcome] = slots[0]
        self._tally.add(slot, 1.0)

    def tokens(self, provider: str, model: str, tokens: Tokens, price: Price | None) -> None:
        """A request used `tokens`, at `price` where one is known."""
        slots = self._tokens.get((provider, model))
        if slots is None:
            slots = self._slots(*(("gateway_tokens", (provider, model, kind), 1) for kind in Tokens._fields))
            if slots is None:
                return
            self._tokens[provider, model] = slots
        self._tally.tokens(slots, *tokens)
        if price is not None:
            self.count("gateway_cost_usd", provider, model, amount=price.cost(tokens))

    def count(self, metric: str, *labels: str, amount: float = 1.0) -> None:
        """Add to a counter that is not on every request's path."""
        slots = self._slots((metric, labels, 1))
        if slots is not None:
            self._tally.add(slots[0], amount)

    def set_gauges(self, metric: str, values: Mapping[str, float]) -> None:
        """Set this worker's part of a gauge by its one label; labels that are here no more become 0."""
        known = self._gauges.setdefault(metric, set())
        known.update(values)
        for label in known:
            slot = self._slot(GAUGE + metric, (label,))
            if slot is not None:
                self.slab.cells[slot] = values.get(label, 0.0)

    def _slot(self, metric: str, labels: tuple[str, ...], count: int = 1) -> int | None:
        if (metric, labels) not in self._homeless:
            try:
                return self.slab.slots(metric, labels, count)
            except SlabFullError:
                self._homeless.add((metric, labels))  # not to take the lock for it again
        return None

    def _slots(self, *wanted: tuple[str, tuple[str, ...], int]) -> list[int] | None:
        """Of all series that count one observation; None, and it is dropped, where one has no room."""
        slots = [slot for one in wanted if (slot := self._slot(*one)) is not None]
        if len(slots) == len(wanted):
            return slots
        self._tally.add(self._dropped, 1.0)
        return None

    def _request_slots(
        self, provider: str, model: str, status: int, outcome: str | None
    ) -> tuple[int, int, int, int] | None:
        count = len(LATENCY_BUCKETS) + 2
        wanted = [
            ("gateway_requests", (provider, model, str(status)), 1),
            ("gateway_request_duration_seconds", (provider, model), count),
            ("gateway_time_to_first_byte_seconds", (provider, model), count),
        ]
        if outcome is not None:
            wanted.append(("gateway_upstream_attempts", (provider, outcome), 1))
        slots = self._slots(*wanted)
        if slots is None:
            return None
        requests, duration, first_byte = slots[:3]
        found = requests, duration, first_byte, slots[3] if outcome is not None else -1
        self._requests[provider, model, status, outcome] = found
        return found


class Reading(NamedTuple):
    """All counters of the family at one time."""

    at_s: float
    series: list[Series]
    slots: array[float]

    def value(self, series: Series) -> float:
        """The value of a counter or gauge."""
        return self.slots[series.start]

    def buckets(self, series: Series) -> tuple[list[float], float]:
        """Of a histogram: what each bucket holds (not cumulative; the last is unbounded), and the sum."""
        end = series.start + series.width
        return self.slots[series.start : end - 1].tolist(), self.slots[end - 1]


def read(slab: Slab, clock: Callable[[], float]) -> Reading:
    """Sum up the family's counters now."""
    series = slab.series()
    return Reading(clock(), series, slab.sums(series))
