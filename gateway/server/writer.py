"""How an answer is put on the wire: status lines, heads, chunk frames.

Everything is built as one bytes object, so that a head and what follows it go out in one write.
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

LAST_CHUNK: Final = b"0\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES: Final = {
    status: b"HTTP/1.1 %d %b\r\n"
    % (status, HTTPStatus(status).phrase.encode() if status in set(HTTPStatus) else b"")
    for status in range(200, 600)
}
_LENGTHS: Final = [b"content-length: %d\r\n\r\n" % length for length in range(4096)]
_LENGTHS_CLOSE: Final = [
    b"connection: close\r\ncontent-length: %d\r\n\r\n" % length for length in range(4096)
]


USUAL: Final = len(_LENGTHS)
"""Bodies shorter than this have a ready Content-Length."""


def usual(status: int, fields: list[bytes], body: bytes) -> bytes:
    """A whole answer with a body of fewer than USUAL bytes, on a connection that stays open."""
    return b"".join((_STATUS_LINES[status], *fields, _LENGTHS[len(body)], body))


def status_line(status: int) -> bytes:
    """The status line, with the registered reason phrase or none."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def with_length(status: int, fields: list[bytes], length: int, keep_alive: bool) -> list[bytes]:
    """The pieces of a head whose body has `length` bytes."""
    if length < 4096:
        end = (_LENGTHS if keep_alive else _LENGTHS_CLOSE)[length]
    else:
        end = b"%bcontent-length: %d\r\n\r\n" % (b"" if keep_alive else b"connection: close\r\n", length)
    return [status_line(status), *fields, end]


def chunked(status: int, fields: list[bytes], keep_alive: bool) -> list[bytes]:
    """The pieces of a head whose body is chunked (RFC 9112 section 7.1)."""
    end = b"transfer-encoding: chunked\r\n\r\n"
    return [status_line(status), *fields, end if keep_alive else b"connection: close\r\n" + end]


def bare(status: int, fields: list[bytes], keep_alive: bool) -> list[bytes]:
    """The pieces of a head with no framing of its own: 204, 304, and what ends with the connection."""
    return [status_line(status), *fields, b"\r\n" if keep_alive else b"connection: close\r\n\r\n"]


def chunk(data: bytes) -> bytes:
    """One chunk; `data` must not be empty, for an empty chunk is the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Date:
    """The Date field (RFC 9110 section 6.6.1), made once a second."""

    __slots__ = ("_field", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._field = b""

    def value(self, wall_time: float) -> bytes:
        """The field's value at `wall_time`, in seconds since the epoch."""
        second = int(wall_time)
        if second != self._second:
            self._second = second
            self._field = formatdate(second, usegmt=True).encode()
        return self._field
