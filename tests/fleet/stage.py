"""One request on a stage of fakes: pools that give connections or do not, a clock that is set, one client.

Everything that a request may hold can be seen: permits, attempts under way, connections, timers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from plans import WatchedPolicy
from reading import read

from gateway._speedups import BackoffCore
from gateway.config import loads, schema
from gateway.errors import ConnectError, Fault, GatewayError
from gateway.observe.observer import Finished
from gateway.providers import factory
from gateway.proxy.exchange import Exchange
from gateway.proxy.ports import Client, Upstream
from gateway.proxy.service import Service
from gateway.resilience.breaker import CircuitBreaker
from gateway.resilience.retry import Cooldowns
from gateway.routing.model_router import ModelRouter
from gateway.routing.target import Target
from gateway.upstream.response import ResponseHead

AT_ONCE, LATER, FULL = "at once", "later", "full"
"""What a pool says to one who wants a connection: it has one, it will have one, it is full."""


class Timer:
    """What is due at `at`, unless it is cancelled."""

    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback

    def cancel(self) -> None:
        self.callback = lambda: None
        self.at = float("inf")


class FakeConnection:
    """A connection to a provider; `user` is who sent a request on it and waits for the answer."""

    def __init__(self, *, reused: bool) -> None:
        self.reused = reused
        self.received = False
        self.user: Upstream | None = None
        self.body = b""

    def send(
        self, user: Upstream, head: bytes, body: bytes, bodiless: bool, deadline_s: float, limit_s: float
    ) -> None:
        assert self.user is None, "one request at a time"
        self.user = user
        self.body = body

    def abandon(self) -> None:
        assert self.user is not None, "nobody's connection is given up"
        self.user = None

    def commit(self) -> None:
        assert self.user is not None

    def pause(self) -> None:
        assert self.user is not None

    def resume(self) -> None:
        assert self.user is not None


class FakePool:
    """Gives what the stage says; `waiting` is who waits for a connection."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.waiting: Upstream | None = None

    def acquire(self, user: Upstream, fresh: bool = False) -> FakeConnection | None:
        stage = self._stage
        assert self.waiting is None
        stage.acquired += not fresh
        says, stage.pool = stage.pool, AT_ONCE
        if says == FULL:
            raise ConnectError(Fault.SATURATED, "it is full")
        if says == LATER:
            self.waiting = user
            return None
        return stage.connect(reused=not fresh)

    def cancel(self, user: Upstream) -> None:
        self.waiting = None


