"""Heads and chunks as bytes."""

from __future__ import annotations

import pytest

from gateway.server import writer
from gateway.server.writer import Date

FIELDS = [b"a", b": ", b"1", b"\r\n"]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (200, b"HTTP/1.1 200 OK\r\n"),
        (431, b"HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        (499, b"HTTP/1.1 499 \r\n"),
        (529, b"HTTP/1.1 529 \r\n"),
        (999, b"HTTP/1.1 999 \r\n"),
    ],
)
def test_status_line(status: int, line: bytes) -> None:
    assert writer.status_line(status) == line


@pytest.mark.parametrize("length", [0, 1, 4095, 4096, 10**12])
@pytest.mark.parametrize(("keep_alive", "connection"), [(True, b""), (False, b"connection: close\r\n")])
def test_head_with_a_length(length: int, keep_alive: bool, connection: bytes) -> None:
    head = b"".join(writer.with_length(200, FIELDS, length, keep_alive))
    assert head == b"HTTP/1.1 200 OK\r\na: 1\r\n%bcontent-length: %d\r\n\r\n" % (connection, length)


def test_head_of_chunks() -> None:
    end = b"transfer-encoding: chunked\r\n\r\n"
    assert b"".join(writer.chunked(200, FIELDS, True)) == b"HTTP/1.1 200 OK\r\na: 1\r\n" + end
    assert b"".join(writer.chunked(200, [], False)) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + end


def test_head_without_framing() -> None:
    assert b"".join(writer.bare(204, FIELDS, True)) == b"HTTP/1.1 204 No Content\r\na: 1\r\n\r\n"
    assert b"".join(writer.bare(200, [], False)) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(("size", "number"), [(1, b"1"), (15, b"f"), (16, b"10"), (70_000, b"11170")])
def test_chunk(size: int, number: bytes) -> None:
    assert writer.chunk(b"x" * size) == number + b"\r\n" + b"x" * size + b"\r\n"


def test_date_is_that_of_the_clock() -> None:
    date = Date()
    assert date.value(0.9) == b"Thu, 01 Jan 1970 00:00:00 GMT"
    assert date.value(1.0) == b"Thu, 01 Jan 1970 00:00:01 GMT"
    assert date.value(784111777.5) == b"Sun, 06 Nov 1994 08:49:37 GMT"
