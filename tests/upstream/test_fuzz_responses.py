"""Damaged responses: whatever a provider sends, nothing raises and its user is told one end, always the same.

`GATEWAY_FUZZ=N` makes the run N times longer.
"""

from __future__ import annotations

import os
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from .fakes import OPEN, Seen, Wire

EFFORT = int(os.environ.get("GATEWAY_FUZZ", "1"))

OK = b"HTTP/1.1 200 OK\r\n"
SEEDS = [
    OK + b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    OK + b'transfer-encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n',
    OK + b"connection: close, x-one\r\nx-one: 1\r\n\r\ndata: [DONE]\n\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK + b"\r\nhi",
    b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
    b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
]
TOKENS = [
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b";", b",", b"0", b"-1", b"ffffffffffffffff", b"\x80"),
    *(
        b"content-length: 1\r\n",
        b"transfer-encoding: chunked\r\n",
        b"connection: upgrade\r\nupgrade: h2c\r\n",
    ),
    *(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/2.0 200 OK\r\n", OK, b"x" * 5000),
]


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A valid response, or two, with pieces removed, repeated, exchanged and added."""
    data = b"".join(draw(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 20)))
        pieces = st.sampled_from([b"", data[start:end] * 2, *TOKENS]) | st.binary(max_size=4)
        data = data[:start] + draw(pieces) + data[end:]
    return data


def outcome(reads: list[bytes], *, bodiless: bool, reset: bool) -> Seen:
    """What a user sees of these reads and the end of the connection behind them."""
    wire = Wire(max_header=1 << 20)
    wire.send(bodiless=bodiless)
    wire.receives(*reads)
    wire.rst() if reset else wire.fin()
    return wire.user.seen


@settings(max_examples=400 * EFFORT, deadline=None)
@given(
    data=responses() | st.binary(max_size=80),
    cuts=st.sets(st.integers(0, 400), max_size=8),
    bodiless=st.booleans(),
    reset=st.booleans(),
)
@example(data=OK + b"content-le", cuts=set(), bodiless=False, reset=False)
def test_every_response_has_one_end_wherever_reads_divide_it(
    data: bytes, cuts: set[int], bodiless: bool, reset: bool
) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    reads = [data[start:end] for start, end in pairwise(places) if start < end]
    expected = outcome([data] if data else [], bodiless=bodiless, reset=reset)
    assert expected.end != OPEN
    assert outcome(reads, bodiless=bodiless, reset=reset) == expected
