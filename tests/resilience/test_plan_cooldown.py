"""Cooldowns: a provider that names a time is left alone until then, for that model, by every request."""

from __future__ import annotations

import pytest
from plans import START_S, Scene, fault, status, wrapped

from gateway.errors import Fault
from gateway.resilience.breaker import CircuitBreaker
from gateway.resilience.plan import Refuse, Send

COOL_S = 60.0


def cooling(*chain: str, retry_after_s: float = COOL_S, code: int = 429) -> Scene:
    """A scene whose first provider has just asked another request to leave it alone."""
    scene = Scene(*chain)
    told = Scene(scene.chain[0]).perform(status(code, retry_after_s))
    assert told == ["a", f"deliver status_{code}"]
    return scene


@pytest.mark.parametrize("code", [429, 503])
def test_a_new_request_goes_to_the_fallback_at_once(code: int) -> None:
    scene = cooling("a", "b", code=code)
    assert scene.perform(status(200)) == ["b", "deliver success"]


@pytest.mark.parametrize("code", [429, 503])
def test_without_a_fallback_a_new_request_is_refused_with_the_time_that_is_left(code: int) -> None:
    scene = cooling("a", code=code)
    scene.now += 45.5
    step = scene.plan().first(scene.now)
    assert isinstance(step, Refuse)
    assert step.error.retry_after_s == pytest.approx(14.5)
    assert step.error.status == 429
    assert step.error.object() == {
        "message": "Provider 'a' asked not to be called again for another 14.5 s.",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert b"retry-after: 15\r\n" in b"".join(step.error.fields())


def test_when_it_is_over_the_provider_is_asked_again() -> None:
    scene = cooling("a")
    scene.now += COOL_S - 0.001
    assert scene.perform() == ["refuse 429 rate_limit_exceeded 0.001s"]
    scene.now += 0.001
    assert scene.perform(status(200)) == ["a", "deliver success"]


@pytest.mark.parametrize("code", [200, 400, 408, 500, 502, 504])
def test_other_statuses_cause_none(code: int) -> None:
    scene = Scene(wrapped("a", retries=0))
    scene.perform(status(code, COOL_S))
    assert scene.perform(status(200)) == ["a", "deliver success"]


@pytest.mark.parametrize("code", [429, 503])
def test_without_a_retry_after_there_is_none(code: int) -> None:
    scene = Scene(wrapped("a", retries=0))
    scene.perform(status(code))
    assert scene.perform(status(200)) == ["a", "deliver success"]


def test_it_holds_for_the_upstream_model_alone() -> None:
    scene = cooling("a", "b")
    assert scene.perform(status(200), model="another") == ["a", "deliver success"]
    assert scene.perform(status(200)) == ["b", "deliver success"]


def test_it_lasts_five_minutes_at_most() -> None:
    scene = cooling("a", retry_after_s=86_400.0)
    assert scene.perform() == ["refuse 429 rate_limit_exceeded 300s"]
    scene.now += 300.0
    assert scene.perform(status(200)) == ["a", "deliver success"]


@pytest.mark.parametrize(("later_s", "ends_after_s"), [(40.0, 60.0), (70.0, 70.0), (59.9, 60.0)])
def test_it_is_only_ever_extended(later_s: float, ends_after_s: float) -> None:
    a = wrapped("a", retries=0)
    scene = Scene(a)
    # Both requests were under way when the provider told the first one.
    first, second = scene.plan(), scene.plan()
    first.first(START_S)
    second.first(START_S)
    first.after(status(429, 60.0), START_S, 0.0)
    second.after(status(429, later_s), START_S, 0.0)
    assert a.cooling_s("m", START_S) == ends_after_s


@pytest.mark.parametrize(
    ("early_s", "expected"),
    [
        (0.0015, ["a", "deliver success"]),  # uvloop's timers have whole milliseconds
        (0.0025, ["refuse 429 rate_limit_exceeded 0.0025s"]),
    ],
)
def test_a_timer_that_fires_within_its_slack_finds_it_over(early_s: float, expected: list[str]) -> None:
    scene = Scene("a", now=0.0)
    plan = scene.plan()
    plan.first(0.0)
    step = plan.after(status(429, 5.0), 0.0, 0.0)
    assert isinstance(step, Send)
    assert step.delay_s == 5.0
    assert scene.go_on(plan, plan.due(5.0 - early_s), [status(200)] * expected.count("a")) == expected


@pytest.mark.parametrize(
    ("chain", "expected"),
    [("a", ["refuse 429 rate_limit_exceeded 7s"]), ("ab", ["b", "deliver success"])],
)
def test_when_another_request_extends_it_during_a_wait_the_retry_is_not_made(
    chain: str, expected: list[str]
) -> None:
    scene = Scene(*chain)
    plan = scene.plan()
    other = scene.plan()
    other.first(START_S)
    plan.first(START_S)
    plan.after(status(429, 5.0), START_S, 0.0)
    other.after(status(429, 10.0), START_S + 2.0, 0.0)
    scene.now = START_S + 5.0
    assert scene.go_on(plan, plan.due(scene.now), [status(200)] * (len(chain) - 1)) == expected


@pytest.mark.parametrize("chain", ["a", "ab"])
def test_no_retry_is_waited_for_that_a_cooldown_would_not_let_through(chain: str) -> None:
    scene = Scene(*chain)
    plan = scene.plan()
    step = plan.first(START_S)
    Scene(scene.chain[0]).perform(status(429, COOL_S))
    end = ["deliver status_500"] if chain == "a" else ["b", "deliver success"]
    results = [status(500), status(200)][: len(chain)]
    assert scene.go_on(plan, step, results) == ["a", *end]


def test_a_fallback_in_cooldown_is_passed_over() -> None:
    scene = Scene(wrapped("a", retries=0), "b", "c")
    Scene(scene.chain[1]).perform(status(429, COOL_S))
    assert scene.perform(status(500), status(200)) == ["a", "c", "deliver success"]


def test_the_last_fallback_is_asked_even_in_cooldown() -> None:
    scene = Scene(wrapped("a", retries=0), wrapped("b", retries=0))
    Scene(scene.chain[1]).perform(status(429, COOL_S))
    assert scene.perform(status(500), status(200)) == ["a", "b", "deliver success"]


def test_a_new_request_finds_the_first_fallback_that_may_be_asked() -> None:
    scene = Scene("a", "b", "c", "d")
    for policy in scene.chain[:3]:
        Scene(policy).perform(status(429, COOL_S))
    assert scene.perform(status(200)) == ["d", "deliver success"]


@pytest.mark.parametrize(("chain", "asked"), [("abc", "c"), ("ab", "b")])
def test_a_fallback_that_cools_down_while_it_is_waited_for(chain: str, asked: str) -> None:
    scene = Scene(wrapped("a", retries=0), *chain[1:])
    plan = scene.plan()
    plan.first(START_S)
    plan.after(status(500), START_S, 0.0)
    step = plan.after(status(429, 5.0), START_S, 0.0)
    assert scene.chain[1].cooldowns is not None
    scene.chain[1].cooldowns.extend("m", COOL_S, START_S + 4.0)  # another request met it there
    assert scene.go_on(plan, step, [status(200)]) == ["+5s", asked, "deliver success"]


def test_an_open_circuit_is_the_stronger_statement() -> None:
    scene = Scene(wrapped("a", retries=0, breaker=CircuitBreaker(1, 30.0)))
    scene.perform(status(503, COOL_S))
    assert scene.perform() == ["refuse 503 circuit_open 30s"]
    scene.now += 31.0  # half-open by now, but still asked to be left alone
    assert scene.perform() == ["refuse 429 rate_limit_exceeded 29s"]


def test_a_refusal_in_cooldown_takes_no_permit() -> None:
    a = wrapped("a", retries=0, breaker=CircuitBreaker())
    scene = Scene(a)
    scene.perform(status(429, COOL_S))
    scene.perform()
    assert a.acquired == 1


def test_a_failure_without_response_has_none() -> None:
    scene = Scene(wrapped("a", retries=0))
    scene.perform(fault(Fault.CONNECT))
    assert scene.perform(status(200)) == ["a", "deliver success"]
