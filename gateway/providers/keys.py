"""Several keys of one provider: which of them a request carries, and when one is not to be used for a while.

The answers that tell something of the key and not of the request:

    401, 403                    it is not accepted             rests for REST_S
    402                         its account is out of credit   rests for REST_S
    429 insufficient_quota      its quota is used up           rests for REST_S, or its Retry-After if longer
    429 with Retry-After        it has asked too often         rests that long
    429 otherwise               too often, for a short time    does not rest: the next request has another key

References: https://platform.openai.com/docs/guides/error-codes (401, 403, 429 and its `insufficient_quota`),
https://docs.anthropic.com/en/api/errors (402 `billing_error`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

REST_S: Final = 300.0
"""A key that stays bad costs one attempt in this time, and one that is mended is in use again after it."""
MAX_REST_S: Final = 3600.0
_QUOTA: Final = "insufficient_quota"


class KeyRing:
    """The header `lines` of the keys, at least one. Every `now` is in seconds of a monotonic clock."""

    __slots__ = ("_next", "_rests_until", "lines")

    def __init__(self, lines: Sequence[bytes]) -> None:
        if not lines:
            raise ValueError("a ring needs a key")
        self.lines = tuple(lines)
        self._next = 0
        self._rests_until = [float("-inf")] * len(lines)

    def __repr__(self) -> str:
        return f"<KeyRing of {len(self.lines)}>"

    def choose(self, now: float) -> int:
        """The index of the key for the next attempt: the next one that does not rest, or the first to end."""
        count = len(self.lines)
        for step in range(count):
            index = (self._next + step) % count
            if self._rests_until[index] <= now:
                self._next = (index + 1) % count
                return index
        return self._rests_until.index(min(self._rests_until))

    def has_rested(self, now: float) -> bool:
        """Whether `choose` would find a key that does not rest."""
        return min(self._rests_until) <= now

    def rest(self, index: int, now: float, seconds: float) -> None:
        """Leave a key alone for `seconds`, at most MAX_REST_S; a rest is never made shorter."""
        self._rests_until[index] = max(self._rests_until[index], now + min(seconds, MAX_REST_S))


def rest_s(status: int, body: bytes, retry_after_s: float | None) -> float | None:
    """Seconds for which the key is to rest after an answer; None where it says nothing of the key.

    `body` may be any bytes; `retry_after_s` is what the provider asked for.
    """
    if status in (401, 402, 403):
        return REST_S
    if status != 429:
        return None
    if _is_quota(body):
        return max(REST_S, retry_after_s or 0.0)
    return retry_after_s


class _Error(msgspec.Struct):
    code: Any = None
    type: Any = None


class _Body(msgspec.Struct):
    error: _Error


_decode: Final = msgspec.json.Decoder(_Body).decode


def _is_quota(body: bytes) -> bool:
    try:
        error = _decode(body).error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return _QUOTA in (error.code, error.type)
