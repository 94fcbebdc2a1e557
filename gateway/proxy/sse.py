"""Server-sent events, as far as a relay must know them: where one ends, whether the first one is an error.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html. Nothing here changes a byte.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec
import orjson

# A blank line ends an event; a line ends with CRLF, LF or CR.
_BLANK_LINE: Final = rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)"
_EVENT_END: Final = re.compile(_BLANK_LINE)
_AT_EVENT_END: Final = re.compile(_BLANK_LINE + rb"\Z")
_LINES: Final = re.compile(rb"\r\n|\n|\r")
MESSAGES_ERROR: Final = b"event: error\ndata: %b\n\n"
"""An error in a stream of the Messages API, around its body."""
# A tuple, because what is looked for in it need not be hashable.
_TERMINAL_TYPES: Final = (
    "response.completed",
    "response.failed",
    "response.incomplete",
    "message_stop",
    "error",
)


class Event(NamedTuple):
    """One event: its `event` field, and its `data` lines joined by LF."""

    name: str
    data: bytes


def parse_event(block: bytes) -> Event | None:
    """The event in the lines of `block`; None for a block without data, such as a comment."""
    name = ""
    data: list[bytes] = []
    for line in _LINES.split(block):
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return Event(name, b"\n".join(data)) if data else None


def first_event(stream: bytes) -> Event | None:
    """The first complete event in the beginning of a stream; comments and empty blocks do not count."""
    start = 3 if stream.startswith(b"\xef\xbb\xbf") else 0
    for end in _EVENT_END.finditer(stream):
        event = parse_event(stream[start : end.end()])
        if event is not None:
            return event
        start = end.end()
    return None


def error_of(event: Event) -> dict[str, Any] | None:
    """The error object that an event carries, in whichever of the usual shapes; None when it is no error.

    Shapes: `{"error": {...}}` (chat completions), `{"type": "error", ...}` (Responses API),
    `event: error` (Messages API).
    """
    if event.name != "error" and b'"error"' not in event.data:
        return None
    payload = _loads(event.data)
    if not isinstance(payload, dict):
        return {"message": event.data.decode("utf-8", "replace")} if event.name == "error" else None
    error = payload.get("error")
    if error:
        return error if isinstance(error, dict) else {"message": str(error)}
    if payload.get("type") == "error" or event.name == "error":
        return {key: value for key, value in payload.items() if key != "type"}
    return None


def is_callers_fault(error: dict[str, Any]) -> bool:
    """The request itself caused `error`: its type says so, or its code is a 4xx other than 408 and 429."""
    if error.get("type") == "invalid_request_error":
        return True
    code = error.get("code")
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        code = int(code)
    return type(code) is int and 400 <= code < 500 and code not in (408, 429)


def is_terminal(tail: bytes) -> bool:
    """The last event in `tail`, the end of a stream, ends the answer, and nothing unfinished follows it.

    Such an event is `[DONE]`, an error, the last one of the Responses or the Messages API, a choice's
    `finish_reason`, or the usage that may come after it (chunks of chat and completions).
    """
    if not ends_between_events(tail):
        return False
    events = (parse_event(block) for block in reversed(_EVENT_END.split(tail)))
    event = next((event for event in events if event is not None), None)
    if event is None:
        return False
    if event.data.strip() == b"[DONE]" or event.name in _TERMINAL_TYPES:
        return True
    payload = _loads(event.data)
    if not isinstance(payload, dict):
        return False
    if payload.get("type") in _TERMINAL_TYPES or payload.get("error"):
        return True
    choices = payload.get("choices")
    if not isinstance(choices, list):
        return False
    if not choices:
        return bool(payload.get("usage"))
    return any(isinstance(choice, dict) and choice.get("finish_reason") for choice in choices)


def ends_between_events(tail: bytes) -> bool:
    """A stream that ends with `tail` ends with a blank line, or has not begun."""
    return not tail or _AT_EVENT_END.search(tail, max(0, len(tail) - 4)) is not None


def end_of_unfinished(tail: bytes) -> bytes:
    """What ends the event that a stream with this `tail` is in the middle of; nothing between events."""
    # After CR one LF would only complete a CRLF.
    return b"" if ends_between_events(tail) else b"\n" if tail.endswith(b"\n") else b"\n\n"


def ends_with_error(tail: bytes) -> bool:
    """The last event in `tail`, the end of what a client was sent, told it of an error."""
    events = [event for block in _EVENT_END.split(tail) if (event := parse_event(block)) is not None]
    return bool(events) and (error_of(events[-1]) is not None or events[-1].name == "response.failed")


def error_event(tail: bytes, error: dict[str, Any], *, responses: bool) -> bytes:
    """What ends a broken stream after `tail`: the unfinished event's end, then an event with `error`.

    `responses` is for the Responses API, whose events are named and flat.
    """
    end = end_of_unfinished(tail)
    if responses:
        return end + b"event: error\ndata: " + orjson.dumps({**error, "type": "error"}) + b"\n\n"
    return end + b"data: " + orjson.dumps({"error": error}) + b"\n\n"


def _loads(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
