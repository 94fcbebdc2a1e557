"""The pages that the gateway itself answers, by path: which are always open, and which are the operator's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway.admin import dashboard
from gateway.admin.dashboard import Feed, Handler
from gateway.admin.health import Health, Watched
from gateway.admin.metrics import MetricsPage
from gateway.admin.sampler import Sampler
from gateway.admin.stats import StatsPage


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What the pages tell of.

    `started_s` is of `clock`, a monotonic one, as the breakers' is; `wall_clock` counts seconds since the
    epoch. The rest are functions because what they give may change.
    """

    version: str
    speedups: str
    workers: int
    started_s: float
    providers: Callable[[], Sequence[Watched]]
    draining: Callable[[], bool]
    sampler: Sampler
    transitions: Callable[[], Sequence[Mapping[str, Any]]]
    last_errors: Callable[[], Mapping[str, Mapping[str, Any]]]
    call_later: Callable[[float, Callable[[], None]], object]
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time


class Pages(NamedTuple):
    """Handlers by path; `feed` is what has to end when the process goes down."""

    always_open: dict[bytes, Handler]
    operators: dict[bytes, Handler]
    feed: Feed


def build_pages(sources: Sources) -> Pages:
    """Make all pages."""
    health = Health(
        version=sources.version,
        speedups=sources.speedups,
        started_s=sources.started_s,
        providers=sources.providers,
        last_errors=sources.last_errors,
        draining=sources.draining,
        clock=sources.clock,
    )
    metrics = MetricsPage(
        reading=sources.sampler.reading,
        providers=sources.providers,
        clock=sources.clock,
        version=sources.version,
        speedups=sources.speedups,
    )
    stats = StatsPage(
        workers=sources.workers,
        health=health,
        reading=sources.sampler.reading,
        history=sources.sampler.history,
        transitions=sources.transitions,
        wall_clock=sources.wall_clock,
    )
    feed = Feed(stats.snapshot, sources.call_later)
    return Pages(
        {b"/health": health.page, b"/health/live": health.live, b"/health/ready": health.ready},
        {b"/metrics": metrics.page, b"/stats": stats.page, **dashboard.handlers(feed)},
        feed,
    )
