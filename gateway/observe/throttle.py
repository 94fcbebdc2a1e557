"""How often a log event may come: a token bucket for each kind, and the count of what was left out."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

BURST: Final = 20
PER_S: Final = 5.0
QUIET_S: Final = 1.0
"""A storm is over when nothing has been left out for so long."""
LONG_S: Final = 10.0
"""One that goes on is summed up so often."""

Kind = TypeVar("Kind", bound=Hashable)


class Suppressed(NamedTuple, Generic[Kind]):
    """How many events of a kind were left out, and over how many seconds."""

    kind: Kind
    events: int
    seconds: float


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_s: float
    suppressed: int = 0
    first_s: float = 0.0
    last_s: float = 0.0


class Throttle(Generic[Kind]):
    """Lets `burst` events of a kind through at once, and `per_s` a second.

    Kinds are a closed set and never forgotten. `now` is in seconds of a monotonic clock.
    """

    def __init__(self, burst: int = BURST, per_s: float = PER_S) -> None:
        self._burst = burst
        self._per_s = per_s
        self._buckets: dict[Kind, _Bucket] = {}

    def admits(self, kind: Kind, now: float) -> bool:
        """Whether an event of this kind may be written; if not, it is counted."""
        bucket = self._buckets.get(kind)
        if bucket is None:
            bucket = self._buckets[kind] = _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled_s) * self._per_s)
        bucket.filled_s = now
        if bucket.tokens >= 1.0:
            bucket.tokens -= 1.0
            return True
        if not bucket.suppressed:
            bucket.first_s = now
        bucket.suppressed += 1
        bucket.last_s = now
        return False

    def summaries(self, now: float, *, ending: bool = False) -> list[Suppressed[Kind]]:
        """Sum up the storms that are over or have gone on for long, all of them when `ending`; each once."""
        return [
            self._summary(kind, bucket)
            for kind, bucket in self._buckets.items()
            if bucket.suppressed
            and (ending or now - bucket.last_s >= QUIET_S or now - bucket.first_s >= LONG_S)
        ]

    @staticmethod
    def _summary(kind: Kind, bucket: _Bucket) -> Suppressed[Kind]:
        events, bucket.suppressed = bucket.suppressed, 0
        return Suppressed(kind, events, bucket.last_s - bucket.first_s)
