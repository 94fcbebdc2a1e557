"""Which attempt comes next: every retry and fallback rule, as data.

The rules, in the order in which they are asked:

1. Every attempt at the first provider needs a permit of its breaker, and is recorded by itself.
2. A provider in cooldown is not asked; without a fallback the request is refused with what is left of it.
3. What can be cured by time is tried again at the same provider, after the backoff delay or its own
   Retry-After, as long as retries are left, its breaker has not opened and the time allowed suffices.
4. Then the next provider of the chain is asked, at once, with its own retries. Its breaker is neither
   consulted nor fed: one bad day upstream must not open circuits in a row.
5. Then the last result is what the client gets.

A plan does no I/O, reads no clock and draws no random number: `now` (seconds of a monotonic clock) and
`sample` (a draw from [0, 1)) are arguments, and what must be done is what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gateway._speedups import BackoffCore
from gateway.errors import RATE_LIMIT, TIMEOUT, UNAVAILABLE, GatewayError
from gateway.resilience.breaker import CircuitBreaker, State, Transition
from gateway.resilience.outcome import Outcome, Result
from gateway.resilience.retry import Cooldowns

# A timer may fire this much early (uvloop rounds to milliseconds): a cooldown that ends within it is over.
_TIMER_SLACK_S: Final = 0.002


class Policy:
    """How one provider is treated: its breaker, its retries, its cooldowns.

    The default is that of a provider that is not wrapped: one attempt, no breaker, no cooldown.
    """

    __slots__ = ("backoff", "breaker", "cooldowns", "max_delay_s", "max_retries", "name", "on_transition")

    def __init__(
        self,
        name: str,
        *,
        max_retries: int = 0,
        backoff: BackoffCore | None = None,
        max_delay_s: float = 0.0,
        breaker: CircuitBreaker | None = None,
        cooldowns: Cooldowns | None = None,
        on_transition: Callable[[Policy, Transition, str, float], None] | None = None,
    ) -> None:
        if max_retries and backoff is None:
            raise ValueError("retries need a backoff")
        self.name = name
        self.max_retries = max_retries
        self.backoff = backoff
        self.max_delay_s = max_delay_s
        self.breaker = breaker
        self.cooldowns = cooldowns
        self.on_transition = on_transition

    def __repr__(self) -> str:
        return f"<Policy {self.name} max_retries={self.max_retries} breaker={self.breaker!r}>"

    def cooling_s(self, model: str, now: float) -> float:
        """Seconds for which the provider wants to be left alone with `model`; 0.0 when it may be asked."""
        return 0.0 if self.cooldowns is None else self.cooldowns.remaining(model, now)

    def is_open(self, now: float) -> bool:
        """The circuit is open: the provider is not to be called at all."""
        return self.breaker is not None and self.breaker.state(now) is State.OPEN

    def acquire(self, now: float) -> int:
        """A permit of the breaker, or 0. Only called where there is a breaker."""
        assert self.breaker is not None
        permit = self.breaker.acquire(now)
        if permit & 1 and self.on_transition is not None and self.breaker.is_first_probe(permit):
            self.on_transition(self, Transition.HALF_OPENED, "timeout", now)
        return permit

    def record(self, permit: int, outcome: Outcome, reason: str, now: float) -> None:
        """Give `permit` back with the attempt's outcome, and tell of the transition that it causes."""
        assert self.breaker is not None
        transition = self.breaker.record(permit, outcome, now)
        if transition and self.on_transition is not None:
            self.on_transition(self, Transition(transition), reason, now)


class Send:
    """Send to the provider at `index` of the chain: at once, or ask `Plan.due` again after `delay_s` seconds.

    `reason` says why, where this is a retry or a fallback; it is empty for the first attempt.
    """

    __slots__ = ("delay_s", "index", "reason")

    def __init__(self, index: int, delay_s: float = 0.0, reason: str = "") -> None:
        self.index = index
        self.delay_s = delay_s
        self.reason = reason

    def __repr__(self) -> str:
        return f"Send({self.index}, delay_s={self.delay_s:g}, reason={self.reason!r})"


class Deliver:
    """Give the client the result that was just reported."""

    __slots__ = ()


class Refuse:
    """Answer with `error`: no provider may be asked."""

    __slots__ = ("error",)

    def __init__(self, error: GatewayError) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"Refuse({self.error!r})"


Step = Send | Deliver | Refuse

_DELIVER: Final = Deliver()
SEND_FIRST: Final = Send(0)
"""What `Plan.first` returns for a request that goes to the first provider at once."""


