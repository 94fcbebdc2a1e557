"""Requests whose head came before: what the parser is spared makes no difference to anybody."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from conversation import LIMITS, TIMEOUTS, Conversation, post
from hypothesis import given
from hypothesis import strategies as st

TYPE = b"Content-Type: application/json"
BODIES = [b'{"model": "a"}', b"{}", b"x" * 1000, b'{"model": "b"}', b"x" * 7]


def parsed_and_recognized(*pieces: bytes, **settings: Any) -> tuple[Conversation, Conversation]:
    """The same reads by a connection that parses every head, and by one that recognizes those it knows."""
    parsing = Conversation(**settings)
    parsing.site._recognizer = None
    return parsing.says(*pieces), Conversation(**settings).says(*pieces)


def seen(talk: Conversation) -> tuple[object, ...]:
    return talk.outcome, talk.site.buffered, [exchange.request.path for exchange in talk.requests]


def test_a_head_is_known_from_the_second_request_on() -> None:
    talk = Conversation().says(*(post(body, TYPE) for body in BODIES))
    heads = [exchange.request.head for exchange in talk.requests]
    assert [exchange.request.body for exchange in talk.requests] == BODIES
    assert heads[0] is not heads[1]
    assert all(head is heads[1] for head in heads[2:])


def test_connections_share_what_is_known() -> None:
    first = Conversation().says(*(post(body, TYPE) for body in BODIES))
    second = Conversation(site=first.site)
    second.says(*(post(body, TYPE) for body in BODIES))
    heads = [exchange.request.head for exchange in first.requests]
    assert heads[len(BODIES) + 2] is heads[1]


@pytest.mark.parametrize(
    "last",
    [
        post(b"12345", TYPE, b"connection: close"),
        post(b"12345", TYPE, b"expect: 100-continue"),
        post(b"12345", TYPE) + post(b"6", TYPE),
        post(b"12345", TYPE)[:-1],
        post(b"12345", TYPE).replace(b"length: 5", b"length: 5x"),
        post(b"12345", TYPE).replace(b"length: 5", b"length: 5\r\ntransfer-encoding: chunked"),
        b"\r\n" + post(b"12345", TYPE),
        post(b"12345", TYPE)[:40],
        b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n",
        post(b"x" * 200, TYPE),
    ],
)
def test_anything_else_is_parsed(last: bytes) -> None:
    limits = msgspec.structs.replace(LIMITS, max_body=100)
    before = [post(body, TYPE) for body in (b"1", b"22", b"333")]
    parsing, recognizing = parsed_and_recognized(*before, last, post(b"4", TYPE), limits=limits)
    assert seen(recognizing) == seen(parsing)


LARGE = b'{"model": "l", "x": "' + b"y" * 40_000 + b'"}'


@pytest.mark.parametrize("size", [1, 100, 20_000, 40_000])
def test_a_large_body_in_pieces_goes_by_the_parser(size: int) -> None:
    pieces = [post(b"1", TYPE), post(b"2", TYPE)]
    wire = post(LARGE, TYPE)
    pieces += [wire[:20_000], *(wire[at : at + size] for at in range(20_000, len(wire), size))]
    parsing, recognizing = parsed_and_recognized(*pieces, post(b"3", TYPE))
    assert seen(recognizing) == seen(parsing)
    assert [exchange.request.body for exchange in recognizing.requests] == [b"1", b"2", LARGE, b"3"]
    assert recognizing.requests[2].request.head is recognizing.requests[1].request.head


@pytest.mark.parametrize("behind", [post(b"4", TYPE), post(LARGE, TYPE), b"nonsense\r\n\r\n"])
def test_what_stands_behind_a_large_body(behind: bytes) -> None:
    wire = post(LARGE, TYPE) + behind
    before = post(b"1", TYPE), post(b"2", TYPE)
    parsing, recognizing = parsed_and_recognized(*before, wire[:30_000], wire[30_000:])
    assert seen(recognizing) == seen(parsing)


@pytest.mark.parametrize("limits", [{"max_body": 30_000}, {"max_buffered": 30_000}])
def test_the_limits_hold_for_large_bodies(limits: dict[str, int]) -> None:
    wire = post(LARGE, TYPE)
    parsing, recognizing = parsed_and_recognized(
        *(post(b"1", TYPE), post(b"2", TYPE), wire[:20_000], wire[20_000:]),
        limits=msgspec.structs.replace(LIMITS, **limits),
    )
    assert seen(recognizing) == seen(parsing)
    assert recognizing.site.buffered == 0


def test_a_large_body_has_its_time() -> None:
    talk = Conversation(held=True).says(post(b"1", TYPE))
    talk.requests[0].respond()
    talk.says(post(b"2", TYPE))
    talk.requests[1].respond()
    talk.says(post(LARGE, TYPE)[:20_000])
    assert talk.connection.busy
    talk.waits(TIMEOUTS.body)
    assert talk.heard[-1].status == 408
    assert talk.site.buffered == 0
    assert talk.requests[1].request.head.method == b"POST"


def test_a_client_that_leaves_in_a_large_body() -> None:
    talk = Conversation().says(post(b"1", TYPE), post(b"2", TYPE), post(LARGE, TYPE)[:20_000])
    talk.leaves()
    assert talk.site.buffered == 0


def test_the_common_limit_of_bytes_holds() -> None:
    limits = msgspec.structs.replace(LIMITS, max_buffered=10)
    talk = Conversation(limits=limits)
    talk.says(post(b"1", TYPE), post(b"2", TYPE), post(b"x" * 11, TYPE))
    assert [answer.status for answer in talk.heard] == [200, 200, 503]


def test_a_key_that_is_not_valid_any_more_is_not_accepted_by_habit() -> None:
    key = b"authorization: Bearer old"
    talk = Conversation(keys=(b"old",)).says(post(b"1", key), post(b"2", key), post(b"3", key))
    talk.site.configure(keys=(b"new",), limits=LIMITS, max_connections=100, timeouts=TIMEOUTS)
    talk.says(post(b"4", key))
    assert [answer.status for answer in talk.heard] == [200, 200, 200, 401]


@given(
    st.lists(
        st.tuples(st.sampled_from(BODIES), st.sampled_from([(TYPE,), (), (TYPE, b"X-Team: a")])), max_size=6
    ),
    st.data(),
)
def test_recognizing_makes_no_difference(messages: list[tuple[bytes, tuple[bytes, ...]]], data: Any) -> None:
    wire = b"".join(post(body, *lines) for body, lines in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    pieces = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    parsing, recognizing = parsed_and_recognized(*filter(None, pieces))
    assert seen(recognizing) == seen(parsing)
