"""What one result says: of the provider's health, and of whether another attempt may cure it."""

from __future__ import annotations

import pytest

from gateway._speedups import codes
from gateway.errors import UPSTREAM, Fault, GatewayError
from gateway.resilience.outcome import CALLERS_FAULT, Outcome, Verdict, of_fault, of_status

ERROR = GatewayError(502, UPSTREAM, None, "it failed")
RETRIED = {408, 429, *range(500, 1000)}
FAILURES = RETRIED - {429}


def expected_outcome(status: int) -> Outcome:
    if status < 400:
        return Outcome.SUCCESS
    return Outcome.FAILURE if status in FAILURES else Outcome.NEUTRAL


@pytest.mark.parametrize("retry_after_s", [None, 0.0, 7.5])
def test_every_status_has_its_place(retry_after_s: float | None) -> None:
    for status in range(200, 1000):
        result = of_status(status, retry_after_s)
        assert result.verdict.outcome is expected_outcome(status), status
        assert result.verdict.retry == result.verdict.same == (status in RETRIED), status
        assert result.error is None  # the provider's own answer is passed on
        assert result.retry_after_s == retry_after_s


def test_only_429_and_503_can_ask_to_be_left_alone() -> None:
    assert {status for status in range(200, 1000) if of_status(status, 5.0).verdict.cooldown} == {429, 503}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (200, "success"),
        (302, "success"),
        (404, "status_404"),
        (429, "status_429"),
        (599, "status_599"),
        (600, "status_other"),
        (999, "status_other"),
    ],
)
def test_reasons_are_a_closed_set(status: int, reason: str) -> None:
    assert of_status(status).verdict.reason == reason
    assert of_status(status, 1.0).verdict.reason == reason


def test_results_of_statuses_are_not_made_anew() -> None:
    assert of_status(200) is of_status(200)


@pytest.mark.parametrize("kind", Fault)
def test_every_fault_may_be_cured_by_another_attempt(kind: Fault) -> None:
    result = of_fault(kind, ERROR)
    assert result.error is ERROR
    assert result.retry_after_s is None
    assert result.verdict.reason == kind.value
    assert result.verdict.retry
    assert not result.verdict.cooldown


@pytest.mark.parametrize("kind", set(Fault) - {Fault.SATURATED})
def test_a_fault_is_a_failure_of_the_provider(kind: Fault) -> None:
    verdict = of_fault(kind, ERROR).verdict
    assert verdict.outcome is Outcome.FAILURE
    assert verdict.same


def test_a_full_pool_is_not_the_provider_s_fault_and_does_not_empty_by_trying_again() -> None:
    expected = Verdict(Outcome.NEUTRAL, "saturated", retry=True, same=False)
    assert of_fault(Fault.SATURATED, ERROR).verdict == expected


def test_an_error_that_the_request_itself_caused_is_passed_on() -> None:
    assert CALLERS_FAULT.verdict == Verdict(Outcome.NEUTRAL, "stream_error", retry=False)


def test_a_result_tells_what_it_is() -> None:
    assert repr(of_status(500)) == "<Result FAILURE status_500 error=None>"
    assert repr(of_fault(Fault.DNS, ERROR)).startswith("<Result FAILURE dns_error error=GatewayError(502, ")


def test_outcomes_are_the_numbers_that_the_breaker_knows() -> None:
    numbers = {Outcome.SUCCESS: codes.SUCCESS, Outcome.FAILURE: codes.FAILURE, Outcome.NEUTRAL: codes.NEUTRAL}
    assert {outcome: int(outcome) for outcome in Outcome} == numbers
