"""A provider's response on its way: held back while an early death can still be cured, then watched.

How long it is held:

    text/event-stream          until the first complete event (comments do not count)
    application/json, errors   until the body is whole
    anything else              until the first body byte

and never more than `MAX_HELD` bytes. Coded content (gzip) is opaque: an event cannot be seen in it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from gateway.observe import usage
from gateway.observe.usage import Tokens
from gateway.proxy import masking, sse

if TYPE_CHECKING:
    from gateway.errors import GatewayError
    from gateway.proxy.ports import ResponseHead

MAX_HELD: Final = 64 * 1024
MAX_TRANSLATED: Final = 64 * 1024 * 1024
_RECENT_READS: Final = 3
_FIRST_BYTE, _FIRST_EVENT, _WHOLE = range(3)


class Outline:
    """What the head of a provider's response means for what is passed on. Made once for each head.

    `fields` are its header lines with no secret in them. `is_plain` says that nothing can go wrong any more
    once the whole body is there: the answer is a success, and no event stream.
    """

    __slots__ = ("fields", "has_date", "has_id", "is_json", "is_plain", "rule")

    def __init__(self, head: ResponseHead, secrets: tuple[bytes, ...]) -> None:
        self.rule = _rule(head.status, head.content_type, head.content_encoding)
        self.is_plain = head.status < 400 and self.rule != _FIRST_EVENT
        self.is_json = self.rule == _WHOLE
        self.has_id = head.request_id is not None
        self.has_date = head.date
        self.fields = masking.masked(b"".join(head.fields), secrets)

    @staticmethod
    def of(head: ResponseHead, secrets: tuple[bytes, ...]) -> Outline:
        """The outline of `head`, whose provider's secrets are always the same."""
        outline = head.passed_as
        if type(outline) is not Outline:
            outline = head.passed_as = Outline(head, secrets)
        return outline


class Look(Enum):
    """What a held response shows."""

    NOTHING_YET = auto()
    READY = auto()
    """It may go out."""
    EMPTY_STREAM = auto()
    """An event stream ended without any event."""
    ERROR_FIRST = auto()
    """An event stream whose first event is an error of the provider: `error` holds it."""
    CALLERS_ERROR_FIRST = auto()
    """... an error that the request itself caused: it is passed on."""


class Response:
    """The response that began with `head`; `bodiless` says that nothing can follow (it answers HEAD).

    `secrets` are those of the provider, the same whenever this head comes. One that is `translated` and no
    stream is held to its end, up to MAX_TRANSLATED.
    """

    __slots__ = (
        "_first_usage",
        "_most",
        "_recent",
        "_translated",
        "_rule",
        "ends_with_connection",
        "error",
        "head",
        "held",
        "is_stream",
        "outline",
    )

    def __init__(
        self,
        head: ResponseHead,
        secrets: tuple[bytes, ...] = (),
        *,
        bodiless: bool,
        translated: bool = False,
    ) -> None:
        self.head = head
        self.outline = outline = Outline.of(head, secrets)
        self.held = b""
        self.error: dict[str, Any] = {}
        self._rule = _FIRST_BYTE if bodiless else outline.rule
        self.is_stream = self._rule == _FIRST_EVENT
        self._most = MAX_HELD
        self._translated = translated
        if translated and not self.is_stream and head.status < 400:
            self._rule = _WHOLE
            self._most = MAX_TRANSLATED
        # Neither length nor chunks: the provider's FIN is the end (RFC 9112 section 6.3).
        self.ends_with_connection = head.content_length is None and head.coding is None
        self._recent: list[bytes] = []
        self._first_usage: Tokens | None = None

    def __repr__(self) -> str:
        return f"<Response {self.head!r} held={len(self.held)}>"

    def hold(self, data: bytes, complete: bool, secrets: tuple[bytes, ...]) -> Look:
        """Take bytes that have not gone out; `complete` with the last. An error is kept without `secrets`."""
        self.held = held = self.held + data if self.held else data
        if self._rule == _FIRST_EVENT:
            event = sse.first_event(held)
            if event is not None:
                return self._look_at(event, secrets)
            if complete:
                return Look.EMPTY_STREAM
            return Look.READY if len(held) > MAX_HELD else Look.NOTHING_YET
        if complete or len(held) > self._most or (held and self._rule == _FIRST_BYTE):
            return Look.READY
        return Look.NOTHING_YET

    def _look_at(self, event: sse.Event, secrets: tuple[bytes, ...]) -> Look:
        error = sse.error_of(event._replace(data=masking.masked(event.data, secrets)))
        if error is None:
            return Look.READY
        self.error = error
        return Look.CALLERS_ERROR_FIRST if sse.is_callers_fault(error) else Look.ERROR_FIRST

    def release(self, secrets: tuple[bytes, ...], complete: bool) -> tuple[list[bytes], bytes]:
        """The fields and the held bytes, to go out now: no `secrets` in fields, nor in errors."""
        data, self.held = self.held, b""
        if self._rule == _WHOLE and complete:
            self._first_usage = usage.of_body(data)
        elif self.is_watched:
            self._first_usage = usage.of_text(data)
            self.watch(data)
        if not secrets or (self.head.status < 400 and not self.error):
            return [self.outline.fields], data
        return masking.without_secrets(self.head, data, secrets, complete)

    @property
    def needs_masking(self) -> bool:
        """What comes after the held bytes must be masked too: an error longer than can be held."""
        return self.head.status >= 400 and self.head.content_encoding is None

    @property
    def is_watched(self) -> bool:
        """What goes out of it is to be shown to `watch`."""
        return self.is_stream or self._rule == _WHOLE

    def watch(self, data: bytes) -> None:
        """Look at bytes as they go out. Only the last reads are kept: how it ends is told by them."""
        recent = self._recent
        recent.append(data)
        if len(recent) > _RECENT_READS:
            if self.ends_with_connection:
                # Its last event tells whether it is whole, so that event must be there whole.
                recent[:] = [b"".join(recent)[-MAX_HELD:]]
            else:
                del recent[0]

    @property
    def tokens(self) -> Tokens | None:
        """The usage that the provider told, when all has gone out."""
        if not self._recent:
            return self._first_usage
        return usage.together(self._first_usage, usage.of_text(b"".join(self._recent)))

    def is_whole(self) -> bool:
        """The response, all of which has come, was not cut short as far as can be told."""
        return not (self.is_stream and self.ends_with_connection) or sse.is_terminal(b"".join(self._recent))

    def error_event(self, error: GatewayError, path: bytes) -> bytes:
        """What tells the client of a stream that it breaks off; empty where this is no event stream."""
        if not self.is_stream:
            return b""
        tail = b"" if self._translated else b"".join(self._recent)
        if path.startswith(b"/v1/messages"):
            return sse.end_of_unfinished(tail) + sse.MESSAGES_ERROR % error.body(anthropic=True)
        return sse.error_event(tail, error.object(), responses=path == b"/v1/responses")


def _rule(status: int, content_type: bytes, content_encoding: bytes | None) -> int:
    kind = content_type[:17].lower()
    if status >= 400 or kind.startswith(b"application/json"):
        return _WHOLE
    if kind == b"text/event-stream" and status == 200 and content_encoding is None:
        return _FIRST_EVENT
    return _FIRST_BYTE
