"""A client connection driven with bytes, without sockets, for tests that read as transcripts.

    talk = Conversation()
    talk.says(b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n")
    assert talk.heard == [Answer(200, ...)]

The transport and the clock are fakes. The handler behind the data endpoints answers each request at once with
what it got, or, with `held=True`, leaves that to the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway._speedups import known_head
from gateway.config.schema import Limits, ServerTimeouts
from gateway.server.protocol import ClientConnection
from gateway.server.request import Request
from gateway.server.site import Page, Site

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: gw\r\n"
LIMITS = Limits()
TIMEOUTS = ServerTimeouts()
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def post(body: bytes, *lines: bytes) -> bytes:
    """A chat request with that body and more header lines."""
    more = b"".join(line + b"\r\n" for line in lines)
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (HEAD, more, len(body), body)


def splits(data: bytes) -> Iterator[list[bytes]]:
    """Every way in which bytes may come in two reads, and one read for each byte."""
    yield [data[at : at + 1] for at in range(len(data))]
    yield from ([data[:at], data[at:]] for at in range(1, len(data)))


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeTransport(asyncio.Transport):
    """Takes bytes down; `unsent` is what it says of its write buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.wire = bytearray()
        self.high_water: int | None = None
        self.writes = 0
        self.unsent = 0
        self.closed = False
        self.aborted = False
        self.eof = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, f"written after the end: {bytes(data)!r}"
        assert not self.eof, f"written after FIN: {bytes(data)!r}"
        self.wire += data
        self.writes += 1

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high_water = high

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True


@dataclass(frozen=True)
class Answer:
    """An answer on the wire; the gateway writes the names of fields in lower case."""

    status: int
    fields: Mapping[bytes, bytes]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The object that says what is wrong."""
        error: dict[str, Any] = orjson.loads(self.body)["error"]
        return error

    @property
    def closes(self) -> bool:
        return self.fields.get(b"connection") == b"close"


def answers(wire: bytes, *methods: bytes) -> list[Answer]:
    """The answers in bytes on the wire; `methods` are those of the requests, where one of them is HEAD."""
    found: list[Answer] = []
    while wire:
        head, end, wire = wire.partition(b"\r\n\r\n")
        assert end, f"an answer is cut short: {head!r}"
        status_line, *lines = head.split(b"\r\n")
        fields: dict[bytes, bytes] = {}
        for line in lines:
            name, _, value = line.partition(b": ")
            assert name not in fields or name == b"www-authenticate", f"a field stands twice: {head!r}"
            fields[name] = value
        status = int(status_line.split(b" ")[1])
        is_head = len(found) < len(methods) and methods[len(found)] == b"HEAD"
        body = b""
        if fields.get(b"transfer-encoding") == b"chunked":
            body, wire = _chunks(wire)
        elif not is_head and status not in (204, 304):
            length = int(fields[b"content-length"])
            body, wire = wire[:length], wire[length:]
            assert len(body) == length, "a body is cut short"
        found.append(Answer(status, fields, body))
    return found


def _chunks(wire: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, wire = wire.partition(b"\r\n")
        length = int(size, 16)
        chunk, end, wire = wire[:length], wire[length : length + 2], wire[length + 2 :]
        assert end == b"\r\n"
        if not length:
            return body, wire
        body += chunk


@dataclass
class Exchange:
    """A request as its handler got it, and what the connection told of its client meanwhile."""

    request: Request
    client: ClientConnection
    told: list[str] = field(default_factory=list)

    def gone(self) -> None:
        self.told.append("gone")

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")

    def respond(self, body: bytes = b"answer", status: int = 200) -> None:
        self.client.respond(status, [], body)

    @property
    def summary(self) -> tuple[bytes, bytes, bytes, bytes]:
        """What a provider would be sent of it: method, target, fields, body."""
        request = self.request
        return request.method, request.target, b"".join(request.fields), request.body


class Conversation:
    """One connection to a site of its own; keyword arguments set the limits, the timeouts and the site."""

    def __init__(
        self,
        *,
        held: bool = False,
        limits: Limits = LIMITS,
        timeouts: ServerTimeouts = TIMEOUTS,
        pages: Mapping[bytes, Page] | None = None,
        max_connections: int = 100,
        site: Site | None = None,
        **settings: Any,
    ) -> None:
        self.clock = Clock()
        self.requests: list[Exchange] = []
        self.held = held
        self.site = site or Site(
            data=self._handle,
            pages=pages or {},
            limits=limits,
            timeouts=timeouts,
            max_connections=max_connections,
            clock=self.clock,
            wall_clock=lambda: 0.0,
            recognizer=known_head,
            **settings,
        )
        self.connection = ClientConnection(self.site)
        self.transport = FakeTransport()
        self.connection.connection_made(self.transport)

    def _handle(self, request: Request, client: ClientConnection) -> Exchange | None:
        exchange = Exchange(request, client)
        self.requests.append(exchange)
        if self.held:
            return exchange
        exchange.respond(b"%b %b" % (request.method, request.target))
        return None

    def says(self, *pieces: bytes) -> Conversation:
        """The client sends these, in one read each, for as long as the connection is read."""
        for piece in pieces:
            if not self.transport.closed:
                self.connection.data_received(piece)
        return self

    def leaves(self, error: Exception | None = None) -> None:
        """The client closes its end, or with an error resets the connection."""
        if error is None and not self.transport.closed:
            self.connection.eof_received()
            self.transport.closed = True  # as the transport does by itself
        self.connection.connection_lost(error)

    def waits(self, seconds: float) -> None:
        """Time passes, and the listener looks for what is overdue."""
        self.clock.now += seconds
        if self.connection.deadline_s <= self.clock.now:
            self.connection.timed_out()

    @property
    def wire(self) -> bytes:
        """Everything that went to the client."""
        return bytes(self.transport.wire)

    @property
    def heard(self) -> list[Answer]:
        """The answers that went to the client, without those that only say to go on."""
        methods = [exchange.request.method for exchange in self.requests]
        return answers(self.wire.replace(CONTINUE, b""), *methods)

    @property
    def ended(self) -> bool:
        """The gateway sends nothing more on this connection."""
        return self.transport.closed or self.transport.eof

    @property
    def outcome(self) -> object:
        """Everything that must be the same however the same bytes are split."""
        wire = self.wire.replace(CONTINUE, b"")
        return [exchange.summary for exchange in self.requests], wire, self.ended, self.site.buffered
