"""The HTTP/1.1 side of a double: reads requests, writes what the double makes of them."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from doubles.listening import Listening


@dataclass(frozen=True)
class Request:
    """What came. `path` is decoded, `target` is not; names in `fields` are in lower case."""

    method: str
    target: str
    fields: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What goes back: a `body`, or the pieces of a `stream`, which breaks after them if it is `cut`."""

    status: int = 200
    body: bytes = b""
    stream: list[bytes] | None = None
    cut: bool = False
    fields: dict[str, str] = field(default_factory=dict)


class Double(Listening):
    """A server on a loopback port of its own; `requests` is all that came."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []

    @abstractmethod
    def answer(self, request: Request) -> Reply:
        """What the API says to `request`."""

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        fields = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        request = Request(method, target, fields, body)
        self.requests.append(request)
        reply = self.answer(request)
        writer.write(_head(reply))
        if reply.stream is None:
            writer.write(reply.body)
            return True
        for piece in reply.stream:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if reply.cut:
            return False
        writer.write(b"0\r\n\r\n")
        return True


def _head(reply: Reply) -> bytes:
    if reply.stream is None:
        framing = {"content-type": "application/json; charset=UTF-8", "content-length": str(len(reply.body))}
    else:
        framing = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in (framing | reply.fields).items())
    return f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n{lines}\r\n".encode()
