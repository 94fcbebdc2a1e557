"""`GET /stats`: how the gateway is and what it has done, as JSON for dashboards.

The shape is in stats_schema.py. How each provider is comes from the health page, what was counted from two
readings of the shared counters, what happened to circuits from the shared journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any, Final

import msgspec

from gateway.admin import stats_schema as schema
from gateway.admin.health import Client, Health, answer_json
from gateway.admin.tally import Change, ProviderTally, Tally, percentiles
from gateway.admin.windows import STEP_S, History, Point, Step
from gateway.observe.events import rfc3339
from gateway.observe.metrics import LATENCY_BUCKETS, OVERHEAD_BUCKETS, Reading
from gateway.observe.slab import GAUGE

MAX_TRANSITIONS: Final = 20
_NO_REQUESTS: Final = Point(0.0, 0.0, 0.0, None, None)

Journal = Sequence[Mapping[str, Any]]


class StatsPage:
    """Makes the answer from what all `workers` share.

    `reading` sums up the counters now, `transitions` are oldest first, `wall_clock` is in seconds since the
    epoch.
    """

    def __init__(
        self,
        *,
        workers: int,
        health: Health,
        reading: Callable[[], Reading],
        history: History,
        transitions: Callable[[], Journal],
        wall_clock: Callable[[], float],
    ) -> None:
        self._workers = workers
        self._health = health
        self._reading = reading
        self._history = history
        self._transitions = transitions
        self._wall_clock = wall_clock

    def page(self, request: object, client: Client) -> None:
        """Answer with everything."""
        answer_json(client, 200, self.snapshot())

    def snapshot(self) -> bytes:
        """The answer as JSON."""
        return msgspec.json.encode(self._stats())

    def _stats(self) -> schema.Stats:
        health = self._health.report()
        reading = self._reading()
        wall = self._wall_clock()
        gauges = {(one.metric, *one.labels): reading.value(one) for one in reading.series}
        journal = self._transitions()
        names = [entry["name"] for entry in health["provider_health"]]
        minute, five_minutes, start = (
            window(self._history.change(reading, seconds), names) for seconds in (60.0, 300.0, inf)
        )
        return schema.Stats(
            version=health["version"],
            speedups=health["speedups"],
            generated_at=rfc3339(wall),
            uptime_s=health["uptime_s"],
            workers=self._workers,
            status=health["status"],
            overhead_s=five_minutes.overhead_s,
            inflight_requests=_gauge(gauges, "gateway_inflight_requests"),
            open_connections=schema.Connections(
                client=_gauge(gauges, "gateway_open_connections", "client"),
                upstream=_gauge(gauges, "gateway_open_connections", "upstream"),
            ),
            providers=[
                _provider(entry, gauges, [one for one in journal if one["provider"] == entry["name"]], wall)
                for entry in health["provider_health"]
            ],
            windows=schema.Windows(minute=minute, five_minutes=five_minutes, start=start),
            series=series(self._history.steps, names, wall - reading.at_s),
        )


# -- providers as they are now


def state_since(state: str | None, journal: Journal) -> float | None:
    """Since when, in seconds since the epoch, a circuit has been in `state`; None where it cannot be told.

    `journal` is that of the one circuit. That an open circuit became half-open is only written down when the
    first probe goes out.
    """
    if not journal:
        return None
    last = journal[-1]
    at: float = last["at"]
    if last["to"] == state:
        return at
    if state == "half-open" and last["to"] == "open":
        return at + float(last["open_for_s"])
    return None  # a reload gave the provider another breaker


def _provider(
    entry: Mapping[str, Any], gauges: Mapping[tuple[str, ...], float], journal: Journal, wall: float
) -> schema.Provider:
    name = entry["name"]
    since = state_since(entry["circuit_state"], journal)
    opened = sum(
        value
        for (metric, *labels), value in gauges.items()
        if metric == "gateway_circuit_transitions" and labels[0] == name and labels[2] == "open"
    )
    message = entry["last_error"]
    return schema.Provider(
        name=name,
        format=entry["format"],
        healthy=entry["healthy"],
        circuit_state=entry["circuit_state"],
        failures=entry["failures"],
        retry_in_s=entry["retry_in_s"],
        state_since=None if since is None else rfc3339(since),
        in_state_s=None if since is None else round(max(0.0, wall - since), 3),
        opened=round(opened),
        transitions=[_transition(one) for one in journal[: -MAX_TRANSITIONS - 1 : -1]],
        fallback_provider=entry["fallback_provider"],
        last_error=None if message is None else schema.LastError(message=message, at=entry["last_error_at"]),
        inflight_requests=_gauge(gauges, "gateway_upstream_inflight_requests", name),
        pool=schema.Pool(
            connections=_gauge(gauges, "gateway_upstream_connections", name),
            queued=_gauge(gauges, "gateway_upstream_queued_requests", name),
        ),
    )


def _transition(entry: Mapping[str, Any]) -> schema.Transition:
    return schema.Transition(
        at=rfc3339(entry["at"]),
        before=entry["from"],
        after=entry["to"],
        reason=entry["reason"],
        failures=entry["failures"],
    )


def _gauge(gauges: Mapping[tuple[str, ...], float], *key: str) -> int:
    # A worker that is just being replaced may leave a part of a difference behind for a moment.
    return max(0, round(gauges.get((GAUGE + key[0], *key[1:]), 0.0)))


# -- windows


def window(change: Change, names: Sequence[str]) -> schema.Window:
    """A window of the answer; providers stand in the order of `names`, then others that were counted."""
    others = sorted(change.providers.keys() - set(names))
    return schema.Window(
        seconds=round(change.seconds, 3),
        total=schema.Traffic(**_traffic(change, change.total)),
        refused=round(change.refused.requests),
        overhead_s=_percentiles(change.overhead, OVERHEAD_BUCKETS),
        providers=[
            _provider_traffic(change, name, change.providers.get(name) or ProviderTally())
            for name in [*names, *others]
        ],
    )


def _provider_traffic(change: Change, name: str, tally: ProviderTally) -> schema.ProviderTraffic:
    models = sorted(tally.models.items(), key=lambda item: (-item[1].requests, item[0]))
    outcomes = {outcome: round(tally.attempts[outcome]) for outcome in ("success", "failure", "neutral")}
    return schema.ProviderTraffic(
        **_traffic(change, tally),
        provider=name,
        attempts=schema.Attempts(**outcomes),
        broken=round(tally.broken),
        retries={reason: round(count) for reason, count in sorted(tally.retries.items())},
        fallbacks_out=_fallbacks(tally.fallbacks_out),
        fallbacks_in=_fallbacks(tally.fallbacks_in),
        models=[schema.ModelTraffic(**_traffic(change, one), model=model) for model, one in models],
    )


def _fallbacks(counts: Mapping[tuple[str, str], float]) -> list[schema.Fallbacks]:
    """The most frequent first."""
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [schema.Fallbacks(peer=peer, reason=reason, count=round(count)) for (peer, reason), count in most]


def _traffic(change: Change, tally: Tally) -> dict[str, Any]:
    """The members of `Traffic`."""
    errors = {kind: round(tally.errors[kind]) for kind in schema.Errors.__struct_fields__}
    tokens = {kind: round(tally.tokens[kind]) for kind in schema.Tokens.__struct_fields__}
    return {
        "requests": round(tally.requests),
        "requests_per_s": _rounded(change.per_s(tally.requests)),
        "errors": schema.Errors(**errors),
        "errors_per_s": _rounded(change.per_s(tally.retryable_errors)),
        "latency_s": _percentiles(tally.latency, LATENCY_BUCKETS),
        "first_byte_s": _percentiles(tally.first_byte, LATENCY_BUCKETS),
        "tokens": schema.Tokens(**tokens),
        "tokens_per_s": _rounded(change.per_s(tally.tokens_used)),
        "cost_usd": _rounded(tally.cost_usd),
    }


def _percentiles(counts: Sequence[float], bounds: Sequence[float]) -> schema.Percentiles:
    p50, p90, p99 = map(_rounded, percentiles(counts, bounds, (0.5, 0.9, 0.99)))
    return schema.Percentiles(p50=p50, p90=p90, p99=p99)


def _rounded(value: float | None) -> float | None:
    """To the microsecond, or the millionth of a dollar: more is noise that makes the answer longer."""
    return None if value is None else round(value, 6)


# -- charts


def series(steps: Iterable[Step], names: Sequence[str], wall_offset_s: float) -> schema.Series:
    """The charts; `wall_offset_s` added to a time of `steps` gives seconds since the epoch."""
    steps = list(steps)
    seen = {name for one in steps for name in one.providers}
    ordered = [*(name for name in names if name in seen), *sorted(seen - set(names))]
    return schema.Series(
        step_s=STEP_S,
        at=[rfc3339(one.at_s + wall_offset_s) for one in steps],
        total=schema.Curves(**_curves(one.total for one in steps)),
        providers=[
            schema.ProviderCurves(
                **_curves(one.providers.get(name, _NO_REQUESTS) for one in steps), provider=name
            )
            for name in ordered
        ],
    )


def _curves(points: Iterable[Point]) -> dict[str, Any]:
    rows = [tuple(map(_rounded, point)) for point in points]
    columns = zip(*rows, strict=True) if rows else [()] * len(Point._fields)
    return {name: list(column) for name, column in zip(Point._fields, columns, strict=True)}
