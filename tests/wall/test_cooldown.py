"""Retry-After: the provider is left alone that long, by this request and by those that come after it."""

from __future__ import annotations

import time

import pytest
from harness import running

from gateway.providers.mock import MockServer

from .client import Answer, ask
from .gateways import breaker_of, gateway_over

RETRIES = "max_retries: 2, retry: {base_delay: 1ms, max_delay: 100ms}"
LONG = "retry_after=7"


def error_code(answer: Answer) -> str:
    assert answer.error is not None
    code: str = answer.error["code"]
    return code


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", ["429", "503"])
def test_alone_the_next_request_is_told_how_long_to_wait(status: str, stream: bool) -> None:
    a = MockServer("a", faults=[f"{status};{LONG}"])
    with gateway_over(a, RETRIES) as gateway:
        first, second = (ask(gateway.port, stream=stream) for _ in range(2))
    assert (first.status, first.headers["retry-after"]) == (int(status), "7")
    assert (second.status, error_code(second)) == (429, "rate_limit_exceeded")
    assert 5 <= int(second.headers["retry-after"]) <= 7
    assert second.headers["x-gateway-attempts"] == "0"
    assert a.requests_seen == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", ["429", "503"])
def test_with_a_fallback_the_next_request_goes_there_at_once(status: str, stream: bool) -> None:
    a, b = MockServer("a", faults=[f"{status};{LONG}"]), MockServer("b")
    with gateway_over(a, RETRIES, b) as gateway:
        answers = [ask(gateway.port, stream=stream) for _ in range(3)]
        assert breaker_of(gateway).failures == (1 if status == "503" else 0)
    assert [answer.headers["x-gateway-provider"] for answer in answers] == ["b"] * 3
    assert [answer.headers["x-gateway-attempts"] for answer in answers] == ["2", "1", "1"]
    assert (a.requests_seen, b.requests_seen) == (1, 3)


def test_a_short_one_is_waited_for_and_the_request_succeeds() -> None:
    a, b = MockServer("a", faults=["429;retry_after_ms=60"]), MockServer("b")
    with gateway_over(a, RETRIES, b) as gateway:
        started = time.monotonic()
        answer = ask(gateway.port)
        assert time.monotonic() - started >= 0.055
    assert (answer.headers["x-gateway-provider"], answer.headers["x-gateway-attempts"]) == ("a", "2")


def test_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    a = MockServer("a", faults=["429;retry_after_ms=120"])
    with gateway_over(a, RETRIES) as gateway:
        statuses = [ask(gateway.port).status for _ in range(2)]
        time.sleep(0.13)
        statuses.append(ask(gateway.port).status)
    assert statuses == [429, 429, 200]
    assert a.requests_seen == 2


def test_it_holds_for_one_model() -> None:
    a = MockServer("a", faults=[f"429;{LONG}"])
    with gateway_over(a, RETRIES) as gateway:
        statuses = [
            ask(
                gateway.port, body=b'{"model": "%b", "messages": [{"role": "user", "content": "hi"}]}' % model
            ).status
            for model in (b"one", b"one", b"two")
        ]
    assert statuses == [429, 429, 200]
    assert [request.body[11:14] for request in a.requests] == [b"one", b"two"]


CHAIN = """
providers:
  a: {format: openai, base_url: "{a}", max_retries: 0, fallback_provider: b}
  b: {format: openai, base_url: "{b}", max_retries: 0, fallback_provider: c}
  c: {format: openai, base_url: "{c}", max_retries: 0}
"""


def test_a_fallback_in_cooldown_is_passed_over_unless_it_is_the_last() -> None:
    limited = f"429;{LONG}"
    a, b, c = (MockServer(name, fault=limited) for name in "abc")
    with running(CHAIN, a=a, b=b, c=c) as gateway:
        first = ask(gateway.port)
        second = ask(gateway.port)
    assert (first.status, first.headers["x-gateway-provider"], first.headers["x-gateway-attempts"]) == (
        429,
        "c",
        "3",
    )
    assert (second.status, second.headers["x-gateway-provider"]) == (429, "c")
    assert (a.requests_seen, b.requests_seen, c.requests_seen) == (1, 1, 2)
