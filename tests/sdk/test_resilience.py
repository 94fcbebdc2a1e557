"""A provider fails, and the SDK does not notice: retries, the breaker, the fallback, the way back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import openai
import pytest
from clients import HI, MODEL, Answer, Connect, chat, get, health_of, text_of
from harness import WAIT_S, Running, running

from gateway.providers.mock import MockServer

RETRIES = """
providers:
  a: {format: openai, base_url: "{a}", max_retries: 3, retry: {base_delay: 4ms}, fallback_provider: b}
  b: {format: openai, base_url: "{b}"}
"""
DEAD = """
providers:
  a: {format: openai, base_url: "{a}", max_retries: 0, fallback_provider: b}
  b: {format: openai, base_url: "{b}"}
"""
PROBED = """
providers:
  a:
    format: openai
    base_url: "{a}"
    max_retries: 0
    fallback_provider: b
    circuit_breaker: {max_failures: 1, timeout: 100ms}
  b: {format: openai, base_url: "{b}"}
"""
ALONE = """
providers:
  a: {format: openai, base_url: "{a}", circuit_breaker: {max_failures: 1, timeout: 100ms}, max_retries: 0}
"""

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


# -- retries


@both_ways
def test_a_provider_that_fails_twice_is_asked_three_times(sdk: Connect, stream: bool) -> None:
    a, b = MockServer("a", faults=["503", "503"]), MockServer("b")
    with running(RETRIES, a=a, b=b) as gateway:
        answer = chat(sdk(gateway.url), stream=stream)
        assert health_of(gateway, "a")["failures"] == 0
    assert "this is a" in text_of(answer)
    assert (answer.provider, answer.attempts) == ("a", 3)
    assert len({request.body for request in a.requests}) == 1
    assert (a.requests_seen, b.requests_seen) == (3, 0)
    assert backoff_ms(answer) >= 4 + 8


@both_ways
def test_retries_that_do_not_help_are_followed_by_the_fallback(sdk: Connect, stream: bool) -> None:
    a, b = MockServer("a", fault="503"), MockServer("b")
    with running(RETRIES, a=a, b=b) as gateway:
        answer = chat(sdk(gateway.url), stream=stream)
    assert "this is b" in text_of(answer)
    assert (answer.provider, answer.attempts) == ("b", 5)
    assert (a.requests_seen, b.requests_seen) == (4, 1)


def test_the_rest_of_the_retries_is_skipped_when_the_circuit_opens(sdk: Connect) -> None:
    a, b = MockServer("a", fault="503"), MockServer("b")
    with running(RETRIES, a=a, b=b) as gateway:
        client = sdk(gateway.url)
        chat(client)
        answer = chat(client)
        assert circuit(gateway) == "open"
    assert (answer.provider, answer.attempts) == ("b", 2)
    assert "backoff" not in answer.headers["server-timing"]
    assert a.requests_seen == 5


def test_both_providers_failing_is_the_last_one_s_error(sdk: Connect) -> None:
    a, b = MockServer("a", fault="500"), MockServer("b", fault="503")
    with running(DEAD, a=a, b=b) as gateway, pytest.raises(openai.InternalServerError) as raised:
        chat(sdk(gateway.url))
    assert raised.value.status_code == 503
    assert raised.value.response.headers["x-gateway-provider"] == "b"


# -- the breaker


@both_ways
def test_five_refused_connections_open_the_circuit(sdk: Connect, stream: bool) -> None:
    a, b = MockServer("a"), MockServer("b")
    with running(DEAD, a=a, b=b) as gateway:
        client = sdk(gateway.url)
        gateway.kill("a")
        states = []
        for _ in range(5):
            answer = chat(client, stream=stream)
            assert (answer.provider, answer.attempts) == ("b", 2)
            states.append(circuit(gateway))
        assert states == ["closed"] * 4 + ["open"]

        gateway.revive("a")  # now it would answer, and count who comes
        answer = chat(client, stream=stream)
        assert (answer.provider, answer.attempts) == ("b", 1)
        assert "this is b" in text_of(answer)
        assert a.connections_made == 0


@both_ways
def test_a_probe_that_succeeds_closes_the_circuit(sdk: Connect, stream: bool) -> None:
    a, b = MockServer("a", faults=["500"]), MockServer("b")
    with running(PROBED, a=a, b=b) as gateway:
        client = sdk(gateway.url)
        chat(client, stream=stream)
        until_half_open(gateway)
        answers = [chat(client, stream=stream) for _ in range(3)]
        assert (circuit(gateway), health_of(gateway, "a")["failures"]) == ("closed", 0)
    assert [answer.provider for answer in answers] == ["a"] * 3


@both_ways
def test_a_probe_that_fails_opens_it_again(
    sdk: Connect, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = MockServer("a", faults=["500", "500"]), MockServer("b")
    with running(PROBED, a=a, b=b) as gateway, caplog.at_level("INFO", "gateway"):
        client = sdk(gateway.url)
        providers = []
        for _ in range(3):
            providers.append(chat(client, stream=stream).provider)
            if len(providers) < 3:
                until_half_open(gateway)
    assert providers == ["b", "b", "a"]
    assert transitions(caplog) == [
        ("closed", "open"),
        ("open", "half-open"),
        ("half-open", "open"),
        ("open", "half-open"),
        ("half-open", "closed"),
    ]


@both_ways
def test_of_requests_at_the_same_time_one_is_the_probe(stream: bool) -> None:
    a, b = MockServer("a", faults=["500"]), MockServer("b")
    with running(PROBED, a=a, b=b) as gateway:
        assert asyncio.run(ask_together(gateway, 1, stream)) == ["b"]
        until_half_open(gateway)
        a.latency = 0.4  # the probe is under way for longer than the others take
        providers = asyncio.run(ask_together(gateway, 6, stream))
        assert circuit(gateway) == "closed"
    assert sorted(providers) == ["a", *["b"] * 5]
    assert a.requests_seen == 2


def test_without_a_fallback_the_others_are_told_to_come_back(sdk: Connect) -> None:
    a = MockServer("a", faults=["500", "stall"])
    with running(ALONE, a=a) as gateway:
        client = sdk(gateway.url)
        with pytest.raises(openai.InternalServerError):
            chat(client)
        until_half_open(gateway)
        probe = gateway.connect()
        probe.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}")
        gateway.until(lambda: a.requests_seen == 2)
        with pytest.raises(openai.InternalServerError) as raised:
            chat(client)
        assert raised.value.code == "circuit_open"
        assert int(raised.value.response.headers["retry-after"]) >= 1

        probe.close()  # its client leaves: the permit goes back, and the next request is the probe
        gateway.until(lambda: a.connections_open == 0)
        assert chat(client).provider == "a"
        assert circuit(gateway) == "closed"


def test_errors_of_the_request_neither_open_nor_close_a_circuit(sdk: Connect) -> None:
    a, b = MockServer("a", faults=["400", "401", "500", "422"]), MockServer("b")
    with running(PROBED, a=a, b=b) as gateway:
        client = sdk(gateway.url)
        for _ in range(2):
            with pytest.raises(openai.APIStatusError):
                chat(client)
            assert circuit(gateway) == "closed"
        chat(client)
        until_half_open(gateway)
        with pytest.raises(openai.UnprocessableEntityError):
            chat(client)
        assert circuit(gateway) == "half-open"
        assert chat(client).provider == "a"


# -- /health


def test_health_tells_how_every_provider_is(sdk: Connect) -> None:
    a, b = MockServer("a", faults=["500"]), MockServer("b")
    with running(PROBED, a=a, b=b) as gateway:
        client = sdk(gateway.url)
        assert statuses(gateway) == ("healthy", "closed", "ready")
        chat(client)
        health = health_of(gateway, "a")
        assert health["last_error"] == "status_500: status 500"
        assert (health["healthy"], health["fallback_provider"]) == (False, "b")
        assert statuses(gateway)[0] == "degraded"
        until_half_open(gateway)
        assert statuses(gateway) == ("degraded", "half-open", "ready")
        chat(client)
        assert statuses(gateway) == ("healthy", "closed", "ready")
        assert health_of(gateway, "b")["circuit_state"] is None


def test_health_is_bad_when_nobody_can_be_asked(sdk: Connect) -> None:
    with running(ALONE.replace("100ms", "20s"), a=MockServer("a", fault="500")) as gateway:
        with pytest.raises(openai.InternalServerError):
            chat(sdk(gateway.url))
        assert statuses(gateway) == ("unhealthy", "open", "no provider can be tried")
        assert 15 < health_of(gateway, "a")["retry_in_s"] <= 20
        assert get(gateway, "/health/live") == {"status": "live"}


async def ask_together(gateway: Running, number: int, stream: bool) -> list[str]:
    """Who answers so many requests that are made at the same time."""
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk-client", max_retries=0) as client:

        async def ask() -> str:
            raw = await client.chat.completions.with_raw_response.create(
                model=MODEL, messages=HI, stream=stream
            )
            if stream:
                async for _ in raw.parse():
                    pass
            return raw.headers["x-gateway-provider"]

        return await asyncio.gather(*(ask() for _ in range(number)))


def backoff_ms(answer: Answer) -> float:
    return float(answer.headers["server-timing"].partition("backoff;dur=")[2])


def circuit(gateway: Running) -> Any:
    return health_of(gateway, "a")["circuit_state"]


def until_half_open(gateway: Running) -> None:
    deadline = time.monotonic() + WAIT_S
    while circuit(gateway) != "half-open":
        assert time.monotonic() < deadline, "the circuit did not become half-open"
        time.sleep(0.005)


def statuses(gateway: Running) -> tuple[str, str, str]:
    """The gateway's own status, that of provider `a`, and whether requests may be sent here."""
    return get(gateway, "/health")["status"], circuit(gateway), get(gateway, "/health/ready")["status"]


def transitions(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    records = [vars(record) for record in caplog.records]
    return [(record["from"], record["to"]) for record in records if record.get("event") == "circuit"]
