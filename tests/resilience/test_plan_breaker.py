"""How a plan and the breaker of its first provider work together.

Every attempt at the first provider needs a permit and is recorded by itself. Others share the breaker: what
they do while a request waits changes what is done when its wait is over.
"""

from __future__ import annotations

import pytest
from plans import START_S, Scene, WatchedPolicy, fault, status, wrapped

from gateway.errors import Fault
from gateway.resilience.breaker import CircuitBreaker, State
from gateway.resilience.outcome import Outcome, Result
from gateway.resilience.plan import Plan, Refuse, Send

OPEN_FOR_S = 30.0


def guarded(
    max_failures: int = 5, *, retries: int = 3, base_delay_s: float = 1.0, probes: int = 1
) -> WatchedPolicy:
    breaker = CircuitBreaker(max_failures, OPEN_FOR_S, probes)
    return wrapped("a", retries=retries, base_delay_s=base_delay_s, breaker=breaker)


def fail_once(policy: WatchedPolicy, now: float) -> None:
    """Another request fails at the provider."""
    Scene(policy, now=now).perform(status(500), total_s=0.5)


def half_open(*, retries: int = 0, probes: int = 1) -> Scene:
    """A scene whose provider `a` has just become half-open, with a fallback `b`."""
    a = guarded(1, retries=retries, probes=probes)
    fail_once(a, START_S)
    a.outcomes.clear()
    a.acquired = 0
    return Scene(a, "b", now=START_S + OPEN_FOR_S)


def state(scene: Scene) -> State:
    breaker = scene.chain[0].breaker
    assert breaker is not None
    return breaker.state(scene.now)


# Opening.


def test_failures_in_a_row_open_it_over_several_requests() -> None:
    scene = Scene(guarded(5, retries=0))
    for _ in range(5):
        assert state(scene) is State.CLOSED
        assert scene.perform(fault(Fault.CONNECT)) == ["a", "deliver connect_error"]
    assert state(scene) is State.OPEN
    assert scene.perform() == ["refuse 503 circuit_open 30s"]


def test_a_success_between_them_keeps_it_closed() -> None:
    scene = Scene(guarded(2, retries=0))
    for code in (500, 200, 500, 200, 500):
        scene.perform(status(code))
    assert state(scene) is State.CLOSED


@pytest.mark.parametrize("code", [400, 401, 404, 422, 429])
def test_neutral_results_neither_open_nor_clear_it(code: int) -> None:
    scene = Scene(guarded(2, retries=0))
    for next_code in (500, code, code):
        scene.perform(status(next_code))
    assert state(scene) is State.CLOSED
    scene.perform(status(500))
    assert state(scene) is State.OPEN


def test_an_open_circuit_sends_a_new_request_to_the_fallback_at_once() -> None:
    scene = Scene(guarded(1, retries=0), "b")
    assert scene.perform(status(500), status(200)) == ["a", "b", "deliver success"]
    assert scene.perform(status(200)) == ["b", "deliver success"]


def test_the_refusal_says_when_it_makes_sense_to_come_back() -> None:
    scene = Scene(guarded(1, retries=0))
    scene.perform(status(500))
    scene.now += 10.0
    step = scene.plan().first(scene.now)
    assert isinstance(step, Refuse)
    assert step.error.retry_after_s == pytest.approx(20.0)
    assert step.error.object() == {
        "message": (
            "Provider 'a' failed repeatedly and its circuit is open; it will be tried again in 20.0 s."
        ),
        "type": "service_unavailable_error",
        "param": None,
        "code": "circuit_open",
    }
    assert b"retry-after: 20\r\n" in b"".join(step.error.fields())


# Opening in the middle of a request's retries.


