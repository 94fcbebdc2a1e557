"""`usage.inject`: asks for the usage of streams that the client did not ask for, and takes it out again.

By OpenAI's `stream_options` (https://platform.openai.com/docs/api-reference/chat/create): the extra event
is the one with usage and without choices. Everything else goes through byte for byte.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from gateway.proxy.ports import Client

PATHS: Final = frozenset({b"/v1/chat/completions", b"/v1/completions"})
MAX_EVENT: Final = 1024 * 1024
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
# A CR at the end of the bytes may be half of a CRLF: that event waits.
_EVENT_END: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n|\Z))")


def with_usage_asked(body: bytes) -> bytes | None:
    """The body of a streaming request, asking for its usage; None where it need not or cannot be changed."""
    try:
        members = _decode_members(body)
        if "stream" not in members or msgspec.json.decode(members["stream"]) is not True:
            return None
        options = msgspec.json.decode(members.get("stream_options") or b"null") or {}
    except _UNREADABLE:
        return None
    if not isinstance(options, dict) or options.get("include_usage"):
        return None
    members["stream_options"] = msgspec.Raw(msgspec.json.encode({**options, "include_usage": True}))
    return msgspec.json.encode(members)


class UsageRemover:
    """Takes the event with the usage out of the stream that goes through it to `client`.

    Whole events go on at once; the beginning of one waits for its end.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._partial = b""
        self.refuse = client.refuse
        self.date_field = client.date_field

    def respond(self, status: int, fields: list[bytes], body: bytes, length: int | None = None) -> None:
        self._client.respond(status, fields, self._without_usage(body) + self._partial)

    def start(self, status: int, fields: list[bytes], length: int | None, data: bytes) -> None:
        self._client.start(status, fields, length, self._without_usage(data))

    def write(self, data: bytes) -> None:
        data = self._without_usage(data)
        if data:
            self._client.write(data)

    def end(self, data: bytes) -> None:
        self._client.end(self._without_usage(data) + self._partial)

    def cut(self, data: bytes = b"") -> None:
        self._client.cut(self._partial + data)

    def _without_usage(self, data: bytes) -> bytes:
        data = self._partial + data
        kept: list[bytes] = []
        start = 0
        for mark in _EVENT_END.finditer(data):
            event = data[start : mark.end()]
            if b'"usage"' not in event or not _is_only_usage(event):
                kept.append(event)
            start = mark.end()
        self._partial = data[start:]
        if len(self._partial) > MAX_EVENT:
            kept.append(self._partial)
            self._partial = b""
        return b"".join(kept)


def _is_only_usage(event: bytes) -> bool:
    start = event.find(b"data:")
    try:
        payload: Any = msgspec.json.decode(event[start + 5 :].strip()) if start >= 0 else None
    except _UNREADABLE:
        return False
    return isinstance(payload, dict) and payload.get("choices") == [] and bool(payload.get("usage"))
