"""`GET /stats` of whole gateways: over providers that fail, and with several workers, some of which die."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import httpx
import msgspec
import pytest
from family import Served, served
from harness import running

from gateway.admin.stats_schema import Stats
from gateway.providers.mock import MockServer

# -- one worker

FALLBACK = """
providers:
  a:
    {format: openai, base_url: "{a}", max_retries: 1, retry: {base_delay: 1ms}, fallback_provider: b,
     circuit_breaker: {max_failures: 3}}
  b: {format: openai, base_url: "{b}"}
models: {"m": {provider: a}, "*": {provider: b}}
prices: {"m": {input: 1, output: 2}}
"""


CHAT = (
    b'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 27\r\n\r\n{"model":"m","messages":[]}'
)


def ask(url: str, model: str = "m") -> None:
    message = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    assert httpx.post(f"{url}/v1/chat/completions", json=message).status_code == 200


def get(url: str) -> Stats:
    return msgspec.json.decode(httpx.get(f"{url}/stats").raise_for_status().content, type=Stats)


def test_what_a_failing_provider_and_its_fallback_did_is_told() -> None:
    a, b = MockServer("a", fault="503"), MockServer("b")
    with running(FALLBACK, a=a, b=b) as gateway:
        for model in ("m", "m", "m", "another"):
            ask(gateway.url, model)
        stats = get(gateway.url)
    first, second = stats.windows.start.providers
    # Two attempts of the first request, one of the second; then the circuit was open.
    assert (first.requests, first.attempts.failure, first.retries) == (0, 3, {"status_503": 1})
    assert {one.reason: one.count for one in first.fallbacks_out} == {"status_503": 2, "circuit_open": 1}
    assert {one.reason: one.count for one in second.fallbacks_in} == {"status_503": 2, "circuit_open": 1}
    assert (second.requests, second.attempts.success) == (4, 4)
    assert [(one.model, one.requests) for one in second.models] == [("m", 3), ("*", 1)]
    assert second.tokens.output > 0
    assert second.models[0].cost_usd
    assert second.models[1].cost_usd is None
    state = stats.providers[0]
    assert (state.circuit_state, state.failures, state.opened) == ("open", 3, 1)
    assert [(one.before, one.after) for one in state.transitions] == [("closed", "open")]
    assert state.last_error is not None
    assert "503" in state.last_error.message
    assert stats.providers[1].pool.connections == 1
    assert stats.windows.start.total.latency_s.p50 is not None
    assert stats.overhead_s.p99 is not None
    assert (stats.workers, stats.inflight_requests) == (1, 0)


def test_an_answer_that_breaks_off_is_told_though_its_status_was_200() -> None:
    a = MockServer("a", fault="reset_body")
    with running('providers: {a: {format: openai, base_url: "{a}"}}', a=a) as gateway:
        message = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(f"{gateway.url}/v1/chat/completions", json=message)
        (provider,) = get(gateway.url).windows.start.providers
    assert (provider.requests, provider.broken, provider.attempts.failure) == (1, 1, 1)
    assert provider.errors.server == 0


def test_requests_under_way_are_shown_at_their_provider() -> None:
    slow = MockServer("a", latency=60.0)
    with running('providers: {a: {format: openai, base_url: "{a}"}}', a=slow) as gateway:
        with gateway.connect() as client:
            client.send(CHAT)
            gateway.until(lambda: slow.requests_seen == 1)
            stats = get(gateway.url)
            assert (stats.inflight_requests, stats.open_connections.client) == (1, 2)
            state = stats.providers[0]
            assert (state.inflight_requests, state.pool.connections, state.pool.queued) == (1, 1, 0)
        gateway.until(lambda: slow.connections_open == 0)
        stats = get(gateway.url)
    assert (stats.inflight_requests, stats.providers[0].inflight_requests) == (0, 0)
    assert stats.windows.start.total.errors.gone == 1


@pytest.mark.parametrize("path", ["/stats", "/metrics"])
def test_the_page_asks_for_the_operators_key(path: str) -> None:
    config = 'server: {port: 0, admin: {api_key: "let-me-in"}}\nproviders: {a: {format: mock}}'
    with running(config) as gateway:
        assert httpx.get(gateway.url + path).status_code == 401
        answer = httpx.get(gateway.url + path, headers={"authorization": "Bearer let-me-in"})
        assert answer.status_code == 200


# -- several workers

FAMILY = """
server: {port: 0, workers: 2}
providers:
  a:
    {format: mock, mock: {fault: "503"}, max_retries: 0, fallback_provider: b,
     circuit_breaker: {max_failures: 3}}
  b: {format: mock}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(FAMILY)
    return path


def answers_of_both(gateway: Served) -> list[Stats]:
    """Several answers over connections of their own: it is left to the kernel which worker gives which."""
    return [get(gateway.url) for _ in range(8)]


def test_every_worker_tells_of_all_of_them(config: Path) -> None:
    with served(config) as gateway:
        gateway.wait_for("started", 2)
        for _ in range(20):
            assert gateway.chat()[0] == 200
        for stats in answers_of_both(gateway):
            assert stats.workers == 2
            assert stats.windows.start.total.requests == 20
            assert stats.windows.start.providers[0].attempts.failure == 3
            assert stats.providers[0].opened == 1
            assert [one.after for one in stats.providers[0].transitions] == ["open"]


def test_counters_never_fall_when_a_worker_dies(config: Path) -> None:
    with served(config) as gateway:
        gateway.wait_for("started", 2)
        for _ in range(20):
            gateway.chat()
        uptime_s = 0.0
        for number in (0, 1):
            os.kill(gateway.worker_pids[number], signal.SIGKILL)
            gateway.wait_for("started", 3 + number)
            for stats in answers_of_both(gateway):
                assert stats.windows.start.total.requests == 20
                assert stats.windows.start.seconds == pytest.approx(stats.uptime_s, abs=0.5)
                assert stats.inflight_requests == 0
                assert stats.uptime_s > uptime_s  # it is that of the family
            uptime_s = stats.uptime_s
        gateway.chat()
        assert {stats.windows.start.total.requests for stats in answers_of_both(gateway)} == {21}


def test_what_a_dead_worker_had_under_way_is_not_shown_for_ever(config: Path) -> None:
    config.write_text("server: {port: 0, workers: 2}\nproviders: {a: {format: mock, mock: {latency: 60s}}}")
    with served(config) as gateway:
        gateway.wait_for("started", 2)
        port = int(gateway.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(CHAT)
            gateway.until(lambda: get(gateway.url).inflight_requests == 1, "a request under way")
            for pid in gateway.worker_pids:
                os.kill(pid, signal.SIGKILL)
            gateway.wait_for("started", 4)
            for stats in answers_of_both(gateway):
                assert (stats.inflight_requests, stats.open_connections.upstream) == (0, 0)


def test_a_provider_that_a_reload_removed_is_only_in_the_windows(config: Path) -> None:
    with served(config) as gateway:
        gateway.wait_for("started", 2)
        gateway.chat()
        config.write_text("server: {port: 0, workers: 2}\nproviders: {b: {format: mock}, c: {format: mock}}")
        gateway.signal(signal.SIGHUP)
        gateway.wait_for("reload", 2)
        for stats in answers_of_both(gateway):
            assert [one.name for one in stats.providers] == ["b", "c"]
            assert [one.provider for one in stats.windows.start.providers] == ["b", "c", "a"]
