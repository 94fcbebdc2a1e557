"""Requests out of the bytes of one client connection: httptools callbacks, limits, refusals.

The reader does no I/O. `feed` takes bytes in any split; whole requests stand in `ready`, in order. What is
wrong stands in `refusal`, is final, and belongs after the answers to what is ready.

The parser has no limit of its own for the head, for chunk extensions or for trailers, so the reader counts.
It counts reads, for counting fields would cost more than parsing them: a head that begins behind another
request in one read may be up to twice as long as `max_header`, any other may not.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import httptools

from gateway.errors import GatewayError, bad_request, overloaded, refused
from gateway.server.request import METHODS, Request, RequestHead, too_large

if TYPE_CHECKING:
    from gateway.server.site import Known, Site

MAX_PIPELINED: Final = 256
_MAX_PARTS: Final = 1024
_FRAMING_PER_BYTE: Final = 16
_LARGE: Final = 16 * 1024
_NO_HEAD: Final = RequestHead()


class _StopError(Exception):
    """Raised inside a parser callback to stop the parser."""


class RequestReader:
    """Reads requests for one connection, under the limits and the admission rules of `site`.

    `deadline_s` is when the request being read must be there (head, then body), in seconds of the site's
    clock; that of the first head is set from outside, for it counts from accept. `read_s` is when the last
    bytes came. `ended` says that nothing after what is in `ready` may be read. `refused` is the request that
    `refusal` is about, as far as it was read.

    `known` recognizes requests with the same head as the last one had: see `recognize`.
    """

    __slots__ = (
        # connection
        "_begun",
        "_clock",
        "_has_served",
        "_known_as",
        "_parser",
        "_site",
        "_continue_due",
        "deadline_s",
        "ended",
        "known",
        "read_s",
        "ready",
        "refusal",
        "refused",
        # request
        "_body_size",
        "_framing_size",
        "_head_size",
        "_left",
        "_in_head",
        "_parts",
        "request",
    )

    def __init__(self, site: Site) -> None:
        self._site = site
        self._clock = site.clock
        self._parser = httptools.HttpRequestParser(self)
        self._begun = False
        self._continue_due = False
        self.deadline_s = 0.0
        self.ended = False
        self.ready: deque[Request] = deque()
        self.refusal: GatewayError | None = None
        self.refused: Request | None = None
        self.known: Known | None = None
        self._known_as = _NO_HEAD
        self._has_served = False
        self.request: RequestHead | None = None
        self._parts: list[bytes] = []
        self._body_size = 0
        self._head_size = 0
        self._left = 0
        self._framing_size = 0
        self._in_head = True
        self.read_s = 0.0

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
        self.read_s = self._clock()
        if self._left:
            self._collect(data)
            return
        if not self._in_head:
            self._feed_body(data)
            return
        if len(data) >= _LARGE and self._begins_as_known(data):
            return
        is_first = self.request is None and not self.ready
        if self._head_size + len(data) > self._site.limits.max_header:
            self._feed_in_parts(data)
        else:
            self._head_size += len(data)  # the end of the message sets it back
            self._parse(data)
        if is_first and len(self.ready) == 1 and self.request is None and not self.ended:
            self._remember(data)

    def recognize(self, data: bytes) -> Request | None:
        """The request that `data` is, where it has the same head as one before; None leaves it to `feed`."""
        known = self.known
        if known is None or self.request is not None or self._head_size or self.ended:
            return None
        body = known.body_of(data)
        if body is None:
            return None
        site = self._site
        size = len(body)
        if size > site.limits.max_body or site.buffered + size > site.limits.max_buffered:
            return None
        site.buffered += size
        self.read_s = now = self._clock()
        return Request(self._known_as, body, now)

    def _begins_as_known(self, data: bytes) -> bool:
        """Take the beginning of a request whose head came before; its body goes by the parser."""
        known = self.known
        if known is None or self.request is not None or self._head_size:
            return False
        found = known.body_at(data)
        if found is None:
            return False
        begin, length = found
        if length > self._site.limits.max_body or length <= len(data) - begin:
            return False
        self.request = self._known_as
        self._in_head = False
        self._left = length
        self.deadline_s = self.read_s + self._site.timeouts.body
        self._collect(data[begin:])
        return True

    def _collect(self, data: bytes) -> None:
        """More of a body whose length is known, and maybe what stands behind it."""
        left = self._left
        part = data if len(data) <= left else data[:left]
        self._left = left - len(part)
        try:
            self.on_body(part)
        except _StopError:
            assert self.refusal is not None
            self.refuse(self.refusal)
            return
        self._join_many()
        if not self._left:
            self._complete()
            if len(data) > left:
                self.feed(data[left:])

    def forget(self) -> None:
        """Heads that were accepted before may not be accepted any more."""
        self.known = None

    def take_continue(self) -> bool:
        """Whether the client waits for `100 Continue` and has sent nothing of its body so far; asked once."""
        due, self._continue_due = self._continue_due, False
        return due and not self._body_size

    def restart_clock(self, now: float) -> None:
        """The time until now was not the client's: give it the whole of it again."""
        timeouts = self._site.timeouts
        self.deadline_s = now + (timeouts.header if self._in_head else timeouts.body)

    def drop(self) -> None:
        """Forget what is half read, and give its bytes back to the common limit."""
        self._site.buffered -= self._body_size
        self._body_size = 0
        self._left = 0
        self._parts = []
        self.request = None

    def refuse(self, error: GatewayError) -> None:
        """Take no more: `error` is the last answer on this connection."""
        request = self.request
        if request is not None and request.target and not request.path:
            # So much is known even of a head that was not parsed to its end.
            request.method = self._parser.get_method()
            request.path = request.target
        self.refusal = error
        self.refused = None if request is None else Request(request, b"", self.read_s)
        self.ended = True
        self.drop()

    def _remember(self, data: bytes) -> None:
        """Recognize the request that `data` was when another like it comes: from the second one on."""
        if not self._has_served:
            self._has_served = True
            return
        request = self.ready[0]
        head = request.head
        # What asked to go on, to close or to be read in chunks is rare, and more than head and body.
        if head.content_length is not None and head.expect is None and head.keep_alive and not head.coding:
            known = self._site.known_head(data, request)
            if known is not None:
                self.known, self._known_as = known

    # -- feeding the parser

    def _feed_in_parts(self, data: bytes) -> None:
        limit = self._site.limits.max_header
        while data and not self.ended:
            if not self._in_head:
                self._feed_body(data)
                return
            if self._head_size >= limit:
                self.refuse(_head_too_large(self.request, limit))
                return
            part, data = data[: limit - self._head_size], data[limit - self._head_size :]
            self._head_size += len(part)
            self._parse(part)

    def _feed_body(self, data: bytes) -> None:
        request = self.request
        size = self._body_size
        self._parse(data)
        if self.request is not request or self.ended:
            return
        limit = self._site.limits.max_header
        self._framing_size += len(data) - (self._body_size - size)
        if self._framing_size > limit + _FRAMING_PER_BYTE * self._body_size:
            message = (
                f"Chunk extensions and trailers are larger than {limit} bytes (server.limits.max_header)."
            )
            self.refuse(refused(431, "header_too_large", message))
        else:
            self._join_many()

    def _join_many(self) -> None:
        """Tiny pieces take many times their size as objects, which no limit would see."""
        if len(self._parts) > _MAX_PARTS:
            self._parts = [b"".join(self._parts)]

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade() + data[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                self._parse_failed(error)
                return
            else:
                return

    def _without_upgrade(self) -> bytes:
        """Make a request whose Upgrade we do not speak be parsed as if it had not asked: its head for that.

        RFC 9110 section 7.8. The parser stops behind such a head and would leave the body to be taken for
        the next request.
        """
        request = self.request
        assert request is not None
        self._parser = httptools.HttpRequestParser(self)
        self._in_head = True
        return request.head_without_upgrade()

    def _parse_failed(self, error: httptools.HttpParserError) -> None:
        if self.refusal is not None:
            self.refuse(self.refusal)
        elif self.request is None and self.ready and not self.ready[-1].head.keep_alive:
            self.ended = True  # bytes behind `Connection: close`: that request is answered, they are not
        elif isinstance(error, httptools.HttpParserCallbackError):
            raise error  # a defect of ours
        elif isinstance(error, httptools.HttpParserInvalidMethodError):
            # The parser stops at the first byte that fits no method: FOO and a TLS handshake look the same.
            known = ", ".join(sorted(method.decode() for method in METHODS))
            message = f"The request does not begin with a method that is known here ({known})."
            self.refuse(refused(501, "unsupported_method", message))
        else:
            self.refuse(self._malformed(error))

    def _malformed(self, error: httptools.HttpParserError) -> GatewayError:
        request = self.request
        if request is not None:
            request.method = self._parser.get_method()
            if request.method == b"PRI":
                return refused(505, "http_version_not_supported", "HTTP/2 is not spoken here; use HTTP/1.1.")
            if isinstance(error, httptools.HttpParserInvalidURLError):
                request.target = b""  # how much of it is known depends on the split
        return bad_request(f"The request is not valid HTTP/1.1: {error}.", code="malformed_request")

    # -- parser callbacks

    def on_message_begin(self) -> None:
        self.request = RequestHead()
        if self._begun:
            self.deadline_s = self.read_s + self._site.timeouts.header
        else:
            self._begun = True

    def on_url(self, url: bytes) -> None:
        assert self.request is not None
        self.request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else a trailer field: never merged into the header
            assert self.request is not None
            self.request.add_field(name, value)

    def on_headers_complete(self) -> None:
        request = self.request
        assert request is not None
        site = self._site
        parser = self._parser
        request.method = parser.get_method()
        self.refusal = request.check_head(parser.get_http_version(), site.limits.max_body) or site.admit(
            request
        )
        if self.refusal is not None:
            raise _StopError
        self._in_head = False
        self._framing_size = 0
        self.deadline_s = self.read_s + site.timeouts.body
        if request.expect is not None and request.minor:
            self._continue_due = True

    def on_body(self, data: bytes) -> None:
        site = self._site
        size = len(data)
        self._parts.append(data)
        self._body_size += size
        site.buffered += size
        if self._body_size > site.limits.max_body:
            self.refusal = too_large(site.limits.max_body)
            raise _StopError
        if site.buffered > site.limits.max_buffered:
            self.refusal = overloaded(
                "The gateway holds all the request bytes it may (server.limits.max_buffered)."
            )
            raise _StopError

    def on_message_complete(self) -> None:
        if not self._parser.should_upgrade():  # the parser's word for "stopped behind the head"
            self._complete()

    def _complete(self) -> None:
        request = self.request
        assert request is not None
        parts = self._parts
        body = b""
        if parts:
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            self._parts = []
            self._body_size = 0  # the bytes stay counted until the request is answered
        self.request = None
        self._in_head = True
        self._head_size = 0
        self._continue_due = False
        self.ready.append(Request(request, body, self.read_s))
        if len(self.ready) > MAX_PIPELINED:
            # What is unanswered when a connection closes a client may send again (RFC 9112 section 9.3.2).
            request.keep_alive = False
            raise _StopError


def _head_too_large(request: RequestHead | None, limit: int) -> GatewayError:
    if request is None:
        return bad_request("There are only empty lines where a request should be.", code="malformed_request")
    if 2 * len(request.target) > limit:
        message = f"The request line is too long: a header may have {limit} bytes (server.limits.max_header)."
        return refused(414, "uri_too_long", message)
    message = f"The header of the request is larger than {limit} bytes (server.limits.max_header)."
    return refused(431, "header_too_large", message)
