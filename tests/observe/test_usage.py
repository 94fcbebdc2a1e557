"""Tokens are found in every shape of response, in any split, and what cannot be read disturbs nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe import usage
from gateway.observe.usage import Price, Tokens

CHAT = (
    b'{"id":"x","choices":[{"message":{"content":"{}}"}}],"usage":{"prompt_tokens":5,"completion_tokens":7}}'
)
DETAILS = (
    b'{"usage": {"prompt_tokens":50,"completion_tokens":9,"total_tokens":59,'
    b'"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":4}}}'
)
RESPONSES = b'{"usage":{"input_tokens":3,"output_tokens":4,"input_tokens_details":{"cached_tokens":1}}}'
MESSAGES = b'{"type":"message","usage":{"input_tokens":8,"output_tokens":2,"cache_read_input_tokens":6}}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (CHAT, Tokens(5, 7)),
        (DETAILS, Tokens(50, 9, 40, 4)),
        (RESPONSES, Tokens(3, 4, 1)),
        (MESSAGES, Tokens(14, 2, 6)),
        (b'{"choices":[]}', None),
        (b'{"usage":null}', None),
        (b'{"usage":{"prompt_tokens":"many"}}', None),
        (b'{"usage":{', None),
        (b"", None),
        (b'{"usage":{},"a":' + b"[" * 100_000, None),
    ],
)
def test_usage_of_a_body(body: bytes, expected: Tokens | None) -> None:
    assert usage.of_body(body) == expected


@pytest.mark.parametrize("body", [CHAT, DETAILS, MESSAGES])
def test_usage_of_the_end_of_a_long_body(body: bytes) -> None:
    assert usage.of_text((b'"embedding":[0.1,0.2]},' + body)[-400:]) == usage.of_body(body)


@pytest.mark.parametrize("tail", [b"", b'"usage":{"prompt_tokens":', b"no usage here", b'"usage":{{{{'])
def test_end_without_usage(tail: bytes) -> None:
    assert usage.of_text(tail) is None


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (
            b'data: {"usage":{"prompt_tokens":5,"completion_tokens":6}}\n\n'
            b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\ndata: [DONE]\n\n',
            Tokens(5, 7),
        ),
        (b'data: {"usage":{"prompt_tokens":1}}\n\ndata: {"choices":[],"usage":null}\n\n', Tokens(1)),
        (
            b'..."output":[]},"usage":{"input_tokens":2,"output_tokens_details":{},"output_tokens":3}}}\r\n',
            Tokens(2, 3),
        ),
        (b'data: {"usage":null}\n\n', None),
    ],
)
def test_the_last_usage_in_a_piece_of_a_stream(stream: bytes, expected: Tokens | None) -> None:
    assert usage.of_text(stream) == expected


def test_usage_told_at_both_ends_of_a_stream() -> None:
    assert usage.together(Tokens(9, 1), Tokens(0, 12)) == Tokens(9, 12)
    assert usage.together(None, Tokens(1)) == usage.together(Tokens(1), None) == Tokens(1)


@given(st.binary(max_size=200) | st.text(alphabet='{}"usage:, 1', max_size=200).map(str.encode))
def test_nothing_disturbs(text: bytes) -> None:
    usage.of_body(text)
    usage.of_text(text)


def test_search_is_linear_in_hostile_text() -> None:
    usage.of_text(b'"usage":{' + b"{" * 200_000)
    usage.of_text(b'"usage":{"a"' * 20_000)


def test_price_counts_cached_input_at_its_own_price() -> None:
    assert Price(2.0, 10.0, 1.0).cost(Tokens(1_000_000, 100_000, 400_000)) == pytest.approx(1.2 + 0.4 + 1.0)
