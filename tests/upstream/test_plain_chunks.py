"""Chunks that come one to a read: what the parser is spared makes no difference to the user."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.upstream.fakes import OPEN, WHOLE, Seen, Wire

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def received(*reads: bytes) -> Wire:
    wire = Wire()
    wire.send()
    for read in reads:
        wire.receives(read)
    return wire


def test_each_chunk_is_passed_on_at_once() -> None:
    wire = received(HEAD, chunk(b"a" * 20), chunk(b"b"), chunk(b"\r\n\r\n"), LAST)
    assert wire.user.seen == Seen(200, b"a" * 20 + b"b\r\n\r\n", WHOLE)
    assert wire.user.told == ["head", "body", "body", "body", "last body"]
    assert wire.kept


@pytest.mark.parametrize(
    "read",
    [
        b"3\r\nabc\r",
        b"3\r\nabcd\r\n",
        b"3\r\nab\r\n",
        b"3\r\nabc",
        b"03\r\nabc\r\n",
        b"3;x=y\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b"3 \r\nabc\r\n",
        b"\r\nabc\r\n",
        b"x\r\nabc\r\n",
        b"A\r\n0123456789\r\n",
        b"a\r\n0123456789\r\n" + LAST,
        chunk(b"abc") + chunk(b"def"),
        chunk(b"abc") + b"5\r\n",
        b"0\r\n\r\n",
        b"0\r\nx: y\r\n\r\n",
        b"\r\n",
        b"3\nabc\n",
    ],
)
def test_anything_else_is_parsed(read: bytes) -> None:
    """The same bytes one by one never come as one chunk to a read."""
    whole = received(HEAD + chunk(b"first"), read, chunk(b"more"), LAST)
    single = received(HEAD + chunk(b"first"), *(bytes([byte]) for byte in read + chunk(b"more") + LAST))
    assert whole.user.seen == single.user.seen


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.data())
def test_any_reads_give_the_same(bodies: list[bytes], data: st.DataObject) -> None:
    wire = HEAD + b"".join(map(chunk, bodies)) + LAST
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    reads = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert received(*filter(None, reads)).user.seen == Seen(200, b"".join(bodies), WHOLE)


def test_a_chunk_behind_the_last_one_is_no_part_of_it() -> None:
    wire = received(HEAD, chunk(b"abc"), LAST)
    wire.send()
    assert wire.user.seen == Seen(0, b"", OPEN)
    wire.receives(chunk(b"abc"))
    assert wire.user.seen.status == 0
    assert wire.user.end != WHOLE
