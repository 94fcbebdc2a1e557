"""A mock provider in a process of its own, which can be told to fail, to die and to return.

    python provider_process.py NAME

It prints its port and reads commands, one a line: `fault KIND` (nothing behind it: no fault), `die` (the port
refuses connections, the open ones are reset), `revive`, `count` (answered with a line of JSON: `Counts`). It
ends with its standard input.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson
import uvloop

from gateway.providers.mock import Fault, MockRequest, MockServer
from gateway.providers.mock.script import Step

SEGMENT: Final = 1448
"""Bytes of a TCP segment, as on an Ethernet: with the 64 KiB of the loopback, kernel buffers grow to MiB."""


class Counts(NamedTuple):
    """What a provider has seen: connections that are open, requests and bytes of answers since the start."""

    connections_open: int
    requests_seen: int
    bytes_sent: int


class Provider:
    """The provider `name` as its parent sees it: a process that listens on `port` of the loopback."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, __file__, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self._read())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, command: str) -> None:
        """Send a command that is not answered."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def count(self) -> Counts:
        self.tell("count")
        return Counts(*orjson.loads(self._read()))

    def end(self) -> None:
        """End the process; what it was doing breaks off."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"provider {self.name} has ended with code {self._process.wait()}")
        return line


class CountingServer(MockServer):
    """Counts the bytes of its answers; a step is only taken when the kernel has taken the one before."""

    bytes_sent = 0

    def perform(self, request: MockRequest, fault: Fault, **options: Any) -> Iterator[Step]:
        return self._counted(super().perform(request, fault, **options))

    def _counted(self, steps: Iterable[Step]) -> Iterator[Step]:
        for step in steps:
            if isinstance(step, bytes):
                self.bytes_sent += len(step)
            yield step

    def counts(self) -> Counts:
        return Counts(self.connections_open, self.requests_seen, self.bytes_sent)


async def _serve(name: str) -> None:
    loop = asyncio.get_running_loop()
    server = CountingServer(name)
    # Bound for as long as the process lives: while it plays dead, no client's own end may get this port.
    reserved = _bound(0)
    port = reserved.getsockname()[1]

    async def listen() -> asyncio.Server:
        return await loop.create_server(server.protocol, sock=_bound(port), backlog=4096)

    listening = await listen()
    print(port, flush=True)
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async for line in commands:
        command, _, argument = line.decode().strip().partition(" ")
        match command:
            case "fault":
                server.fault = argument or None
            case "die":
                listening.close()
                server.close_all()
            case "revive":
                listening = await listen()
            case "count":
                print(orjson.dumps(list(server.counts())).decode(), flush=True)


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    sock.bind(("127.0.0.1", port))
    return sock


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
