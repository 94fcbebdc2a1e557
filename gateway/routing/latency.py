"""Peak EWMA: how long a target takes, known from what it took lately.

A worse observation counts at once, better ones over some seconds: it is worse to send requests where they
wait than to spare somebody for a while. What is not observed fades, so that nobody is spared for ever.

Reference: https://twitter.github.io/finagle/docs/com/twitter/finagle/loadbalancer/PeakEwma.html
"""

from __future__ import annotations

from math import exp
from typing import Final

DECAY_S: Final = 10.0
"""After these seconds an observation has lost 63 % of its weight."""
LEAST_S: Final = 0.001
"""What takes less counts as this much: what costs nothing would get everything."""


class PeakEwma:
    """The latency of one target, in seconds. Every `now` is in seconds of a monotonic clock."""

    __slots__ = ("_at", "peak_s")

    def __init__(self) -> None:
        self.peak_s: float | None = None
        self._at = 0.0

    def __repr__(self) -> str:
        return f"<PeakEwma {self.peak_s}>"

    def observe(self, seconds: float, now: float) -> None:
        """Take in that an answer took `seconds`."""
        seconds = max(seconds, LEAST_S)
        if self.peak_s is None or seconds >= self.peak_s:
            self.peak_s = seconds
        else:
            self.peak_s = seconds + (self.peak_s - seconds) * self._faded(now)
        self._at = now

    def estimate(self, best_s: float, now: float) -> float:
        """The seconds to reckon with, where `best_s` is the lowest peak of all targets.

        What is known fades towards that one, and what is unknown counts as that good.
        """
        if self.peak_s is None:
            return best_s
        return best_s + (self.peak_s - best_s) * self._faded(now)

    def _faded(self, now: float) -> float:
        return exp(-max(0.0, now - self._at) / DECAY_S)