@pytest.mark.parametrize("opens_at", [1, 2, 3])
def test_when_this_request_opens_it_the_other_retries_are_skipped(opens_at: int) -> None:
    before = [step for wait in ("+1s", "+2s")[: opens_at - 1] for step in ("a", wait)]
    failures = [status(500)] * opens_at
    alone = Scene(guarded(opens_at, retries=3))
    assert alone.perform(*failures) == [*before, "a", "deliver status_500"]
    together = Scene(guarded(opens_at, retries=3), "b")
    assert together.perform(*failures, status(200)) == [*before, "a", "b", "deliver success"]


@pytest.mark.parametrize(
    ("chain", "expected"),
    [(1, ["refuse 503 circuit_open 29.5s"]), (2, ["b", "deliver success"])],
)
def test_when_others_open_it_during_a_wait_the_retry_is_not_made(chain: int, expected: list[str]) -> None:
    scene = Scene(*[guarded(2), wrapped("b")][:chain])
    plan = scene.plan()
    plan.first(START_S)
    step = plan.after(status(500), START_S, 0.0)
    assert isinstance(step, Send)
    assert step.delay_s == 1.0
    policy = scene.chain[0]
    assert isinstance(policy, WatchedPolicy)
    fail_once(policy, START_S + 0.5)
    scene.now = START_S + 1.0
    told = scene.go_on(plan, plan.due(scene.now), [status(200)] * (chain - 1))
    assert told == expected
    assert policy.permits_out == 0


def test_when_others_open_it_during_an_attempt_no_retry_is_waited_for() -> None:
    a = guarded(1)
    scene = Scene(a, "b")
    plan = scene.plan()
    step = plan.first(START_S)
    fail_once(a, START_S)
    assert scene.go_on(plan, step, [status(500), status(200)]) == ["a", "b", "deliver success"]


def test_a_late_result_does_not_count_for_the_circuit_that_began_since() -> None:
    a = guarded(1, retries=0)
    slow = Scene(a).plan()
    slow.first(START_S)
    fail_once(a, START_S)
    assert Scene(a, now=START_S + OPEN_FOR_S).perform(status(200)) == ["a", "deliver success"]
    slow.after(status(500), START_S + OPEN_FOR_S + 1.0, 0.0)  # it began before the circuit opened
    assert a.breaker is not None
    assert a.breaker.state(START_S + OPEN_FOR_S + 1.0) is State.CLOSED
    assert a.breaker.failures == 0


def test_a_retry_without_a_delay_needs_a_permit_too() -> None:
    a = guarded(3, retries=9, base_delay_s=0.0)
    assert Scene(a).perform(*[status(500)] * 3) == ["a", "a", "a", "deliver status_500"]
    assert a.outcomes == [Outcome.FAILURE] * 3
    assert a.transitions == [("OPENED", "status_500")]


# Half-open: one probe, whose result decides.


def test_a_probe_that_succeeds_closes_it() -> None:
    scene = half_open()
    assert scene.perform(status(200)) == ["a", "deliver success"]
    assert state(scene) is State.CLOSED
    assert scene.perform(status(200)) == ["a", "deliver success"]


def test_a_probe_that_fails_opens_it_for_a_whole_timeout_and_is_not_retried() -> None:
    scene = half_open(retries=3)
    assert scene.perform(status(500), status(200)) == ["a", "b", "deliver success"]
    scene.now += OPEN_FOR_S - 0.001
    assert state(scene) is State.OPEN
    scene.now += 0.001
    assert state(scene) is State.HALF_OPEN


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (status(404), ["a", "deliver status_404"]),
        (status(429, 60.0), ["a", "b", "deliver success"]),
        (fault(Fault.SATURATED), ["a", "b", "deliver success"]),
    ],
    ids=repr,
)
def test_a_neutral_probe_leaves_it_half_open_for_the_next_one(result: Result, expected: list[str]) -> None:
    scene = half_open()
    fallback = [status(200)] * expected.count("b")
    assert scene.perform(result, *fallback, model="one") == expected
    assert state(scene) is State.HALF_OPEN
    assert scene.perform(status(200), model="another") == ["a", "deliver success"]
    assert state(scene) is State.CLOSED


