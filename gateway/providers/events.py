"""Event streams for translators: bytes in as they come, whole events out, however the bytes are split.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from gateway.providers.translation import TranslationError

MAX_EVENT: Final = 16 * 1024 * 1024
"""Bytes of one event; an image in base64 is one."""
LAST: Final = b"[DONE]"
"""The data of the event that ends a stream of chat completions, which is no JSON."""
DONE: Final = b"data: [DONE]\n\n"
"""That event."""
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class Event(NamedTuple):
    """One event: its `event` field, and its `data` lines joined by LF."""

    name: str
    data: bytes


class EventReader:
    """Collects the events of one stream; comments and blocks without data are dropped."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._begun = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises TranslationError where one is larger than `MAX_EVENT`."""
        data = self._rest + data
        if not self._begun:
            if len(data) < 3 and b"\xef\xbb\xbf".startswith(data):
                self._rest = data
                return []
            self._begun = True
            data = data.removeprefix(b"\xef\xbb\xbf")
        events: list[Event] = []
        start = 0
        for end in _LINE_END.finditer(data):
            if end[0] == b"\r" and end.end() == len(data):
                break  # maybe half of a CRLF
            self._line(data[start : end.start()], events)
            start = end.end()
        self._rest = data[start:]
        if self._size + len(self._rest) > MAX_EVENT:
            raise TranslationError(f"its stream has an event of more than {MAX_EVENT} bytes")
        return events

    def _line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            if self._data:
                events.append(Event(self._name, b"\n".join(self._data)))
            self._name = ""
            self._data = []
            self._size = 0
            return
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            self._data.append(value)
            self._size += len(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")


def event(payload: bytes, name: str = "") -> bytes:
    """The bytes of an event with the one line `payload` as its data."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), payload) if name else b"data: %b\n\n" % payload
