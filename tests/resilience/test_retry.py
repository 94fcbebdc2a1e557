"""Retry-After in every form that providers send, and the cooldowns that follow from it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.resilience.retry import (
    MAX_COOLDOWN_S,
    MAX_COOLED_MODELS,
    MAX_COOLED_NAME,
    Cooldowns,
    parse_retry_after,
)

MIDNIGHT = 1_767_225_600.0  # Thu, 01 Jan 2026 00:00:00 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"0", 0.0),
        (b"1", 1.0),
        (b"120", 120.0),
        (b" 5 ", 5.0),
        (b"0020", 20.0),
        # Not in the standard, but sent, and clear.
        (b"0.5", 0.5),
        (b"1.", 1.0),
        (b".25", 0.25),
        (b"999999999999999", 999_999_999_999_999.0),
    ],
)
def test_seconds(text: bytes, seconds: float) -> None:
    assert parse_retry_after(text, None, MIDNIGHT) == seconds


@pytest.mark.parametrize(
    "date",
    [
        b"Thu, 01 Jan 2026 00:01:30 GMT",  # IMF-fixdate
        b"Thursday, 01-Jan-26 00:01:30 GMT",  # RFC 850
        b"Thu Jan  1 00:01:30 2026",  # asctime
        b"Thu, 01 Jan 2026 00:01:30 -0000",
        b"Thu, 01 Jan 2026 02:01:30 +0200",
    ],
)
def test_dates(date: bytes) -> None:
    assert parse_retry_after(date, None, MIDNIGHT) == 90.0
    assert parse_retry_after(date, None, MIDNIGHT + 91.0) == 0.0  # it has passed


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_from_greenwich")
@pytest.mark.parametrize("date", [b"Thu Jan  1 00:01:30 2026", b"Thu, 01 Jan 2026 00:01:30 -0000"])
def test_a_date_without_a_zone_is_in_utc_wherever_the_gateway_is(date: bytes) -> None:
    assert parse_retry_after(date, None, MIDNIGHT) == 90.0


@pytest.mark.parametrize(
    ("retry_after", "milliseconds", "seconds"),
    [
        (None, b"1500", 1.5),
        (None, b"0", 0.0),
        (None, b"12.5", 0.0125),
        (b"60", b"1500", 1.5),  # the more exact one wins
        (b"60", b"soon", 60.0),
        (b"60", b"-5", 60.0),
        (b"", b"20", 0.02),
    ],
)
def test_milliseconds(retry_after: bytes | None, milliseconds: bytes, seconds: float) -> None:
    assert parse_retry_after(retry_after, milliseconds, MIDNIGHT) == seconds


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"soon",
        b"-1",
        b"+5",
        b"1e3",
        b"1_000",
        b"0x10",
        b"nan",
        b"inf",
        b"infinity",
        b"1, 2",
        b"5 s",
        b".",
        b"1.2.3",
        b"1" * 16,  # longer than any date: 31 million years
        b"\xd9\xa3",  # three, in Arabic digits
        b"\xff\xfe",
        b"Thu, 01 Jan 2026",
        b"Thu, 32 Jan 2026 00:00:00 GMT",
        b"Thu, 01 Jan 99999999999 00:00:00 GMT",
        b"Thu, 01 Jan 2026 00:00:00 +999999",
        b"Thu, 01 Jan 2026 25:00:00 GMT",
    ],
)
def test_what_names_no_time_is_as_if_it_were_not_there(text: bytes) -> None:
    assert parse_retry_after(text, None, MIDNIGHT) is None
    assert parse_retry_after(None, text, MIDNIGHT) is None


def test_nothing_is_nothing() -> None:
    assert parse_retry_after(None, None, MIDNIGHT) is None


PARTS = [
    b"Thu",
    b"Thu,",
    b",",
    b"01",
    b"Jan",
    b"2026",
    b"1.2",
    b"00:01:30",
    b":",
    b"GMT",
    b"-0000",
    b"+99",
    b" ",
]
LIKE_A_DATE = st.lists(st.sampled_from(PARTS) | st.binary(max_size=3), max_size=8).flatmap(
    lambda parts: st.sampled_from([b"", b" "]).map(lambda gap: gap.join(parts))
)
FIELD = st.none() | st.binary(max_size=40) | LIKE_A_DATE | st.integers().map(lambda number: b"%d" % number)


@settings(deadline=None)
@given(FIELD, FIELD, st.floats(0.0, 1e11))
def test_no_value_raises_or_leads_to_a_senseless_time(
    retry_after: bytes | None, milliseconds: bytes | None, wall_time: float
) -> None:
    seconds = parse_retry_after(retry_after, milliseconds, wall_time)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0.0)


# Cooldowns.


def test_a_cooldown_runs_out() -> None:
    cooldowns = Cooldowns()
    assert cooldowns.remaining("m", 10.0) == 0.0
    cooldowns.extend("m", 5.0, 10.0)
    assert [cooldowns.remaining("m", now) for now in (10.0, 12.0, 15.0, 16.0)] == [5.0, 3.0, 0.0, 0.0]


def test_a_shorter_one_changes_nothing() -> None:
    cooldowns = Cooldowns()
    cooldowns.extend("m", 10.0, 0.0)
    cooldowns.extend("m", 5.0, 1.0)
    cooldowns.extend("m", 0.0, 1.0)
    assert cooldowns.remaining("m", 1.0) == 9.0
    cooldowns.extend("m", 10.0, 1.0)
    assert cooldowns.remaining("m", 1.0) == 10.0


def test_each_model_has_its_own() -> None:
    cooldowns = Cooldowns()
    cooldowns.extend("m", 5.0, 0.0)
    assert cooldowns.remaining("n", 0.0) == 0.0


@pytest.mark.parametrize("seconds", [300.1, 3600.0, 1e14])
def test_it_is_capped(seconds: float) -> None:
    cooldowns = Cooldowns()
    cooldowns.extend("m", seconds, 0.0)
    assert cooldowns.remaining("m", 0.0) == MAX_COOLDOWN_S == 300.0


def test_what_clients_name_takes_a_bounded_room() -> None:
    cooldowns = Cooldowns()
    for number in range(MAX_COOLED_MODELS + 10):
        cooldowns.extend(f"m{number}", 100.0 + number / 1000.0, 0.0)
    assert repr(cooldowns) == f"<Cooldowns of {MAX_COOLED_MODELS} models>"
    # The ones that would have ended first made room.
    assert [cooldowns.remaining(f"m{number}", 0.0) > 0.0 for number in (0, 9, 10)] == [False, False, True]
    cooldowns.extend("m10", 200.0, 0.0)
    assert cooldowns.remaining("m11", 0.0) > 0.0  # one that is extended needs no more room


def test_a_name_of_any_length_is_not_kept() -> None:
    cooldowns = Cooldowns()
    cooldowns.extend("m" * MAX_COOLED_NAME, 5.0, 0.0)
    cooldowns.extend("m" * (MAX_COOLED_NAME + 1), 5.0, 0.0)
    assert repr(cooldowns) == "<Cooldowns of 1 models>"


def test_what_has_run_out_is_forgotten() -> None:
    cooldowns = Cooldowns()
    cooldowns.extend("m", 5.0, 0.0)
    cooldowns.remaining("m", 5.0)
    assert repr(cooldowns) == "<Cooldowns of 0 models>"
