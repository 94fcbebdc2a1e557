"""Gateways for the tests beside the table: one provider or two, with times of milliseconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness import Running, running

from gateway.providers.mock import MockServer
from gateway.resilience.breaker import CircuitBreaker
from gateway.resilience.outcome import Outcome
from gateway.upstream.pool import Pool

HEAD = """
logging: {access: true}
providers:
"""


@contextmanager
def gateway_over(a: MockServer, settings: str = "", b: MockServer | None = None) -> Iterator[Running]:
    """A gateway whose provider `a` has more `settings`, in YAML's flow style; `b` is its fallback."""
    more = [settings] if settings else []
    lines = []
    if b is not None:
        more.append("fallback_provider: b")
        lines.append('  b: {format: openai, base_url: "{b}"}')
    base = "" if "base_url" in settings else 'base_url: "{a}"'
    lines.insert(0, f"  a: {{{', '.join(part for part in ('format: openai', base, *more) if part)}}}")
    providers = {"a": a} if b is None else {"a": a, "b": b}
    with running(HEAD + "\n".join(lines), **providers) as gateway:
        yield gateway


def pool_of(gateway: Running, name: str = "a") -> Pool:
    """The pool of a provider."""
    pool: Pool = gateway.app._pools[name]
    return pool


def breaker_of(gateway: Running, name: str = "a") -> CircuitBreaker:
    """The breaker of a provider that has one."""
    breaker = gateway.app.providers[name].policies[0].breaker
    assert isinstance(breaker, CircuitBreaker)
    return breaker


def count_failures(gateway: Running, name: str, failures: int) -> None:
    """Let the breaker of a provider have counted so many failures."""
    breaker = breaker_of(gateway, name)
    for _ in range(failures):
        now = time.monotonic()
        breaker.record(breaker.acquire(now), Outcome.FAILURE, now)


def events_of(records: list[Any], name: str) -> list[dict[str, Any]]:
    """The fields of the log events of one kind."""
    return [vars(record) for record in records if vars(record).get("event") == name]