class Plan:
    """The attempts of one request along `chain`; `models` are the names that each of it knows.

    Call `first`, then `after` for the result of each attempt, and `due` once a delay is over; when the answer
    has gone out `finish`, or `release` when nobody wants it any more. No attempt begins at `deadline_s` or
    later.
    """

    __slots__ = ("_at", "_chain", "_models", "_permit", "_retries", "deadline_s", "outcome")

    def __init__(
        self, chain: Sequence[Policy], models: Sequence[str], deadline_s: float = float("inf")
    ) -> None:
        self._chain = chain
        self._models = models
        self.deadline_s = deadline_s
        self._at = 0
        self._retries = 0
        self._permit = 0
        self.outcome = Outcome.NEUTRAL

    def __repr__(self) -> str:
        return f"<Plan at {self._chain[self._at].name}, {self._retries} retries>"

    def first(self, now: float) -> Step:
        """What to do with a new request."""
        policy = self._chain[0]
        cooldowns = policy.cooldowns
        if cooldowns is not None and cooldowns.until and cooldowns.remaining(self._models[0], now) > 0.0:
            return self._refused_by_cooldown(policy, now)
        if policy.breaker is not None:
            self._permit = permit = policy.acquire(now)
            if not permit:
                return self._refused_by_circuit(policy, now)
        return SEND_FIRST

    def due(self, now: float) -> Step:
        """What to do now that the delay of the last `Send` is over: others may have changed the state."""
        policy = self._chain[self._at]
        if now >= self.deadline_s:
            return Refuse(_out_of_time(policy.name, self._chain[0].name))
        cooling = policy.cooling_s(self._models[self._at], now) > _TIMER_SLACK_S
        if self._at > 0:
            return (self._fall_back(now, "cooldown") if cooling else None) or Send(self._at)
        if cooling:
            return self._refused_by_cooldown(policy, now)
        return Send(0) if self._admitted(policy, now) else self._refused_by_circuit(policy, now)

    def after(self, result: Result, now: float, sample: float) -> Step:
        """What to do with the `result` of an attempt."""
        verdict = result.verdict
        self.outcome = verdict.outcome
        if not verdict.retry:
            return _DELIVER
        policy = self._chain[self._at]
        wait_s = result.retry_after_s if verdict.cooldown else None
        if wait_s is not None and policy.cooldowns is not None:
            policy.cooldowns.extend(self._models[self._at], wait_s, now)
        self._record(verdict.outcome, verdict.reason, now)
        return (
            self._retry(policy, verdict.same, verdict.reason, wait_s, now, sample)
            or self._fall_back(now, verdict.reason)
            or _DELIVER
        )

    def succeed(self, now: float) -> None:
        """The attempt brought a whole answer that is a success, and it is delivered: `after` and `finish`."""
        self.outcome = Outcome.SUCCESS
        permit = self._permit
        if permit:
            self._permit = 0
            self._chain[0].record(permit, Outcome.SUCCESS, "success", now)

    def finish(self, whole: bool, now: float, reason: str = "stream_broken") -> None:
        """The delivered response has ended: whole, or broken on the provider's side."""
        self._record(self.outcome if whole else Outcome.FAILURE, "success" if whole else reason, now)

    def release(self, now: float) -> None:
        """Nobody waits for the answer any more: the permit goes back and nothing is held against anyone."""
        self._record(Outcome.NEUTRAL, "client_gone", now)

    def _retry(
        self, policy: Policy, same: bool, reason: str, wait_s: float | None, now: float, sample: float
    ) -> Send | None:
        if not same or self._retries >= policy.max_retries or policy.backoff is None:
            return None
        delay_s = policy.backoff.delay(self._retries, sample)
        if wait_s is not None:
            if wait_s > policy.max_delay_s:
                return None
            delay_s = max(delay_s, wait_s)
        # Where the delay cannot be used, it is not waited for.
        cooling_s = policy.cooling_s(self._models[self._at], now)
        if now + delay_s >= self.deadline_s or cooling_s > delay_s + _TIMER_SLACK_S:
            return None
        if self._at == 0 and policy.is_open(now):
            return None
        if delay_s == 0.0 and not self._admitted(policy, now):
            return None
        self._retries += 1
        return Send(self._at, delay_s, reason)

    def _fall_back(self, now: float, reason: str) -> Send | None:
        if now >= self.deadline_s:
            return None
        last = len(self._chain) - 1
        for index in range(self._at + 1, last + 1):
            if index == last or self._chain[index].cooling_s(self._models[index], now) == 0.0:
                self._at = index
                self._retries = 0
                return Send(index, 0.0, reason)
        return None

    def _refused_by_cooldown(self, policy: Policy, now: float) -> Step:
        # Where the circuit is open too, that is the stronger statement: 503 and not 429.
        if policy.is_open(now):
            return self._refused_by_circuit(policy, now)
        fallback = self._fall_back(now, "cooldown")
        return fallback or Refuse(_cooling(policy.name, policy.cooling_s(self._models[self._at], now)))

    def _refused_by_circuit(self, policy: Policy, now: float) -> Step:
        assert policy.breaker is not None
        fallback = self._fall_back(now, "circuit_open")
        if not policy.is_open(now):
            return fallback or Refuse(_being_probed(policy.name))
        return fallback or Refuse(_circuit_open(policy.name, policy.breaker.retry_in(now)))

    def _admitted(self, policy: Policy, now: float) -> bool:
        """Take the permit for an attempt; a fallback's own breaker is bypassed."""
        if self._at > 0 or policy.breaker is None:
            return True
        self._permit = policy.acquire(now)
        return self._permit != 0

    def _record(self, outcome: Outcome, reason: str, now: float) -> None:
        if self._permit:
            permit = self._permit
            self._permit = 0
            self._chain[0].record(permit, outcome, reason, now)


def _circuit_open(name: str, retry_in_s: float) -> GatewayError:
    message = (
        f"Provider '{name}' failed repeatedly and its circuit is open; it will be tried again in"
        f" {retry_in_s:.1f} s."
    )
    return GatewayError(503, UNAVAILABLE, "circuit_open", message, retry_after_s=retry_in_s)


def _being_probed(name: str) -> GatewayError:
    # What the probe finds is known when its answer comes, which mostly is soon; its lease is only the latest.
    message = f"Provider '{name}' failed repeatedly, and one request is finding out whether it works again."
    return GatewayError(503, UNAVAILABLE, "circuit_open", message, retry_after_s=1.0)


def _cooling(name: str, remaining_s: float) -> GatewayError:
    message = f"Provider '{name}' asked not to be called again for another {remaining_s:.1f} s."
    return GatewayError(429, RATE_LIMIT, "rate_limit_exceeded", message, retry_after_s=remaining_s)


def _out_of_time(name: str, first: str) -> GatewayError:
    message = f"The time for the request was over before '{name}' could be tried again"
    message += f" (providers.{first}.timeouts.total)."
    return GatewayError(504, TIMEOUT, "upstream_timeout", message)
