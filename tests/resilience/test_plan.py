"""What every kind of result leads to: the rows of the table, over each chain, with and without a breaker.

Every attempt of a request has the same result here, so that retries and fallbacks are used up.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from plans import MAX_DELAY_S, Scene, WatchedPolicy, fault, status, wrapped

from gateway.errors import Fault
from gateway.resilience.breaker import CircuitBreaker
from gateway.resilience.outcome import CALLERS_FAULT, Outcome, Result
from gateway.resilience.plan import Deliver, Plan, Policy, Refuse, Send

SUCCESS, FAILURE, NEUTRAL = Outcome.SUCCESS, Outcome.FAILURE, Outcome.NEUTRAL
SHORT_S, LONG_S = 5.0, MAX_DELAY_S + 1.0


class Row(NamedTuple):
    """What is done after `result`, and what the breaker of the first provider is told."""

    result: Result
    outcome: Outcome
    same: bool = False
    fallback: bool = False
    shortest_s: float = 0.0


def tried_again(result: Result, outcome: Outcome, shortest_s: float = 0.0) -> Row:
    return Row(result, outcome, same=True, fallback=True, shortest_s=shortest_s)


ROWS = {
    **{f"{code}": Row(status(code), SUCCESS) for code in (200, 201, 204, 206, 301, 302, 304, 307)},
    **{
        f"{code}": Row(status(code), NEUTRAL)
        for code in (400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 431, 451, 499)
    },
    **{f"{code}": tried_again(status(code), FAILURE) for code in (408, 500, 501, 502, 503, 504, 529, 599)},
    **{f"{kind}": tried_again(fault(kind), FAILURE) for kind in Fault if kind is not Fault.SATURATED},
    "stream that begins with an error of the caller": Row(CALLERS_FAULT, NEUTRAL),
    "pool used to capacity": Row(fault(Fault.SATURATED), NEUTRAL, fallback=True),
    "429": tried_again(status(429), NEUTRAL),
    "429 with a short Retry-After": tried_again(status(429, SHORT_S), NEUTRAL, SHORT_S),
    "429 with a Retry-After of max_delay": tried_again(status(429, MAX_DELAY_S), NEUTRAL, MAX_DELAY_S),
    "429 with a long Retry-After": Row(status(429, LONG_S), NEUTRAL, fallback=True),
    "503 with a short Retry-After": tried_again(status(503, SHORT_S), FAILURE, SHORT_S),
    "503 with a long Retry-After": Row(status(503, LONG_S), FAILURE, fallback=True),
    # Retry-After means something with 429 and 503 only (RFC 9110 section 10.2.3).
    "500 with a Retry-After": tried_again(status(500, LONG_S), FAILURE),
    "400 with a Retry-After": Row(status(400, LONG_S), NEUTRAL),
}


def waits(row: Row, retries: int) -> list[float]:
    return [max(2.0**retry, row.shortest_s) for retry in range(retries if row.same else 0)]


@pytest.mark.parametrize("with_breaker", [False, True], ids=["no breaker", "breaker"])
@pytest.mark.parametrize("retries", [0, 1, 3])
@pytest.mark.parametrize("names", ["a", "ab", "abc"])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_table(row: Row, names: str, retries: int, with_breaker: bool) -> None:
    policies = [
        wrapped(name, retries=retries, breaker=CircuitBreaker(100) if with_breaker else None)
        for name in names
    ]
    expected: list[str] = []
    asked = policies if row.fallback else policies[:1]
    for policy in asked:
        expected.append(policy.name)
        for wait_s in waits(row, retries):
            expected += (f"+{wait_s:g}s", policy.name)
    attempts_of_each = 1 + len(waits(row, retries))

    told = Scene(*policies).perform(*[row.result] * (attempts_of_each * len(asked)))

    assert told == [*expected, f"deliver {row.result.verdict.reason}"]
    first, *fallbacks = policies
    assert first.outcomes == ([row.outcome] * attempts_of_each if with_breaker else [])
    assert first.permits_out == 0
    # A fallback's breaker is neither consulted nor fed.
    assert all(policy.acquired == 0 and not policy.outcomes for policy in fallbacks)


@pytest.mark.parametrize("good_at", [1, 2, 3])
def test_the_first_good_answer_ends_it(good_at: int) -> None:
    a = wrapped("a", breaker=CircuitBreaker(100))
    told = Scene(a, "b").perform(*[status(500)] * good_at, status(200))
    assert told[-2:] == ["a", "deliver success"]
    assert told.count("a") == good_at + 1
    assert a.outcomes == [FAILURE] * good_at + [SUCCESS]


def test_a_fallback_that_answers_says_nothing_of_the_first_provider() -> None:
    a = wrapped("a", retries=0, breaker=CircuitBreaker(100))
    assert Scene(a, "b").perform(status(500), status(200)) == ["a", "b", "deliver success"]
    assert a.outcomes == [FAILURE]


def test_each_provider_of_a_chain_has_retries_of_its_own() -> None:
    scene = Scene(wrapped("a", retries=1), wrapped("b", retries=2), wrapped("c", retries=0))
    assert scene.perform(*[status(500)] * 6) == [
        *("a", "+1s", "a"),
        *("b", "+1s", "b", "+2s", "b"),
        *("c", "deliver status_500"),
    ]


def test_results_of_different_kinds_share_the_retries() -> None:
    told = Scene("a").perform(status(500), fault(Fault.RESET), status(429, 5.0), status(502))
    assert told == ["a", "+1s", "a", "+2s", "a", "+5s", "a", "deliver status_502"]


def test_a_retry_that_meets_a_refusal_ends_there() -> None:
    told = Scene("a", "b").perform(status(500), status(400))
    assert told == ["a", "+1s", "a", "deliver status_400"]


@pytest.mark.parametrize("result", [status(500), status(429, 5.0), fault(Fault.RESET)], ids=repr)
def test_a_provider_that_is_not_wrapped_gets_one_attempt_and_no_cooldown(result: Result) -> None:
    scene = Scene(Policy("plain"))
    for _ in range(2):  # what the first request met does not change what the second one does
        assert scene.perform(result) == ["plain", f"deliver {result.verdict.reason}"]


def test_a_provider_that_is_not_wrapped_may_be_a_fallback() -> None:
    scene = Scene(wrapped("a", retries=0), Policy("plain"), wrapped("c", retries=0))
    told = scene.perform(status(500), status(429, 5.0), status(500))
    assert told == ["a", "plain", "c", "deliver status_500"]


def test_steps_tell_the_reason_of_a_retry_and_of_a_fallback() -> None:
    scene = Scene(wrapped("a", retries=1), "b")
    plan = scene.plan()
    first = plan.first(0.0)
    assert isinstance(first, Send)
    assert (first.index, first.delay_s, first.reason) == (0, 0.0, "")
    retry = plan.after(status(503), 0.0, 0.0)
    assert isinstance(retry, Send)
    assert (retry.index, retry.delay_s, retry.reason) == (0, 1.0, "status_503")
    assert repr(plan.due(1.0)) == repr(Send(0))
    fallback = plan.after(fault(Fault.TLS), 1.0, 0.0)
    assert isinstance(fallback, Send)
    assert (fallback.index, fallback.delay_s, fallback.reason) == (1, 0.0, "tls_error")


def test_a_broken_delivery_is_a_failure_and_nothing_follows() -> None:
    a = wrapped("a", breaker=CircuitBreaker(1))
    plan = Scene(a, "b").plan()
    plan.first(0.0)
    assert isinstance(plan.after(status(200), 0.0, 0.0), Deliver)
    assert a.permits_out == 1  # the provider has not yet shown that it works
    plan.finish(False, 5.0, "idle_timeout")
    assert a.outcomes == [FAILURE]
    assert a.transitions == [("OPENED", "idle_timeout")]


def test_a_delivery_that_ends_a_second_time_is_not_counted_twice() -> None:
    a = wrapped("a", breaker=CircuitBreaker())
    plan = Scene(a).plan()
    plan.first(0.0)
    plan.after(status(200), 0.0, 0.0)
    plan.finish(True, 1.0)
    plan.finish(False, 2.0)
    plan.release(3.0)
    assert a.outcomes == [SUCCESS]


@pytest.mark.parametrize("with_breaker", [False, True], ids=["no breaker", "breaker"])
def test_a_client_that_leaves_is_held_against_nobody(with_breaker: bool) -> None:
    a = wrapped("a", breaker=CircuitBreaker(1) if with_breaker else None)
    plan = Scene(a, "b").plan()
    plan.first(0.0)
    plan.release(0.1)
    assert a.outcomes == ([NEUTRAL] if with_breaker else [])
    assert a.permits_out == 0


def test_retries_without_a_backoff_are_refused() -> None:
    with pytest.raises(ValueError, match="retries need a backoff"):
        Policy("a", max_retries=1)


def test_reprs_tell_the_state() -> None:
    policy = WatchedPolicy("a", breaker=CircuitBreaker())
    plan = Plan([policy], ["m"])
    assert repr(plan) == "<Plan at a, 0 retries>"
    assert repr(policy).startswith("<Policy a max_retries=0 breaker=<CircuitBreaker closed")
    assert repr(Send(1, 2.5, "timeout")) == "Send(1, delay_s=2.5, reason='timeout')"
    opened = Scene(wrapped("a", retries=0, breaker=CircuitBreaker(1)))
    opened.perform(status(500))
    refusal = opened.plan().first(opened.now)
    assert isinstance(refusal, Refuse)
    assert repr(refusal).startswith("Refuse(GatewayError(503, 'circuit_open', ")
