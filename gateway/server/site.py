"""What is served at one address: which paths there are, who may ask for them, what their answers share."""

from __future__ import annotations

import binascii
import hmac
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from gateway.config.schema import Limits, ServerTimeouts
from gateway.errors import INVALID_REQUEST, GatewayError, refused
from gateway.observe import log
from gateway.server.request import ALLOW, Request, RequestHead
from gateway.server.writer import Date

if TYPE_CHECKING:
    from gateway.server.protocol import ClientConnection

DATA_PREFIX: Final = b"/v1/"
MAX_KNOWN_HEADS: Final = 1024
"""Of different clients; most of those that come from one SDK have the same."""
_METHODS: Final = ALLOW.encode()


class Active(Protocol):
    """Whoever is answering a request: told what happens to the client meanwhile."""

    def gone(self) -> None:
        """The client has left; nothing may be written any more."""

    def cut_off(self) -> None:
        """The gateway ends now: the client is to be told, where it still can be."""

    def pause(self) -> None:
        """The client reads more slowly than it is written to."""

    def resume(self) -> None:
        """The client has caught up."""


class Known(Protocol):
    """A head that came before, but for its length (see `gateway._speedups.heads`)."""

    @property
    def text(self) -> bytes: ...
    def body_of(self, message: bytes) -> bytes | None:
        """The body of a message that has this head and comes whole, or None."""

    def body_at(self, message: bytes) -> tuple[int, int] | None:
        """Where the body begins and how long it is to be, in bytes that begin with this head, or None."""


Handler = Callable[[Request, "ClientConnection"], Active | None]
"""Answers a request, at once or later: then it returns the `Active` that does."""


class Page:
    """A path answered by the gateway itself: to GET and HEAD, with or without one of `keys`."""

    __slots__ = ("handler", "keys")

    def __init__(self, handler: Handler, keys: tuple[bytes, ...] = ()) -> None:
        self.handler = handler
        self.keys = keys


