"""Log records as one JSON object a line, or as lines for a person.

Events go through the standard logging module; their fields stand in the record's `extra`. Any value may stand
there: what JSON has no form for is written as text. Prompts and keys are never given to a logger.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import orjson

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up(level: str, style: Literal["json", "console"], stream: TextIO | None = None) -> None:
    """Write everything at `level` and above to `stream` (standard output) in `style`."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter() if style == "json" else ConsoleFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that the event brought with it."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class JsonFormatter(logging.Formatter):
    """`time` (RFC 3339, UTC), `level`, `event`, the event's fields, and `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
        }
        fields = fields_of(record)
        entry["event"] = fields.pop("event", record.name)
        message = record.getMessage()
        if message != entry["event"]:
            entry["message"] = message
        entry.update(fields)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        line = _json(entry) or _json({_text(name): _writable(value) for name, value in entry.items()})
        return line.decode()


class ConsoleFormatter(logging.Formatter):
    """`12:34:56 warning event  key=value …`, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        fields = fields_of(record)
        event = fields.pop("event", record.name)
        message = record.getMessage()
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        parts = [f"{time} {record.levelname.lower():<7} {event:<18}"]
        if message != event:
            parts.append(_text(message))
        parts += (f"{name}={_shown(value)}" for name, value in fields.items())
        line = " ".join(parts).rstrip()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _json(value: object) -> bytes:
    """`value` as JSON; empty where it has no such form: an int of more than 64 bits, endless nesting."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_UTC_Z)
    except TypeError:
        return b""


def _writable(value: object) -> object:
    return value if _json(value) else _text(value)


def _text(value: object) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text.encode("utf-8", "backslashreplace").decode()


def _shown(value: object) -> str:
    """`value` as one word, or in quotes: what others sent must not break the line or reach the terminal."""
    text = _text(value)
    return text if text.isprintable() and " " not in text else repr(text)
