"""Tokens are found in every shape of response, in any split, and what cannot be read disturbs nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.observe import usage
from gateway.observe.usage import Price, StreamUsage, Tokens

CHAT = (
    b'{"id":"x","choices":[{"message":{"content":"{}}"}}],"usage":{"prompt_tokens":5,"completion_tokens":7}}'
)
DETAILS = (
    b'{"usage": {"prompt_tokens":50,"completion_tokens":9,"total_tokens":59,'
    b'"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":4}}}'
)
RESPONSES = b'{"object":"response","usage":{"input_tokens":3,"output_tokens":4,"input_tokens_details":{"cached_tokens":1}}}'
MESSAGES = b'{"type":"message","usage":{"input_tokens":8,"output_tokens":2,"cache_read_input_tokens":6}}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (CHAT, Tokens(5, 7)),
        (DETAILS, Tokens(50, 9, 40, 4)),
        (RESPONSES, Tokens(3, 4, 1)),
        (MESSAGES, Tokens(8, 2, 6)),
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
    assert usage.of_tail((b'"embedding":[0.1,0.2]},' + body)[-400:]) == usage.of_body(body)


@pytest.mark.parametrize("tail", [b"", b'"usage":{"prompt_tokens":', b"no usage here", b'"usage":{{{{'])
def test_end_without_usage(tail: bytes) -> None:
    assert usage.of_tail(tail) is None


CHUNK = b'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}\n\n'
STREAMS = [
    (
        CHUNK * 3
        + b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\ndata: [DONE]\n\n',
        (5, 7),
    ),
    (
        b'event: response.completed\r\ndata: {"response":{"usage":{"input_tokens":2,"output_tokens":3}}}\r\n\r\n',
        (2, 3),
    ),
    (
        b'event: message_start\ndata: {"message":{"usage":{"input_tokens":9,"output_tokens":1}}}\n\n'
        b'event: message_delta\ndata: {"usage":{"output_tokens":12}}\n\n',
        (9, 12),
    ),
    (b'data: {"usage":{"prompt_tokens":1}}\r\rdata: {"broken\r\r', (1, 0)),
]


@pytest.mark.parametrize(("stream", "expected"), STREAMS)
def test_usage_of_a_stream_in_every_split(stream: bytes, expected: tuple[int, int]) -> None:
    for at in range(len(stream) + 1):
        watcher = StreamUsage()
        watcher.watch(stream[:at])
        watcher.watch(stream[at:])
        assert watcher.tokens is not None, at
        assert watcher.tokens[:2] == expected, at


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"\n\n", b'"usage":{', b"data: {"]), max_size=20))
def test_no_stream_disturbs(reads: list[bytes]) -> None:
    watcher = StreamUsage()
    for read in reads:
        watcher.watch(read)
    usage.of_body(b"".join(reads))
    usage.of_tail(b"".join(reads))


def test_an_endless_event_is_not_kept() -> None:
    watcher = StreamUsage()
    for _ in range(100):
        watcher.watch(b"x" * 10_000)
    assert len(watcher._partial) <= usage.MAX_EVENT


def test_price_counts_cached_input_at_its_own_price() -> None:
    assert Price(2.0, 10.0, 1.0).cost(Tokens(1_000_000, 100_000, 400_000)) == pytest.approx(1.2 + 0.4 + 1.0)
