"""Connections to a provider: which one a request gets after another went wrong, and what never reaches it."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path

import certificates
import pytest

from gateway.providers.mock import MockServer

from .client import WAIT_S, ask, read, request
from .gateways import breaker_of, count_failures, gateway_over, pool_of
from .observe import Raw


@pytest.mark.parametrize("delay", ["0", "20ms"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_nobody_asked_for_is_nobody_s(delay: str, stream: bool) -> None:
    a = MockServer("a", reply="mine", faults=[f"unasked;delay={delay}"] * 2)
    with gateway_over(a) as gateway:
        for _ in range(3):
            assert ask(gateway.port, stream=stream).text == "mine"
            time.sleep(0.03)
        assert pool_of(gateway).connections == 1
    assert a.connections_made == 3


def test_a_provider_that_speaks_first_is_not_believed() -> None:
    a = MockServer("a")
    spoken = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfalse"

    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = f"base_url: 'http://127.0.0.1:{listener.getsockname()[1]}', max_retries: 0"
        with (
            gateway_over(a, settings) as gateway,
            socket.create_connection(("127.0.0.1", gateway.port)) as client,
        ):
            client.sendall(request())
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                # Nobody has asked for the second one, which may come before the next request or with it.
                connection.sendall(spoken.replace(b"false", b"true!") + spoken)
                assert read(client).raw_body == b"true!"
            gateway.until(lambda: pool_of(gateway).connections == 0)


def test_a_stale_connection_is_replaced_once_and_is_not_an_attempt() -> None:
    a = MockServer("a", faults=["stale", "ok"])
    with gateway_over(a, "circuit_breaker: {}, max_retries: 0") as gateway:
        count_failures(gateway, "a", 2)
        assert ask(gateway.port).status == 200
        count_failures(gateway, "a", 2)
        answer = ask(gateway.port)
        assert breaker_of(gateway).failures == 0
    assert (answer.status, answer.headers["x-gateway-attempts"]) == (200, "1")
    assert a.connections_made == 2


def test_the_fresh_connection_that_dies_too_is_a_failure() -> None:
    a = MockServer("a", faults=["stale", "close"])
    with gateway_over(a, "circuit_breaker: {}, max_retries: 0") as gateway:
        ask(gateway.port)
        answer = ask(gateway.port)
        assert breaker_of(gateway).failures == 1
    assert (answer.status, answer.headers["x-gateway-attempts"]) == (502, "1")
    assert a.connections_made == 2


def test_after_a_byte_of_the_answer_a_connection_is_not_stale() -> None:
    a = MockServer("a")
    with gateway_over(a, "circuit_breaker: {}, max_retries: 0") as gateway:
        ask(gateway.port)
        a.fault = "reset_in_head"
        assert ask(gateway.port).status == 502
        assert breaker_of(gateway).failures == 1
    assert a.requests_seen == 2


def test_many_stale_connections_cost_a_request_one_of_them() -> None:
    a = MockServer("a", latency=0.05)
    with gateway_over(a) as gateway:
        clients = [socket.create_connection(("127.0.0.1", gateway.port), WAIT_S) for _ in range(8)]
        for client in clients:
            client.sendall(request())
        assert [read(client).status for client in clients] == [200] * 8
        assert pool_of(gateway).connections == 8
        gateway.call(a.close_all)
        assert ask(gateway.port).headers["x-gateway-attempts"] == "1"
        for client in clients:
            client.close()


@pytest.mark.parametrize("linger", ["0", "1s"])
@pytest.mark.parametrize("size", [100, 8_000_000])
def test_an_answer_that_comes_before_the_request_was_read_is_passed_on(size: int, linger: str) -> None:
    a = MockServer("a", faults=[f"early;linger={linger}"])
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * size}]}).encode()
    with gateway_over(a, "max_retries: 0, circuit_breaker: {}") as gateway:
        count_failures(gateway, "a", 1)
        answer = ask(gateway.port, body=body)
        assert (answer.status, answer.headers["x-gateway-provider"]) == (413, "a")
        assert breaker_of(gateway).failures == 1
        assert ask(gateway.port).status == 200
    assert a.connections_made == 2


def test_head_is_answered_without_a_body_whatever_its_head_says() -> None:
    a = Raw("a", (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n",))
    with gateway_over(a) as gateway, socket.create_connection(("127.0.0.1", gateway.port), WAIT_S) as client:
        client.sendall(b"HEAD /v1/files/1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        answer = b""
        while data := client.recv(65536):
            answer += data
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 99\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_provider_over_tls(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    a = MockServer("a", reply="safe")
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    address = f"https://localhost:{sock.getsockname()[1]}"
    settings = f"base_url: '{address}', ca_file: '{made.authority}', max_retries: 0"
    with gateway_over(a, settings) as gateway:

        async def listen() -> asyncio.Server:
            loop = asyncio.get_running_loop()
            return await loop.create_server(a.protocol, sock=sock, ssl=made.server("good"))

        server = gateway.wait(listen())
        try:
            answers = [ask(gateway.port, stream=stream).text for stream in (False, True)]
            assert pool_of(gateway).connections == a.connections_made == 1
        finally:
            gateway.call(server.close)
    assert answers == ["safe", "safe"]
