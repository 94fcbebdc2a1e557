"""What others write stays what it is: no text of theirs becomes a header field, a log line or broken JSON."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Iterator
from typing import cast

import pytest
from served import Gateway, ask, listening, serving, with_urls

from gateway.config import ConfigError, loads

CONFIG = """
server: {port: 0}
providers:
  a: {format: openai, base_url: "{a}"}
models: {m: {provider: a}}
logging: {level: debug, access: true}
"""
EVIL = 'x"\\\x1b[31m\u009b0m\u2028\r\nx-injected: 1\r\n\r\n{"time":"1"}\nfake'
"""A quote, a backslash, beginnings of terminal commands, ends of lines, and what should not follow them."""
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]").search
SERIAL = itertools.count(1)


class Parrot(asyncio.Protocol):
    """A provider that answers with the bytes that the query spells in hexadecimal, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        query = data.split(b" ", 2)[1].partition(b"?")[2]
        self._transport.write(
            bytes.fromhex(query.decode()) or b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
        )
        self._transport.close()


@pytest.fixture(scope="module", params=["json", "console"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG.replace("access: true", f"access: true, format: {request.param}")
    folder = tmp_path_factory.mktemp("injection")
    with listening(a=Parrot) as urls, serving(folder, with_urls(config, urls), {}) as one:
        yield one


def lines_about(gateway: Gateway, mark: str) -> list[str]:
    """The log's lines from the first that has the mark to the last that has it."""
    gateway.until(f"access.*{mark}")
    lines = gateway.outputs()["stdout"].decode().split("\n")
    with_mark = [number for number, line in enumerate(lines) if mark in line]
    return lines[with_mark[0] : with_mark[-1] + 1]


def assert_lines_are_whole(lines: list[str]) -> None:
    """Each is one event; what is for a person's terminal has no commands for it."""
    assert lines
    for line in lines:
        if line.startswith("{"):
            assert isinstance(json.loads(line)["event"], str)
        else:
            assert re.match(r"\d\d:\d\d:\d\d [a-z]+ ", line)
            assert not CONTROL(line)


def head_and_body(answer: bytes) -> tuple[list[bytes], bytes]:
    """Status line and fields, and the body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


# What the operator writes.


@pytest.mark.parametrize("end", ["\\r\\nx-injected: 1", "\\n", "\\r", "\\0", "\\x0b"])
@pytest.mark.parametrize(
    "text",
    [
        'providers: {a: {format: mock, api_key: "kEND"}}',
        'providers: {a: {format: mock, headers: {x-a: "vEND"}}}',
        'providers: {a: {format: mock, headers: {"x-aEND": v}}}',
        'providers: {a: {format: openai, base_url: "http://hEND"}}',
        'providers: {a: {format: openai, base_url: "http://h/pEND"}}',
        'providers: {a: {format: azure, base_url: "http://h", api_version: "2024END"}}',
        'providers: {"aEND": {format: mock}}',
        'providers: {a: {format: mock}}\nserver: {cors_origins: ["http://hEND"]}',
        'providers: {a: {format: mock}}\nmodels: {m: {provider: a, model: "mEND"}}',
    ],
)
def test_no_setting_that_is_sent_may_end_a_line(text: str, end: str) -> None:
    with pytest.raises(ConfigError) as raised:
        loads(text.replace("END", end), "test.yaml", {})
    assert str(raised.value).isprintable()


# What a provider writes.


@pytest.mark.parametrize(
    "field",
    [
        b"x-a: 1\rx-injected: 1",
        b"x-a: 1\r x-injected: 1",
        b"x-a: 1\0x-injected: 1",
        b"x-a: 1\r\n\tx-injected: 1",
        b"x-a\r: 1",
        b"x-a : 1",
        b"x-a\0: 1",
        b"x a: 1",
        b": 1",
        b"content-type: text/plain\rx-injected: 1",
        b"x-request-id: 1\rx-injected: 1",
    ],
)
def test_a_head_of_a_provider_that_can_be_read_in_two_ways_is_refused(gateway: Gateway, field: bytes) -> None:
    said = b"HTTP/1.1 200 OK\r\n%b\r\ncontent-length: 2\r\n\r\n{}" % field
    mark = f"head-{next(SERIAL)}"
    answer = ask(gateway.port, f"GET /v1/files?{said.hex()}", {"x-request-id": mark})
    fields, body = head_and_body(answer)
    assert fields[0] == b"HTTP/1.1 502 Bad Gateway"
    assert json.loads(body)["error"]["code"] == "upstream_protocol_error"
    assert b"x-injected" not in answer
    assert_lines_are_whole(lines_about(gateway, mark))


def test_an_error_of_a_provider_is_one_value_in_log_health_and_answer(gateway: Gateway) -> None:
    event = f"data: {json.dumps({'error': {'message': EVIL, 'type': EVIL, 'code': EVIL}})}\n\n".encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(event)
    mark = f"event-{next(SERIAL)}"
    answer = ask(gateway.port, f"POST /v1/any?{(head + event).hex()}", {"x-request-id": mark})
    fields, body = head_and_body(answer)
    assert fields[0] == b"HTTP/1.1 502 Bad Gateway"
    assert json.loads(body)["error"]["message"] == EVIL
    assert not [line for line in fields if b"injected" in line]
    assert_lines_are_whole(lines_about(gateway, mark))
    health = json.loads(head_and_body(ask(gateway.port, "GET /health", {}))[1])
    assert "injected" in health["provider_health"][0]["last_error"]


# What a client writes.


def test_the_name_of_a_model_is_one_value_in_the_answer(gateway: Gateway) -> None:
    mark = f"model-{next(SERIAL)}"
    body = json.dumps({"model": EVIL}).encode()
    fields, body = head_and_body(ask(gateway.port, "POST /v1/chat/completions", {"x-request-id": mark}, body))
    assert fields[0] == b"HTTP/1.1 404 Not Found"
    error = json.loads(body)["error"]
    assert error["code"] == "model_not_found"
    assert EVIL in error["message"]
    assert_lines_are_whole(lines_about(gateway, mark))


@pytest.mark.parametrize(
    "path",
    ["/x\"y'z", "/<script>", "/%0d%0ax-injected:%201", "/v1/models/%22%0d%0ax-injected", "/x\\y"],
)
def test_a_path_is_one_value_in_the_answer(gateway: Gateway, path: str) -> None:
    fields, body = head_and_body(ask(gateway.port, f"GET {path}", {}))
    assert fields[0] == b"HTTP/1.1 404 Not Found"
    assert b"content-type: application/json" in fields
    assert isinstance(json.loads(body)["error"]["message"], str)
    assert not [line for line in fields if b"injected" in line]


@pytest.mark.parametrize(
    "extra",
    ['"', "\\", "\t", "é", "\u00ff\u0080", "\u009b31m", "\u0085", '", "event": "x', "%0a", "x" * 5000],
)
def test_a_request_id_is_one_value_in_the_log(gateway: Gateway, extra: str) -> None:
    mark = f"id-{next(SERIAL)}-"
    answer = ask(gateway.port, "GET /v1/files", {"x-request-id": f"{mark}{extra}-end"})
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert_lines_are_whole(lines_about(gateway, mark))


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n\r", "\0", "\x7f", "\x1b", "\x0b"])
def test_a_field_of_a_client_that_holds_a_control_character_goes_nowhere(gateway: Gateway, end: str) -> None:
    fields, _ = head_and_body(ask(gateway.port, "GET /v1/files", {"x-request-id": f"1{end}x-injected: 1"}))
    assert fields[0] == b"HTTP/1.1 400 Bad Request"
