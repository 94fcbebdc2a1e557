"""Log lines: each is one JSON object, or one line for a person, whatever stands in the record."""

from __future__ import annotations

import ast
import json
import logging
import math
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gateway
from gateway.observe.log import ConsoleFormatter, JsonFormatter, fields_of

CREATED = 1_767_225_600.25  # 2026-01-01T00:00:00.25Z
RESERVED = {"time", "level", "event", "message", "exception"}


def record(event: str | None = "retry", message: str | None = None, **fields: Any) -> logging.LogRecord:
    """A record as the logging module makes it, with the fields of an event in it."""
    about = {} if event is None else {"event": event}
    shown = (event or "text") if message is None else message
    made = logging.getLogger("gateway").makeRecord(
        "gateway", logging.WARNING, __file__, 1, shown, (), None, extra={**about, **fields}
    )
    made.created = CREATED
    return made


def line(made: logging.LogRecord) -> Any:
    text = JsonFormatter().format(made)
    assert "\n" not in text
    assert "\r" not in text
    return json.loads(text)


# JSON.


def test_an_event() -> None:
    assert JsonFormatter().format(record(request_id="req_1", provider="a", delay_s=1.0)) == (
        '{"time":"2026-01-01T00:00:00.250000Z","level":"warning","event":"retry",'
        '"request_id":"req_1","provider":"a","delay_s":1.0}'
    )


@pytest.mark.parametrize("created", [0.0, 1_767_225_600.0, 1_767_225_600.999_999, 4_102_444_799.5])
def test_the_time_is_rfc_3339_in_utc(created: float) -> None:
    made = record()
    made.created = created
    time = line(made)["time"]
    assert time.endswith("Z")
    assert datetime.fromisoformat(time).timestamp() == pytest.approx(created, abs=1e-5)


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (logging.WARNING, "warning"),
        (logging.ERROR, "error"),
    ],
)
def test_the_level(level: int, name: str) -> None:
    made = record()
    made.levelno, made.levelname = level, logging.getLevelName(level)
    assert line(made)["level"] == name


def test_a_record_of_a_library_is_told_by_its_logger_and_message() -> None:
    made = logging.makeLogRecord(
        {"name": "asyncio", "levelname": "ERROR", "msg": "%s failed", "args": ("it",)}
    )
    entry = line(made)
    assert (entry["event"], entry["message"]) == ("asyncio", "it failed")


def test_an_exception_stands_in_the_same_line() -> None:
    made = record()
    try:
        raise KeyError("x")
    except KeyError:
        made.exc_info = sys.exc_info()
    exception = line(made)["exception"]
    assert "KeyError" in exception
    assert "test_log.py" in exception


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        ("größe", "größe"),
        ("two\nlines\u2028", "two\nlines\u2028"),
        ([1, "a"], [1, "a"]),
        ({"a": 1}, {"a": 1}),
        (math.nan, None),
        (Path("/etc"), "/etc"),
        (ValueError("bad"), "bad"),
        # What JSON has no form for.
        (b"\xff", "b'\\xff'"),
        (10**30, "1" + "0" * 30),
        ("half \ud800", "half \\ud800"),
        ({1: 2}, "{1: 2}"),
    ],
)
def test_a_value_of_any_kind(value: object, expected: object) -> None:
    entry = line(record(value=value, other=1))
    assert entry["value"] == expected
    assert entry["other"] == 1  # is not touched by its neighbour


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


def ring() -> list[object]:
    made: list[object] = []
    made.append(made)
    return made


def deep() -> list[object]:
    made: list[object] = []
    for _ in range(2000):
        made = [made]
    return made


@pytest.mark.parametrize("value", [Unspeakable(), ring(), deep(), 10**5000, {"a": {Unspeakable()}}], ids=type)
@pytest.mark.parametrize("formatter", [JsonFormatter(), ConsoleFormatter()], ids=type)
def test_no_value_is_too_odd(formatter: logging.Formatter, value: object) -> None:
    text = formatter.format(record(value=value, other="kept"))
    assert "kept" in text
    assert "\n" not in text


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.sets(st.integers())
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(VALUES)
def test_every_record_is_one_json_object(value: object) -> None:
    assert line(record(value=value)).keys() == {"time", "level", "event", "value"}


# For a person.


def test_a_line_for_a_person() -> None:
    text = ConsoleFormatter().format(record("fallback", provider="a", to="b", attempts=2))
    clock = datetime.fromtimestamp(CREATED).strftime("%H:%M:%S")
    assert text == f"{clock} warning fallback           provider=a to=b attempts=2"


def test_a_message_stands_before_the_fields() -> None:
    text = ConsoleFormatter().format(record("stopped", "all is done", left=0))
    assert text.endswith("warning stopped            all is done left=0")


def test_an_exception_follows_the_line() -> None:
    made = record()
    try:
        raise KeyError("x")
    except KeyError:
        made.exc_info = sys.exc_info()
    first, *rest = ConsoleFormatter().format(made).split("\n")
    assert first.endswith("retry")
    assert any("KeyError" in later for later in rest)


@settings(deadline=None)
@given(st.text(st.characters(codec=None)))
def test_what_others_sent_cannot_break_a_line_or_reach_the_terminal(text: str) -> None:
    shown = ConsoleFormatter().format(record(path=text, last="end"))
    assert shown.isprintable()
    assert shown.endswith(" last=end")
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("two words", "'two words'"),
        ("\x1b[31m", "'\\x1b[31m'"),
        (1.5, "1.5"),
        ([1, 2], "'[1, 2]'"),
    ],
)
def test_a_value_is_one_word_or_in_quotes(value: object, shown: str) -> None:
    assert ConsoleFormatter().format(record(value=value)).endswith(f" value={shown}")


# Names.


def test_the_fields_of_a_record_are_what_the_event_brought() -> None:
    assert fields_of(record(a=1, b="x")) == {"event": "retry", "a": 1, "b": "x"}
    assert fields_of(record(None)) == {}


def told_fields(path: Path) -> dict[str, int]:
    """The names of the fields that a source gives to `tell` or `_tell`, with their lines."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("tell", "log.tell", "self._tell"):
            found |= {keyword.arg: node.lineno for keyword in node.keywords if keyword.arg is not None}
    return found


def test_no_event_has_a_field_that_logging_or_a_line_has_already() -> None:
    # logging raises KeyError for the first, and the second would be overwritten.
    taken = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"} | RESERVED
    sources = sorted(Path(gateway.__file__).parent.rglob("*.py"))
    # What a format tells its client is no log event.
    sources = [source for source in sources if "dialects" not in source.parts]
    told = {path: told_fields(path) for path in sources}
    assert sum(map(len, told.values())) > 20, "the search finds no events any more"
    clashes = [
        f"{path}:{names[name]} {name}" for path, names in told.items() for name in names.keys() & taken
    ]
    assert not clashes
