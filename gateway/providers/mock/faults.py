"""The fault grammar of the mock provider: ``NAME[;key=value]*``, for example ``503;retry_after=2``.

`KINDS` is the whole vocabulary: what each name does, which keys it takes, and what they are when left out.
Durations are ``200ms``, ``2s`` or a number of seconds; flags are ``1`` or ``0``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave, as `parse` returns it. A key that a name does not take keeps its value here."""

    name: str = "ok"
    status: int = 0
    """The HTTP status of an error answer, 400 to 599; 0 where the fault is another."""
    after: int = 0
    """How many events, or pieces of a body, pass unharmed first."""
    part: bool = False
    """Whether half of one more piece follows those."""
    n: int = 1
    """How often the named thing is repeated."""
    size: int = 0
    """Bytes of body."""
    interval: float = 0.0
    """Seconds between two bytes."""
    delay: float = 0.0
    """Seconds between the answer and what nobody asked for."""
    linger: float = 0.0
    """Seconds for which the rest of the request is still read, and thrown away, before the close."""
    terminal: bool = True
    """Whether a stream still sends its last event."""
    reset: bool = False
    """Whether the connection ends by RST instead of FIN."""
    echo_key: bool = False
    """Whether the error message repeats the credential that the request carried."""
    type: str = ""
    code: str = ""
    retry_after: str = ""
    retry_after_ms: str = ""
    location: str = ""


OK: Final = Fault()
"""No fault."""


class Kind(NamedTuple):
    """One name of the grammar: what it does, and the keys it takes with their defaults."""

    meaning: str
    keys: Mapping[str, str] = {}


_PARTIAL: Final = {"after": "1", "part": "0"}

STATUS: Final = Kind(
    "this HTTP status (400 to 599) with the API's error body",
    {"retry_after": "", "retry_after_ms": "", "echo_key": "0", "type": "", "code": ""},
)

KINDS: Final[Mapping[str, Kind]] = {
    "ok": Kind("no fault"),
    # The connection.
    "refuse": Kind("new connections are refused; a request on an open one is reset"),
    "reset": Kind("RST before any byte"),
    "close": Kind("FIN before any byte"),
    "stall": Kind("never answers"),
    "stale": Kind("a right answer, then closed by the next request's first byte", {"reset": "0"}),
    "early": Kind(
        "this error status before the request body was read, then FIN; the rest is read for the linger time",
        {"status": "413", "linger": "1s"},
    ),
    # The head.
    "reset_in_head": Kind("half of the head, then RST"),
    "garbage": Kind("bytes that are not HTTP, then FIN"),
    "endless_head": Kind("header fields without end"),
    "nul_header": Kind("a NUL in a header value"),
    "cl_te": Kind("both Content-Length and Transfer-Encoding"),
    "two_cl": Kind("two Content-Lengths that differ"),
    "informational": Kind("n times 100 and 103 before the answer", {"n": "1"}),
    "switching": Kind("101 Switching Protocols, then silence"),
    # The body.
    "stall_body": Kind("the head and after pieces, then silence", _PARTIAL),
    "cut": Kind("the head and after pieces, then FIN without the last chunk", _PARTIAL),
    "reset_body": Kind("the head and after pieces, then RST", _PARTIAL),
    "malformed_chunk": Kind("a bad chunk size after so many pieces, then FIN", _PARTIAL),
    "short": Kind("fewer bytes than Content-Length, then FIN"),
    "long": Kind("more bytes than Content-Length"),
    "unasked": Kind("a second response that nobody asked for, after the delay", {"delay": "0"}),
    "slow_drip": Kind("the body byte by byte", {"interval": "10ms"}),
    "close_delimited": Kind("no length, ended by FIN", {"terminal": "1"}),
    "http10": Kind("an HTTP/1.0 answer, ended by FIN", {"terminal": "1"}),
    "endless": Kind("an event stream without end"),
    # The content.
    "error_event": Kind(
        "an event stream with an error object after so many events",
        {"after": "0", "type": "server_error", "code": ""},
    ),
    "empty_stream": Kind("an event stream without any event"),
    "comment_only": Kind("an event stream of n comments", {"n": "1"}),
    "no_done": Kind("an event stream that ends cleanly without its last event"),
    "bad_json_event": Kind("an event stream in which an event is not JSON", {"after": "1"}),
    "redirect": Kind("302 with a Location", {"location": "/v1/elsewhere"}),
    "no_content": Kind("204"),
    "gzip": Kind("the body with Content-Encoding: gzip"),
    "big": Kind("a JSON body of size bytes", {"size": "1000000"}),
}

