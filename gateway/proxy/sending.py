"""What an attempt sends: the body with the name that the model has there, in the API of the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.providers.translating import translated
from gateway.providers.translation import Translation, TranslationError, Translator
from gateway.proxy import inject, masking, sse
from gateway.proxy.peek import with_model
from gateway.proxy.response import MAX_TRANSLATED

if TYPE_CHECKING:
    from gateway.providers.base import Inbound, Provider
    from gateway.proxy.ports import Client, Request, RequestHead, ResponseHead

_JSON: Final = b"content-type: application/json\r\n"
_STREAM: Final = b"text/event-stream"
_EVENTS: Final = b"content-type: text/event-stream; charset=utf-8\r\n"
_PLAIN: Final = b"accept-encoding: identity\r\n"
# They speak of the client's own API, or of a coding in which nothing can be translated.
_OF_CLIENTS_API: Final = frozenset(
    {
        b"accept-encoding",
        b"anthropic-beta",
        b"anthropic-dangerous-direct-browser-access",
        b"anthropic-version",
        b"openai-beta",
        b"openai-organization",
        b"openai-project",
    }
)
# They speak of the bytes that came, of which none goes on.
_OF_CONTENT: Final = frozenset(
    {
        b"content-digest",
        b"content-encoding",
        b"content-md5",
        b"content-type",
        b"digest",
        b"etag",
        b"repr-digest",
    }
)


class TranslatedHead:
    """The head of a request that was translated, as a provider takes it."""

    __slots__ = ("fields", "method", "sent_as", "target")

    def __init__(self, head: RequestHead, translation: Translation) -> None:
        self.method = head.method
        self.target = b"/v1" + translation.target
        self.sent_as: object = None
        self.fields = [
            piece
            for start in range(0, len(head.fields), 4)
            if head.fields[start].lower() not in _OF_CLIENTS_API
            for piece in head.fields[start : start + 4]
        ]


class Sending(NamedTuple):
    """What goes out, and what becomes of the answer.

    `lines` are header lines of this attempt alone, `key` is the index of the key in the provider's ring,
    `translator` puts the answer back, and `adds_usage` says that it has an event that nobody asked for.
    """

    head: Inbound
    body: bytes
    lines: bytes
    key: int
    translator: Translator | None = None
    adds_usage: bool = False

    def client(self, client: Client) -> Client:
        """`client` behind what undoes the changes."""
        if self.translator is not None:
            return TranslatingClient(client, self.translator)
        return inject.UsageRemover(client) if self.adds_usage else client


def sending(
    request: Request, asked: str, provider: Provider, model: str, now: float, wall_now: float
) -> Sending:
    """`request`, whose model the client calls `asked`, for a provider that calls it `model`.

    `now` is in seconds of the monotonic clock, `wall_now` since the epoch. Raises GatewayError for what
    cannot be put so.
    """
    head = request.head
    body = request.body
    lines, key = b"", 0
    if provider.ring is not None:
        key = provider.ring.choose(now)
        lines = provider.ring.lines[key]
    if model != asked:
        body = with_model(head.content_type, body, model)
    if provider.adapts(head.path):
        translation = translated(provider, head.method, head.target, body, model, int(wall_now))
        if translation is not None:
            lines += _PLAIN + translation.fields
            return Sending(
                TranslatedHead(head, translation), translation.body, lines, key, translation.translator
            )
    if provider.inject_usage and head.path in inject.PATHS:
        asking = inject.with_usage_asked(body)
        if asking is not None:
            return Sending(head, asking, lines, key, adds_usage=True)
    return Sending(head, body, lines, key)


class TranslatingClient:
    """Translates what goes through it to `client`: events as they come, anything else in one piece.

    `opened` and `last` are for the beginning and the end, before anything is settled; what they return goes
    through unchanged. They and `write` raise TranslationError: the rest cannot be had.
    """

    def __init__(self, client: Client, translator: Translator) -> None:
        self.client = client
        self._translator = translator
        self._sent = b""
        self.respond = client.respond
        self.refuse = client.refuse
        self.start = client.start
        self.end = client.end
        self.date_field = client.date_field

    def opened(
        self, head: ResponseHead, fields: list[bytes], data: bytes, complete: bool
    ) -> tuple[int, list[bytes], bytes]:
        """The beginning of the answer with this `head`; all of it where `complete`, and for an error."""
        status = head.status
        if 300 <= status < 400:
            return status, fields, data
        if head.content_encoding is not None:
            data = _decoded(data, head.content_encoding, must=status < 400)
        fields = [_without(_OF_CONTENT, b"".join(fields))]
        if status >= 400:
            status, data = self._translator.error(status, data)
            return status, [*fields, _JSON], data
        if head.content_type[: len(_STREAM)].lower() == _STREAM:
            data = self._fed(data)
            return status, [*fields, _EVENTS], self.last(b"", data) if complete else data
        return status, [*fields, _JSON], self._translator.whole(data)

    def write(self, data: bytes) -> None:
        """Pass on more of the stream."""
        data = self._fed(data)
        if data:
            self.client.write(data)

    def last(self, data: bytes, before: bytes = b"") -> bytes:
        """What is to go out with the end of the stream, which came with `data`."""
        data = before + (self._fed(data) if data else b"")
        try:
            return data + self._translator.end()
        except TranslationError:
            if data and not before:
                self.client.write(data)
            raise

    def cut(self, data: bytes = b"") -> None:
        """End what is not whole, with the event `data` unless the client was told of an error already."""
        self.client.cut(b"" if sse.ends_with_error(self._sent) else data)

    def _fed(self, data: bytes) -> bytes:
        data = self._translator.feed(data)
        if data:
            self._sent = data
        return data


def _decoded(data: bytes, coding: bytes, *, must: bool) -> bytes:
    """`data` out of a coding that nobody asked for; unchanged where it need not be, and cannot."""
    decoded = masking.inflated(data, coding, MAX_TRANSLATED)
    if decoded is None and must:
        raise TranslationError(f"its answer has the content coding {coding.decode('latin-1')}")
    return data if decoded is None else decoded


def _without(names: frozenset[bytes], fields: bytes) -> bytes:
    """The header lines `fields`, but for those with one of the `names`."""
    lines = fields.splitlines(keepends=True)
    return b"".join(line for line in lines if line.partition(b":")[0].lower() not in names)
