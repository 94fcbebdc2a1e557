"""docs/logging.md lists every event with its levels and fields; and what events must never tell."""

from __future__ import annotations

import ast
import asyncio
import http.client
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from harness import running
from logs import entries, logging_to

import gateway
from gateway.observe import log
from gateway.observe.events import Events
from gateway.providers.mock import MockServer

CHECKOUT = Path(gateway.__file__).parents[1]
SECRET = "sk-secret-0123456789"
PROMPT = "the prompt that nobody may read"

TALKATIVE = f"""
providers:
  a: {{format: openai, base_url: "{{a}}", api_key: {SECRET}, max_retries: 0, fallback_provider: b}}
  b: {{format: openai, base_url: "{{b}}"}}
server: {{port: 0, api_keys: [client-{SECRET}]}}
logging: {{access: true}}
"""
CHOOSY = """
providers:
  a: {format: mock}
models:
  known: {provider: a}
logging: {access: true}
"""

BODY = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": PROMPT}]})
HEADERS = {
    "authorization": f"Bearer client-{SECRET}",
    "content-type": "application/json",
    "x-request-id": "mine",
}

# The table in the documentation against the sources.


Function = ast.FunctionDef | ast.AsyncFunctionDef


class Event(NamedTuple):
    levels: frozenset[str]
    fields: frozenset[str]


def documented() -> dict[str, Event]:
    text = (CHECKOUT / "docs" / "logging.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \| ([^|]*) \|", text, re.MULTILINE)
    return {
        name: Event(frozenset(levels.split(", ")), frozenset(re.findall(r"`(\w+)`", fields)))
        for name, levels, fields in rows
    }


class Source:
    """A module's calls of `tell`, with what stands in variables followed up within the module."""

    def __init__(self, path: Path) -> None:
        self._functions = {
            node.name: node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, Function)
        }

    def events(self) -> Iterator[tuple[str, Event]]:
        for function in self._functions.values():
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("tell", "log.tell"):
                    level, name, *error = node.args
                    fields = {"exception"} if error else set()
                    for keyword in node.keywords:
                        named = {keyword.arg} if keyword.arg else self._keys(keyword.value, function)
                        fields |= {field for field in named if field is not None}
                    yield (
                        ast.literal_eval(name),
                        Event(frozenset(self._levels(level, function)), frozenset(fields)),
                    )

    def _levels(self, value: ast.expr, function: Function) -> set[str]:
        if isinstance(value, ast.Name):
            return {
                level for one in self._assigned(value.id, function) for level in self._levels(one, function)
            }
        if isinstance(value, ast.IfExp):
            return self._levels(value.body, function) | self._levels(value.orelse, function)
        return {ast.unparse(value).removeprefix("logging.").lower()}

    def _keys(self, value: ast.expr, function: Function) -> set[str]:
        if isinstance(value, ast.Dict):
            return {ast.literal_eval(key) for key in value.keys if key is not None}
        if isinstance(value, ast.Call):
            called = self._functions[ast.unparse(value.func)]
            returned = [node.value for node in ast.walk(called) if isinstance(node, ast.Return)]
            return {key for one in returned if one is not None for key in self._keys(one, called)}
        assert isinstance(value, ast.Name), f"cannot tell the fields of {ast.unparse(value)}"
        keys = {key for one in self._assigned(value.id, function) for key in self._keys(one, function)}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                target = node.targets[0]
                if ast.unparse(target.value) == value.id:
                    keys.add(ast.literal_eval(target.slice))
        return keys

    @staticmethod
    def _assigned(name: str, function: Function) -> list[ast.expr]:
        found = []
        for node in ast.walk(function):
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if isinstance(target, ast.Name) and target.id == name:
                    found.append(node.value)
        assert found, f"{function.name}: {name} is not assigned"
        return found


def told() -> dict[str, Event]:
    found: dict[str, Event] = {}
    for path in sorted((CHECKOUT / "gateway").rglob("*.py")):
        for name, event in Source(path).events():
            known = found.get(name, Event(frozenset(), frozenset()))
            found[name] = Event(known.levels | event.levels, known.fields | event.fields)
    return found


def test_every_event_is_documented_with_its_levels_and_fields() -> None:
    assert documented() == told()