MIN_SIZE: Final = 16
"""The smallest ``size``: what the JSON around the filling needs."""


def parse(text: str) -> Fault:
    """Read a fault such as ``cut;after=2;part=1``.

    Raises:
        ValueError: an unknown name or key (the message lists those there are), or a value that does not fit.
    """
    name, *options = (part.strip() for part in text.split(";"))
    is_status = _is_status(name)
    kind = STATUS if is_status else KINDS.get(name)
    if kind is None:
        known = ", ".join(KINDS)
        raise ValueError(f"unknown fault {name!r}: expected a status from 400 to 599 or one of {known}")
    values = dict(kind.keys)
    for option in options:
        key, separator, value = option.partition("=")
        if key not in values or not separator:
            known = ", ".join(f"{taken}=…" for taken in values) or "none"
            raise ValueError(f"unknown option {option!r} of fault {name!r}: expected {known}")
        values[key] = value
    if is_status:
        values["status"] = name
    return Fault(name, **{key: _convert(name, key, value) for key, value in values.items()})


def parse_seconds(text: str) -> float:
    """Read a duration, ``200ms``, ``2s`` or a plain number of seconds, as seconds.

    Raises:
        ValueError: not a duration, negative, or not finite.
    """
    number, unit = (text[:-2], 0.001) if text.endswith("ms") else (text.removesuffix("s"), 1.0)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = math.nan
    if not 0.0 <= seconds < math.inf:
        raise ValueError(f"not a duration: {text!r}: expected 200ms, 2s or a number of seconds, 0 or more")
    return seconds


def _parse_flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(f"not a flag: {text!r}: expected 0 or 1")
    return text == "1"


def _parse_count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"not a count: {text!r}: expected a whole number, 0 or more")
    return int(text)


def _is_status(text: str) -> bool:
    return len(text) == 3 and text.isascii() and text.isdigit() and 400 <= int(text) <= 599


def _parse_status(text: str) -> int:
    if not _is_status(text):
        raise ValueError(f"not an error status: {text!r}: expected 400 to 599")
    return int(text)


def _parse_size(text: str) -> int:
    size = _parse_count(text)
    if size < MIN_SIZE:
        raise ValueError(f"too small: {text!r}: expected {MIN_SIZE} bytes or more")
    return size


def _parse_field(text: str) -> str:
    # These values end up in header fields and JSON: a line break here would be a fault that nobody asked for.
    if not text.isascii() or not (text.isprintable() or text == ""):
        raise ValueError(f"not printable ASCII: {text!r}")
    return text


_CONVERTERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "status": _parse_status,
    "after": _parse_count,
    "n": _parse_count,
    "size": _parse_size,
    "interval": parse_seconds,
    "delay": parse_seconds,
    "linger": parse_seconds,
    "part": _parse_flag,
    "terminal": _parse_flag,
    "reset": _parse_flag,
    "echo_key": _parse_flag,
    "type": _parse_field,
    "code": _parse_field,
    "retry_after": _parse_field,
    "retry_after_ms": _parse_field,
    "location": _parse_field,
}


def _convert(name: str, key: str, value: str) -> Any:
    try:
        return _CONVERTERS[key](value)
    except ValueError as error:
        raise ValueError(f"option {key!r} of fault {name!r}: {error}") from None
