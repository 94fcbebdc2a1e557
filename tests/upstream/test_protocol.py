"""One response on a connection, byte for byte: its framing, its end, and whether the connection is kept.

Every row is fed in one read, divided at every place, and byte by byte, always with the same result.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from gateway.upstream.protocol import MAX_INFORMATIONAL

from .fakes import MAX_HEADER, OPEN, WHOLE, Seen, Wire, splits

OK = b"HTTP/1.1 200 OK\r\n"
HI = OK + b"content-length: 2\r\n\r\nhi"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
GARBLED = "protocol_error"


class Row(NamedTuple):
    """What a provider sends, then `end` ("fin", "rst" or nothing), and what becomes of it."""

    sent: bytes
    seen: Seen
    kept: bool = False
    end: str = ""
    bodiless: bool = False


def whole(sent: bytes, body: bytes = b"hi", *, status: int = 200, kept: bool = True, end: str = "") -> Row:
    return Row(sent, Seen(status, body, WHOLE), kept, end)


def broken(sent: bytes, fault: str, body: bytes = b"", *, status: int = 200, end: str = "") -> Row:
    return Row(sent, Seen(status, body, fault), False, end)


LENGTH = {
    "length": whole(HI),
    "length zero": whole(OK + b"content-length: 0\r\n\r\n", b""),
    "status 999": whole(b"HTTP/1.1 999 X\r\ncontent-length: 2\r\n\r\nhi", status=999),
    "no reason phrase": whole(b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi"),
    "CRLF before the status line": whole(b"\r\n" + HI),
    "close": whole(OK + b"Connection: Close\r\ncontent-length: 2\r\n\r\nhi", kept=False),
    "too few, FIN": broken(OK + b"content-length: 9\r\n\r\nhi", "connection_closed", b"hi", end="fin"),
    "too few, RST": broken(OK + b"content-length: 9\r\n\r\nhi", "connection_reset", b"hi", end="rst"),
    "none of it yet": Row(OK + b"content-length: 9\r\n\r\n", Seen(200, b"", OPEN)),
    "upgrade offered": whole(OK + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nhi"),
}
WITHOUT_BODY = {
    "204": whole(b"HTTP/1.1 204 No Content\r\n\r\n", b"", status=204),
    "204 with a length": whole(b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", b"", status=204),
    "204 chunked": whole(b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n", b"", status=204),
    "304 with a length": whole(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", b"", status=304),
    "HEAD with a length": Row(OK + b"content-length: 5\r\n\r\n", Seen(200, b"", WHOLE), bodiless=True),
    "HEAD chunked": Row(CHUNKED, Seen(200, b"", WHOLE), bodiless=True),
    "HEAD without framing": Row(OK + b"\r\n", Seen(200, b"", WHOLE), bodiless=True),
}
IN_CHUNKS = {
    "chunks": whole(CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
    "no chunk": whole(CHUNKED + b"0\r\n\r\n", b""),
    "extensions": whole(CHUNKED + b'2;a;b=c;d="e f"\r\nhi\r\n0;g\r\n\r\n'),
    "trailers": whole(CHUNKED + b"2\r\nhi\r\n0\r\nx-checksum: 1\r\nretry-after: 9\r\n\r\n"),
    "close": whole(OK + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", b"", kept=False),
    "cut in a chunk": broken(CHUNKED + b"5\r\nhi", "connection_closed", b"hi", end="fin"),
    "cut before a chunk": broken(CHUNKED + b"2\r\nhi\r\n", "connection_closed", b"hi", end="fin"),
    "cut in the last chunk": broken(CHUNKED + b"2\r\nhi\r\n0\r\n", "connection_closed", b"hi", end="fin"),
    "reset": broken(CHUNKED + b"2\r\nhi\r\n", "connection_reset", b"hi", end="rst"),
    "bad size": broken(CHUNKED + b"2\r\nhi\r\nnonsense\r\n", GARBLED, b"hi"),
    "size 0x2": broken(CHUNKED + b"0x2\r\nhi\r\n", GARBLED),
    "size with a sign": broken(CHUNKED + b"+2\r\nhi\r\n", GARBLED),
    "size that overflows": broken(CHUNKED + b"fffffffffffffffff\r\nhi", GARBLED),
    "no CRLF behind the data": broken(CHUNKED + b"2\r\nhixx0\r\n\r\n", GARBLED, b"hi"),
    "bare LF behind the size": broken(CHUNKED + b"2\nhi\r\n0\r\n\r\n", GARBLED),
    "bare LF in an extension": broken(CHUNKED + b"2;a\nb\r\nhi\r\n0\r\n\r\n", GARBLED),
    "a length among the trailers": broken(
        CHUNKED + b"2\r\nhi\r\n0\r\ncontent-length: 9\r\n\r\n", GARBLED, b"hi"
    ),
    "NUL in the trailers": broken(CHUNKED + b"2\r\nhi\r\n0\r\nx: \0\r\n\r\n", GARBLED, b"hi"),
}
UNTIL_CLOSE = {
    "FIN": whole(OK + b"\r\nhi", kept=False, end="fin"),
    "FIN at once": whole(OK + b"\r\n", b"", kept=False, end="fin"),
    "RST": broken(OK + b"\r\nhi", "connection_reset", b"hi", end="rst"),
    "keep-alive said": whole(OK + b"connection: keep-alive\r\n\r\nhi", kept=False, end="fin"),
    "HTTP/1.0": whole(b"HTTP/1.0 200 OK\r\n\r\nhi", kept=False, end="fin"),
    "HTTP/1.0 with a length": whole(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", kept=False),
    "HTTP/1.0 kept alive": whole(
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi", kept=True
    ),
    # RFC 9112 section 6.1: it may be read, but the connection cannot be trusted after it.
    "HTTP/1.0 with chunks": whole(
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"",
        kept=False,
    ),
}
INFORMATIONAL = {
    "100": whole(b"HTTP/1.1 100 Continue\r\n\r\n" + HI),
    "103 with fields": whole(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\ncontent-length: 9\r\n\r\n" + HI),
    "as many as may be": whole(b"HTTP/1.1 102 Processing\r\n\r\n" * MAX_INFORMATIONAL + HI),
    "one more": broken(b"HTTP/1.1 102 Processing\r\n\r\n" * (MAX_INFORMATIONAL + 1) + HI, GARBLED, status=0),
    "no answer behind": broken(b"HTTP/1.1 100 Continue\r\n\r\n", "connection_closed", status=0, end="fin"),
    "101": broken(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", GARBLED, status=0),
    "101 that upgrades": broken(
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhi", GARBLED, status=0
    ),
}
TWO_FRAMINGS = {
    "length and chunks": OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": OK + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths that differ": OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nhi",
    "two lengths that agree": OK + b"content-length: 2\r\ncontent-length: 2\r\n\r\nhi",
    "a list of lengths": OK + b"content-length: 2, 2\r\n\r\nhi",
    "an empty length": OK + b"content-length: \r\n\r\nhi",
    "a signed length": OK + b"content-length: +2\r\n\r\nhi",
    "a length that overflows": OK + b"content-length: 99999999999999999999\r\n\r\nhi",
    "gzip as transfer coding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked is not the last coding": OK + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "vertical tab before chunked": OK + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
}
NOT_HTTP = {
    "TLS": b"\x16\x03\x01\x02\x00",
    "a request": b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\ncontent-length: 0\r\n\r\n",
    "status 99": b"HTTP/1.1 99 X\r\ncontent-length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 X\r\ncontent-length: 0\r\n\r\n",
    "status 000": b"HTTP/1.1 000 X\r\ncontent-length: 0\r\n\r\n",
    "status 1000": b"HTTP/1.1 1000 X\r\ncontent-length: 0\r\n\r\n",
    "status abc": b"HTTP/1.1 abc X\r\ncontent-length: 0\r\n\r\n",
    "NUL in a value": OK + b"x: a\0b\r\n\r\n",
    "bare CR in a value": OK + b"x: a\rtransfer-encoding: chunked\r\n\r\n",
    "bare LF behind a value": OK + b"x: a\ncontent-length: 0\r\n\r\n",
    "bare LF everywhere": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "folded line": OK + b"x: a\r\n b\r\n\r\n",
    "space before the colon": OK + b"content-length : 0\r\n\r\n",
    "space before the first field": OK + b" x: a\r\n\r\n",
    "no name": OK + b": a\r\n\r\n",
}
SURPLUS = {
    "behind a length": HI + b"surplus",
    "another response": HI + HI,
    "behind close": OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi" + HI,
    "behind the last chunk": CHUNKED + b"2\r\nhi\r\n0\r\n\r\n" + HI,
}
BEHIND_NO_BODY = {
    "behind 204": Row(b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nhi", Seen(204, b"", WHOLE)),
    "behind 304": Row(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\nhi", Seen(304, b"", WHOLE)),
    "behind HEAD": Row(HI, Seen(200, b"", WHOLE), bodiless=True),
}
ALL = {
    **{f"length: {name}": row for name, row in LENGTH.items()},
    **{f"no body: {name}": row for name, row in WITHOUT_BODY.items()},
    **{f"chunks: {name}": row for name, row in IN_CHUNKS.items()},
    **{f"until close: {name}": row for name, row in UNTIL_CLOSE.items()},
    **{f"informational: {name}": row for name, row in INFORMATIONAL.items()},
    **{f"framing: {name}": broken(sent, GARBLED, status=0) for name, sent in TWO_FRAMINGS.items()},
    **{f"not HTTP: {name}": broken(sent, GARBLED, status=0) for name, sent in NOT_HTTP.items()},
    **{f"surplus: {name}": whole(sent, kept=False) for name, sent in SURPLUS.items()},
    **{f"surplus: {name}": row for name, row in BEHIND_NO_BODY.items()},
}


@pytest.mark.parametrize("name", ALL)
def test_a_response_is_the_same_wherever_reads_divide_it(name: str) -> None:
    row = ALL[name]
    for reads in splits(row.sent):
        wire = Wire()
        wire.send(bodiless=row.bodiless)
        wire.receives(*reads)
        if row.end == "fin":
            wire.fin()
        elif row.end == "rst":
            wire.rst()
        assert wire.user.seen == row.seen, reads
        assert wire.kept == row.kept, reads
        assert wire.pool.lost_connections == (0 if row.kept or row.seen.end == OPEN else 1), reads


@pytest.mark.parametrize(("end", "fault"), [("fin", "connection_closed"), ("rst", "connection_reset")])
def test_an_end_anywhere_before_the_body_is_whole_is_a_failure(end: str, fault: str) -> None:
    for sent in (HI, CHUNKED + b"2\r\nhi\r\n0\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" + HI):
        for place in range(len(sent)):
            wire = Wire()
            wire.send()
            wire.receives(sent[:place])
            wire.fin() if end == "fin" else wire.rst()
            assert wire.user.end == fault
            assert b"hi".startswith(wire.user.body)


def test_the_user_is_told_of_each_read_once() -> None:
    wire = Wire()
    wire.send()
    wire.receives(CHUNKED + b"2\r\nab\r\n2\r\ncd\r\n", b"1\r\n", b"e\r\n1\r\nf", b"\r\n0\r\n\r\n")
    assert wire.user.told == ["head", "body", "body", "last body"]
    assert wire.user.body == b"abcdef"


def test_what_came_before_an_error_in_the_same_read_is_delivered_first() -> None:
    wire = Wire()
    wire.send()
    wire.receives(CHUNKED + b"2\r\nhi\r\nnonsense\r\n")
    assert wire.user.told == ["head", "body", "failure"]
    assert wire.transport.closed


def test_an_error_names_what_is_wrong() -> None:
    wire = Wire()
    wire.send()
    wire.receives(b"HTTP/2.0 200 OK\r\n\r\n")
    assert wire.user.detail == "its response is HTTP/2.0"
    wire = Wire()
    wire.send()
    wire.receives(b"SSH-2.0-OpenSSH_9.6\r\n")
    assert wire.user.detail.startswith("its response is not HTTP (")


# -- limits


def head_of(size: int) -> bytes:
    """A head of so many bytes, for a body of two."""
    begin = OK + b"content-length: 2\r\nx-filling: "
    return begin + b"x" * (size - len(begin) - 4) + b"\r\n\r\n"


def in_reads(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("read", [1, 1000, 1 << 20])
def test_a_head_may_be_as_large_as_configured_and_not_a_byte_larger(read: int) -> None:
    for size, seen in (
        (MAX_HEADER, Seen(200, b"hi", WHOLE)),
        (MAX_HEADER + 1, Seen(0, b"", GARBLED)),
    ):
        wire = Wire()
        wire.send()
        wire.receives(*in_reads(head_of(size) + b"hi", read))
        assert wire.user.seen == seen
    assert wire.user.detail == f"its response has a header of more than {MAX_HEADER} bytes"


@pytest.mark.parametrize(
    "forever",
    [b"x-filling: " + b"x" * 100 + b"\r\n", b"x", b"x: " + b"y" * 500],
    ids=["fields", "a name", "a value"],
)
def test_a_head_without_end_is_given_up(forever: bytes) -> None:
    wire = Wire()
    wire.send()
    wire.receives(OK, *[forever] * (2 * MAX_HEADER))
    assert wire.user.seen == Seen(0, b"", GARBLED)
    assert wire.transport.closed


@pytest.mark.parametrize(
    ("begin", "forever"),
    [
        (CHUNKED + b"2;", b"extension;" * 50),
        (CHUNKED + b"2\r\nhi\r\n0\r\n", b"x-trailer: y\r\n"),
        (CHUNKED + b"2\r\nhi\r\n0\r\nx-trailer: ", b"y" * 100),
    ],
    ids=["chunk extensions", "trailers", "one trailer"],
)
def test_what_surrounds_chunks_is_bounded(begin: bytes, forever: bytes) -> None:
    wire = Wire()
    wire.send()
    wire.receives(begin, *[forever] * MAX_HEADER)
    assert wire.user.end == GARBLED
    assert f"chunk extensions or trailers of more than {MAX_HEADER} bytes" in wire.user.detail


def test_a_stream_of_any_length_may_come_in_reads_without_body() -> None:
    # A provider that writes size, data and CRLF of each chunk apart sends two such reads with every event.
    wire = Wire()
    wire.send()
    wire.receives(CHUNKED)
    for _ in range(MAX_HEADER):
        wire.receives(b"2\r\n", b"hi", b"\r\n")
    assert wire.user.seen == Seen(200, b"hi" * MAX_HEADER, OPEN)
