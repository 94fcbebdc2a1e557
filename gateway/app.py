"""The composition root: builds the parts of one gateway process from a configuration, and runs them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Sequence

from gateway import __version__
from gateway._speedups import COMPILED, BackoffCore
from gateway.admin.health import Health, Watched
from gateway.config import schema
from gateway.observe.events import Events
from gateway.providers import factory
from gateway.providers.base import Provider
from gateway.providers.resilient import Routable
from gateway.proxy.service import Service
from gateway.resilience.breaker import CircuitBreaker, State, Transition
from gateway.resilience.plan import Policy
from gateway.resilience.retry import Cooldowns
from gateway.routing.model_router import ModelRouter
from gateway.server import listener
from gateway.server.listener import Listener
from gateway.server.site import Page, Site
from gateway.upstream import dial
from gateway.upstream.pool import Pool

SPEEDUPS = "compiled" if COMPILED else "pure"
_DRAIN_POLL_S = 0.05
_LOOPBACK = ("127.", "::1", "localhost")

_log = logging.getLogger("gateway")


class App:
    """One gateway process over `config`, which came from `source`.

    Building it opens the listening sockets, so that a taken port is known before anything runs. Raises
    ConfigError for a provider that cannot be built, ListenError for an address.
    """

    def __init__(self, config: schema.Config, source: str) -> None:
        self.config = config
        self._source = source
        self._started_s = time.monotonic()
        self._stopping = asyncio.Event()
        self._forced = asyncio.Event()
        self.events = Events(access=config.logging.access, wall_clock=time.time)
        self.providers = factory.build(config, self._policy, source)
        self._tls = None if config.server.tls is None else listener.tls_context(config.server.tls)
        self._descriptors = listener.raise_descriptor_limit()
        self._sockets = _bind(config.server)
        self._admin_sockets = _bind_admin(config.server)
        self._listeners: list[Listener] = []
        self._pools: dict[str, Pool] = {}

    # -- parts

    def _policy(self, name: str, settings: schema.Provider) -> Policy:
        retry = settings.retry
        breaker = settings.breaker
        return Policy(
            name,
            max_retries=settings.retries,
            backoff=BackoffCore(retry.base_delay, retry.multiplier, retry.max_delay, retry.jitter),
            max_delay_s=retry.max_delay,
            breaker=None
            if breaker is None
            else CircuitBreaker(breaker.max_failures, breaker.timeout, breaker.half_open_probes),
            cooldowns=Cooldowns(),
            on_transition=self._circuit_changed,
        )

    def _circuit_changed(self, policy: Policy, transition: Transition, reason: str, now: float) -> None:
        breaker = policy.breaker
        assert breaker is not None
        open_for_s = breaker.retry_in(now) if transition.after is State.OPEN else 0.0
        self.events.circuit_changed(
            policy.name, transition.before, transition.after, reason, breaker.failures, open_for_s
        )

    def _pool(self, provider: Provider) -> Pool:
        settings = self.config.providers[provider.name]
        dialler: dial.Dialler
        if isinstance(provider, factory.MockProvider):
            server = provider.server
            dialler = dial.LocalDialler(server.protocol, lambda: server.refusing)
        else:
            tls = dial.tls_context(settings.ca_file) if provider.tls else None
            dialler = dial.TcpDialler(provider.host, provider.port, tls, settings.timeouts.connect)
        return Pool(
            provider.name, dialler, settings.pool, settings.timeouts, self.config.server.limits.max_header
        )

    def _watched(self) -> list[Watched]:
        return [
            Watched(name, provider.chain[0].format, provider.policies[0], _fallback_name(provider))
            for name, provider in self.providers.items()
        ]

    def _sites(self, service: Service) -> list[Site]:
        server = self.config.server
        health = Health(
            version=__version__,
            speedups=SPEEDUPS,
            started_s=self._started_s,
            providers=self._watched,
            last_errors=self.events.last_errors,
            draining=self._stopping.is_set,
            clock=time.monotonic,
        )
        pages = {
            b"/health": Page(health.page),
            b"/health/live": Page(health.live),
            b"/health/ready": Page(health.ready),
        }
        max_connections = server.limits.max_connections or int(self._descriptors * 0.45)
        public = Site(
            data=service.handle,
            pages=pages,
            keys=tuple(key.reveal().encode() for key in server.api_keys),
            limits=server.limits,
            max_connections=max_connections,
            timeouts=server.timeouts,
            cors_origins=server.cors_origins,
        )
        if not self._admin_sockets:
            return [public]
        admin = Site(
            data=None,
            pages=pages,
            limits=server.limits,
            max_connections=max_connections,
            timeouts=server.timeouts,
        )
        return [public, admin]

    # -- life

    @property
    def addresses(self) -> list[str]:
        """Where the data endpoints are, once it runs: URLs, or `unix:` and a path."""
        return self._listeners[0].addresses if self._listeners else []

    async def start(self) -> None:
        """Serve. The part that needs the running event loop."""
        loop = asyncio.get_running_loop()
        self._pools = {name: self._pool(provider.chain[0]) for name, provider in self.providers.items()}
        router = ModelRouter(self.config, self.providers)
        self.service = Service(router, self._pools, self.events, loop.call_later)
        sites = self._sites(self.service)
        self._listeners.append(Listener(sites[0], self._sockets, self._tls))
        if self._admin_sockets:
            self._listeners.append(Listener(sites[1], self._admin_sockets, self._tls))
        for one in self._listeners:
            await one.start()
        self._tell_started()

    def stop(self) -> None:
        """Begin to drain; called again, end at once."""
        if self._stopping.is_set():
            self._forced.set()
        self._stopping.set()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain; a second signal ends it at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await self.start()
        try:
            await self._stopping.wait()
            await self.drain()
        finally:
            self.close()

    async def drain(self) -> None:
        """Accept nothing more, and let what is under way end, within the configured time."""
        self._stopping.set()
        for one in self._listeners:
            one.site.draining = True
            one.stop_accepting()
        drain_s = self.config.server.timeouts.drain
        _tell(logging.INFO, "draining", connections=self._open_connections(), within_s=drain_s)
        deadline_s = time.monotonic() + drain_s
        while self._open_connections() and time.monotonic() < deadline_s and not self._forced.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._forced.wait(), _DRAIN_POLL_S)
        _tell(logging.INFO, "stopped", cut_connections=self._open_connections())

    def close(self) -> None:
        """End everything at once."""
        for one in self._listeners:
            one.close()
        for pool in self._pools.values():
            pool.close()
        if self.config.server.unix is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.config.server.unix)

    def _open_connections(self) -> int:
        return sum(len(one.site.connections) for one in self._listeners)

    def _tell_started(self) -> None:
        addresses = [address for one in self._listeners for address in one.addresses]
        providers = list(self.providers)
        _tell(
            logging.INFO,
            "started",
            version=__version__,
            speedups=SPEEDUPS,
            listening=addresses,
            config=self._source,
            providers=providers,
        )
        open_to = [address for address in addresses if not _is_local(address)]
        if open_to:
            what = [] if self.config.server.api_keys else ["/v1/* (no server.api_keys)"]
            _tell(logging.WARNING, "open_beyond_loopback", addresses=open_to, open=[*what, "/health*"])


def _bind(server: schema.Server) -> Sequence[socket.socket]:
    if server.unix is not None:
        return [listener.bind_unix(server.unix)]
    return listener.bind_tcp(server.host, server.port)


def _bind_admin(server: schema.Server) -> Sequence[socket.socket]:
    admin = server.admin
    if admin is None or (admin.host is None and admin.port is None):
        return []
    return listener.bind_tcp(admin.host or server.host, server.port if admin.port is None else admin.port)


def _fallback_name(provider: Routable) -> str | None:
    return provider.chain[1].name if len(provider.chain) > 1 else None


def _is_local(address: str) -> bool:
    host = address.partition("://")[2].lstrip("[")
    return address.startswith("unix:") or host.startswith(_LOOPBACK)


def _tell(level: int, event: str, **fields: object) -> None:
    _log.log(level, event, extra={"event": event, **fields})