class Site:
    """The data endpoints (`data`, None where they are not served) and the `pages` of one or more listeners.

    `keys` are the API keys that clients may use; none means that no key is asked for. `buffered` is the
    number of body bytes that are held for all requests together. `clock` is monotonic, `wall_clock` counts
    from the epoch, both in seconds. `refused` is told of each request that is refused, with what is known of
    it and when it was read; it returns the header lines that every answer has. `recognizer` makes, of a
    message and the length of its body, what recognizes its head again; None parses every head.
    """

    def __init__(
        self,
        *,
        data: Handler | None,
        pages: Mapping[bytes, Page],
        keys: tuple[bytes, ...] = (),
        limits: Limits,
        max_connections: int,
        timeouts: ServerTimeouts,
        cors_origins: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        refused: Callable[[Request | None, GatewayError, float], bytes] | None = None,
        recognizer: Callable[[bytes, int], Known | None] | None = None,
    ) -> None:
        self.clock = clock
        self._recognizer = recognizer
        self._known_heads: dict[bytes, tuple[Known, RequestHead]] = {}
        self._refused = refused
        self._wall_clock = wall_clock
        self.buffered = 0
        self.draining = False
        self.connections: set[ClientConnection] = set()
        self._date = Date()
        self._data = data
        self._pages = pages
        self.configure(
            keys=keys,
            limits=limits,
            max_connections=max_connections,
            timeouts=timeouts,
            cors_origins=cors_origins,
        )

    def configure(
        self,
        *,
        keys: tuple[bytes, ...] = (),
        limits: Limits,
        max_connections: int,
        timeouts: ServerTimeouts,
        cors_origins: tuple[str, ...] = (),
    ) -> None:
        """Go by other settings from now on; what is under way is not touched."""
        self.limits = limits
        self.timeouts = timeouts
        self._keys = keys
        self._max_connections = max_connections
        self._any_origin = "*" in cors_origins
        self._origins = frozenset(origin.encode() for origin in cors_origins)
        self._known_heads.clear()
        for connection in self.connections:
            connection.forget()

    def __repr__(self) -> str:
        return f"<Site pages={len(self._pages)} connections={len(self.connections)}>"

    def opened(self, connection: ClientConnection) -> bool:
        """Count a connection in; False when it is one too many."""
        self.connections.add(connection)
        return len(self.connections) <= self._max_connections

    def lost(self, connection: ClientConnection) -> None:
        """Count a connection out."""
        self.connections.discard(connection)

    def known_head(self, message: bytes, request: Request) -> tuple[Known, RequestHead] | None:
        """What recognizes the head of `request`, which came as `message`, and the head that it stands for."""
        known = None if self._recognizer is None else self._recognizer(message, len(request.body))
        if known is None:
            return None
        text = known.text
        found = self._known_heads.get(text)
        if found is None:
            if len(self._known_heads) >= MAX_KNOWN_HEADS:
                self._known_heads.clear()
            found = self._known_heads[text] = known, request.head
        return found

    def crashed(self, request: Request) -> None:
        """Log the exception that is being handled: a defect of the gateway."""
        path = request.path.decode("latin-1")
        log.tell(logging.ERROR, "internal_error", sys.exception(), where="request", path=path)

    def admit(self, request: RequestHead) -> GatewayError | None:
        """Why a request is refused on the ground of its head alone; None when it may go on."""
        page = self._pages.get(request.path)
        if page is not None:
            if page.keys and not _authorized(request, page.keys, basic=True):
                return _unauthorized("Authorization: Bearer KEY, or Basic with KEY as the password")
            if request.method not in (b"GET", b"HEAD"):
                return refused(405, "method_not_allowed", "This page is read with GET.", allow="GET, HEAD")
            return None
        is_options = request.method == b"OPTIONS"
        if is_options and request.path == b"*":
            return None
        if self._data is None or not request.path.startswith(DATA_PREFIX) or request.path == DATA_PREFIX:
            path = request.path.decode("latin-1")
            return refused(404, "unknown_url", f"Nothing is served at {path}; the API is under /v1/.")
        # A preflight cannot carry a key.
        if self._keys and not is_options and not _authorized(request, self._keys, basic=False):
            also = " or x-api-key: KEY" if request.is_messages else ""
            return _unauthorized(f"Authorization: Bearer KEY{also}")
        return None

    def open_paths(self) -> list[str]:
        """What anybody who reaches this site may ask for without a key."""
        data = ["/v1/*"] if self._data is not None and not self._keys else []
        return data + sorted(path.decode() for path, page in self._pages.items() if not page.keys)

    def handle(self, request: Request, client: ClientConnection) -> Active | None:
        """Answer an admitted request.

        OPTIONS goes to no provider: which origins and methods may be used is the gateway's to say, and it is
        what `Max-Forwards: 0` asks for (RFC 9110 section 7.6.2).
        """
        if request.head.method == b"POST" and self._data is not None:
            return self._data(request, client)  # no page takes one
        page = self._pages.get(request.path)
        if page is not None:
            return page.handler(request, client)
        if request.method == b"OPTIONS":
            client.respond(204, self._options_fields(request), b"")
            return None
        assert self._data is not None
        return self._data(request, client)

    # -- fields that answers share

    def date_field(self) -> tuple[bytes, ...]:
        """The Date field, for an answer of our own making."""
        return (b"date", b": ", self._date.value(self._wall_clock()), b"\r\n")

    def refusal_fields(self, refusal: GatewayError, request: Request | None, read_s: float) -> list[bytes]:
        """The fields of `refusal`, the answer to `request`, which was read at `read_s`.

        `request` is None where not so much as its target was read.
        """
        fields = refusal.fields()
        if request is not None:
            if request.origin is not None:
                fields += self.cors_fields(request.origin)
            if refusal.status == 401 and request.path in self._pages:
                fields += (
                    b"www-authenticate",
                    b": ",
                    b'Basic realm="gateway"',
                    b"\r\n",
                )  # a browser asks then
        if self._refused is not None:
            fields.append(self._refused(request, refusal, read_s))
        fields += self.date_field()
        return fields

    def cors_fields(self, origin: bytes) -> tuple[bytes, ...]:
        """What lets a page of `origin` read the answer; empty where that is not allowed."""
        if not self._any_origin and origin not in self._origins:
            return ()
        fields = (b"access-control-allow-origin", b": ", origin, b"\r\nvary", b": ", b"origin", b"\r\n")
        return (*fields, b"access-control-expose-headers", b": ", b"*", b"\r\n")

    def _options_fields(self, request: Request) -> list[bytes]:
        fields = [b"allow", b": ", _METHODS, b"\r\n", *self.date_field()]
        if request.origin is not None and self.cors_fields(request.origin):
            fields += (b"access-control-allow-methods", b": ", _METHODS, b"\r\n")
            # "*" does not cover Authorization (Fetch standard, CORS non-wildcard request-header name).
            fields += (b"access-control-allow-headers", b": ", b"*, Authorization", b"\r\n")
            fields += (b"access-control-max-age", b": ", b"600", b"\r\n")
        return fields


def _authorized(request: RequestHead, keys: tuple[bytes, ...], *, basic: bool) -> bool:
    """The request carries one of `keys`; compared in constant time, and with every key."""
    given = [_bearer(request.authorization)]
    if basic:
        given.append(_basic_password(request.authorization))
    elif request.is_messages:
        given.append(request.api_key)
    found = False
    for one in given:
        if one is not None:
            for key in keys:
                found |= hmac.compare_digest(one, key)
    return found


def _bearer(authorization: bytes | None) -> bytes | None:
    if authorization is None or authorization[:7].lower() != b"bearer ":
        return None
    return authorization[7:].strip()


def _basic_password(authorization: bytes | None) -> bytes | None:
    if authorization is None or authorization[:6].lower() != b"basic ":
        return None
    try:
        decoded = binascii.a2b_base64(authorization[6:].strip())
    except binascii.Error:
        return None
    return decoded.partition(b":")[2]


def _unauthorized(how: str) -> GatewayError:
    message = f"A valid API key is required ({how})."
    return GatewayError(401, INVALID_REQUEST, "invalid_api_key", message)
