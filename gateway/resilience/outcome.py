"""What the result of an attempt means: for the provider's health, and for what is done next.

The table (what happened -> breaker, tried again at the same provider, then at the fallback):

    2xx, 3xx, body complete              success
    400 and every other 4xx              neutral
    408, 5xx                             failure   same   fallback
    503 with Retry-After                 failure   same   fallback   cooldown
    429                                  neutral   same   fallback   cooldown
    DNS, connect, TLS, reset, garbage    failure   same   fallback
    no first byte in time                failure   same   fallback
    event stream: error first, or empty  failure   same   fallback
    ... of the client's making           neutral
    our own pool for it is full          neutral          fallback
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from gateway.errors import Fault, GatewayError


class Outcome(IntEnum):
    """What a result says about a provider's health.

    Two values are not enough: a request that the provider rightly refused (400) says nothing about whether it
    works, so it must neither open the circuit nor close it.
    """

    SUCCESS = 0
    """The provider works: clears the count of failures, closes a half-open circuit."""
    FAILURE = 1
    """The provider failed: counts towards opening, reopens a half-open circuit."""
    NEUTRAL = 2
    """Nothing is known of the provider: only the permit is given back."""


OUTCOMES: Final = ("success", "failure", "neutral")
"""Their names in metrics and logs."""


class Verdict(NamedTuple):
    """One row of the table."""

    outcome: Outcome
    reason: str
    retry: bool = False
    """Another attempt may cure it."""
    same: bool = False
    """... at the same provider too."""
    cooldown: bool = False
    """A Retry-After that came with it is a cooldown of the provider."""


class Result:
    """What one attempt came to.

    `error` is the gateway's own answer where the provider's cannot be passed on; `retry_after_s` what the
    provider asked for, in seconds.
    """

    __slots__ = ("error", "retry_after_s", "verdict")

    def __init__(
        self, verdict: Verdict, *, error: GatewayError | None = None, retry_after_s: float | None = None
    ) -> None:
        self.verdict = verdict
        self.error = error
        self.retry_after_s = retry_after_s

    def __repr__(self) -> str:
        return f"<Result {self.verdict.outcome.name} {self.verdict.reason} error={self.error!r}>"


def of_status(status: int, retry_after_s: float | None = None) -> Result:
    """The result of a response with this `status` (100 to 999) and Retry-After."""
    if retry_after_s is None:
        return _BY_STATUS.get(status) or Result(_verdict(status))
    verdict = _verdict(status)
    if status == 503:
        verdict = verdict._replace(cooldown=True)
    return Result(verdict, retry_after_s=retry_after_s)


def of_fault(fault: Fault, error: GatewayError) -> Result:
    """The result of an attempt that brought no response to pass on.

    `error` is what the client gets if it was the last.
    """
    return Result(_BY_FAULT[fault], error=error)


def _verdict(status: int) -> Verdict:
    if status < 400:
        return Verdict(Outcome.SUCCESS, "success")
    reason = f"status_{status}" if status < 600 else "status_other"
    if status == 429:
        return Verdict(Outcome.NEUTRAL, reason, retry=True, same=True, cooldown=True)
    if status == 408 or status >= 500:
        return Verdict(Outcome.FAILURE, reason, retry=True, same=True)
    return Verdict(Outcome.NEUTRAL, reason)


_BY_STATUS: Final = {status: Result(_verdict(status)) for status in range(100, 600)}
_BY_FAULT: Final = {
    fault: Verdict(Outcome.FAILURE, fault.value, retry=True, same=True)
    for fault in Fault
    if fault is not Fault.SATURATED
} | {Fault.SATURATED: Verdict(Outcome.NEUTRAL, Fault.SATURATED.value, retry=True)}

KEY_REFUSED: Final = Result(Verdict(Outcome.NEUTRAL, "key_refused"))
"""An answer that says nothing but that the key is not good, or not now."""

CALLERS_FAULT: Final = Result(Verdict(Outcome.NEUTRAL, "stream_error"))
"""An event stream that starts with an error which the request itself caused: passed on as it is."""
