"""One client connection: requests in by way of the reader, answers out in the same order.

Rules:

- One request is answered at a time. Meanwhile the socket is still read, so that a client that leaves is
  noticed at once; what it pipelines is kept as bytes, at most `max_header` of them.
- FIN or reset while a request is unanswered means that the client has left.
- A connection is closed behind a refused request, and only after the client had time to read the refusal.
- Deadlines are absolute: bytes do not move them. The listener's sweep compares `deadline_s` with its clock.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from time import monotonic, time
from typing import TYPE_CHECKING, Final, cast

from gateway.errors import GatewayError, overloaded, refused
from gateway.server import writer
from gateway.server.reader import RequestReader
from gateway.server.request import Request

if TYPE_CHECKING:
    from gateway.server.site import Active, Site

NEVER: Final = float("inf")
HIGH_WATER: Final = 64 * 1024
LINGER_S: Final = 2.0
_SEPARATE_BODY: Final = 32 * 1024
_BODILESS: Final = frozenset({204, 304})
_LENGTH, _CHUNKED, _CLOSE = range(3)


class ClientConnection(asyncio.Protocol):
    """The protocol of an accepted connection. `respond` to `cut` are for whoever answers its request."""

    __slots__ = (
        # connection
        "_advancing",
        "_early",
        "_early_size",
        "_lingering",
        "_reader",
        "_site",
        "_transport",
        "deadline_s",
        # request being answered
        "_active",
        "_closes",
        "_framing",
        "_request",
        "_started",
    )

    def __init__(self, site: Site) -> None:
        self._site = site
        self._reader = RequestReader(site)
        self._transport = cast(asyncio.Transport, None)
        self.deadline_s = NEVER
        self._early: list[bytes] = []
        self._early_size = 0
        self._lingering = False
        self._advancing = False
        self._request: Request | None = None
        self._active: Active | None = None
        self._started = False
        self._framing = _LENGTH
        self._closes = False

    def __repr__(self) -> str:
        return f"<ClientConnection answering={self._request!r} {self._reader!r}>"

    # -- transport callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(HIGH_WATER, HIGH_WATER // 4)
        self.deadline_s = monotonic() + self._site.timeouts.header
        if not self._site.opened(self):
            self._reader.refuse(
                overloaded("The gateway has all the connections it may (server.limits.max_connections).")
            )
            self._advance()

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if self._request is not None:
            self._keep(data)
            return
        reader.feed(data)
        self._advance()

    def eof_received(self) -> bool:
        self._leave()
        return False  # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        self._site.lost(self)
        self._leave()
        self._reader.ended = True
        self._reader.drop()
        self._forget_pipelined()

    def pause_writing(self) -> None:
        if self._active is not None:
            self._active.pause()

    def resume_writing(self) -> None:
        if self._active is not None:
            self._active.resume()

    # -- for the listener

    @property
    def idle(self) -> bool:
        """No request is being read or answered."""
        return self._request is None and self._reader.request is None and not self._lingering

    def close_idle(self) -> None:
        """Close a connection on which nothing is under way."""
        self._reader.ended = True
        self._transport.close()

    def timed_out(self) -> None:
        """`deadline_s` has passed."""
        reader = self._reader
        if self._request is None and reader.request is not None and not self._lingering:
            timeouts = self._site.timeouts
            if reader.in_body:
                message = (
                    f"The request body did not arrive within {timeouts.body:g} s (server.timeouts.body)."
                )
            else:
                message = f"The request header did not arrive within {timeouts.header:g} s (server.timeouts.header)."
            reader.refuse(refused(408, "request_timeout", message))
            self._advance()
        elif self._lingering or self._transport.get_write_buffer_size():
            self._transport.abort()  # close() would wait for a client that does not read
        else:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once, whatever is under way."""
        self._transport.abort()

    # -- what is under way

    def _keep(self, data: bytes) -> None:
        self._early_size += len(data)
        if self._early_size <= self._site.limits.max_header:
            self._early.append(data)
        else:
            # The connection closes behind this answer; what is unanswered a client may send again.
            self._reader.ended = True
            self._early.clear()

    def _advance(self) -> None:
        """Answer what is ready, one request after the other; close when there is nothing more to come."""
        if self._advancing:
            return
        self._advancing = True
        reader = self._reader
        while self._request is None:
            if reader.ready:
                self._begin(reader.ready.popleft())
            elif self._early and not reader.ended:
                data = b"".join(self._early)
                self._early.clear()
                self._early_size = 0
                reader.feed(data)
            else:
                break
        self._advancing = False
        if self._request is not None:
            self.deadline_s = NEVER
        elif reader.ended:
            self._close()
        elif reader.request is not None:
            self.deadline_s = reader.deadline_s
            if reader.continue_due:
                reader.continue_due = False
                self._transport.write(writer.CONTINUE)

    def _begin(self, request: Request) -> None:
        self._request = request
        self._started = False
        site = self._site
        self._closes = not request.keep_alive or site.draining
        try:
            active = site.handle(request, self)
        except Exception:
            site.crashed(request)
            if self._request is request:
                self._fail()
            return
        if self._request is request:
            self._active = active

    def _fail(self) -> None:
        if self._started:
            self.cut()
        else:
            error = refused(
                500, "internal_error", "The gateway could not handle the request; its log says why."
            )
            self.respond(error.status, error.fields(), error.body())

    def _close(self) -> None:
        refusal = self._reader.refusal
        if self._lingering or self._transport.is_closing():
            return
        if refusal is not None:
            body = refusal.body()
            fields = [*refusal.fields(), *self._site.date_field(time())]
            self._transport.write(
                b"".join((*writer.with_length(refusal.status, fields, len(body), False), body))
            )
        if (refusal is not None or self._early_size) and self._transport.can_write_eof():
            # A close with unread bytes resets the connection, and the answer may be lost (RFC 9112 9.6).
            self._lingering = True
            self._transport.write_eof()
            self.deadline_s = monotonic() + LINGER_S
        else:
            self._transport.close()

    def _leave(self) -> None:
        """The client has gone: whoever is answering it is told at once."""
        request = self._request
        if request is None:
            return
        self._request = None
        self._reader.ended = True
        self._site.buffered -= len(request.body)
        active, self._active = self._active, None
        if active is not None:
            active.gone()

    def _done(self) -> None:
        request = cast(Request, self._request)
        self._request = None
        self._active = None
        self._site.buffered -= len(request.body)
        if self._closes or self._site.draining:
            self._reader.ended = True
            self._forget_pipelined()
        self.deadline_s = monotonic() + self._site.timeouts.keepalive
        if not self._advancing:
            self._advance()

    def _forget_pipelined(self) -> None:
        for request in self._reader.ready:
            self._site.buffered -= len(request.body)
        self._reader.ready.clear()
        self._early.clear()

    # -- answering

    def date_field(self) -> tuple[bytes, ...]:
        """The Date field, for a response that has none."""
        return self._site.date_field(time())

    def respond(self, status: int, fields: list[bytes], body: bytes, length: int | None = None) -> None:
        """Answer whole, in one write. `fields` hold name, `: `, value, CRLF in turn.

        `length` is for an answer to HEAD: the length that the body would have had.
        """
        request = cast(Request, self._request)
        if request.origin is not None:
            fields += self._site.cors_fields(request.origin)
        if status in _BODILESS:
            head = writer.bare(status, fields, not self._closes)
            body = b""
        elif request.method == b"HEAD":
            if length is None and not body:
                head = writer.bare(status, fields, not self._closes)
            else:
                head = writer.with_length(
                    status, fields, len(body) if length is None else length, not self._closes
                )
            body = b""
        else:
            head = writer.with_length(status, fields, len(body), not self._closes)
        if len(body) < _SEPARATE_BODY:
            head.append(body)
            self._transport.write(b"".join(head))
        else:
            self._transport.writelines((b"".join(head), body))
        self._done()

    def start(self, status: int, fields: list[bytes], length: int | None, data: bytes) -> None:
        """Begin an answer: its head and the first `data` of its body, of `length` bytes where that is known."""
        request = cast(Request, self._request)
        if request.origin is not None:
            fields += self._site.cors_fields(request.origin)
        self._started = True
        self._framing = _LENGTH
        if length is not None:
            head = writer.with_length(status, fields, length, not self._closes)
        elif request.minor:
            self._framing = _CHUNKED
            head = writer.chunked(status, fields, not self._closes)
            if data:
                data = writer.chunk(data)
        else:
            self._framing = _CLOSE
            self._closes = True  # HTTP/1.0 has no chunks: the end of the connection is the end of the body
            head = writer.bare(status, fields, False)
        head.append(data)
        self._transport.write(b"".join(head))

    def write(self, data: bytes) -> None:
        """Pass on more of the body, in one write; `data` must not be empty."""
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._framing == _CHUNKED else data)

    def end(self, data: bytes) -> None:
        """Pass on the rest of the body, which may be empty, and end it as whole."""
        if self._framing == _CHUNKED:
            data = writer.chunk(data) + writer.LAST_CHUNK if data else writer.LAST_CHUNK
        if data:
            self._transport.write(data)
        self._done()

    def cut(self, data: bytes = b"") -> None:
        """End an answer that is not whole, after `data`: the client must be able to tell."""
        if data:
            self.write(data)
        elif self._framing == _CLOSE:
            # Where the body may end with the connection only a reset tells that it was cut.
            sock = self._transport.get_extra_info("socket")
            if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        request = cast(Request, self._request)
        self._request = None
        self._active = None
        self._site.buffered -= len(request.body)
        self._reader.ended = True
        self._forget_pipelined()
        self._transport.close()

    def refuse(self, error: GatewayError, fields: list[bytes]) -> None:
        """Answer with an error of our own, and with `fields` besides its own ones."""
        request = cast(Request, self._request)
        anthropic = request.path.startswith(b"/v1/messages")
        fields += error.fields()
        fields += self._site.date_field(time())
        self.respond(error.status, fields, error.body(anthropic=anthropic))
