"""Log records as one JSON object a line, or as lines for a person.

Events go through the standard logging module; their fields stand in the record's `extra`. A field's value is
whatever orjson takes. Prompts and keys are never given to a logger.
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
        return orjson.dumps(entry, default=str, option=orjson.OPT_UTC_Z).decode()


class ConsoleFormatter(logging.Formatter):
    """`12:34:56 warning event  key=value …`, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        fields = fields_of(record)
        event = fields.pop("event", record.name)
        message = record.getMessage()
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        parts = [f"{time} {record.levelname.lower():<7} {event:<18}"]
        if message != event:
            parts.append(message)
        parts += (f"{name}={value}" for name, value in fields.items())
        line = " ".join(parts).rstrip()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line
