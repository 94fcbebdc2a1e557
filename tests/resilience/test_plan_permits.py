"""Whatever happens to requests, every permit comes back, and the breaker never stays shut.

Requests that share a breaker are begun, answered, delivered, broken and abandoned in any order; time passes
in between. The model knows who must hold a permit at each moment: whoever is being answered by the first
provider, or has its answer on the way from there.
"""

from __future__ import annotations

from enum import Enum, auto

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from plans import START_S, WatchedPolicy, fault, status, wrapped

from gateway.errors import Fault
from gateway.resilience.breaker import CircuitBreaker, State
from gateway.resilience.outcome import CALLERS_FAULT, Result
from gateway.resilience.plan import Deliver, Plan, Send, Step

TIMEOUT_S = 10.0
RESULTS = st.sampled_from(
    [
        *map(status, (200, 302, 400, 404, 408, 429, 500, 503)),
        *(status(code, wait_s) for code in (429, 503) for wait_s in (0.0, 0.5, 3.0, 90.0)),
        *(fault(kind) for kind in (Fault.CONNECT, Fault.TIMEOUT, Fault.SATURATED)),
        CALLERS_FAULT,
    ]
)


class Phase(Enum):
    ASKING = auto()
    WAITING = auto()
    DELIVERING = auto()
    ENDED = auto()


class Request:
    """One request as whoever performs its plan sees it."""

    def __init__(self, plan: Plan, step: Step) -> None:
        self.plan = plan
        self.index = 0
        self.phase = Phase.ASKING
        self.result: Result | None = None
        self.take(step)

    @property
    def holds_permit(self) -> bool:
        """A result that may be cured by another attempt is recorded when it comes, the others at the end."""
        if self.index > 0 or self.phase in (Phase.WAITING, Phase.ENDED):
            return False
        return self.phase is Phase.ASKING or (self.result is not None and not self.result.verdict.retry)

    def take(self, step: Step) -> None:
        if isinstance(step, Send):
            self.index = step.index
            self.phase = Phase.WAITING if step.delay_s > 0.0 else Phase.ASKING
        else:
            self.phase = Phase.DELIVERING if isinstance(step, Deliver) else Phase.ENDED


class Permits(RuleBasedStateMachine):
    requests = Bundle("requests")

    @initialize(
        max_failures=st.integers(1, 3),
        probes=st.integers(1, 2),
        retries=st.integers(0, 3),
        base_delay_s=st.sampled_from([0.0, 1.0]),
        fallbacks=st.integers(0, 2),
    )
    def begin(
        self, max_failures: int, probes: int, retries: int, base_delay_s: float, fallbacks: int
    ) -> None:
        self.now = START_S
        self.breaker = CircuitBreaker(max_failures, TIMEOUT_S, probes)
        self.chain: list[WatchedPolicy] = [
            wrapped(
                name,
                retries=retries,
                base_delay_s=base_delay_s,
                breaker=self.breaker if name == "a" else CircuitBreaker(1, TIMEOUT_S),
            )
            for name in "abc"[: 1 + fallbacks]
        ]
        self.alive: list[Request] = []

    @rule(target=requests, model=st.sampled_from("mn"), total_s=st.sampled_from([0.5, 8.0, 1e9]))
    def request(self, model: str, total_s: float) -> Request:
        plan = Plan(self.chain, [model] * len(self.chain), self.now + total_s)
        request = Request(plan, plan.first(self.now))
        self.alive.append(request)
        return request

    @rule(request=requests, result=RESULTS, sample=st.sampled_from([0.0, 0.5]))
    def answer(self, request: Request, result: Result, sample: float) -> None:
        if request.phase is Phase.ASKING:
            request.result = result
            request.take(request.plan.after(result, self.now, sample))

    @rule(request=requests)
    def wait_over(self, request: Request) -> None:
        if request.phase is Phase.WAITING:
            request.take(request.plan.due(self.now))

    @rule(request=requests, whole=st.booleans())
    def delivered(self, request: Request, whole: bool) -> None:
        if request.phase is Phase.DELIVERING:
            request.plan.finish(whole, self.now)
            request.phase = Phase.ENDED

    @rule(request=consumes(requests))
    def client_leaves(self, request: Request) -> None:
        request.plan.release(self.now)
        request.phase = Phase.ENDED

    @rule(seconds=st.sampled_from([0.001, 1.0, 5.0, TIMEOUT_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def who_is_asking_or_delivering_holds_a_permit(self) -> None:
        if hasattr(self, "chain"):
            assert self.chain[0].permits_out == sum(request.holds_permit for request in self.alive)

    @invariant()
    def fallbacks_never_need_one(self) -> None:
        if hasattr(self, "chain"):
            assert all(policy.acquired == 0 and not policy.outcomes for policy in self.chain[1:])

    def teardown(self) -> None:
        if not hasattr(self, "chain"):
            return
        for request in self.alive:
            request.plan.release(self.now)
        assert self.chain[0].permits_out == 0
        if self.breaker.state(self.now) is State.OPEN:
            self.now += TIMEOUT_S
        assert self.breaker.acquire(self.now), "the breaker is shut for good"


Permits.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestPermits = Permits.TestCase
