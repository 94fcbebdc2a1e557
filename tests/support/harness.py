"""A whole gateway over real sockets, for tests: providers that misbehave on command, and raw connections.

    with running(CONFIG, a=MockServer("a"), b=MockServer("b")) as gateway:
        client = openai.OpenAI(base_url=gateway.url + "/v1", api_key="x", max_retries=0)

`{a}` in the configuration stands for the address of provider `a`. The gateway and its providers run in the
event loop of a thread of their own; `gateway.call(function)` runs a function there.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import uvloop

from gateway.app import App
from gateway.config import loads
from gateway.providers.mock import MockServer

T = TypeVar("T")
WAIT_S = 10.0


class Running:
    """A gateway that runs; `app` is it, `url` where it is, `providers` what stands behind it."""

    def __init__(self, text: str, providers: dict[str, MockServer]) -> None:
        self.text = text
        self.providers = providers
        self.addresses: dict[str, str] = {}
        self.url = ""
        self.port = 0
        self._servers: dict[str, asyncio.Server] = {}
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.wait(self._start())

    async def _start(self) -> None:
        for name in self.providers:
            await self._listen(name, 0)
        text = self.text
        for name, address in self.addresses.items():
            text = text.replace(f"{{{name}}}", address)
        if "\nserver:" not in f"\n{text}":
            text = f"server: {{port: 0}}\n{text}"
        self.app = App(loads(text, "test.yaml", {}), "test.yaml")
        await self.app.start()
        self.url = self.app.addresses[0]
        self.port = int(self.url.rpartition(":")[2]) if "unix:" not in self.url else 0

    async def _listen(self, name: str, port: int) -> None:
        server = await self._loop.create_server(self.providers[name].protocol, "127.0.0.1", port)
        self._servers[name] = server
        self.addresses[name] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def kill(self, name: str) -> None:
        """The provider's port refuses connections, and its open ones are reset."""

        def kill() -> None:
            self._servers.pop(name).close()
            self.providers[name].close_all()

        self.call(kill)

    def revive(self, name: str) -> None:
        """The provider listens again, at its old address."""
        self.wait(self._listen(name, int(self.addresses[name].rpartition(":")[2])))

    def call(self, function: Callable[[], T]) -> T:
        """Run `function` in the gateway's event loop."""

        async def run() -> T:
            return function()

        return self.wait(run())

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Await something in the gateway's event loop."""

        async def run() -> T:
            return await asyncio.wait_for(awaitable, WAIT_S)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(WAIT_S + 1)

    def until(self, condition: Callable[[], bool], within_s: float = WAIT_S) -> None:
        """Wait until `condition` holds in the gateway's loop; fail when it does not in time."""
        deadline = time.monotonic() + within_s
        while not self.call(condition):
            assert time.monotonic() < deadline, "the condition did not come to hold"
            time.sleep(0.005)

    def connect(self) -> Raw:
        """A raw connection to the gateway."""
        return Raw(self.port)

    def stop(self) -> None:
        async def stop() -> None:
            self.app.close()
            for server in self._servers.values():
                server.close()
            for provider in self.providers.values():
                provider.close_all()
            await asyncio.sleep(0)

        self.wait(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()


class Raw:
    """A client connection of plain bytes."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), WAIT_S)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def receive(self) -> bytes:
        """The next bytes; empty at the end of the connection."""
        return self.sock.recv(65536)

    def receive_until(self, mark: bytes) -> bytes:
        """Everything up to and including the read that brings `mark`."""
        data = b""
        while mark not in data:
            more = self.sock.recv(65536)
            assert more, f"the connection ended before {mark!r}: {data!r}"
            data += more
        return data

    def receive_all(self) -> bytes:
        """Everything until the gateway closes; a reset raises ConnectionResetError."""
        data = b""
        while more := self.sock.recv(65536):
            data += more
        return data

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


@contextmanager
def running(config: str, **providers: MockServer) -> Iterator[Running]:
    """A gateway over `providers`, each on a port of its own, until the block ends."""
    gateway = Running(config, providers)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()