class FakeClient:
    """Takes one answer, and no more than one; `told` is how it came."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.fields = b""

    @property
    def ended(self) -> bool:
        return bool(self.told) and self.told[-1] != "start"

    def respond(self, status: int, fields: list[bytes], body: bytes, length: int | None = None) -> None:
        self._begin(f"respond {status}", fields)

    def refuse(self, error: GatewayError, fields: list[bytes]) -> None:
        self._begin(f"refuse {error.status}", fields)

    def start(self, status: int, fields: list[bytes], length: int | None, data: bytes) -> None:
        self._begin("start", fields)

    def write(self, data: bytes) -> None:
        assert self.told == ["start"], self.told
        assert data

    def end(self, data: bytes) -> None:
        self._end("end")

    def cut(self, data: bytes = b"") -> None:
        self._end("cut")

    def date_field(self) -> tuple[bytes, ...]:
        return ()

    def _begin(self, how: str, fields: list[bytes]) -> None:
        assert not self.told, f"{how} after {self.told}"
        self.told.append(how)
        self.fields = b"".join(fields)

    def _end(self, how: str) -> None:
        assert self.told == ["start"], f"{how} after {self.told}"
        self.told.append(how)


class FakeObserver:
    """Counts what it is told: attempts by how they ended, and requests that are over."""

    def __init__(self) -> None:
        self.attempts_told = 0
        self.finished_requests = 0
        self.again: list[str] = []

    def started(self, request: Any) -> None:
        return None

    def attempt_failed(
        self, request_id: bytes, provider: str, attempt: int, reason: str, outcome: str, detail: str
    ) -> None:
        self.attempts_told += 1
        assert attempt == self.attempts_told

    def tried_again(self, request_id: bytes, before: str, after: str, reason: str, delay_s: float) -> None:
        self.again.append(reason)

    def stream_broken(self, request_id: bytes, provider: str, reason: str, detail: str) -> None:
        self.attempts_told += 1

    def finished(self, exchange: Finished, now: float) -> None:
        self.finished_requests += 1
        assert exchange.model  # what the log and the prices ask for
        self.attempts_told += exchange.outcome is not None


class Stage:
    """The providers and models of `config`, and a request to them. `pool` is what the next pool says."""

    def __init__(self, config: str) -> None:
        self.now = 1000.0
        self.pool = AT_ONCE
        self.acquired = 0
        self.timers: list[Timer] = []
        self.connections: list[FakeConnection] = []
        self.policies: dict[str, WatchedPolicy] = {}
        self.client = FakeClient()
        self.observer = FakeObserver()
        self.exchange: Exchange | None = None
        settings = loads(config, "stage", {})
        providers = factory.build(settings, self._policy, "stage")
        self.pools = {name: FakePool(self) for name in providers}
        self.router = ModelRouter(settings, providers)
        self.service = Service(
            self.router,
            cast(Any, self.pools),
            cast(Any, self.observer),
            cast(Any, self._call_later),
            clock=lambda: self.now,
            wall_clock=lambda: 1_700_000_000.0 + self.now,
            sample=lambda: 0.0,
        )

    def _policy(self, name: str, settings: schema.Provider) -> WatchedPolicy:
        retry, breaker = settings.retry, settings.breaker
        policy = WatchedPolicy(
            name,
            max_retries=settings.retries,
            backoff=BackoffCore(retry.base_delay, retry.multiplier, retry.max_delay, retry.jitter),
            max_delay_s=retry.max_delay,
            breaker=None if breaker is None else CircuitBreaker(breaker.max_failures, breaker.timeout),
            cooldowns=Cooldowns(),
        )
        self.policies[name] = policy
        return policy

    def _call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(self.now + delay_s, callback)
        self.timers.append(timer)
        return timer

    def connect(self, *, reused: bool) -> FakeConnection:
        connection = FakeConnection(reused=reused)
        self.connections.append(connection)
        return connection

    def ask(self, request: bytes) -> None:
        """Handle a request of these bytes."""
        (whole,) = read(request).ready
        active = self.service.handle(whole, cast(Client, self.client))
        assert active is None or isinstance(active, Exchange)
        self.exchange = active

    # What the request holds.

    @property
    def busy(self) -> FakeConnection | None:
        """The connection on which an answer is waited for."""
        busy = [connection for connection in self.connections if connection.user is not None]
        assert len(busy) <= 1, "two attempts at a time"
        return busy[0] if busy else None

    @property
    def waiting(self) -> FakePool | None:
        """The pool that owes a connection."""
        waiting = [pool for pool in self.pools.values() if pool.waiting is not None]
        assert len(waiting) <= 1, "two pools owe a connection"
        return waiting[0] if waiting else None

    @property
    def pending(self) -> list[Timer]:
        return [timer for timer in self.timers if timer.at < float("inf")]

    @property
    def permits_out(self) -> int:
        return sum(policy.permits_out for policy in self.policies.values())

    @property
    def targets(self) -> Iterator[Target]:
        for name in self.router.names:
            route = self.router.route(name)
            assert route is not None
            yield from (target for target in route.targets if target is not None)

    @property
    def inflight(self) -> list[int]:
        return [target.inflight for target in self.targets]

    # What happens to it.

    def fire(self) -> None:
        """The time of the next timer comes."""
        timer = min(self.pending, key=lambda one: one.at)
        self.now = max(self.now, timer.at)
        callback = timer.callback
        timer.cancel()
        callback()

    def give(self) -> None:
        """The pool gives the connection that it owes."""
        pool = self.waiting
        assert pool is not None
        user, pool.waiting = pool.waiting, None
        assert user is not None
        user.on_connected(cast(Any, self.connect(reused=False)))

    def withhold(self) -> None:
        """The pool finds that it has none to give."""
        pool = self.waiting
        assert pool is not None
        user, pool.waiting = pool.waiting, None
        assert user is not None
        user.on_not_connected(Fault.CONNECT, "connection refused")

    def begin(self, status: int, fields: Mapping[bytes, bytes]) -> None:
        """The head of an answer comes."""
        connection = self.busy
        assert connection is not None
        assert connection.user is not None
        connection.received = True
        head = ResponseHead()
        for name, value in fields.items():
            head.add_field(name, value)
        head.complete(status, "1.1")
        connection.user.on_head(head)

    def go_on(self, data: bytes, *, complete: bool) -> None:
        """More of the answer comes, or the last of it."""
        connection = self.busy
        assert connection is not None
        user = connection.user
        assert user is not None
        if complete:
            connection.user = None
        user.on_body(data, complete)

    def fail(self, fault: Fault) -> None:
        """The connection breaks."""
        connection = self.busy
        assert connection is not None
        user, connection.user = connection.user, None
        assert user is not None
        user.on_failure(fault, "total" if fault is Fault.TIMEOUT else "it broke")
