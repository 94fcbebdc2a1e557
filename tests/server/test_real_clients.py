"""Over real sockets: deadlines hold by themselves, refusals arrive, and a client that leaves is noticed."""

from __future__ import annotations

import asyncio
import http.client
import socket
import struct

import msgspec
import pytest
from conversation import TIMEOUTS
from listening import WAIT_S, connected, listening, port_of, run

from gateway.config.schema import Limits

GET = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n"
SOON = msgspec.structs.replace(TIMEOUTS, header=0.05, body=0.05, keepalive=0.05)


# -- deadlines


def test_connection_without_a_byte_is_closed() -> None:
    async def scenario() -> None:
        async with listening(timeouts=SOON) as (_, listener), connected(listener) as (reader, _):
            assert await reader.read() == b""

    run(scenario())


UNFINISHED_BODY = b"POST /v1/x HTTP/1.1\r\nhost: gw\r\ncontent-length: 9\r\n\r\n"


@pytest.mark.parametrize(
    ("unfinished", "setting"),
    [(GET[:-2], b"server.timeouts.header"), (UNFINISHED_BODY, b"server.timeouts.body")],
)
def test_request_that_does_not_come_is_408(unfinished: bytes, setting: bytes) -> None:
    async def scenario() -> None:
        async with listening(timeouts=SOON) as (_, listener), connected(listener) as (reader, writer):
            writer.write(unfinished)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert setting in answer

    run(scenario())


def test_deadlines_that_a_reload_shortens_hold() -> None:
    async def scenario() -> None:
        before = msgspec.structs.replace(TIMEOUTS, keepalive=0.5)
        async with listening(timeouts=before) as (served, listener):
            served.site.timeouts = SOON
            async with connected(listener) as (reader, _):
                assert await reader.read() == b""

    run(scenario())


def test_client_that_does_not_read_its_answer_is_cut_off() -> None:
    async def scenario() -> None:
        async with listening(body=b"x" * 50_000_000, timeouts=SOON) as (served, listener):
            with socket.create_connection(("127.0.0.1", port_of(listener))) as client:
                client.sendall(GET)
                await served.until(lambda: bool(served.exchanges))
                await served.until(lambda: not served.site.connections)

    run(scenario())


# -- refusals reach a client that still sends


def upload(port: int, size: int) -> tuple[int, bytes]:
    """Send a whole body, as most clients do, before looking at the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    connection.request("POST", "/v1/files", b"x" * size)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def test_refusal_reaches_a_client_that_is_still_uploading() -> None:
    async def scenario() -> None:
        limits = Limits(max_body=1000)
        async with listening(limits=limits) as (served, listener):
            status, body = await asyncio.to_thread(upload, port_of(listener), 50_000_000)
            assert status == 413
            assert b"server.limits.max_body" in body
            assert served.exchanges == []
            await served.until(lambda: not served.site.connections)

    run(scenario())


def test_one_connection_too_many_hears_why() -> None:
    async def scenario() -> None:
        async with listening(max_connections=1) as (served, listener):
            async with connected(listener):
                await served.until(lambda: bool(served.site.connections))
                status, body = await asyncio.to_thread(upload, port_of(listener), 1000)
                assert status == 503
                assert b"server.limits.max_connections" in body
            await served.until(lambda: not served.site.connections)
            status, _ = await asyncio.to_thread(upload, port_of(listener), 1000)
            assert status == 200

    run(scenario())


# -- the client leaves


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("streaming", [False, True])
def test_client_that_leaves_is_noticed(how: str, streaming: bool) -> None:
    async def scenario() -> None:
        async with listening(body=None) as (served, listener):
            client = socket.create_connection(("127.0.0.1", port_of(listener)))
            client.sendall(GET)
            await served.until(lambda: bool(served.exchanges))
            if streaming:
                served.exchanges[0].client.start(200, [], None, b"data: 1\n\n")
            if how == "RST":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            await served.until(lambda: served.exchanges[0].told == ["gone"])
            await served.until(lambda: not served.site.connections)
            assert served.exchanges[0].told == ["gone"]

    run(scenario())


def test_slow_client_is_noticed_and_catches_up() -> None:
    async def scenario() -> None:
        async with listening(body=None) as (served, listener), connected(listener) as (reader, writer):
            writer.write(GET)
            await served.until(lambda: bool(served.exchanges))
            exchange = served.exchanges[0]
            exchange.client.start(200, [], None, b"x")
            size = 1
            while exchange.told != ["pause"]:
                exchange.client.write(b"x" * 1_000_000)
                size += 1_000_000
            received = 0
            while exchange.told != ["pause", "resume"]:
                received += (await reader.read(1_000_000)).count(b"x")
            exchange.client.end(b"")
            while received < size:
                received += (await reader.read(1_000_000)).count(b"x")
            assert received == size

    run(scenario())


def test_cut_answer_without_framing_is_a_reset() -> None:
    async def scenario() -> None:
        async with listening(body=None) as (served, listener), connected(listener) as (reader, writer):
            writer.write(b"GET /v1/models HTTP/1.0\r\n\r\n")
            await served.until(lambda: bool(served.exchanges))
            served.exchanges[0].client.start(200, [], None, b"half")
            assert (await reader.readuntil(b"half")).startswith(b"HTTP/1.1 200 OK\r\n")
            served.exchanges[0].client.cut()
            with pytest.raises(ConnectionResetError):
                await reader.read()

    run(scenario())
