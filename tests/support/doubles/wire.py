"""A double of nothing in particular: it says what it is told to, byte for byte, whatever it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, NamedTuple

from doubles.listening import Listening

_PAUSE_S = 0.002
"""Between two writes, that they are mostly two reads for who listens."""


class Wire(NamedTuple):
    """An answer: what is written, one after the other, and what then becomes of the connection."""

    pieces: Sequence[bytes]
    then: Literal["keep", "close", "hang"] = "keep"


def whole(status: int, body: bytes, kind: str = "application/json", *fields: str) -> Wire:
    """An answer with a length."""
    lines = [f"HTTP/1.1 {status} x", f"content-type: {kind}", f"content-length: {len(body)}", *fields]
    return Wire(["\r\n".join([*lines, "", ""]).encode() + body])


def stream(pieces: Sequence[bytes], then: Literal["end", "close", "hang"] = "end", *fields: str) -> Wire:
    """An event stream in chunks, which comes to its `end`, or does not."""
    lines = ["HTTP/1.1 200 OK", "content-type: text/event-stream", "transfer-encoding: chunked", *fields]
    head = "\r\n".join([*lines, "", ""]).encode()
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    if then == "end":
        return Wire([head, *chunks, b"0\r\n\r\n"])
    return Wire([head, *chunks], then)


class WireDouble(Listening):
    """The server; `script` is what it says, in turn, the last again and again. `requests` are what came."""

    def __init__(self, *script: Wire) -> None:
        super().__init__()
        self.script = list(script)
        self.requests: list[bytes] = []

    @property
    def connections_open(self) -> int:
        return len(self._connections)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection is kept."""
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        body = await reader.readexactly(int(lengths[0].partition(b":")[2])) if lengths else b""
        self.requests.append(head + body)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        for piece in answer.pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(_PAUSE_S)
        if answer.then == "hang":
            await reader.read()
        return answer.then == "keep"
