"""A provider whose answers are event streams without end, at a pace.

    python -m parts.paced PORT EVENTS_PER_S

Every stream gets its events evenly, and the streams are spread over the time between two events, as those
of many users are. The answers do not depend on the request, which is read up to its end and no further.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from itertools import count
from typing import Final, cast

import uvloop

MARK: Final = b"~"
"""Stands once in each event, and nowhere else in a stream: who counts it needs to parse nothing."""

TICK_S: Final = 0.001  # the resolution of uvloop's timers
HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def event() -> bytes:
    """One event of a chat completion's stream, about 220 bytes, as a chunk (RFC 9112, section 7.1)."""
    content = {
        "id": "chatcmpl-0123456789abcdefghijklmnopqrs",
        "object": "chat.completion.chunk",
        "created": 1_764_000_000,
        "model": "gpt-4o",
        "choices": [{"index": 0, "delta": {"content": MARK.decode()}, "finish_reason": None}],
    }
    text = b"data: %b\n\n" % json.dumps(content).encode()
    return b"%x\r\n%b\r\n" % (len(text), text)


EVENT: Final = event()


class Pacer:
    """Gives every stream one event in each round of `phases` ticks, the streams spread evenly over them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, phases: int) -> None:
        self._loop = loop
        self._phases: list[set[asyncio.WriteTransport]] = [set() for _ in range(phases)]
        self._ticks = count(1)
        self._began_s = loop.time()
        self._tick()

    def add(self, stream: asyncio.WriteTransport) -> None:
        """Begin to send events."""
        min(self._phases, key=len).add(stream)

    def remove(self, stream: asyncio.WriteTransport) -> None:
        """Send no more."""
        for phase in self._phases:
            phase.discard(stream)

    def _tick(self) -> None:
        tick = next(self._ticks)
        for stream in self._phases[tick % len(self._phases)]:
            stream.write(EVENT)
        # At the tick's own time and not a tick from now: late ones are caught up with.
        self._loop.call_at(self._began_s + tick * TICK_S, self._tick)


class Stream(asyncio.Protocol):
    """One connection: requests one after the other, each answered by a stream until the client leaves."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's has none of asyncio's classes

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if end and len(body) >= (int(length[1]) if length else 0):
            self._received = b""
            self._transport.write(HEAD + EVENT)
            self._pacer.add(self._transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._pacer.remove(self._transport)


async def serve(port: int, events_per_s: float) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    pacer = Pacer(loop, max(1, round(1 / (TICK_S * events_per_s))))
    server = await loop.create_server(lambda: Stream(pacer), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
