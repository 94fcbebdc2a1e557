"""How long a plan waits between attempts: backoff, jitter, cap, Retry-After, and the time that is allowed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import START_S, Scene, fault, status, wrapped

from gateway.errors import Fault
from gateway.resilience.outcome import of_status
from gateway.resilience.plan import Refuse, Send
from gateway.resilience.retry import parse_retry_after

MIDNIGHT = 1_767_225_600.0  # Thu, 01 Jan 2026 00:00:00 GMT


def waits(told: list[str]) -> list[float]:
    return [float(step[1:-1]) for step in told if step.startswith("+")]


# Backoff.


def test_each_wait_is_twice_the_one_before() -> None:
    assert waits(Scene(wrapped("a", retries=3)).perform(*[status(500)] * 4)) == [1.0, 2.0, 4.0]


def test_no_wait_is_longer_than_max_delay() -> None:
    told = Scene(wrapped("a", retries=6, max_delay_s=5.0)).perform(*[status(500)] * 7)
    assert waits(told) == [1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


@pytest.mark.parametrize(
    ("jitter", "sample", "expected"),
    [
        (0.0, 0.0, [1.0, 2.0, 4.0]),
        (0.0, 0.99, [1.0, 2.0, 4.0]),
        (0.5, 0.0, [0.5, 1.0, 2.0]),
        (0.5, 0.5, [0.75, 1.5, 3.0]),
        (1.0, 0.25, [0.25, 0.5, 1.0]),
    ],
)
def test_jitter_is_the_share_that_the_sample_decides(
    jitter: float, sample: float, expected: list[float]
) -> None:
    scene = Scene(wrapped("a", jitter=jitter))
    assert waits(scene.perform(*[status(500)] * 4, sample=sample)) == expected


def test_a_fallback_is_asked_without_a_wait_and_begins_its_own_backoff_anew() -> None:
    told = Scene(wrapped("a", retries=2), wrapped("b", retries=2)).perform(*[status(500)] * 6)
    assert told == ["a", "+1s", "a", "+2s", "a", "b", "+1s", "b", "+2s", "b", "deliver status_500"]


def test_without_a_delay_it_is_tried_again_at_once() -> None:
    told = Scene(wrapped("a", retries=2, base_delay_s=0.0)).perform(*[fault(Fault.RESET)] * 3)
    assert told == ["a", "a", "a", "deliver connection_reset"]


# Retry-After.


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(
    ("retry_after_s", "expected"),
    [
        (0.0, ["a", "+1s", "a", "+2s", "a", "deliver success"]),
        (1.5, ["a", "+1.5s", "a", "+2s", "a", "deliver success"]),
        (30.0, ["a", "+30s", "a", "+30s", "a", "deliver success"]),
    ],
)
def test_the_longer_of_backoff_and_retry_after_is_waited(
    code: int, retry_after_s: float, expected: list[str]
) -> None:
    again = status(code, retry_after_s)
    assert Scene("a", "b").perform(again, again, status(200)) == expected


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("retry_after_s", [30.001, 3600.0, 1e14])
def test_a_longer_retry_after_than_max_delay_is_not_waited(code: int, retry_after_s: float) -> None:
    long = status(code, retry_after_s)
    assert Scene("a").perform(long) == ["a", f"deliver status_{code}"]
    assert Scene("a", "b").perform(long, status(200)) == ["a", "b", "deliver success"]


@pytest.mark.parametrize(
    ("retry_after", "retry_after_ms", "expected"),
    [
        (b"7", None, [7.0]),
        (b"Thu, 01 Jan 2026 00:00:07 GMT", None, [7.0]),
        (None, b"7000", [7.0]),
        (b"60", b"1500", [1.5]),
        (b"60", None, []),
        (b"Thu, 01 Jan 2026 00:01:00 GMT", None, []),
        (None, b"60000", []),
        (b"soon", None, [1.0]),
        (None, None, [1.0]),
    ],
)
def test_every_form_of_retry_after(
    retry_after: bytes | None, retry_after_ms: bytes | None, expected: list[float]
) -> None:
    answer = of_status(429, parse_retry_after(retry_after, retry_after_ms, MIDNIGHT))
    told = Scene("a", "b").perform(answer, status(200))
    assert waits(told) == expected
    assert told[-2] == ("a" if expected else "b")


# The time allowed.


@pytest.mark.parametrize(
    ("total_s", "expected"),
    [
        (1.0, ["a", "b", "deliver success"]),  # the retry would begin when the time is over
        (1.001, ["a", "+1s", "a", "b", "deliver success"]),
        (3.001, ["a", "+1s", "a", "+2s", "a", "b", "deliver success"]),
    ],
)
def test_a_wait_beyond_the_time_allowed_is_not_begun(total_s: float, expected: list[str]) -> None:
    asked_of_a = expected.count("a")
    results = [*[status(500)] * asked_of_a, status(200)]
    assert Scene("a", "b").perform(*results, total_s=total_s) == expected


def test_without_a_fallback_the_last_result_is_delivered_when_the_time_does_not_suffice() -> None:
    assert Scene("a").perform(*[status(500)] * 2, total_s=2.5) == ["a", "+1s", "a", "deliver status_500"]


def test_a_retry_after_beyond_the_time_allowed_is_not_waited() -> None:
    assert Scene("a").perform(status(429, 20.0), total_s=20.0) == ["a", "deliver status_429"]


def test_when_the_time_is_over_no_fallback_is_asked() -> None:
    scene = Scene("a", "b")
    plan = scene.plan(total_s=10.0)
    step = plan.first(START_S)
    scene.now += 10.0  # the provider took this long to fail
    assert scene.go_on(plan, step, [fault(Fault.TIMEOUT)]) == ["a", "deliver timeout"]


@pytest.mark.parametrize("chain", ["ab", "abc"])
@pytest.mark.parametrize("waiting_for", ["a", "b"])
def test_a_timer_so_late_that_the_time_is_over_begins_no_attempt(chain: str, waiting_for: str) -> None:
    scene = Scene(*(wrapped(name, retries=1) for name in chain))
    plan = scene.plan(total_s=5.0)
    plan.first(START_S)
    step = plan.after(status(500), START_S, 0.0)
    if waiting_for == "b":
        plan.due(START_S + 1.0)
        plan.after(status(500), START_S + 1.0, 0.0)
        step = plan.after(status(429, 3.0), START_S + 1.0, 0.0)
    assert isinstance(step, Send)
    assert scene.chain[step.index].name == waiting_for
    refusal = plan.due(START_S + 5.0)
    assert isinstance(refusal, Refuse)
    assert (refusal.error.status, refusal.error.code) == (504, "upstream_timeout")
    assert f"'{waiting_for}'" in refusal.error.message
    assert "providers.a.timeouts.total" in refusal.error.message


@settings(deadline=None)
@given(
    total_s=st.floats(0.0, 100.0),
    base_delay_s=st.floats(0.0, 10.0),
    jitter=st.floats(0.0, 1.0),
    sample=st.floats(0.0, 1.0, exclude_max=True),
    retry_after_s=st.none() | st.floats(0.0, 40.0),
)
def test_the_waits_of_a_request_fit_into_its_time(
    total_s: float, base_delay_s: float, jitter: float, sample: float, retry_after_s: float | None
) -> None:
    policies = [wrapped(name, base_delay_s=base_delay_s, jitter=jitter) for name in "ab"]
    scene = Scene(*policies)
    plan = scene.plan(total_s=total_s)
    step = plan.first(scene.now)
    attempts = 0
    while isinstance(step, Send):
        assert attempts == 0 or scene.now < START_S + total_s
        if step.delay_s > 0.0:
            scene.now += step.delay_s
            step = plan.due(scene.now)
        else:
            attempts += 1
            step = plan.after(status(429, retry_after_s), scene.now, sample)
    assert attempts <= 8
