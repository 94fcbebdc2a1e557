"""Holds connections open and counts what comes on them: `python -m parts.holder URL CONNECTIONS`.

On each connection one chat completion is asked for. When all have been answered (streams: with their first
event) the script prints `ready`. From then on it answers every line on its standard input with the number
of events so far; at the end of the input it leaves.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Final, cast
from urllib.parse import urlsplit

import uvloop

from parts.paced import MARK

AT_A_TIME: Final = 100  # connections that are being opened, so that no backlog overflows
WAIT_S: Final = 60.0


class Held(asyncio.Protocol):
    """One connection. `answered` is done when its first bytes of a body have come, or it was lost."""

    def __init__(self, tally: Tally, request: bytes) -> None:
        self._tally = tally
        self._request = request
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asked for its class: uvloop's is none of asyncio's.
        cast(asyncio.WriteTransport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self._tally.events += data.count(MARK)
        if not self.answered.done():
            if data.startswith(b"HTTP/1.1 200"):
                self.answered.set_result(None)
            else:
                self.answered.set_exception(ConnectionError(f"answered with {data[:200]!r}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._tally.lost += 1
        if not self.answered.done():
            self.answered.set_exception(ConnectionError(f"closed without an answer: {error}"))


class Tally:
    """What all connections have seen."""

    def __init__(self) -> None:
        self.events = 0
        self.lost = 0


async def hold(url: str, connections: int, stream: bool) -> None:
    """Open the connections, print `ready`, and answer lines until there are none."""
    address = urlsplit(url)
    body = b'{"model": "gpt-4o", "stream": %s, "messages": []}' % (b"true" if stream else b"false")
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % len(body)
    loop = asyncio.get_running_loop()
    tally, places = Tally(), asyncio.Semaphore(AT_A_TIME)

    async def open_one() -> None:
        async with places:
            _, held = await loop.create_connection(
                lambda: Held(tally, head + body), address.hostname or "", address.port or 80
            )
            await asyncio.wait_for(held.answered, WAIT_S)

    await asyncio.gather(*(open_one() for _ in range(connections)))
    print("ready", flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        print(tally.events, tally.lost, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("connections", type=int)
    parser.add_argument("--stream", action="store_true")
    options = parser.parse_args()
    uvloop.run(hold(options.url, options.connections, options.stream))


if __name__ == "__main__":
    main()
