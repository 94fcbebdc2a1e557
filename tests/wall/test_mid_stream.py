"""A response that breaks off before the client's eyes, byte for byte: it can always tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.providers.mock.script import Act, Step, Wait

from .client import Answer, ask
from .gateways import breaker_of, events_of, gateway_over
from .observe import Raw
from .rows import chunk

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"n": 1}\n\n'
CLOSED = "upstream_connection_closed"
PAUSE = Wait(0.01)
"""So that what came before is read by itself."""


def answer_to(*steps: Step, path: str = "/v1/chat/completions", version: str = "1.1") -> Answer:
    """What a client gets of a provider that does this."""
    with gateway_over(Raw("a", steps)) as gateway:
        return ask(gateway.port, path=path, version=version, stream=True)


def error_behind(answer: Answer, sent: bytes) -> dict[str, Any]:
    """The error in the one event that follows what the provider sent; nothing else may."""
    assert answer.raw_body.startswith(sent)
    last = answer.raw_body[len(sent) :]
    assert last.startswith(b"data: ")
    assert last.endswith(b"}}\n\n")
    error: dict[str, Any] = json.loads(last[6:])["error"]
    return error


@pytest.mark.parametrize(
    ("unfinished", "ended"),
    [
        (b"", b""),
        (b'data: {"n"', b'data: {"n"\n\n'),
        (b'data: {"n": 2}\n', b'data: {"n": 2}\n\n'),
        (b"data: x\r\n", b"data: x\r\n\n"),
        (b": comment", b": comment\n\n"),
    ],
)
def test_an_unfinished_event_is_ended_and_the_error_follows(unfinished: bytes, ended: bytes) -> None:
    rest = [chunk(unfinished)] if unfinished else []
    answer = answer_to(STREAM, chunk(EVENT), PAUSE, *rest, PAUSE, Act.CLOSE)
    error = error_behind(answer, EVENT + ended)
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("upstream_error", CLOSED)
    assert error["message"] == (
        "Provider 'a' failed: it closed the connection before its response was whole."
    )
    assert answer.ending == "cut"
    assert not answer.raw.endswith(b"0\r\n\r\n")


def test_a_blank_line_divided_by_reads_is_one() -> None:
    answer = answer_to(STREAM, chunk(b"data: 1\n"), PAUSE, chunk(b"\n"), PAUSE, Act.CLOSE)
    assert error_behind(answer, b"data: 1\n\n")["code"] == CLOSED


def test_the_responses_api_gets_its_own_kind_of_error_event() -> None:
    answer = answer_to(STREAM, chunk(EVENT), PAUSE, Act.CLOSE, path="/v1/responses")
    assert answer.raw_body.startswith(EVENT + b"event: error\ndata: ")
    error = json.loads(answer.raw_body[len(EVENT) + len(b"event: error\ndata: ") :])
    assert (error["type"], error["code"], error["param"]) == ("error", CLOSED, None)
    assert "Provider 'a'" in error["message"]
    assert answer.ending == "cut"


def test_a_stream_to_a_client_of_http_1_0_ends_with_the_error_too() -> None:
    answer = answer_to(STREAM, chunk(EVENT), PAUSE, Act.CLOSE, version="1.0")
    assert "transfer-encoding" not in answer.headers
    assert error_behind(answer, EVENT)["code"] == CLOSED


OCTETS = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\n"
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
LARGE = b'"' + b"x" * 100_000
"""More than is held back."""


@pytest.mark.parametrize(
    "steps",
    [
        (OCTETS + b"content-length: 9\r\n\r\n", b"abc", PAUSE, Act.CLOSE),
        (OCTETS + b"transfer-encoding: chunked\r\n\r\n", chunk(b"abc"), PAUSE, Act.CLOSE),
        (OCTETS + b"\r\n", b"abc", PAUSE, Act.RESET),
        (JSON + b"content-length: 100009\r\n\r\n", LARGE, PAUSE, Act.CLOSE),
        (JSON + b"transfer-encoding: chunked\r\n\r\n", chunk(LARGE), PAUSE, b"nonsense\r\n", PAUSE),
    ],
    ids=["length", "chunked", "until FIN", "large JSON", "large JSON in chunks"],
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_what_is_no_stream_is_cut_short(steps: tuple[Step, ...], version: str) -> None:
    answer = answer_to(*steps, version=version)
    assert answer.status == 200
    assert answer.raw_body
    assert (b"abc" if b"audio" in steps[0] else LARGE).startswith(answer.raw_body)  # type: ignore[operator]
    if version == "1.0" and "content-length" not in answer.headers:
        assert answer.ending == "reset"  # a FIN would be the end of a whole body
    else:
        assert answer.ending in ("cut", "reset")


def test_what_ends_with_the_connection_is_whole_for_a_client_of_either_version() -> None:
    for version in ("1.1", "1.0"):
        answer = answer_to(OCTETS + b"\r\n", b"abc", PAUSE, Act.CLOSE, version=version)
        assert (answer.raw_body, answer.ending) == (b"abc", "whole")


def test_a_stream_that_broke_is_logged_and_counted_once(caplog: pytest.LogCaptureFixture) -> None:
    a = Raw("a", (STREAM, chunk(EVENT), PAUSE, Act.CLOSE))
    with gateway_over(a, "circuit_breaker: {max_failures: 9}") as gateway, caplog.at_level("INFO", "gateway"):
        ask(gateway.port, stream=True)
        assert breaker_of(gateway).failures == 1
    (broken,) = events_of(caplog.records, "stream_broken")
    assert (broken["provider"], broken["reason"]) == ("a", "connection_closed")
