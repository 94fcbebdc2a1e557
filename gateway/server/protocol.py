"""One client connection: requests in by way of the reader, answers out in the same order.

Rules:

- One request is answered at a time, and none is begun while the client does not read. Meanwhile the socket is
  still read, so that a client that leaves is noticed at once; what it pipelines is kept as bytes, at most
  `max_header` of them, and the connection is closed behind the answers that are due when there are more.
- FIN or reset while a request is unanswered means that the client has left.
- A connection is closed behind a refused request, and only after the client had time to read the refusal.
- Deadlines are absolute: bytes do not move them. The listener's sweep compares `deadline_s` with its clock.
"""

from __future__ import annotations

import asyncio
import socket
import struct
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
MAX_LINGER_S: Final = 30.0
_SEPARATE_BODY: Final = 32 * 1024
_BODILESS: Final = frozenset({204, 304})
_LENGTH, _CHUNKED, _CLOSE = range(3)


class ClientConnection(asyncio.Protocol):
    """The protocol of an accepted connection. `respond` to `cut` are for whoever answers its request."""

    __slots__ = (
        # connection
        "_advancing",
        "_clock",
        "_early",
        "_early_size",
        "_linger_until_s",
        "_paused",
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
        self._clock = site.clock
        self._reader = RequestReader(site)
        self._transport = cast(asyncio.Transport, None)
        self.deadline_s = NEVER
        self._early: list[bytes] = []
        self._early_size = 0
        self._linger_until_s = 0.0
        self._paused = False
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
        self._reader.deadline_s = self.deadline_s = self._clock() + self._site.timeouts.header
        if not self._site.opened(self):
            self._reader.read_s = self._clock()
            self._reader.refuse(
                overloaded("The gateway has all the connections it may (server.limits.max_connections).")
            )
            self._advance()

    def data_received(self, data: bytes) -> None:
        if self._request is not None or self._paused:
            self._keep(data)
            return
        request = self._reader.recognize(data)
        if request is None:
            self._reader.feed(data)
            self._advance()
        else:
            self.deadline_s = NEVER
            self._begin(request)

    def eof_received(self) -> bool:
        self.deadline_s = self._clock() + self._site.timeouts.keepalive  # to read what was answered
        self._leave()
        return False  # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        self._site.lost(self)
        self._leave()

    def pause_writing(self) -> None:
        self._paused = True
        if self._active is not None:
            self._active.pause()

    def resume_writing(self) -> None:
        self._paused = False
        if self._active is not None:
            self._active.resume()
        elif self._request is None:
            self._advance(self._clock())

    # -- for the listener

    @property
    def busy(self) -> bool:
        """Something is under way: a request that is read or answered, an answer that is still going out."""
        if self._request is not None or self._reader.request is not None or self._linger_until_s:
            return True
        return self._transport.get_write_buffer_size() > 0

    def finish(self) -> None:
        """Answer what is under way and nothing more; close at once where nothing is."""
        if self._request is not None:
            self._closes = True
        elif self._reader.request is None and not self._linger_until_s:
            self._end_reading()
            self._transport.close()

    def cut_off(self) -> None:
        """End what is under way on it, so that the client is told."""
        if self._active is not None:
            self._active.cut_off()

    def timed_out(self) -> None:
        """`deadline_s` has passed."""
        reader = self._reader
        if reader.request is not None:
            timeouts = self._site.timeouts
            if reader.in_body:
                what, limit = "body", f"{timeouts.body:g} s (server.timeouts.body)"
            else:
                what, limit = "header", f"{timeouts.header:g} s (server.timeouts.header)"
            message = f"The request {what} did not arrive within {limit}."
            reader.read_s = self._clock()  # what the answer costs counts from here, not from the last byte
            reader.refuse(refused(408, "request_timeout", message))
            self._advance()
            return
        self._end_reading()
        if self._linger_until_s or self._transport.get_write_buffer_size():
            self._transport.abort()  # close() would wait for a client that does not read
        else:
            self._transport.close()

    def forget(self) -> None:
        """What was accepted before may not be accepted any more."""
        self._reader.forget()

    def abort(self) -> None:
        """End the connection at once, whatever is under way."""
        self._transport.abort()

    # -- what is under way

    def _keep(self, data: bytes) -> None:
        reader = self._reader
        self._early_size += len(data)
        if reader.ended:
            return
        if self._early_size <= self._site.limits.max_header:
            self._early.append(data)
            return
        # What is unanswered when a connection closes a client may send again (RFC 9112 section 9.3.2).
        reader.ended = True
        reader.drop()
        self._early.clear()
        if reader.ready:
            reader.ready[-1].head.keep_alive = False
        else:
            self._closes = True

    def _advance(self, waited_until_s: float = 0.0) -> None:
        """Answer what is ready, one request after the other; close when there is nothing more to come.

        `waited_until_s` is given where bytes may have lain unread until now.
        """
        if self._advancing:
            return
        self._advancing = True
        reader = self._reader
        while self._request is None and not self._paused:
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
        elif self._paused:
            pass  # `deadline_s` is that of the answer which the client does not read
        elif reader.ended:
            self._close()
        elif reader.request is not None:
            if waited_until_s:
                reader.restart_clock(waited_until_s)
            self.deadline_s = reader.deadline_s
            if reader.take_continue():
                self._transport.write(writer.CONTINUE)

    def _begin(self, request: Request) -> None:
        self._request = request
        self._started = False
        site = self._site
        self._closes = not request.head.keep_alive or site.draining
        try:
            active = site.handle(request, self)
        except Exception:
            site.crashed(request)
            if self._request is request:
                self._fail()
            return
        if self._request is request:
            self._active = active
            if self._paused and active is not None:
                active.pause()

    def _fail(self) -> None:
        if self._started:
            self.cut()
        else:
            self.refuse(
                refused(500, "internal_error", "The gateway could not handle the request; its log says why."),
                [],
            )

    def _close(self) -> None:
        if self._linger_until_s:
            self.deadline_s = min(self._clock() + LINGER_S, self._linger_until_s)
            return
        refusal = self._reader.refusal
        if self._transport.is_closing():
            return
        if refusal is None and not self._early_size:
            self._transport.close()
            return
        # A close with unread bytes resets the connection, and the answer may be lost (RFC 9112 section 9.6).
        now = self._clock()
        self.deadline_s = now + LINGER_S
        self._linger_until_s = now + MAX_LINGER_S
        if refusal is not None:
            self._transport.write(self._refusal(refusal))
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _refusal(self, refusal: GatewayError) -> bytes:
        """The answer to a request that was not taken, maybe not even read to its end."""
        request = self._reader.refused
        body = refusal.body(anthropic=request is not None and request.head.is_messages)
        fields = self._site.refusal_fields(refusal, request, self._reader.read_s)
        head = writer.with_length(refusal.status, fields, len(body), False)
        if request is None or request.method != b"HEAD":
            head.append(body)
        return b"".join(head)

    def _leave(self) -> None:
        """The client has gone: whoever is answering it is told at once, and nothing more is begun."""
        request, self._request = self._request, None
        active, self._active = self._active, None
        if request is not None:
            self._site.buffered -= len(request.body)
        self._end_reading()
        if active is not None:
            active.gone()

    def _done(self) -> None:
        request = self._request
        assert request is not None
        self._request = None
        self._active = None
        self._site.buffered -= len(request.body)
        reader = self._reader
        if self._closes or self._site.draining:
            self._end_reading()
        now = self._clock()
        self.deadline_s = now + self._site.timeouts.keepalive
        if self._early or reader.request is not None or reader.ready or reader.ended:
            self._advance(now)

    def _end_reading(self) -> None:
        """Nothing that came behind the last request is answered any more."""
        reader = self._reader
        reader.ended = True
        reader.refusal = None
        reader.drop()
        for request in reader.ready:
            self._site.buffered -= len(request.body)
        reader.ready.clear()
        self._early.clear()

    # -- answering

    def date_field(self) -> tuple[bytes, ...]:
        """The Date field, for a response that has none."""
        return self._site.date_field()

    def respond(self, status: int, fields: list[bytes], body: bytes, length: int | None = None) -> None:
        """Answer whole, in one write. `fields` hold name, `: `, value, CRLF in turn.

        `length` is for an answer to HEAD: the length that the body would have had.
        """
        request = self._request
        assert request is not None
        asked = request.head
        if asked.origin is not None:
            fields += self._site.cors_fields(asked.origin)
        elif len(body) < writer.USUAL and asked.method == b"POST" and not self._closes and status < 204:
            # What nearly every answer is.
            self._transport.write(writer.usual(status, fields, body))
            self._done()
            return
        if status in _BODILESS:
            head = writer.bare(status, fields, not self._closes)
            body = b""
        elif asked.method == b"HEAD":
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
        """Begin an answer: its head, and the first `data` of a body of `length` bytes, None if unknown."""
        request = self._request
        assert request is not None
        if request.head.origin is not None:
            fields += self._site.cors_fields(request.head.origin)
        self._started = True
        self._framing = _LENGTH
        if length is not None:
            head = writer.with_length(status, fields, length, not self._closes)
        elif request.head.minor:
            self._framing = _CHUNKED
            head = writer.chunked(status, fields, not self._closes)
            if data:
                data = writer.chunk(data)
        else:
            self._framing = _CLOSE  # HTTP/1.0 has no chunks: the end of the connection is that of the body
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
        request = self._request
        assert request is not None
        self._request = None
        self._active = None
        self._site.buffered -= len(request.body)
        self._end_reading()
        self.deadline_s = self._clock() + self._site.timeouts.keepalive
        self._transport.close()

    def refuse(self, error: GatewayError, fields: list[bytes]) -> None:
        """Answer with an error of our own, and with `fields` besides its own ones."""
        assert self._request is not None
        fields += error.fields()
        fields += self._site.date_field()
        self.respond(error.status, fields, error.body(anthropic=self._request.head.is_messages))
