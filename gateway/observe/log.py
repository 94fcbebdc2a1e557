"""Log records as one JSON object a line, or as lines for a person; written without anybody waiting for it.

Events go through the standard logging module; their fields stand in the record's `extra`. Any value may stand
there: what JSON has no form for is written as text. Prompts and keys are never given to a logger, and of an
exception only its type and where it happened are written, for its message may quote what was being handled.
docs/logging.md lists every event.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import orjson

from gateway.observe.throttle import Throttle
from gateway.observe.writer import LineWriter, StreamSink

STORMY: Final = frozenset(
    {"upstream_error", "retry", "fallback", "stream_broken", "client_left", "turned_away", "internal_error"}
)
"""Events that come with every request when a provider is down; so may the records of libraries."""
FLUSH_S: Final = 2.0
_FRAMES: Final = 20
_FIRST_WORDS: Final = re.compile("[A-Za-z ]*").match
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_log = logging.getLogger("gateway")


def set_up(level: str, style: Literal["json", "console"], stream: TextIO | None = None) -> None:
    """Write everything at `level` and above to `stream` (standard output) in `style`.

    Called again for the same stream it changes level and style, and the writing goes on as it was.
    """
    stream = stream or sys.stdout
    root = logging.getLogger()
    handler = _handler()
    if handler is None or handler.stream is not stream:
        handler = LineHandler(stream)
    handler.setFormatter(JsonFormatter() if style == "json" else ConsoleFormatter())
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


@contextmanager
def in_background() -> Iterator[None]:
    """Leave the writing to a thread, so that no logger waits for a slow reader; at the end all is written.

    For a process that does not fork any more. The end waits for a stuck reader for FLUSH_S seconds at most.
    """
    handler = _handler()
    if handler is None:
        yield
        return
    handler.writer.start()
    try:
        yield
    finally:
        handler.report_storms(ending=True)
        handler.writer.stop(FLUSH_S)


def tell(level: int, event: str, error: BaseException | None = None, /, **fields: object) -> None:
    """Log `event` with its fields, and where `error` happened."""
    if _log.isEnabledFor(level):
        _log.log(level, event, exc_info=error, extra={"event": event, **fields})


def loop_failed(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody caught in the event loop, as an event. For `loop.set_exception_handler`."""
    # The rest of the message shows what the callback was called with: bytes of requests.
    what = _FIRST_WORDS(context.get("message", ""))
    tell(logging.ERROR, "internal_error", context.get("exception"), where=what[0].strip() if what else "")


def _handler() -> LineHandler | None:
    handlers = logging.getLogger().handlers
    return next((handler for handler in handlers if isinstance(handler, LineHandler)), None)


class LineHandler(logging.Handler):
    """Writes records to `stream` as lines, storms of them only in part; `clock` is monotonic, in seconds."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.stream = stream
        self.writer = LineWriter(StreamSink(stream), self._report)
        self._clock = clock
        self._throttle: Throttle[tuple[str, str | None]] = Throttle()

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event is None or event in STORMY:
            kind = (event or record.name, getattr(record, "provider", None))
            if not self._throttle.admits(kind, self._clock()):
                return
        try:
            self.writer.put(self.format(record) + "\n")
        except Exception:
            self.handleError(record)

    def report_storms(self, *, ending: bool = False) -> None:
        """Say how much was left out of storms: of those that are over or long, of all when `ending`."""
        self.acquire()
        try:
            summaries = self._throttle.summaries(self._clock(), ending=ending)
        finally:
            self.release()
        for (event, provider), count, seconds in summaries:
            about: dict[str, object] = {"suppressed_event": event}
            if provider is not None:
                about["provider"] = provider
            tell(logging.WARNING, "suppressed", **about, count=count, seconds=round(seconds, 1))

    def _report(self, lost: int) -> None:
        if lost:
            tell(logging.WARNING, "log_dropped", count=lost)
        self.report_storms()


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
            entry["exception"] = _tracebacks(record.exc_info[1])
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
            line += "\n" + _tracebacks(record.exc_info[1])
        return line


def _tracebacks(error: BaseException | None) -> str:
    """Where `error` happened, behind what caused it and what caused that."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:  # causes may form a ring
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\n".join(_traceback(error) for error in reversed(chain))


def _traceback(error: BaseException) -> str:
    name = type(error).__qualname__
    if isinstance(error, OSError) and error.strerror:
        name += f": {error.strerror}"  # the system's own text for the error's number
    return "".join(traceback.format_tb(error.__traceback__, limit=-_FRAMES)) + name


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
