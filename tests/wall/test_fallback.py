"""The fallback: asked with its own retries, and neither through its own breaker nor counted by it."""

from __future__ import annotations

import time

import pytest
from harness import running

from gateway.providers.mock import MockServer
from gateway.resilience.breaker import State

from .client import ask
from .gateways import breaker_of, count_failures

CONFIG = """
providers:
  a: {format: openai, base_url: "{a}", max_retries: 0, fallback_provider: b}
  b:
    format: openai
    base_url: "{b}"
    max_retries: 2
    retry: {base_delay: DELAY}
    circuit_breaker: {max_failures: 3}
"""


@pytest.mark.parametrize("delay", ["0", "1ms"])
@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_its_retries_pass_its_breaker_by(delay: str, is_open: bool, stream: bool) -> None:
    a, b = MockServer("a", fault="reset"), MockServer("b", faults=["close", "500"])
    with running(CONFIG.replace("DELAY", delay), a=a, b=b) as gateway:
        count_failures(gateway, "b", 3 if is_open else 1)
        answer = ask(gateway.port, stream=stream)
        breaker = breaker_of(gateway, "b")
        assert breaker.failures == (3 if is_open else 1)
        assert breaker.state(time.monotonic()) is (State.OPEN if is_open else State.CLOSED)
    assert (answer.status, answer.ending, answer.headers["x-gateway-provider"]) == (200, "whole", "b")
    assert answer.headers["x-gateway-attempts"] == "4"
    assert (a.requests_seen, b.requests_seen) == (1, 3)


def test_an_open_circuit_asks_it_at_once() -> None:
    a, b = MockServer("a"), MockServer("b", faults=["503"])
    with running(CONFIG.replace("DELAY", "1ms"), a=a, b=b) as gateway:
        count_failures(gateway, "a", 5)
        answer = ask(gateway.port)
    assert (answer.headers["x-gateway-provider"], answer.headers["x-gateway-attempts"]) == ("b", "2")
    assert a.connections_made == 0


def test_when_all_have_failed_the_last_response_is_the_answer() -> None:
    a, b = MockServer("a", fault="502"), MockServer("b", fault="503")
    with running(CONFIG.replace("DELAY", "1ms"), a=a, b=b) as gateway:
        answer = ask(gateway.port)
    assert (answer.status, answer.headers["x-mock-server"]) == (503, "b")
    assert answer.headers["x-gateway-attempts"] == "4"


def test_a_provider_with_no_resilience_configured_gets_one_attempt() -> None:
    a = MockServer("a", fault="503")
    with running('providers: {a: {format: openai, base_url: "{a}"}}', a=a) as gateway:
        answer = ask(gateway.port)
    assert (answer.status, answer.headers["x-gateway-attempts"]) == (503, "1")
