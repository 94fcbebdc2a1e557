"""The HTTP/1.1 client protocol: one connection to a provider, one request at a time.

Rules:

- A response is parsed, never relayed on trust: what the parser or `ResponseHead` refuses is a protocol error.
- The user is told at most twice for each read: the head, then all the body bytes of that read together. What
  came before a protocol error still reaches it. One `on_body(..., True)` or `on_failure` ends it.
- No more than `max_header` bytes may come without a body byte among them: the head, with the informational
  responses before it, wherever the reads divide it; chunk extensions and trailers to within one read.
- Bytes that nobody asked for poison a connection: it is dropped, or they would become somebody else's answer.
- A connection is used again only when the response was framed, ended, and the request wholly sent.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, cast

import httptools

from gateway.errors import Fault
from gateway.upstream.response import MalformedResponseError, ResponseHead

if TYPE_CHECKING:
    from gateway.upstream.pool import Pool

NEVER: Final = float("inf")
MAX_INFORMATIONAL: Final = 16
_SEPARATE_BODY: Final = 32 * 1024
_MAX_SIZE_LINE: Final = 10


class User(Protocol):
    """Whoever sent the request that a connection is busy with."""

    def on_head(self, head: ResponseHead) -> None:
        """The final response's head is there."""

    def on_whole(self, head: ResponseHead, body: bytes) -> None:
        """A whole response at once, of a kind that is known; the connection is given back."""

    def on_body(self, data: bytes, complete: bool) -> None:
        """Body bytes of one read, maybe none; `complete` with the last, and the connection is given back."""

    def on_failure(self, fault: Fault, detail: str) -> None:
        """There will be no more; the connection is gone."""

    def on_connected(self, connection: Connection) -> None:
        """The connection that the pool promised."""

    def on_not_connected(self, fault: Fault, detail: str) -> None:
        """The pool cannot give one."""


