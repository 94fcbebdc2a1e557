"""A site over real sockets, in the event loop of the test: what its clients see, and what its handler saw.

async with listening(body=b"answer") as (served, listener), connected(listener) as (reader, writer):
    ...
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import uvloop
from conversation import LIMITS, TIMEOUTS, Exchange

from gateway.config.schema import Limits, ServerTimeouts
from gateway.server.listener import Listener, bind_tcp
from gateway.server.protocol import ClientConnection
from gateway.server.request import Request
from gateway.server.site import Site

WAIT_S = 10.0


class Served:
    """A site that is listened on; `exchanges` are the requests that came, unanswered unless `body` is set."""

    def __init__(
        self, body: bytes | None, limits: Limits, timeouts: ServerTimeouts, max_connections: int
    ) -> None:
        self.exchanges: list[Exchange] = []
        self.body = body
        self.site = Site(
            data=self._handle, pages={}, limits=limits, timeouts=timeouts, max_connections=max_connections
        )

    def _handle(self, request: Request, client: ClientConnection) -> Exchange | None:
        exchange = Exchange(request, client)
        self.exchanges.append(exchange)
        if self.body is None:
            return exchange
        exchange.respond(self.body)
        return None

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(WAIT_S):
            while not condition():  # noqa: ASYNC110 - what is waited for is no event of asyncio
                await asyncio.sleep(0.001)


@asynccontextmanager
async def listening(
    sockets: Sequence[socket.socket] = (),
    *,
    tls: ssl.SSLContext | None = None,
    body: bytes | None = b"answer",
    limits: Limits = LIMITS,
    timeouts: ServerTimeouts = TIMEOUTS,
    max_connections: int = 100,
) -> AsyncIterator[tuple[Served, Listener]]:
    """A site on `sockets`, or on any free port of the loopback, until the block ends."""
    served = Served(body, limits, timeouts, max_connections)
    sockets = sockets or bind_tcp("127.0.0.1", 0)
    listener = Listener(served.site, sockets, tls)
    await listener.start()
    try:
        yield served, listener
    finally:
        listener.close()
        await served.until(lambda: not served.site.connections)
        for sock in sockets:
            sock.close()


def port_of(listener: Listener) -> int:
    return int(listener.addresses[0].rpartition(":")[2])


@asynccontextmanager
async def connected(listener: Listener) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client connection, until the block ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listener))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def run(scenario: Awaitable[None]) -> None:
    """Run it in the event loop of production, bounded in time."""

    async def bounded() -> None:
        async with asyncio.timeout(3 * WAIT_S):
            await scenario

    uvloop.run(bounded())
