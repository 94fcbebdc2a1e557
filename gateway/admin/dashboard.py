"""`GET /dashboard`: a page that shows what `/stats` says, live, and the stream of events that feeds it.

The page is a handful of static files without any outside resource. `/dashboard/events` is an event stream
(https://html.spec.whatwg.org/multipage/server-sent-events.html) with one snapshot of `/stats` at a time. A
snapshot is taken once for everybody who looks at this worker, and none while nobody looks. Whoever reads too
slowly is passed over until it has caught up: what it misses is old by then, so nothing is kept for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Final, Protocol

from gateway.admin import health

PATH: Final = b"/dashboard"
EVENTS_PATH: Final = b"/dashboard/events"
PERIOD_S: Final = 2.0
"""Between two snapshots: a person sees no more, and taking one stops everything else for a moment."""

_TYPES: Final = {
    "html": b"text/html; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
}
_EVENT_STREAM: Final = b"text/event-stream"

# https://www.w3.org/TR/CSP3/. Trusted types turn every attempt to write HTML from a script into an error, so
# that what a provider says can only ever be text.
_POLICY: Final = b"; ".join(
    (
        b"default-src 'none'",
        b"script-src 'self'",
        b"style-src 'self'",
        b"connect-src 'self'",
        b"img-src data:",
        b"base-uri 'none'",
        b"form-action 'none'",
        b"frame-ancestors 'none'",
        b"require-trusted-types-for 'script'",
        b"trusted-types 'none'",
    )
)


class Request(Protocol):
    """What is asked of a request for a page."""

    @property
    def method(self) -> bytes: ...


class Client(health.Client, Protocol):
    """Where an answer that goes on is written to."""

    def start(self, status: int, fields: list[bytes], length: int | None, data: bytes) -> None: ...
    def write(self, data: bytes) -> None: ...
    def end(self, data: bytes) -> None: ...


Handler = Callable[[Request, Client], "Viewer | None"]


class Viewer:
    """Somebody who looks: the answer that is under way on one connection."""

    __slots__ = ("_feed", "client", "paused")

    def __init__(self, feed: Feed, client: Client) -> None:
        self._feed = feed
        self.client = client
        self.paused = False

    def gone(self) -> None:
        """The viewer has left."""
        self._feed.viewers.discard(self)

    def cut_off(self) -> None:
        """The gateway ends: the viewer tries again by itself."""
        self.gone()

    def pause(self) -> None:
        """The viewer reads more slowly than it is written to."""
        self.paused = True

    def resume(self) -> None:
        """The viewer has caught up, and gets the next snapshot."""
        self.paused = False


class Feed:
    """Sends `snapshot()`, JSON on one line, to everybody who looks, every `PERIOD_S` while anybody does.

    `call_later` is that of the event loop.
    """

    def __init__(
        self,
        snapshot: Callable[[], bytes],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.viewers: set[Viewer] = set()
        self._snapshot = snapshot
        self._call_later = call_later
        self._latest = b""
        """The event that newcomers begin with; empty while the clock stands still."""

    def __repr__(self) -> str:
        return f"<Feed to {len(self.viewers)} viewers, {'running' if self._latest else 'at rest'}>"

    def handle(self, request: Request, client: Client) -> Viewer | None:
        """`GET /dashboard/events`: a snapshot at once, then one after the other until the viewer leaves."""
        fields = _fields(_EVENT_STREAM, client)
        if request.method == b"HEAD":
            client.respond(200, fields, b"")
            return None
        if not self._latest:
            self._take()
        viewer = Viewer(self, client)
        self.viewers.add(viewer)
        client.start(200, fields, None, self._latest)
        return viewer

    def end(self) -> None:
        """Send everybody away: the process is going down, and another one will answer them."""
        for viewer in self.viewers:
            viewer.client.end(b"")
        self.viewers.clear()

    def _take(self) -> None:
        self._latest = b"data: " + self._snapshot() + b"\n\n"
        self._call_later(PERIOD_S, self._tick)

    def _tick(self) -> None:
        self._latest = b""  # should the snapshot fail, the next newcomer starts the clock again
        if not self.viewers:
            return
        self._take()
        for viewer in self.viewers:
            if not viewer.paused:
                viewer.client.write(self._latest)


def handlers(feed: Feed) -> Mapping[bytes, Handler]:
    """What is served, by path: the page, the files it is made of, and its stream of events."""
    served: dict[bytes, Handler] = {EVENTS_PATH: feed.handle}
    for file in resources.files(__package__).joinpath("static").iterdir():
        suffix = file.name.rpartition(".")[2]
        if suffix in _TYPES:
            path = PATH if suffix == "html" else b"%b/%b" % (PATH, file.name.encode())
            served[path] = _static(_TYPES[suffix], file.read_bytes())
    return served


def _static(content_type: bytes, body: bytes) -> Handler:
    def page(request: Request, client: Client) -> None:
        client.respond(200, _fields(content_type, client), body)

    return page


def _fields(content_type: bytes, client: Client) -> list[bytes]:
    """Header fields that all parts of the page share."""
    fields = []
    for name, value in (
        (b"content-type", content_type),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", _POLICY),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    ):
        fields += [name, b": ", value, b"\r\n"]
    return [*fields, *client.date_field()]