class Connection(asyncio.Protocol):
    """A connection to a provider, owned by `pool`."""

    __slots__ = (
        # connection
        "_max_header",
        "_parser",
        "_pool",
        "idle_since_s",
        "open",
        "transport",
        # exchange
        "_between_chunks",
        "_bodiless",
        "_complete",
        "_delivered_head",
        "_head",
        "_informational",
        "_keep_alive",
        "_parts",
        "_paused",
        "_room",
        "_user",
        "deadline_s",
        "limit_s",
        "progress",
        "received",
        "reused",
    )

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.transport = cast(asyncio.Transport, None)
        self._parser = httptools.HttpResponseParser(self)
        self._max_header = pool.max_header
        self.open = False
        self.idle_since_s = 0.0
        self.reused = False
        self.received = False
        self.progress = False
        self.deadline_s = NEVER
        self.limit_s = NEVER
        self._user: User | None = None
        self._head: ResponseHead | None = None
        self._delivered_head = False
        self._complete = False
        self._keep_alive = False
        self._bodiless = False
        self._between_chunks = False
        self._paused = False
        self._informational = 0
        self._room = 0
        self._parts: list[bytes] = []

    def __repr__(self) -> str:
        state = "closed" if not self.open else "idle" if self._user is None else "busy"
        return f"<Connection {state} to {self._pool.name}>"

    @property
    def alive(self) -> bool:
        """It may be sent to."""
        return self.open and not self.transport.is_closing()

    # -- for the user

    def send(
        self, user: User, head: bytes, body: bytes, bodiless: bool, deadline_s: float, limit_s: float
    ) -> None:
        """Send a request, in one write, and tell `user` what comes back.

        `bodiless` says that the response to it has no body whatever its head says (HEAD). The attempt fails
        with TIMEOUT when `deadline_s` passes before the final response's head is there, or `limit_s` before
        the user has called `commit`.
        """
        self._user = user
        self._head = None
        self._delivered_head = False
        self._complete = False
        self._bodiless = bodiless
        self._between_chunks = False
        self._informational = 0
        self._room = self._max_header
        self.received = False
        self.deadline_s = deadline_s
        self.limit_s = limit_s
        if len(body) < _SEPARATE_BODY:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))

    def commit(self) -> None:
        """The response is on its way to the client: from now on only the idle time counts."""
        self.limit_s = NEVER

    def pause(self) -> None:
        """Stop reading: the user cannot take more."""
        if not self._paused and self.alive:
            self._paused = True
            self.deadline_s = NEVER
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._paused:
            self._paused = False
            self.progress = True  # the sweep starts the idle time anew
            self.transport.resume_reading()

    def abandon(self) -> None:
        """The user wants no more of it: the connection closes at once."""
        self._user = None
        self._close()

    # -- transport callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        user = self._user
        if user is None:
            self._close()
            return
        self.progress = True
        is_first = not self.received
        if is_first:
            self.received = True
            known = self._pool.known
            if known is not None and not self._bodiless:
                body = known[0].body_of(data)
                if body is not None:
                    self._user = None
                    if self.transport.get_write_buffer_size():
                        self._close()
                    else:
                        self._pool.release(self)
                    user.on_whole(known[1], body)
                    return
        elif self._between_chunks:
            start = data.find(b"\r\n", 0, _MAX_SIZE_LINE) + 2
            size = len(data) - start - 2
            if size > 0 and data.endswith(b"\r\n") and data[: start - 2] == b"%x" % size:
                # Just one whole chunk in its plainest form, as most events of a stream come.
                self._room = self._max_header
                user.on_body(data[start:-2], False)
                return
        size = len(data)
        failure = ""
        try:
            if size > self._room and not self._delivered_head:
                self._feed_end_of_head(data)
            else:
                self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            failure = str(error.__context__ or error)
        except httptools.HttpParserError as error:
            failure = f"its response is not HTTP ({error})"
        except MalformedResponseError as error:
            failure = str(error)
        if not self._delivered_head:
            head = self._head
            if head is not None and head.status:
                self._delivered_head = True
                if is_first and self._complete and not failure:
                    self._remember(data, head)
                user.on_head(head)
                if self._user is not user:
                    return
        self._deliver(user, size, failure)

    def eof_received(self) -> bool:
        user, head = self._user, self._head
        if user is not None and head is not None and head.status and head.ends_with_connection:
            self._complete = True
            self._deliver(user, 0, "")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.open:
            self.open = False
            self._pool.lost(self)
        user = self._user
        if user is not None:
            self._user = None
            if exc is None:
                user.on_failure(Fault.CLOSED, "it closed the connection before its response was whole")
            else:
                user.on_failure(Fault.RESET, "it reset the connection before its response was whole")

    # -- for the pool's sweep

    def look(self, now: float, idle_s: float, pooled_s: float) -> None:
        """Enforce the times that are over at `now`: `idle_s` between reads, `pooled_s` without a user."""
        user = self._user
        if user is None:
            self.idle_since_s = min(self.idle_since_s, now)
            if now - self.idle_since_s >= pooled_s:
                self._close()
        elif self.progress and self._delivered_head and now < self.limit_s:
            self.progress = False
            if not self._paused:
                self.deadline_s = now + idle_s
        elif self.deadline_s <= now or self.limit_s <= now:
            self._user = None
            self._close()
            setting = "total" if self.limit_s <= now else "idle" if self._delivered_head else "first_byte"
            user.on_failure(Fault.TIMEOUT, setting)

    def close(self) -> None:
        """Close a connection that nobody uses."""
        self._close()

    # -- inside

    def _remember(self, data: bytes, head: ResponseHead) -> None:
        """The response `data` came whole: recognize others with the same head."""
        # Informational responses before it, and one that ends the connection, are not worth recognizing.
        if self._keep_alive and not self._informational and head.content_length is not None:
            self._pool.remember(data, sum(map(len, self._parts)), head)

    def _deliver(self, user: User, size: int, failure: str) -> None:
        parts = self._parts
        if parts:
            data = parts[0] if len(parts) == 1 else b"".join(parts)
            self._parts = []
            self._room = self._max_header
        else:
            data = b""
            self._room -= size
            if self._room < 0 and not self._complete and not failure:
                failure = (
                    f"its response has chunk extensions or trailers of more than {self._max_header} bytes"
                )
        if self._complete:
            self._user = None
            if self._keep_alive and not failure and not self.transport.get_write_buffer_size():
                self._pool.release(self)
            else:
                self._close()
            user.on_body(data, True)
            return
        if data:
            user.on_body(data, False)
            if self._user is not user:
                return
        if failure:
            self._user = None
            self._close()
            user.on_failure(Fault.PROTOCOL, failure)

    def _feed_end_of_head(self, data: bytes) -> None:
        """Parse a read that goes beyond what a head may have: the head must end before."""
        room = self._room
        self._parser.feed_data(data[:room])
        if self._head is None or not self._head.status:
            raise MalformedResponseError(f"its response has a header of more than {self._max_header} bytes")
        self._parser.feed_data(data[room:])

    def _close(self) -> None:
        if self.open:
            self.open = False
            self.transport.abort()
            self._pool.lost(self)

    # -- parser callbacks

    def on_message_begin(self) -> None:
        if self._complete:
            raise MalformedResponseError("it sent more than one response")
        self._head = ResponseHead()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is not None and not self._head.status:  # else a trailer field
            self._head.add_field(name, value)

    def on_headers_complete(self) -> None:
        head = self._head
        assert head is not None
        parser = self._parser
        status = parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise MalformedResponseError("it sent informational responses without end")
            self._head = None
            return
        version = parser.get_http_version()
        head.complete(status, version)
        # A transfer coding in HTTP/1.0: the framing cannot be trusted any further (RFC 9112 section 6.1).
        self._keep_alive = parser.should_keep_alive() and (head.coding is None or version == "1.1")
        if self._bodiless:
            # The parser does not know of HEAD and waits for a body: the connection cannot be used again.
            self._keep_alive = False
            self._complete = True

    def on_chunk_header(self) -> None:
        self._between_chunks = False

    def on_chunk_complete(self) -> None:
        self._between_chunks = not self._complete

    def on_body(self, data: bytes) -> None:
        if not self._bodiless:
            self._parts.append(data)

    def on_message_complete(self) -> None:
        if self._head is not None:  # else an informational response
            self._complete = True
