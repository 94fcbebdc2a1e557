"""Heads that are recognized, over both builds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._speedups import heads as pure

HEAD = b"POST /v1/x HTTP/1.1\r\nHost: gw\r\nContent-Length: %d\r\nAccept: */*\r\n\r\n"


def message(body: bytes) -> bytes:
    return HEAD % len(body) + body


@pytest.fixture
def heads(build: Any) -> Any:
    return build.module("heads")


@pytest.mark.parametrize("body", [b"", b"1", b"123456789", b"x" * 10_000, b"\r\n\r\n", message(b"12")])
def test_the_same_head_with_another_length(heads: Any, body: bytes) -> None:
    known = heads.known_head(message(b"12345"), 5)
    assert known.body_of(message(body)) == body


@pytest.mark.parametrize(
    "other",
    [
        b"",
        message(b"12345")[:-1],
        message(b"12345") + b"6",
        message(b"12345").replace(b"Length: 5", b"Length: 4"),
        message(b"12345").replace(b"Length: 5", b"Length: "),
        message(b"12345").replace(b"Length: 5", b"Length: +5"),
        message(b"12345").replace(b"Length: 5", b"Length: 5 "),
        message(b"12345").replace(b"Length: 5", b"Length: 0x5"),
        message(b"12345").replace(b"Length: 5", b"Length: 0000000005"),
        message(b"12345").replace(b"Length: 5", b"Length: 5\r\nContent-Length: 5"),
        message(b"12345").replace(b"Host: gw", b"Host: go"),
        message(b"12345").replace(b"*/*", b"*/x"),
        message(b"12345").replace(b"\r\n\r\n", b"\r\nX: y\r\n\r\n"),
        message(b"12345").replace(b"5\r\n", b"5\n"),
        message(b"")[:60],
        HEAD[: HEAD.index(b"%d")],
        HEAD[: HEAD.index(b"%d")] + b"5",
    ],
)
def test_anything_else_is_left_to_the_parser(heads: Any, other: bytes) -> None:
    known = heads.known_head(message(b"12345"), 5)
    assert known.body_of(other) is None


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: gw\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5 \r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5, 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nx-content-length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\n",
        b"GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n",
        b"POST / HTTP/1.1\ncontent-length: 5\n\n",
    ],
)
def test_only_one_length_in_its_usual_form_is_learnt(heads: Any, head: bytes) -> None:
    assert heads.known_head(head + b"12345", 5) is None


def test_the_text_tells_heads_apart(heads: Any) -> None:
    first = heads.known_head(message(b"12345"), 5)
    assert first.text == heads.known_head(message(b"1" * 100), 100).text == HEAD.replace(b"%d", b"")
    assert first.text != heads.known_head(message(b"12345").replace(b"gw", b"go"), 5).text


@given(st.binary(max_size=40), st.binary(max_size=120), st.integers(0, 90), st.integers(0, 30))
def test_what_is_recognized_is_that_head_and_one_whole_body(
    body: bytes, noise: bytes, at: int, removed: int
) -> None:
    known = pure.known_head(message(b"12345"), 5)
    assert known is not None
    changed = message(body)[:at] + noise + message(body)[at + removed :]
    found = known.body_of(changed)
    if found is not None:
        digits, _, rest = changed[HEAD.index(b"%d") :].partition(b"\r\n")
        assert digits.isdigit()
        assert int(digits) == len(found)
        assert changed == HEAD.replace(b"%d", digits) + found
        assert rest.endswith(found)
