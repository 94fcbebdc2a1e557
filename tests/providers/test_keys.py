"""Several keys of one provider: whose turn it is, and which answers make one rest."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.keys import MAX_REST_S, REST_S, KeyRing, rest_s

QUOTA = (
    b'{"error": {"message": "m", "type": "insufficient_quota", "param": null, "code": "insufficient_quota"}}'
)
RATE = b'{"error": {"message": "m", "type": "requests", "code": "rate_limit_exceeded"}}'


def ring(count: int) -> KeyRing:
    return KeyRing([b"authorization: Bearer key-%d\r\n" % number for number in range(count)])


def test_keys_take_turns() -> None:
    keys = ring(3)
    assert [keys.choose(0.0) for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    assert keys.lines[1] == b"authorization: Bearer key-1\r\n"


def test_one_key_is_always_it() -> None:
    keys = ring(1)
    keys.rest(0, 0.0, 60.0)
    assert [keys.choose(1.0), keys.choose(2.0)] == [0, 0]


def test_one_that_rests_is_passed_over_until_its_time() -> None:
    keys = ring(3)
    keys.rest(1, 10.0, 5.0)
    assert [keys.choose(14.999) for _ in range(4)] == [0, 2, 0, 2]
    assert [keys.choose(15.0) for _ in range(4)] == [0, 1, 2, 0]


def test_where_all_rest_it_is_the_one_whose_rest_ends_first() -> None:
    keys = ring(3)
    for index, seconds in enumerate((30.0, 10.0, 20.0)):
        keys.rest(index, 0.0, seconds)
    assert not keys.has_rested(9.999)
    assert [keys.choose(0.0), keys.choose(0.0)] == [1, 1]
    assert keys.has_rested(10.0)
    assert keys.choose(10.0) == 1
    assert [keys.choose(20.0) for _ in range(2)] == [2, 1]


def test_a_rest_is_only_made_longer_and_ends() -> None:
    keys = ring(2)
    keys.rest(0, 0.0, 50.0)
    keys.rest(0, 10.0, 5.0)
    assert [keys.choose(49.0), keys.choose(49.0)] == [1, 1]
    keys.rest(0, 50.0, 1e9)
    assert [keys.choose(50.0 + MAX_REST_S - 1.0) for _ in range(2)] == [1, 1]
    assert 0 in [keys.choose(50.0 + MAX_REST_S) for _ in range(2)]


@given(st.integers(1, 6), st.data())
def test_those_that_do_not_rest_share_alike(count: int, data: st.DataObject) -> None:
    keys = ring(count)
    for _ in range(data.draw(st.integers(0, 10))):
        keys.choose(0.0)
    resting = data.draw(st.sets(st.integers(0, count - 1), max_size=count - 1))
    for index in resting:
        keys.rest(index, 0.0, 100.0)
    turns = Counter(keys.choose(1.0) for _ in range(20 * (count - len(resting))))
    assert turns == dict.fromkeys(set(range(count)) - resting, 20)


def test_a_ring_needs_a_key() -> None:
    with pytest.raises(ValueError, match="a ring needs a key"):
        KeyRing([])


def test_it_shows_no_key() -> None:
    assert repr(ring(2)) == "<KeyRing of 2>"


@pytest.mark.parametrize(
    ("status", "body", "retry_after_s", "expected"),
    [
        (401, b"", None, REST_S),
        (403, b"{}", None, REST_S),
        (402, b"no JSON", 5.0, REST_S),
        (429, QUOTA, None, REST_S),
        (429, QUOTA, 20.0, REST_S),
        (429, QUOTA, 1000.0, 1000.0),
        (429, b'{"error": {"type": "insufficient_quota"}}', None, REST_S),
        (429, RATE, None, None),
        (429, RATE, 20.0, 20.0),
        (429, b"", 20.0, 20.0),
        (200, QUOTA, None, None),
        (400, QUOTA, None, None),
        (404, b"", None, None),
        (500, b"", 20.0, None),
        (503, b"", 20.0, None),
    ],
)
def test_which_answers_make_a_key_rest(
    status: int, body: bytes, retry_after_s: float | None, expected: float | None
) -> None:
    assert rest_s(status, body, retry_after_s) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "insufficient_quota"}',
        b'{"error": {"code": 429}}',
        b"[" * 100_000,
        b'{"error": {"code": ["x"]}}',
        b"\xff",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_any_body_may_come(body: bytes) -> None:
    assert rest_s(429, body, None) is None


@given(st.binary())
def test_any_bytes_may_come(body: bytes) -> None:
    assert rest_s(429, body, None) in (None, REST_S)
