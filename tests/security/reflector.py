"""A provider that gives its credentials away: it repeats what it was sent, as the query asks.

`/v1/chat/completions?gzip` is answered with the credentials in an error coded with gzip: see `REFLECTIONS`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Final, cast

_CREDENTIALS: Final = re.compile(rb"\r\n(?:authorization|x-team-token): ([^\r]+)", re.IGNORECASE)
_EVENT: Final = b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}}]}\n\n'
_STREAM: Final = "text/event-stream"
_JSON: Final = "application/json"


def _error(heard: str) -> bytes:
    return json.dumps({"error": {"message": f"Wrong key: {heard}", "type": "auth", "code": None}}).encode()


def _answer(status: int, body: bytes, kind: str = _JSON, *fields: str) -> list[bytes]:
    lines = [f"HTTP/1.1 {status} x", f"content-type: {kind}", f"content-length: {len(body)}", *fields]
    return ["\r\n".join([*lines, "", ""]).encode() + body]


def _chunked(status: int, kind: str, *pieces: bytes) -> list[bytes]:
    """A chunk for each piece, and a write for each chunk."""
    head = f"HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return [head, *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]


def _in_halves(status: int, kind: str, heard: str) -> list[bytes]:
    body = _error(heard)
    middle = body.index(heard.encode()) + len(heard) // 2
    return _chunked(status, kind, body[:middle], body[middle:])


def _event(heard: str) -> bytes:
    return b"data: %b\n\n" % _error(heard)


REFLECTIONS: Final[Mapping[str, Callable[[str], list[bytes]]]] = {
    # Errors.
    "json": lambda heard: _answer(401, _error(heard)),
    "text": lambda heard: _answer(500, heard.encode(), "text/plain"),
    "gzip": lambda heard: _answer(401, gzip.compress(_error(heard)), _JSON, "content-encoding: gzip"),
    "deflate": lambda heard: _answer(403, zlib.compress(_error(heard)), _JSON, "content-encoding: deflate"),
    "halves": lambda heard: _in_halves(401, _JSON, heard),
    "halves-of-html": lambda heard: _in_halves(502, "text/html", heard),
    "far-behind": lambda heard: _answer(500, b" " * (65536 - 10) + _error(heard)),
    "far-behind-in-halves": lambda heard: _chunked(
        500, "text/plain", b"x" * 70_000, heard[:9].encode(), heard[9:].encode(), b"x" * 10
    ),
    "field": lambda heard: _answer(401, b"{}", _JSON, f"www-authenticate: Bearer {heard}"),
    "request-id": lambda heard: _answer(400, b"{}", _JSON, f"x-request-id: {heard}"),
    "kind": lambda heard: _answer(400, b"{}", f"application/{heard}"),
    "reason": lambda heard: [f"HTTP/1.1 401 {heard}\r\ncontent-length: 0\r\n\r\n".encode()],
    "retry-after": lambda heard: _answer(429, _error(heard), _JSON, f"retry-after: {heard}"),
    # What is no answer at all.
    "garbage": lambda heard: [heard.encode() + b"\r\n\r\n"],
    "bad-field": lambda heard: [f"HTTP/1.1 200 x\r\n{heard} : {heard}\r\n\r\n".encode()],
    "bad-length": lambda heard: [f"HTTP/1.1 200 x\r\ncontent-length: {heard}\r\n\r\n".encode()],
    "bad-coding": lambda heard: [f"HTTP/1.1 200 x\r\ntransfer-encoding: {heard}\r\n\r\n".encode()],
    "bad-version": lambda heard: [f"HTTP/{heard} 200 x\r\n\r\n".encode()],
    "bad-chunk": lambda heard: [*_chunked(200, _STREAM, _EVENT)[:2], heard.encode()],
    "trailer": lambda heard: [*_chunked(200, _STREAM, _EVENT)[:2], f"0\r\nx-key: {heard}\r\n\r\n".encode()],
    # Streams.
    "first-event": lambda heard: _chunked(200, _STREAM, _event(heard)),
    "second-event": lambda heard: _chunked(200, _STREAM, _EVENT, _event(heard)),
    "callers-first-event": lambda heard: _chunked(
        200, _STREAM, _event(heard).replace(b'"auth"', b'"invalid_request_error"')
    ),
}
"""How the credentials come back, as the writes of an answer."""


class Reflector(asyncio.Protocol):
    """One connection; each answer is the last one on it."""

    def __init__(self) -> None:
        self._transport = cast(asyncio.Transport, None)
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._request += data
        head, end, _ = self._request.partition(b"\r\n\r\n")
        if end:
            self._request = b""
            heard = " ".join(match.decode() for match in _CREDENTIALS.findall(head + b"\r\n"))
            name = head.split(b" ")[1].partition(b"?")[2].decode()
            self._answer(REFLECTIONS[name](heard))

    def _answer(self, writes: list[bytes]) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(writes[0])
        if writes[1:]:
            # A read for each write, as far as the kernel goes along.
            asyncio.get_running_loop().call_later(0.002, self._answer, writes[1:])
        else:
            self._transport.close()