def test_the_walk_follows_variables_and_helpers(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "def a(error, bad):\n"
        "    level = logging.ERROR if bad else logging.INFO\n"
        "    fields = {'x': 1}\n"
        "    fields |= {'y': 1}\n"
        "    fields['z'] = 1\n"
        "    log.tell(level, 'one', error, **fields)\n"
        "    tell(logging.INFO, 'two', **b(), c=1)\n"
        "def b():\n"
        "    return {'b': 1}\n"
    )
    assert dict(Source(path).events()) == {
        "one": Event(frozenset({"error", "info"}), frozenset({"x", "y", "z", "exception"})),
        "two": Event(frozenset({"info"}), frozenset({"b", "c"})),
    }


# What they tell.


def test_an_open_circuit_says_until_when() -> None:
    stream = io.StringIO()
    with logging_to(stream):
        events = Events(access=False, wall_clock=lambda: 1_767_225_600.0)
        events.circuit_changed("a", "closed", "open", "status_503", 5, 30.0)
        events.circuit_changed("a", "half-open", "closed", "success", 0, 0.0)
    opened, closed = entries(stream)
    assert (opened["level"], opened["until"]) == ("warning", "2026-01-01T00:00:30.000Z")
    assert closed["level"] == "info"
    assert "until" not in closed


def test_what_others_wrote_is_cut() -> None:
    stream = io.StringIO()
    with logging_to(stream):
        events = Events(access=False, wall_clock=lambda: 0.0)
        events.attempt_failed(b"r" * 9999, "a", 1, "stream_error", "failure", "d" * 9999)
        events.stream_broken(b"r" * 9999, "a", "timeout", "d" * 9999)
    for entry in entries(stream):
        assert (len(entry["request_id"]), len(entry["detail"])) == (256, 256)


@pytest.mark.parametrize("loop_error", [ValueError(SECRET), KeyError(PROMPT)])
def test_the_event_loops_own_errors_tell_where_and_not_what(loop_error: Exception) -> None:
    stream = io.StringIO()

    def fail(_: str) -> None:
        raise loop_error from RuntimeError(SECRET)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log.loop_failed)
        loop.call_soon(fail, PROMPT)
        await asyncio.sleep(0)

    with logging_to(stream):
        asyncio.run(main())
    (entry,) = entries(stream)
    assert (entry["event"], entry["level"]) == ("internal_error", "error")
    assert entry["where"] == "Exception in callback test"
    assert "in fail" in entry["exception"]
    assert entry["exception"].startswith("RuntimeError\n\n")
    assert entry["exception"].endswith(type(loop_error).__name__)
    assert SECRET not in stream.getvalue()
    assert PROMPT not in stream.getvalue()


def test_an_error_of_the_system_keeps_its_text() -> None:
    stream = io.StringIO()
    with logging_to(stream), closing(asyncio.new_event_loop()) as loop:
        log.loop_failed(loop, {"exception": OSError(24, "Too many open files", SECRET)})
    (entry,) = entries(stream)
    assert entry["exception"] == "OSError: Too many open files"


@pytest.mark.parametrize(
    "fault", ["503;echo_key=1", "error_event", "reset", "cut", "garbage", "401;echo_key=1", "429"]
)
@pytest.mark.parametrize("style", ["json", "console"])
def test_no_prompt_and_no_key_is_ever_written(fault: str, style: str) -> None:
    stream = io.StringIO()
    with logging_to(stream, "debug"), running(TALKATIVE, a=MockServer(fault=fault), b=MockServer()) as served:
        log.set_up("debug", style, stream)  # type: ignore[arg-type]
        for path in (f"/v1/chat/completions?key={SECRET}", f"/v1/chat/nothing?key={SECRET}"):
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)  # it logs nothing
            with closing(connection), suppress(http.client.HTTPException, ConnectionError):
                connection.request("POST", path, BODY, HEADERS)
                connection.getresponse().read()
    text = stream.getvalue()
    assert "access" in text
    assert "mine" in text
    assert SECRET not in text
    assert PROMPT not in text


def test_a_refused_request_is_told_with_its_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway")
    with running(CHOOSY) as served:
        answer = httpx.post(f"{served.url}/v1/chat/completions", json={"model": "unknown"}, trust_env=False)
    (record,) = (one for one in caplog.records if one.getMessage() == "access")
    fields = log.fields_of(record)
    assert (fields["status"], fields["code"], fields["path"]) == (
        404,
        "model_not_found",
        "/v1/chat/completions",
    )
    assert fields["request_id"] == answer.headers["x-request-id"]
    assert fields["duration_ms"] > 0.0
