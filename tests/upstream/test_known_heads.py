"""Responses whose head came before: what the parser is spared makes no difference to the user."""

from __future__ import annotations

import pytest

from tests.upstream.fakes import WHOLE, Seen, Wire

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


def answer(body: bytes) -> bytes:
    return HEAD % len(body) + body


def test_a_whole_response_is_recognized_by_the_next_request() -> None:
    wire = Wire()
    heads = []
    for body in (b"{}", b"[1, 2]", b""):
        wire.send()
        wire.receives(answer(body))
        assert wire.user.seen == Seen(200, body, WHOLE)
        assert wire.user.told == ["head", "last body"]
        heads.append(wire.user.head)
    assert heads[0] is heads[1] is heads[2]


@pytest.mark.parametrize(
    "response",
    [
        answer(b"{}").replace(b"200 OK", b"500 No"),
        answer(b"{}").replace(b"content-type", b"x"),
        answer(b"{}") + b"!",
        answer(b"{}").replace(b"length: 2", b"length: 1"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"{}"),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"nonsense",
    ],
)
def test_anything_else_is_parsed(response: bytes) -> None:
    knowing, fresh = Wire(), Wire()
    knowing.send()
    knowing.receives(answer(b"{}"))
    for wire in (knowing, fresh):
        wire.send()
        wire.receives(response)
    assert knowing.user.seen == fresh.user.seen
    assert knowing.user.told == fresh.user.told


def test_a_known_head_that_comes_in_pieces_is_parsed() -> None:
    wire = Wire()
    wire.send()
    wire.receives(answer(b"{}"))
    wire.send()
    for byte in answer(b"[3]"):
        wire.receives(bytes([byte]))
    assert wire.user.seen == Seen(200, b"[3]", WHOLE)


def test_the_answer_to_head_is_not_recognized() -> None:
    wire = Wire()
    wire.send()
    wire.receives(answer(b""))
    wire.send(bodiless=True)
    wire.receives(answer(b""))
    assert wire.user.seen == Seen(200, b"", WHOLE)
    assert not wire.connection.alive


def test_a_connection_with_unsent_bytes_is_not_used_again() -> None:
    wire = Wire()
    wire.send()
    wire.receives(answer(b"{}"))
    wire.send()
    wire.transport.unsent = 1
    wire.receives(answer(b"[]"))
    assert wire.user.seen == Seen(200, b"[]", WHOLE)
    assert not wire.connection.alive
