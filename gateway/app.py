"""The composition root: builds the parts of one serving process from a configuration, and exchanges them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping

import uvloop

from gateway import __version__
from gateway._speedups import COMPILED, BackoffCore, TallyCore, cell_count, known_head
from gateway.admin.health import Watched
from gateway.admin.pages import Sources, build_pages
from gateway.admin.sampler import Sampler
from gateway.config import ConfigError, schema
from gateway.observe import log
from gateway.observe.events import Events
from gateway.observe.journal import LastErrors, Transitions
from gateway.observe.metrics import Metrics
from gateway.observe.observer import Observer
from gateway.observe.slab import Slab
from gateway.observe.tracing import Tracer
from gateway.observe.usage import Price
from gateway.process import worker
from gateway.process.shared import SharedCells
from gateway.process.supervisor import Supervisor
from gateway.providers import factory
from gateway.providers.base import Provider
from gateway.providers.resilient import Routable
from gateway.proxy.service import Service
from gateway.resilience.breaker import CircuitBreaker, State, Transition
from gateway.resilience.plan import Policy
from gateway.resilience.retry import Cooldowns
from gateway.routing.model_router import ModelRouter
from gateway.server import listener
from gateway.server.activation import Inherited, inherited
from gateway.server.listener import Listener
from gateway.server.site import Page, Site
from gateway.server.sockets import Sockets
from gateway.upstream import dial
from gateway.upstream.pool import Pool

SPEEDUPS = "compiled" if COMPILED else "pure"

# What a reload cannot change, for the sockets are open and the processes run.
_NEEDS_RESTART = ("host", "port", "unix", "workers", "admin")

Load = Callable[[], schema.Config]
"""Reads the configuration anew. Raises ConfigError."""


def run(config: schema.Config, source: str, load: Load) -> int:
    """Serve until a signal ends it, in one process or in a family; the result is the exit code.

    Raises ConfigError and ListenError before anything runs.
    """
    given = inherited(os.environ)
    if config.server.workers > 1:
        return _run_family(config, source, load, given)
    app = App(config, source, load, sockets=Sockets.bind(config.server, inherited=given))
    uvloop.run(worker.serve(app))
    return 0


def _run_family(config: schema.Config, source: str, load: Load, given: Inherited) -> int:
    check(config, source)
    family = Sockets.bind(config.server, inherited=given)
    if not family.shared:
        # Bound without sharing first, or a second family would take half of the first one's requests.
        family.close()
        family = Sockets.bind(config.server, reuse_port=True)
        config = family.with_real_ports(config)
    shared = Shared(config.server.workers)
    latest = config

    def work(number: int, ready: Callable[[], None], lifeline: int) -> int:
        shared.slab.use_row(number)
        sockets = family.for_worker(latest.server)
        app = App(latest, source, lambda: family.with_real_ports(load()), shared=shared, sockets=sockets)
        uvloop.run(worker.serve(app, ready, lifeline))
        return 0

    def reload() -> bool:
        nonlocal latest
        try:
            new = family.with_real_ports(load())
            check(new, source)
        except (ConfigError, listener.ListenError) as error:
            log.tell(logging.ERROR, "reload_failed", reason=str(error))
            return False
        latest = new
        return True

    try:
        return Supervisor(config.server.workers, work, reload).run()
    finally:
        family.close()


def check(config: schema.Config, source: str) -> None:
    """What can be known of `config` without serving it. Raises ConfigError and ListenError."""
    factory.build(config, lambda name, _: Policy(name), source)
    for name, settings in config.providers.items():
        if settings.ca_file is not None:
            dial.tls_context(settings.ca_file, f"providers.{name}.ca_file")
    if config.server.tls is not None:
        listener.tls_context(config.server.tls)


class Shared:
    """What the workers of a family have in common. Made once, before they are forked."""

    def __init__(self, workers: int = 1) -> None:
        self.breakers = SharedCells() if workers > 1 else None
        self.slab = Slab(workers)
        self.transitions = Transitions()
        self.last_errors = LastErrors()
        self.started_s = time.monotonic()


class App:
    """One serving process over `config`, which came from `source`; `load` reads it anew for a reload.

    Building it opens the listening sockets, so that a taken port is known before anything runs. `shared` is
    what several workers have in common, `sockets` are those of the family. Raises
    ConfigError for a provider that cannot be built, ListenError for an address.
    """

    def __init__(
        self,
        config: schema.Config,
        source: str,
        load: Load | None = None,
        *,
        shared: Shared | None = None,
        sockets: Sockets | None = None,
    ) -> None:
        self.config = config
        self._source = source
        self._load = load
        self._shared = shared = shared or Shared()
        self._metrics = Metrics(shared.slab, TallyCore)
        self.observer = Observer(
            Events(access=config.logging.access, wall_clock=time.time),
            self._metrics,
            shared.transitions,
            shared.last_errors,
            time.time,
        )
        self.observer.prices = _prices(config)
        self.providers = factory.build(config, self._policy, source)
        self._tls = None if config.server.tls is None else listener.tls_context(config.server.tls)
        self._descriptors = listener.raise_descriptor_limit()
        self._sockets = sockets or Sockets.bind(config.server)
        self._listeners: list[Listener] = []
        self._pools: dict[str, Pool] = {}
        self._sampler: Sampler | None = None
        self._draining = False

    # -- parts

    def _policy(self, name: str, settings: schema.Provider) -> Policy:
        retry = settings.retry
        return Policy(
            name,
            max_retries=settings.retries,
            backoff=BackoffCore(retry.base_delay, retry.multiplier, retry.max_delay, retry.jitter),
            max_delay_s=retry.max_delay,
            breaker=None if settings.breaker is None else self._breaker(name, settings.breaker),
            cooldowns=Cooldowns(),
            on_transition=self._circuit_changed,
        )

    def _breaker(self, name: str, settings: schema.CircuitBreaker) -> CircuitBreaker:
        numbers = (settings.max_failures, settings.timeout, settings.half_open_probes)
        if self._shared.breakers is None:
            return CircuitBreaker(*numbers)
        cells, lock = self._shared.breakers.attach(
            repr((name, *numbers)), cell_count(settings.half_open_probes)
        )
        return CircuitBreaker(*numbers, cells=cells, lock=lock)

    def _circuit_changed(self, policy: Policy, transition: Transition, reason: str, now: float) -> None:
        breaker = policy.breaker
        assert breaker is not None
        open_for_s = breaker.retry_in(now) if transition.after is State.OPEN else 0.0
        self.observer.circuit_changed(
            policy.name, transition.before, transition.after, reason, breaker.failures, open_for_s
        )

    def _pool(self, provider: Provider, config: schema.Config) -> Pool:
        settings = config.providers[provider.name]
        dialler: dial.Dialler
        if isinstance(provider, factory.MockProvider):
            server = provider.server
            dialler = dial.LocalDialler(server.protocol, lambda: server.refusing)
        else:
            setting = f"providers.{provider.name}.ca_file"
            tls = dial.tls_context(settings.ca_file, setting) if provider.tls else None
            dialler = dial.TcpDialler(provider.host, provider.port, tls, settings.timeouts.connect)
        max_header = config.server.limits.max_header
        return Pool(
            provider.name, dialler, settings.pool, settings.timeouts, max_header, recognizer=known_head
        )

    def _watched(self) -> list[Watched]:
        return [
            Watched(name, provider.chain[0].format, provider.policies[0], _fallback_name(provider))
            for name, provider in self.providers.items()
        ]

    def _pages(self, sampler: Sampler) -> tuple[dict[bytes, Page], dict[bytes, Page]]:
        """The pages that are always open, and those of the operator."""
        built = build_pages(
            Sources(
                version=__version__,
                speedups=SPEEDUPS,
                workers=self._shared.slab.workers,
                started_s=self._shared.started_s,
                providers=self._watched,
                draining=lambda: self._draining,
                sampler=sampler,
                transitions=self.observer.transitions,
                last_errors=self.observer.last_errors,
                call_later=asyncio.get_running_loop().call_later,
            )
        )
        self._feed = built.feed
        admin = self.config.server.admin
        keys = () if admin is None or admin.api_key is None else (admin.api_key.reveal().encode(),)
        return (
            {path: Page(handler) for path, handler in built.always_open.items()},
            {path: Page(handler, keys) for path, handler in built.operators.items()},
        )

    def _public_site(self, service: Service, pages: Mapping[bytes, Page]) -> Site:
        server = self.config.server
        return Site(
            data=service.handle,
            refused=service.refused,
            recognizer=known_head,
            pages=pages,
            keys=_keys(server),
            limits=server.limits,
            max_connections=self._max_connections(server),
            timeouts=server.timeouts,
            cors_origins=server.cors_origins,
        )

    def _admin_site(self, pages: Mapping[bytes, Page]) -> Site:
        server = self.config.server
        return Site(
            data=None,
            pages=pages,
            limits=server.limits,
            max_connections=self._max_connections(server),
            timeouts=server.timeouts,
        )

    def _max_connections(self, server: schema.Server) -> int:
        return server.limits.max_connections or int(self._descriptors * 0.45)

    # -- life

    @property
    def addresses(self) -> list[str]:
        """Where the data endpoints are, once it runs: URLs, or `unix:` and a path."""
        return self._listeners[0].addresses if self._listeners else []

    @property
    def open_connections(self) -> int:
        """Open client connections."""
        return sum(len(one.site.connections) for one in self._listeners)

    @property
    def busy_connections(self) -> int:
        """Client connections on which something is under way."""
        return sum(connection.busy for one in self._listeners for connection in one.site.connections)

    async def start(self) -> None:
        """Serve. The part that needs the running event loop."""
        loop = asyncio.get_running_loop()
        self._pools = {
            name: self._pool(provider.chain[0], self.config) for name, provider in self.providers.items()
        }
        self._service = Service(
            ModelRouter(self.config, self.providers), self._pools, self.observer, loop.call_later
        )
        self._sampler = Sampler(
            self._metrics,
            self._shared.started_s,
            clients=lambda: self.open_connections,
            pools=lambda: self._pools,
            call_later=loop.call_later,
        )
        health, pages = self._pages(self._sampler)
        here = health if self._sockets.admin else health | pages
        self._listeners.append(
            Listener(self._public_site(self._service, here), self._sockets.public, self._tls)
        )
        if self._sockets.admin:
            self._listeners.append(Listener(self._admin_site(health | pages), self._sockets.admin, self._tls))
        for one in self._listeners:
            await one.start()
        self._sampler.start()
        self.observer.tracer = _tracer(self.config.tracing)
        self._tell_started()

    def reload(self) -> None:
        """Take over the configuration as it is now; where it is bad, go on as before and say so."""
        if self._load is None:
            return
        try:
            config = self._load()
            self._take_over(config)
        except (ConfigError, listener.ListenError, OSError, MemoryError) as error:
            log.tell(logging.ERROR, "reload_failed", reason=str(error))

    def _take_over(self, config: schema.Config) -> None:
        old = self.config
        kept = {
            name: provider
            for name, provider in self.providers.items()
            if config.providers.get(name) == old.providers[name]
        }
        providers = factory.build(config, self._policy, self._source, kept)
        pools = {
            name: self._pools[name] if name in kept else self._pool(provider.chain[0], config)
            for name, provider in providers.items()
        }
        if self._tls is not None and config.server.tls is not None:
            self._tls.load_cert_chain(config.server.tls.cert, config.server.tls.key)
        # From here on nothing fails: the new configuration holds as a whole.
        for name, pool in self._pools.items():
            if pools.get(name) is not pool:
                pool.retire()
        self.config, self.providers, self._pools = config, providers, pools
        self._service.use(ModelRouter(config, providers), pools)
        server = config.server
        for one in self._listeners:
            public = one is self._listeners[0]
            one.site.configure(
                keys=_keys(server) if public else (),
                limits=server.limits,
                max_connections=self._max_connections(server),
                timeouts=server.timeouts,
                cors_origins=server.cors_origins if public else (),
            )
        log.set_up(config.logging.level, config.logging.format)
        self.observer.prices = _prices(config)
        self.observer.log.access = config.logging.access
        if config.tracing != old.tracing:
            self.observer.tracer.close(0.0)
            self.observer.tracer = _tracer(config.tracing)
        changed = [name for name in providers if name not in kept]
        restart = [name for name in _NEEDS_RESTART if getattr(server, name) != getattr(old.server, name)]
        gone = [name for name in old.providers if name not in providers]
        log.tell(logging.INFO, "reload", changed=changed, removed=gone, needs_restart=restart)

    def begin_drain(self) -> float:
        """Accept nothing more; the result is how many seconds what is under way may take."""
        self._draining = True
        for one in self._listeners:
            one.site.draining = True
            one.stop_accepting()
        self._feed.end()
        return self.config.server.timeouts.drain

    def cut_off(self) -> None:
        """Tell every client whose answer is still under way that it ends here."""
        for one in self._listeners:
            one.cut_off()

    def close(self) -> None:
        """End everything at once."""
        if self._sampler is not None:
            self._sampler.stop()
        for one in self._listeners:
            one.close()
        for pool in self._pools.values():
            pool.close()
        self._sockets.close()
        self.observer.tracer.close(log.FLUSH_S)

    def _tell_started(self) -> None:
        addresses = [address for one in self._listeners for address in one.addresses]
        log.tell(
            logging.INFO,
            "started",
            version=__version__,
            speedups=SPEEDUPS,
            pid=os.getpid(),
            listening=addresses,
            config=self._source,
            providers=list(self.providers),
        )
        for one in self._listeners:
            beyond = [address for address in one.addresses if not _is_local(address)]
            if beyond:
                paths = one.site.open_paths()
                log.tell(logging.WARNING, "open_beyond_loopback", addresses=beyond, paths=paths)


def _tracer(settings: schema.Tracing) -> Tracer:
    if not settings.enabled:
        return Tracer()
    from gateway.observe.otel import OtlpExport  # here, because it needs an extra

    return Tracer(OtlpExport(settings.endpoint, settings.service_name, __version__), settings.sample)


def _keys(server: schema.Server) -> tuple[bytes, ...]:
    return tuple(key.reveal().encode() for key in server.api_keys)


def _prices(config: schema.Config) -> dict[str, Price]:
    return {
        model: Price(
            price.input, price.output, price.input if price.cached_input is None else price.cached_input
        )
        for model, price in config.prices.items()
    }


def _fallback_name(provider: Routable) -> str | None:
    return provider.chain[1].name if len(provider.chain) > 1 else None


def _is_local(address: str) -> bool:
    host = address.partition("://")[2].lstrip("[")
    return address.startswith("unix:") or host.startswith(("127.", "::1", "localhost"))
