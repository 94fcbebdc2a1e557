"""A plan performed without sockets: what is asked of whom, after which waits, as a transcript.

    Scene("a", "b").perform(status(500), status(500), status(200))

Each provider of the chain retries as its policy says. The clock stands still but for the waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway._speedups import BackoffCore
from gateway.errors import UPSTREAM, Fault, GatewayError
from gateway.resilience.breaker import CircuitBreaker, Transition
from gateway.resilience.outcome import Outcome, Result, of_fault, of_status
from gateway.resilience.plan import Deliver, Plan, Policy, Send, Step
from gateway.resilience.retry import Cooldowns

MAX_DELAY_S = 30.0
START_S = 1000.0


def status(code: int, retry_after_s: float | None = None) -> Result:
    """A response."""
    return of_status(code, retry_after_s)


def fault(kind: Fault) -> Result:
    """No response."""
    return of_fault(kind, GatewayError(502, UPSTREAM, None, "no response"))


class WatchedPolicy(Policy):
    """A policy that remembers how its breaker was used."""

    __slots__ = ("acquired", "outcomes", "transitions")

    def __init__(self, name: str, **settings: Any) -> None:
        self.acquired = 0
        self.outcomes: list[Outcome] = []
        self.transitions: list[tuple[str, str]] = []
        super().__init__(name, on_transition=self._changed, **settings)

    @property
    def permits_out(self) -> int:
        """Permits that were given and have not come back."""
        return self.acquired - len(self.outcomes)

    def acquire(self, now: float) -> int:
        permit = super().acquire(now)
        self.acquired += permit != 0
        return permit

    def record(self, permit: int, outcome: Outcome, reason: str, now: float) -> None:
        self.outcomes.append(outcome)
        super().record(permit, outcome, reason, now)

    def _changed(self, policy: Policy, transition: Transition, reason: str, now: float) -> None:
        assert policy is self
        self.transitions.append((transition.name, reason))


def wrapped(
    name: str,
    *,
    retries: int = 3,
    breaker: CircuitBreaker | None = None,
    base_delay_s: float = 1.0,
    max_delay_s: float = MAX_DELAY_S,
    jitter: float = 0.0,
) -> WatchedPolicy:
    """The policy of a provider with resilience: waits of 1, 2, 4 … seconds, and cooldowns."""
    return WatchedPolicy(
        name,
        max_retries=retries,
        backoff=BackoffCore(base_delay_s, 2.0, max_delay_s, jitter),
        max_delay_s=max_delay_s,
        breaker=breaker,
        cooldowns=Cooldowns(),
    )


class Scene:
    """Providers that may fall back to each other in turn, and a clock; names become wrapped policies."""

    def __init__(self, *chain: str | Policy, now: float = START_S) -> None:
        self.chain = [wrapped(policy) if isinstance(policy, str) else policy for policy in chain]
        self.now = now

    def plan(self, *, model: str = "m", total_s: float = float("inf")) -> Plan:
        """The plan of a new request that has `total_s` seconds."""
        return Plan(self.chain, [model] * len(self.chain), self.now + total_s)

    def perform(
        self, *results: Result, model: str = "m", total_s: float = float("inf"), sample: float = 0.5
    ) -> list[str]:
        """Tell how a request goes whose attempts have these `results`, all of which must be used up."""
        plan = self.plan(model=model, total_s=total_s)
        return self.go_on(plan, plan.first(self.now), results, sample=sample)

    def go_on(self, plan: Plan, step: Step, results: Iterable[Result], *, sample: float = 0.5) -> list[str]:
        """Tell how it goes on from `step`, to the end: names, waits, and what the client gets."""
        told: list[str] = []
        left = list(results)
        last: Result | None = None
        while isinstance(step, Send):
            if step.delay_s > 0.0:
                told.append(f"+{step.delay_s:g}s")
                self.now += step.delay_s
                step = plan.due(self.now)
            else:
                told.append(self.chain[step.index].name)
                assert left, f"one more attempt than expected: {told}"
                last = left.pop(0)
                step = plan.after(last, self.now, sample)
        assert not left, f"fewer attempts than expected: {told}"
        if isinstance(step, Deliver):
            assert last is not None, "there is nothing to deliver"
            told.append(f"deliver {last.verdict.reason}")
            plan.finish(True, self.now)
        else:
            told.append(f"refuse {step.error.status} {step.error.code} {step.error.retry_after_s or 0:g}s")
        return told
