"""`GET /stats`: its shape, and what it makes of counters, circuits and the journal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway._speedups import TallyCore
from gateway.admin.health import Health, Watched
from gateway.admin.stats import MAX_TRANSITIONS, StatsPage, series, state_since, window
from gateway.admin.stats_schema import Percentiles, Stats
from gateway.admin.tally import Change
from gateway.admin.windows import History, Point, Step
from gateway.observe.metrics import Metrics, read
from gateway.observe.slab import Slab
from gateway.resilience.breaker import CircuitBreaker
from gateway.resilience.outcome import Outcome
from gateway.resilience.plan import Policy

SAMPLE = Path(__file__).with_name("stats_sample.json")
WALL_S = 1_767_225_600.0  # 2026-01-01T00:00:00Z
NO_LATENCY = Percentiles(p50=None, p90=None, p99=None)


def checked(answer: bytes) -> Stats:
    """The answer, which must have the documented members and no others."""
    return msgspec.json.decode(answer, type=Stats, strict=True)


class Client:
    """What a page was answered with."""

    def respond(self, status: int, fields: list[bytes], body: bytes) -> None:
        self.status, self.fields, self.body = status, b"".join(fields), body

    def date_field(self) -> tuple[bytes, ...]:
        return (b"date: now\r\n",)


class Page:
    """The page of a gateway of 2 workers that started at 0, with providers `a` (a breaker) and `b` (none)."""

    def __init__(self) -> None:
        self.now = 0.0
        self.journal: list[dict[str, Any]] = []
        self.metrics = Metrics(Slab(2), TallyCore)
        self.breaker = CircuitBreaker(2, 30.0)
        history = History(self.reading, 0.0)
        history.tick(0.0)
        self.page = StatsPage(
            workers=2,
            health=Health(
                version="1.2.3",
                speedups="pure",
                started_s=0.0,
                providers=self.providers,
                last_errors=lambda: {"a": {"provider": "a", "message": "timeout: 5 s", "at": WALL_S}},
                draining=lambda: False,
                clock=lambda: self.now,
            ),
            reading=self.reading,
            history=history,
            transitions=lambda: self.journal,
            wall_clock=lambda: WALL_S + self.now,
        )

    def reading(self) -> Any:
        return read(self.metrics.slab, lambda: self.now)

    def providers(self) -> Sequence[Watched]:
        return [
            Watched("a", "openai", Policy("a", breaker=self.breaker), "b"),
            Watched("b", "mock", Policy("b"), None),
        ]

    def open_circuit(self) -> None:
        for _ in range(2):
            self.breaker.record(self.breaker.acquire(self.now), Outcome.FAILURE, self.now)
        self.metrics.count("gateway_circuit_transitions", "a", "closed", "open")
        self.journal.append(change_of("a", "closed", "open", WALL_S + self.now))

    def stats(self) -> Stats:
        return checked(self.page.snapshot())


def change_of(provider: str, before: str, after: str, at: float) -> dict[str, Any]:
    entry = {"at": at, "provider": provider, "from": before, "to": after, "reason": "status_503"}
    return entry | {"failures": 2, "open_for_s": 30.0 if after == "open" else 0.0}


# -- the shape


def test_the_sample_has_the_documented_shape() -> None:
    stats = checked(SAMPLE.read_bytes())
    assert json.loads(msgspec.json.encode(stats)) == json.loads(SAMPLE.read_bytes())


def test_a_gateway_that_did_nothing_yet_says_so() -> None:
    page = Page()
    client = Client()
    page.page.page(None, client)
    assert (client.status, client.fields) == (
        200,
        b"content-type: application/json\r\ncache-control: no-store\r\ndate: now\r\n",
    )
    stats = checked(client.body)
    assert (stats.version, stats.speedups, stats.workers, stats.uptime_s) == ("1.2.3", "pure", 2, 0.0)
    assert stats.generated_at == "2026-01-01T00:00:00.000Z"
    assert stats.status == "healthy"
    assert stats.overhead_s == NO_LATENCY
    for one in (stats.windows.minute, stats.windows.five_minutes, stats.windows.start):
        assert (one.seconds, one.total.requests, one.total.requests_per_s) == (0.0, 0, None)
        assert (one.total.latency_s, one.total.cost_usd) == (NO_LATENCY, None)
        assert [provider.provider for provider in one.providers] == ["a", "b"]
    assert (stats.series.at, stats.series.total.p50_s, stats.series.providers) == ([], [], [])


# -- providers as they are


def test_an_open_circuit_is_shown_with_its_story() -> None:
    page = Page()
    page.now = 10.0
    page.open_circuit()
    page.now = 14.5
    stats = page.stats()
    a, b = stats.providers
    assert stats.status == "degraded"
    assert (a.circuit_state, a.healthy, a.failures, a.retry_in_s) == ("open", False, 2, 25.5)
    assert (a.state_since, a.in_state_s, a.opened) == ("2026-01-01T00:00:10.000Z", 4.5, 1)
    assert [(one.before, one.after, one.reason) for one in a.transitions] == [
        ("closed", "open", "status_503")
    ]
    assert (a.fallback_provider, a.last_error and a.last_error.message) == ("b", "timeout: 5 s")
    assert (b.circuit_state, b.state_since, b.in_state_s, b.transitions) == (None, None, None, [])
    assert b.last_error is None


def test_a_circuit_is_half_open_since_its_time_was_over() -> None:
    page = Page()
    page.now = 10.0
    page.open_circuit()
    page.now = 45.0
    a = page.stats().providers[0]
    assert (a.circuit_state, a.state_since, a.in_state_s) == ("half-open", "2026-01-01T00:00:40.000Z", 5.0)


@pytest.mark.parametrize(
    ("state", "journal", "expected"),
    [
        (None, [], None),
        ("closed", [], None),
        ("open", [("closed", "open", 5.0)], 5.0),
        ("half-open", [("closed", "open", 5.0)], 35.0),
        ("half-open", [("closed", "open", 5.0), ("open", "half-open", 36.0)], 36.0),
        ("closed", [("open", "half-open", 36.0), ("half-open", "closed", 37.0)], 37.0),
        ("closed", [("closed", "open", 5.0)], None),  # another breaker since a reload
        (None, [("closed", "open", 5.0)], None),
    ],
)
def test_since_when_a_circuit_is_in_its_state(
    state: str | None, journal: list[tuple[str, str, float]], expected: float | None
) -> None:
    entries = [change_of("a", before, after, at) for before, after, at in journal]
    assert state_since(state, entries) == expected


def test_the_newest_transitions_of_the_one_provider_are_shown() -> None:
    page = Page()
    for number in range(MAX_TRANSITIONS + 5):
        page.journal.append(change_of("a", "closed", "open", WALL_S + number))
        page.journal.append(change_of("b", "closed", "open", WALL_S))
    shown = page.stats().providers[0].transitions
    assert len(shown) == MAX_TRANSITIONS
    assert (shown[0].at, shown[-1].at) == ("2026-01-01T00:00:24.000Z", "2026-01-01T00:00:05.000Z")


def test_gauges_are_those_of_all_workers_and_never_below_0() -> None:
    page = Page()
    slab = page.metrics.slab
    page.metrics.set_gauges("gateway_upstream_connections", {"a": 3.0})
    page.metrics.set_gauges("gateway_open_connections", {"client": 5.0, "upstream": 3.0})
    slab.use_row(1)
    other = Metrics(slab, TallyCore)
    other.set_gauges("gateway_upstream_connections", {"a": 4.0})
    other.set_gauges("gateway_upstream_inflight_requests", {"a": 2.0})
    other.set_gauges("gateway_upstream_queued_requests", {"a": 1.0, "b": -1.0})
    stats = page.stats()
    a, b = stats.providers
    assert (a.pool.connections, a.pool.queued, a.inflight_requests) == (7, 1, 2)
    assert (b.pool.connections, b.pool.queued, b.inflight_requests) == (0, 0, 0)
    assert (stats.open_connections.client, stats.open_connections.upstream) == (5, 3)


# -- windows and charts


def test_providers_stand_in_the_order_of_the_file_and_then_those_that_are_gone() -> None:
    metrics = Metrics(Slab(), TallyCore)
    for name in ("z", "gone", "b"):
        metrics.count("gateway_requests", name, "m", "200", amount=6.0)
    change = Change(read(Slab(), lambda: 0.0), read(metrics.slab, lambda: 60.0))
    shown = window(change, ["z", "a", "b"]).providers
    assert [(one.provider, one.requests, one.requests_per_s) for one in shown] == [
        ("z", 6, 0.1),
        ("a", 0, 0.0),
        ("b", 6, 0.1),
        ("gone", 6, 0.1),
    ]


def test_models_stand_busiest_first_and_fallbacks_most_frequent_first() -> None:
    metrics = Metrics(Slab(), TallyCore)
    for model, count in (("x", 1.0), ("y", 5.0), ("w", 1.0)):
        metrics.count("gateway_requests", "a", model, "200", amount=count)
    for reason, count in (("timeout", 1.0), ("circuit_open", 9.0)):
        metrics.count("gateway_fallbacks", "a", "b", reason, amount=count)
    a, b = window(Change(read(Slab(), lambda: 0.0), read(metrics.slab, lambda: 60.0)), ["a", "b"]).providers
    assert [one.model for one in a.models] == ["y", "w", "x"]
    assert [(one.peer, one.reason, one.count) for one in a.fallbacks_out] == [
        ("b", "circuit_open", 9),
        ("b", "timeout", 1),
    ]
    assert [(one.peer, one.reason, one.count) for one in b.fallbacks_in] == [
        ("a", "circuit_open", 9),
        ("a", "timeout", 1),
    ]


def test_charts_have_a_value_for_each_step_also_of_a_provider_that_was_quiet() -> None:
    busy = Point(2.0, 0.5, 100.0, 0.1, 0.25)
    steps = [Step(5.0, busy, {"gone": busy}), Step(10.0, busy, {"a": busy})]
    charts = series(steps, ["a", "b"], WALL_S)
    assert charts.at == ["2026-01-01T00:00:05.000Z", "2026-01-01T00:00:10.000Z"]
    assert (charts.total.requests_per_s, charts.total.p99_s) == ([2.0, 2.0], [0.25, 0.25])
    a, gone = charts.providers
    assert (a.provider, a.requests_per_s, a.p50_s) == ("a", [0.0, 2.0], [None, 0.1])
    assert (gone.provider, gone.errors_per_s, gone.tokens_per_s) == ("gone", [0.5, 0.0], [100.0, 0.0])
