"""Requests out of the bytes of one client connection: httptools callbacks, limits, refusals.

The reader does no I/O. `feed` takes bytes in any split; whole requests stand in `ready`, in order. What is
wrong stands in `refusal`, is final, and belongs after the answers to what is ready.

The parser has no limit of its own for the head, for chunk extensions or for trailers, so the reader counts.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

import httptools

from gateway.errors import GatewayError, bad_request, overloaded, refused
from gateway.server.request import Request, too_large

if TYPE_CHECKING:
    from gateway.server.site import Site

MAX_PIPELINED: Final = 256


class _RefusedError(Exception):
    """Raised inside a parser callback to stop the parser; `refusal` says why."""


class RequestReader:
    """Reads requests for one connection, under the limits and the admission rules of `site`.

    `deadline_s` is when the request being read must be there (head, then body), in seconds of the monotonic
    clock. `continue_due` is set when the client waits for `100 Continue` before it sends the body.
    `ended` says that nothing after what is in `ready` may be read.
    """

    __slots__ = (
        # connection
        "_parser",
        "_site",
        "continue_due",
        "deadline_s",
        "ended",
        "ready",
        "refusal",
        # request
        "_body_size",
        "_head_size",
        "_in_head",
        "_now",
        "_parts",
        "_silent_size",
        "request",
    )

    def __init__(self, site: Site) -> None:
        self._site = site
        self._parser = httptools.HttpRequestParser(self)
        self.ready: deque[Request] = deque()
        self.refusal: GatewayError | None = None
        self.ended = False
        self.continue_due = False
        self.deadline_s = 0.0
        self.request: Request | None = None
        self._parts: list[bytes] = []
        self._body_size = 0
        self._head_size = 0
        self._silent_size = 0
        self._in_head = True
        self._now = 0.0

    def __repr__(self) -> str:
        return f"<RequestReader ready={len(self.ready)} reading={self.request!r} refusal={self.refusal!r}>"

    @property
    def in_body(self) -> bool:
        """The head of the request being read is complete."""
        return not self._in_head

    def feed(self, data: bytes) -> None:
        """Take bytes in. After `ended` they are thrown away."""
        if self.ended:
            return
        self._now = monotonic()
        if self._in_head:
            room = self._site.limits.max_header - self._head_size
            if len(data) > room:
                self._feed_in_parts(data, room)
                return
            # Headers complete sets it back; so a head that begins behind another message counts from 0.
            self._head_size += len(data)
        self._parse(data)

    def drop(self) -> None:
        """Forget what is half read, and give its bytes back to the common limit."""
        self._site.buffered -= self._body_size
        self._body_size = 0
        self._parts = []
        self.request = None

    def refuse(self, error: GatewayError) -> None:
        """Take no more: `error` is the last answer on this connection."""
        self.refusal = error
        self.ended = True
        self.drop()

    def _feed_in_parts(self, data: bytes, room: int) -> None:
        self._head_size = limit = self._site.limits.max_header
        self._parse(data[:room])
        if self.ended:
            return
        if self._in_head and self._head_size == limit:
            if self.request is None or not self.request.seen_field:
                self.refuse(refused(414, "uri_too_long", f"The request line is longer than {limit} bytes."))
            else:
                self.refuse(_head_too_large(limit))
            return
        self.feed(data[room:])

    def _parse(self, data: bytes) -> None:
        size = self._body_size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._replay_without_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._parse_failed(error)
            return
        if not self._in_head and self._body_size == size:
            self._silent_size += len(data)
            if self._silent_size > self._site.limits.max_header:
                self.refuse(_head_too_large(self._site.limits.max_header))

    def _parse_failed(self, error: httptools.HttpParserError) -> None:
        if self.refusal is not None:
            self.refuse(self.refusal)
        elif self.request is None and self.ready and not self.ready[-1].keep_alive:
            self.ended = True  # bytes behind `Connection: close`: that request is answered, they are not
        elif isinstance(error, httptools.HttpParserInvalidMethodError):
            self.refuse(
                bad_request("The request does not begin with a known method.", code="malformed_request")
            )
        else:
            self.refuse(bad_request(f"The request is not valid HTTP/1.1: {error}.", code="malformed_request"))

    def _replay_without_upgrade(self, rest: bytes) -> None:
        """Serve a request whose Upgrade we do not speak as if it had not asked (RFC 9110 section 7.8).

        The parser stops behind such a head and leaves the body unparsed, so it gets the head once more,
        without the field, and then the rest.
        """
        request = cast(Request, self.request)
        self.request = None
        self._in_head = True
        self._parser = httptools.HttpRequestParser(self)
        self._parse(request.head_without_upgrade())
        if rest:
            self.feed(rest)

    # -- parser callbacks

    def on_message_begin(self) -> None:
        self.request = Request()
        self.deadline_s = self._now + self._site.timeouts.header

    def on_url(self, url: bytes) -> None:
        request = cast(Request, self.request)
        request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else a trailer field: never merged into the header
            cast(Request, self.request).add_field(name, value)

    def on_headers_complete(self) -> None:
        request = cast(Request, self.request)
        site = self._site
        parser = self._parser
        request.method = parser.get_method()
        self.refusal = request.check_head(parser.get_http_version(), site.limits.max_body) or site.admit(
            request
        )
        if self.refusal is not None:
            raise _RefusedError
        self._in_head = False
        self._head_size = 0
        self._silent_size = 0
        self.deadline_s = self._now + site.timeouts.body
        if request.expect is not None and request.minor:
            self.continue_due = True

    def on_body(self, data: bytes) -> None:
        site = self._site
        size = len(data)
        self._parts.append(data)
        self._body_size += size
        site.buffered += size
        if self._body_size > site.limits.max_body:
            self.refusal = too_large(site.limits.max_body)
            raise _RefusedError
        if site.buffered > site.limits.max_buffered:
            self.refusal = overloaded(
                "The gateway holds all the request bytes it may (server.limits.max_buffered)."
            )
            raise _RefusedError

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return  # the parser's word for "stopped behind the head"
        request = cast(Request, self.request)
        parts = self._parts
        if parts:
            request.body = parts[0] if len(parts) == 1 else b"".join(parts)
            self._parts = []
            self._body_size = 0  # the bytes stay counted until the request is answered
        request.received_s = self._now
        self.request = None
        self._in_head = True
        self._head_size = 0
        self.continue_due = False
        self.ready.append(request)
        if len(self.ready) > MAX_PIPELINED:
            self.refusal = overloaded(f"More than {MAX_PIPELINED} requests are pipelined on one connection.")
            raise _RefusedError


def _head_too_large(limit: int) -> GatewayError:
    message = f"The header of the request is larger than {limit} bytes (server.limits.max_header)."
    return refused(431, "header_too_large", message)
