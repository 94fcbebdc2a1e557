"""What is not counted along but looked at twice a second: this worker's gauges, and the notes for windows."""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final, Protocol

from gateway.admin.windows import History
from gateway.observe.metrics import Metrics, Reading, read

PERIOD_S: Final = 0.5


class Pool(Protocol):
    """The connections to a provider."""

    @property
    def connections(self) -> int: ...
    @property
    def used(self) -> int: ...
    @property
    def queued(self) -> int: ...


class Sampler:
    """Keeps this worker's gauges fresh, for whichever worker is asked, and `history` up to date.

    The counters of `metrics` began at 0 at `started_s`, of `clock`. `clients` gives the number of open client
    connections, `pools` those to the providers, by name; `call_later` is the event loop's.
    """

    def __init__(
        self,
        metrics: Metrics,
        started_s: float,
        *,
        clients: Callable[[], int],
        pools: Callable[[], Mapping[str, Pool]],
        call_later: Callable[[float, Callable[[], None]], TimerHandle],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.history = History(self.reading, started_s)
        self._metrics = metrics
        self._clients = clients
        self._pools = pools
        self._call_later = call_later
        self._clock = clock
        self._timer: TimerHandle | None = None

    def start(self) -> None:
        """Sample now, and from now on."""
        self._refresh()
        self.history.tick(self._clock())
        self._timer = self._call_later(PERIOD_S, self.start)

    def stop(self) -> None:
        """Sample no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reading(self) -> Reading:
        """The counters of all workers now, and their gauges: this worker's to the moment."""
        self._refresh()
        return read(self._metrics.slab, self._clock)

    def _refresh(self) -> None:
        pools = self._pools()
        upstream = {name: pool.connections for name, pool in pools.items()}
        set_gauges = self._metrics.set_gauges
        set_gauges(
            "gateway_open_connections", {"client": self._clients(), "upstream": sum(upstream.values())}
        )
        set_gauges("gateway_upstream_connections", upstream)
        set_gauges("gateway_upstream_inflight_requests", {name: pool.used for name, pool in pools.items()})
        set_gauges("gateway_upstream_queued_requests", {name: pool.queued for name, pool in pools.items()})
