"""`/health` for people and dashboards, `/health/live` and `/health/ready` for orchestrators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from gateway.observe.events import rfc3339
from gateway.resilience.breaker import State
from gateway.resilience.plan import Policy


class Client(Protocol):
    """Where a page is written to."""

    def respond(self, status: int, fields: list[bytes], body: bytes) -> None: ...
    def date_field(self) -> tuple[bytes, ...]: ...


class Watched(NamedTuple):
    """A provider as the health page shows it."""

    name: str
    format: str
    policy: Policy
    fallback: str | None


class Health:
    """The three health pages over `providers`, a function because a reload may change them.

    `clock` is that of the breakers. `draining` tells whether the process is going down.
    """

    def __init__(
        self,
        *,
        version: str,
        speedups: str,
        started_s: float,
        providers: Callable[[], Sequence[Watched]],
        last_errors: Callable[[], Mapping[str, Mapping[str, Any]]],
        draining: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self._version = version
        self._speedups = speedups
        self._started_s = started_s
        self._providers = providers
        self._last_errors = last_errors
        self._draining = draining
        self._clock = clock

    def page(self, request: object, client: Client) -> None:
        """`GET /health`: always 200; `status` says how it is."""
        answer_json(client, 200, orjson.dumps(self.report()))

    def report(self) -> dict[str, Any]:
        """What the page says."""
        now = self._clock()
        errors = self._last_errors()
        providers = [self._provider(watched, errors.get(watched.name), now) for watched in self._providers()]
        return {
            "status": self._status(providers),
            "version": self._version,
            "speedups": self._speedups,
            "uptime_s": round(now - self._started_s, 3),
            "provider_health": providers,
        }

    def live(self, request: object, client: Client) -> None:
        """`GET /health/live`: 200 while the process runs."""
        _answer(client, 200, {"status": "live"})

    def ready(self, request: object, client: Client) -> None:
        """`GET /health/ready`: 503 while draining, or when no provider can be tried."""
        now = self._clock()
        if self._draining():
            _answer(client, 503, {"status": "draining"})
        elif all(watched.policy.is_open(now) for watched in self._providers()):
            _answer(client, 503, {"status": "no provider can be tried"})
        else:
            _answer(client, 200, {"status": "ready"})

    @staticmethod
    def _provider(watched: Watched, error: Mapping[str, Any] | None, now: float) -> dict[str, Any]:
        breaker = watched.policy.breaker
        state = None if breaker is None else breaker.state(now)
        return {
            "name": watched.name,
            "format": watched.format,
            "healthy": state is None or state is State.CLOSED,
            "circuit_state": state,
            "failures": 0 if breaker is None else breaker.failures,
            "retry_in_s": 0.0 if breaker is None else round(breaker.retry_in(now), 3),
            "fallback_provider": watched.fallback,
            "last_error": None if error is None else error["message"],
            "last_error_at": None if error is None else rfc3339(error["at"]),
        }

    @staticmethod
    def _status(providers: Sequence[dict[str, Any]]) -> str:
        if all(provider["healthy"] for provider in providers):
            return "healthy"
        if all(provider["circuit_state"] is State.OPEN for provider in providers):
            return "unhealthy"
        return "degraded"


def answer_json(client: Client, status: int, body: bytes) -> None:
    """Answer with a JSON `body` that nobody may keep."""
    fields = [b"content-type: application/json\r\ncache-control: no-store\r\n", *client.date_field()]
    client.respond(status, fields, body)


def _answer(client: Client, status: int, answer: dict[str, Any]) -> None:
    answer_json(client, status, orjson.dumps(answer))
