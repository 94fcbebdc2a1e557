"""Damaged, joined and split requests against a second reader (oracle.py).

Nothing raises, every request that the reader sees whole is answered or refused, nothing else reaches a
handler, and a split makes no difference. The default run is short; HYPOTHESIS_PROFILE=long takes hours.
The same check with coverage as its guide is tests/fuzz/fuzz_requests.py.
"""

from __future__ import annotations

import oracle
from conversation import HEAD, post
from hypothesis import example, given
from hypothesis import strategies as st

GET = b"GET /v1/models?limit=1 HTTP/1.1\r\nhost: gw\r\naccept: */*\r\n\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"

VALID = [
    GET,
    b"HEAD /v1/models HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: gw\r\n\r\n",
    b"GET http://other/v1/models HTTP/1.1\r\nhost: gw\r\n\r\n",
    b"GET /v1/models HTTP/1.0\r\n\r\n",
    post(b""),
    post(b'{"model": "m", "messages": []}', b"content-type: application/json"),
    post(GET),
    post(b"last", b"Connection: close"),
    post(b"1234", b"connection: keep-alive, Upgrade", b"upgrade: h2c"),
    post(b"1234", b"expect: 100-continue"),
    CHUNKED + b"5\r\nabcde\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
    CHUNKED + b'1;a="b"\r\nx\r\n0\r\nx-trailer: 1\r\n\r\n',
]
TOKENS = [
    *(
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b"\t",
        b"\0",
        b"\x0b",
        b":",
        b";",
        b",",
        b"0",
        b"5",
        b"-",
        b"+",
        b"_",
        b"0x",
    ),
    *(b"\r\n\r\n", b"0\r\n\r\n", b"\xff", b"\x7f", b"\r\n ", b" :", b"/../", b"%2e", b"#", b"*"),
    *(b"content-length: 5\r\n", b"Content-Length:", b"transfer-encoding: chunked\r\n", b"chunked", b"gzip, "),
    *(
        b"connection: close\r\n",
        b"connection: upgrade\r\n",
        b"upgrade: x\r\n",
        b"host: two\r\n",
        b"expect: x\r\n",
    ),
    *(
        b"HTTP/1.0",
        b"HTTP/1.1",
        b"HTTP/2.0",
        b"GET ",
        b"CONNECT gw:1 HTTP/1.1\r\n",
        b"PRI * ",
        b"99999999999999999999",
    ),
]
EDITS = st.tuples(
    st.sampled_from(["insert", "delete", "repeat", "replace"]),
    st.integers(0, 1000),
    st.integers(1, 30),
    st.sampled_from(TOKENS) | st.binary(max_size=3),
)


def edited(data: bytes, edits: list[tuple[str, int, int, bytes]]) -> bytes:
    """The bytes with some damage."""
    for kind, place, length, token in edits:
        at = place % (len(data) + 1)
        piece = data[at : at + length]
        if kind == "insert":
            data = data[:at] + token + data[at:]
        elif kind == "delete":
            data = data[:at] + data[at + length :]
        elif kind == "repeat":
            data = data[:at] + piece + data[at:]
        else:
            data = data[:at] + token + data[at + len(token) :]
    return data


SOME = st.lists(st.sampled_from(VALID), min_size=1, max_size=4).map(b"".join)
CUTS = st.lists(st.integers(0, 1000), max_size=6)


@given(SOME, CUTS)
def test_valid_requests_are_all_answered(data: bytes, cuts: list[int]) -> None:
    assert len(oracle.check(data, cuts).requests) == len(oracle.read(data).messages)


@given(SOME, st.lists(EDITS, min_size=1, max_size=4), CUTS)
def test_damaged_requests(data: bytes, edits: list[tuple[str, int, int, bytes]], cuts: list[int]) -> None:
    oracle.check(edited(data, edits), cuts)


@given(st.lists(st.sampled_from(TOKENS) | st.sampled_from(VALID), max_size=20).map(b"".join), CUTS)
def test_loose_pieces(data: bytes, cuts: list[int]) -> None:
    oracle.check(data, cuts)


@given(st.binary(max_size=200), CUTS)
@example(b"\x16\x03\x01", [1])
def test_any_bytes(data: bytes, cuts: list[int]) -> None:
    oracle.check(data, cuts)
