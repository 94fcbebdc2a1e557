"""One target of a rule: a provider, the name that the model has there, and how it fares."""

from __future__ import annotations

import hashlib
from math import log
from typing import Final

from gateway.providers.resilient import Routable
from gateway.routing.latency import PeakEwma

FAILED_S: Final = 10.0
"""A failure counts as an answer that took this long: many fail faster than any answer comes."""


class Target:
    """A target with its `weight`, at least 0; `model` is None where it knows the name that the client sends.

    `inflight` and `latency` are what this process knows of it. Whoever asks it calls `began`, then `answered`
    if a good answer begins, then `ended`.
    """

    __slots__ = ("_hash", "_policy", "inflight", "latency", "model", "provider", "weight")

    def __init__(self, provider: Routable, model: str | None = None, weight: float = 1.0) -> None:
        self.provider = provider
        self.model = model
        self.weight = weight
        self.inflight = 0
        self.latency = PeakEwma()
        self._policy = provider.policies[0]
        # Not hash(): workers, and a process that starts again, must come to the same.
        self._hash = hashlib.blake2b(f"{provider.name}\0{model or ''}\0".encode(), digest_size=8)

    def __repr__(self) -> str:
        return f"<Target {self.provider.name} {self.model!r} weight={self.weight:g} inflight={self.inflight}>"

    # -- what an attempt tells

    def began(self) -> None:
        """An attempt begins."""
        self.inflight += 1

    def answered(self, first_byte_s: float, now: float) -> None:
        """A good answer begins, so many seconds after the attempt began."""
        self.latency.observe(first_byte_s, now)

    def ended(self, failed: bool, now: float) -> None:
        """The attempt is over: whole, given up, or `failed` by the fault of the target."""
        self.inflight -= 1
        if failed:
            self.latency.observe(FAILED_S, now)

    # -- what the choice asks

    def is_available(self, model: str, now: float) -> bool:
        """Its circuit gives a permit, and it has not asked to be left alone with `model`."""
        breaker = self._policy.breaker
        # retry_in() and not state(): a half-open circuit whose probes are out has no permit either.
        return (breaker is None or breaker.retry_in(now) == 0.0) and self._policy.cooling_s(model, now) == 0.0

    def load(self) -> float:
        """Attempts under way, for each unit of weight."""
        return self.inflight / self.weight if self.weight else float("inf")

    def cost(self, best_s: float, now: float) -> float:
        """The seconds that one more request would wait: it shares the target with those under way."""
        if not self.weight:
            return float("inf")
        return self.latency.estimate(best_s, now) * (self.inflight + 1) / self.weight

    def affinity(self, session: bytes) -> float:
        """How much a session belongs here: the highest of all targets has it.

        Weighted rendezvous hashing: a target that goes gives its sessions to the others and moves no other,
        and the shares are those of the weights.
        Reference: https://en.wikipedia.org/wiki/Rendezvous_hashing#Weighted_rendezvous_hash
        """
        hashed = self._hash.copy()
        hashed.update(session)
        # 52 bits and a half: with more the quotient may round to 1, whose logarithm is 0.
        uniform = ((int.from_bytes(hashed.digest(), "big") >> 12) + 0.5) / (1 << 52)
        return self.weight / -log(uniform)