def test_a_neutral_probe_is_retried_as_another_probe() -> None:
    scene = half_open(retries=1)
    assert scene.perform(status(429, 2.0), status(200)) == ["a", "+2s", "a", "deliver success"]
    assert state(scene) is State.CLOSED


def probing(scene: Scene) -> Plan:
    plan = scene.plan()
    assert repr(plan.first(scene.now)) == repr(Send(0))
    return plan


def test_while_a_probe_is_out_others_go_to_the_fallback() -> None:
    scene = half_open()
    probe = probing(scene)
    assert scene.perform(status(200)) == ["b", "deliver success"]
    probe.after(status(200), scene.now, 0.0)
    assert scene.perform(status(200)) == ["b", "deliver success"]  # not before its response is whole
    probe.finish(True, scene.now)
    assert scene.perform(status(200)) == ["a", "deliver success"]


def test_while_a_probe_is_out_others_are_refused_without_a_fallback() -> None:
    scene = half_open()
    scene.chain.pop()
    probing(scene)
    [told] = scene.perform()
    assert told.startswith("refuse 503 circuit_open ")


def test_as_many_probes_as_configured_are_let_through() -> None:
    scene = half_open(probes=2)
    probing(scene)
    probing(scene)
    assert scene.perform(status(200)) == ["b", "deliver success"]


def test_a_probe_whose_client_leaves_gives_its_place_to_the_next() -> None:
    scene = half_open()
    probing(scene).release(scene.now)
    assert state(scene) is State.HALF_OPEN
    assert scene.perform(status(200)) == ["a", "deliver success"]


def test_a_probe_that_breaks_while_it_is_delivered_opens_it_again() -> None:
    scene = half_open()
    probe = probing(scene)
    probe.after(status(200), scene.now, 0.0)
    probe.finish(False, scene.now)
    assert state(scene) is State.OPEN


def test_a_retry_waits_in_vain_where_another_took_the_only_probe() -> None:
    scene = half_open(retries=1)
    plan = probing(scene)
    step = plan.after(status(429, 2.0), scene.now, 0.0)
    Plan(scene.chain, ["another model"] * len(scene.chain)).first(scene.now + 1.0)
    assert scene.go_on(plan, step, [status(200)]) == ["+2s", "b", "deliver success"]


# Transitions are told, with their reason, when they happen.


def test_transitions_are_told_with_their_reason() -> None:
    a = guarded(1, retries=0)
    scene = Scene(a)
    scene.perform(fault(Fault.TIMEOUT))
    scene.now += OPEN_FOR_S
    scene.perform(status(404))  # a neutral probe changes nothing
    scene.perform(status(502))
    scene.now += OPEN_FOR_S
    scene.perform(status(200))
    assert a.transitions == [
        ("OPENED", "timeout"),
        ("HALF_OPENED", "timeout"),
        ("REOPENED", "status_502"),
        ("HALF_OPENED", "timeout"),
        ("RECOVERED", "success"),
    ]


# One bad day upstream must not open circuits in a row.


@pytest.mark.parametrize("result", [status(200), status(500), status(404)], ids=repr)
def test_a_fallback_s_own_breaker_is_neither_consulted_nor_fed(result: Result) -> None:
    b = wrapped("b", retries=0, breaker=CircuitBreaker(1))
    fail_once(b, START_S)
    recorded = list(b.outcomes)
    scene = Scene(wrapped("a", retries=0), b)
    assert scene.perform(status(500), result) == ["a", "b", f"deliver {result.verdict.reason}"]
    assert b.outcomes == recorded
    assert b.breaker is not None
    assert b.breaker.state(START_S) is State.OPEN


def test_a_fallback_whose_circuit_is_open_keeps_its_retries() -> None:
    b = wrapped("b", retries=2, breaker=CircuitBreaker(1))
    fail_once(b, START_S)
    scene = Scene(wrapped("a", retries=0), b)
    told = scene.perform(*[status(500)] * 4)
    assert told == ["a", "b", "+1s", "b", "+2s", "b", "deliver status_500"]
