"""What the health pages say of providers, circuits and the process, in every state."""

from __future__ import annotations

import json
from typing import Any

import pytest
from plans import Scene, status, wrapped

from gateway.admin.health import Health, Watched
from gateway.resilience.breaker import CircuitBreaker
from gateway.resilience.outcome import Outcome
from gateway.resilience.plan import Policy

STARTED_S = 1000.0
TIMEOUT_S = 30.0


class Client:
    """Where a page is written to; asks for it too."""

    def __init__(self) -> None:
        self.status = 0
        self.fields: list[bytes] = []
        self.answer: Any = None

    def respond(self, status: int, fields: list[bytes], body: bytes) -> None:
        self.status, self.fields, self.answer = status, fields, json.loads(body)

    def date_field(self) -> tuple[bytes, ...]:
        return (b"date", b": ", b"today", b"\r\n")


class Gateway:
    """A gateway over some policies, at a time."""

    def __init__(self, *policies: Policy, fallbacks: dict[str, str] | None = None) -> None:
        self.policies = list(policies)
        self.fallbacks = fallbacks or {}
        self.now = STARTED_S
        self.draining = False
        self.errors: dict[str, dict[str, Any]] = {}
        self.health = Health(
            version="1.2.3",
            speedups="pure",
            started_s=STARTED_S,
            providers=lambda: [
                Watched(policy.name, "mock", policy, self.fallbacks.get(policy.name))
                for policy in self.policies
            ],
            last_errors=lambda: self.errors,
            draining=lambda: self.draining,
            clock=lambda: self.now,
        )

    def page(self) -> Any:
        client = Client()
        self.health.page(None, client)
        assert client.status == 200  # whatever it says: the page itself is there
        return client.answer

    def ready(self) -> tuple[int, str]:
        client = Client()
        self.health.ready(None, client)
        return client.status, client.answer["status"]


def closed(name: str) -> Policy:
    return Policy(name, breaker=CircuitBreaker(2, TIMEOUT_S))


def opened(name: str, at: float = STARTED_S) -> Policy:
    policy = closed(name)
    assert policy.breaker is not None
    for _ in range(2):
        policy.breaker.record(policy.breaker.acquire(at), Outcome.FAILURE, at)
    return policy


def half_open(name: str) -> Policy:
    return opened(name, STARTED_S - TIMEOUT_S)


def bare(name: str) -> Policy:
    return Policy(name)


# The page.


def test_the_members_of_the_page() -> None:
    gateway = Gateway(opened("a"), bare("b"), fallbacks={"a": "b"})
    gateway.now = STARTED_S + 12.3456
    gateway.errors["a"] = {"message": "connect_error: refused", "at": 1_767_225_600.5}
    assert gateway.page() == {
        "status": "degraded",
        "version": "1.2.3",
        "speedups": "pure",
        "uptime_s": 12.346,
        "provider_health": [
            {
                "name": "a",
                "format": "mock",
                "healthy": False,
                "circuit_state": "open",
                "failures": 2,
                "retry_in_s": 17.654,
                "fallback_provider": "b",
                "last_error": "connect_error: refused",
                "last_error_at": "2026-01-01T00:00:00.500Z",
            },
            {
                "name": "b",
                "format": "mock",
                "healthy": True,
                "circuit_state": None,
                "failures": 0,
                "retry_in_s": 0.0,
                "fallback_provider": None,
                "last_error": None,
                "last_error_at": None,
            },
        ],
    }


@pytest.mark.parametrize(
    ("make", "state", "healthy", "failures"),
    [
        (bare, None, True, 0),
        (closed, "closed", True, 0),
        (half_open, "half-open", False, 2),
        (opened, "open", False, 2),
    ],
)
def test_a_provider_in_each_state(make: Any, state: str | None, healthy: bool, failures: int) -> None:
    [provider] = Gateway(make("a")).page()["provider_health"]
    assert provider["circuit_state"] == state
    assert provider["healthy"] is healthy
    assert provider["failures"] == failures
    assert (provider["retry_in_s"] > 0.0) == (state == "open")


def test_the_state_follows_the_time_without_a_request() -> None:
    gateway = Gateway(opened("a"))
    states = []
    for seconds in (0.0, 29.999, 30.0, 1e6):
        gateway.now = STARTED_S + seconds
        states.append(gateway.page()["provider_health"][0]["circuit_state"])
    assert states == ["open", "open", "half-open", "half-open"]


def test_failures_show_before_they_open_the_circuit() -> None:
    policy = wrapped("a", retries=0, breaker=CircuitBreaker(3))
    gateway = Gateway(policy)
    seen = []
    for code in (500, 500, 404, 200):
        Scene(policy, now=STARTED_S).perform(status(code))
        seen.append(gateway.page()["provider_health"][0]["failures"])
    assert seen == [1, 2, 2, 0]


def test_a_half_open_circuit_whose_probe_is_out_says_when_it_can_be_tried() -> None:
    policy = half_open("a")
    assert policy.breaker is not None
    gateway = Gateway(policy)
    assert gateway.page()["provider_health"][0]["retry_in_s"] == 0.0
    policy.breaker.acquire(STARTED_S)
    assert gateway.page()["provider_health"][0]["retry_in_s"] == 60.0


def test_the_page_is_json_that_nobody_keeps() -> None:
    client = Client()
    Gateway(bare("a")).health.page(None, client)
    assert b"".join(client.fields) == (
        b"content-type: application/json\r\ncache-control: no-store\r\ndate: today\r\n"
    )


def test_providers_that_a_reload_brought_are_shown() -> None:
    gateway = Gateway(bare("a"))
    gateway.policies = [bare("c")]
    assert [provider["name"] for provider in gateway.page()["provider_health"]] == ["c"]


# The status, and whether traffic may come.


@pytest.mark.parametrize(
    ("makes", "expected", "is_ready"),
    [
        ([bare], "healthy", True),
        ([closed, bare], "healthy", True),
        ([opened, closed], "degraded", True),
        ([opened, bare], "degraded", True),
        ([half_open], "degraded", True),  # it can be tried
        ([half_open, opened], "degraded", True),
        ([half_open, closed], "degraded", True),
        ([opened], "unhealthy", False),
        ([opened, opened], "unhealthy", False),
    ],
    ids=lambda value: "+".join(make.__name__ for make in value) if isinstance(value, list) else None,
)
def test_the_status(makes: list[Any], expected: str, is_ready: bool) -> None:
    gateway = Gateway(*(make(name) for make, name in zip(makes, "abc", strict=False)))
    assert gateway.page()["status"] == expected
    assert gateway.ready() == ((200, "ready") if is_ready else (503, "no provider can be tried"))


def test_it_is_not_ready_while_it_drains_but_lives() -> None:
    gateway = Gateway(bare("a"))
    gateway.draining = True
    assert gateway.ready() == (503, "draining")
    client = Client()
    gateway.health.live(None, client)
    assert (client.status, client.answer) == (200, {"status": "live"})


def test_it_is_ready_again_when_a_circuit_may_be_tried() -> None:
    gateway = Gateway(opened("a"))
    assert gateway.ready()[0] == 503
    gateway.now += TIMEOUT_S
    assert gateway.ready()[0] == 200
