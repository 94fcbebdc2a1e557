"""A mock server that really listens, in a thread of its own, over each event loop the gateway may run on."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httptools
import pytest
import uvloop

from gateway.providers.mock import MockServer

PATIENCE_S = 5.0


class Response:
    """A response as a strict parser reads it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.complete = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        # An informational response is a message of its own to the parser.
        self.complete = self.status >= 200


class Peer:
    """The client's side of one connection, as bytes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, PATIENCE_S)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, body: object, **headers: str) -> None:
        """Send a chat request; underscores in header names stand for dashes."""
        payload = json.dumps(body).encode()
        fields = {"host": "mock", "content-length": str(len(payload)), **headers}
        lines = [
            "POST /v1/chat/completions HTTP/1.1",
            *(f"{name.replace('_', '-')}: {fields[name]}" for name in fields),
        ]
        self.send("\r\n".join([*lines, "", ""]).encode() + payload)

    def read(self) -> Response:
        """Read one whole response and not a byte more."""
        response = Response()
        while not response.complete:
            data = self.socket.recv(1)
            assert data, f"closed inside a response: {response.body!r}"
            response.feed(data)
        return response

    def read_exactly(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            data = self.socket.recv(size - len(received))
            assert data, f"closed after {len(received)} of {size} bytes"
            received += data
        return received

    def read_to_end(self) -> tuple[bytes, str]:
        """Read all there is; returns it and whether ``FIN`` or ``RST`` ended it."""
        received = b""
        try:
            while data := self.socket.recv(65536):
                received += data
        except ConnectionResetError:
            return received, "RST"
        return received, "FIN"

    def nothing_came(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(1)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(PATIENCE_S)
        return False


class Listening:
    """A mock server, where it listens, and peers that are closed after the test."""

    def __init__(self, server: MockServer, address: tuple[str, int], loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.address = address
        self.loop = loop
        self.peers: list[Peer] = []

    @property
    def base_url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}/v1"

    def connect(self) -> Peer:
        peer = Peer(self.address)
        self.peers.append(peer)
        return peer

    def wait_until(self, condition: Callable[[], bool]) -> None:
        waiting = asyncio.run_coroutine_threadsafe(self.server.wait_until(condition), self.loop)
        waiting.result(PATIENCE_S)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def listening(request: pytest.FixtureRequest) -> Iterator[Listening]:
    loop: asyncio.AbstractEventLoop = request.param()
    server = MockServer()
    listener: Any = loop.run_until_complete(loop.create_server(server.protocol, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listening = Listening(server, listener.sockets[0].getsockname()[:2], loop)
    try:
        yield listening
        for peer in listening.peers:
            peer.socket.close()
        loop.call_soon_threadsafe(server.close_all)
        listening.wait_until(lambda: server.connections_open == 0)
    finally:
        loop.call_soon_threadsafe(listener.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
