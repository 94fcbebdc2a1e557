"""A provider with resilience: its retries, its breaker, its cooldowns, and who is asked when it fails."""

from __future__ import annotations

from gateway.providers.base import Provider
from gateway.resilience.plan import Policy


class ResilientProvider:
    """Wraps `provider` with `policy`; `link` adds the chain behind its fallback.

    The chain is resolved once, at start: A, then B, then C, each with its own retries.
    """

    def __init__(self, provider: Provider, policy: Policy) -> None:
        self.name = provider.name
        self.policy = policy
        self.chain: tuple[Provider, ...] = (provider,)
        self.policies: tuple[Policy, ...] = (policy,)

    def __repr__(self) -> str:
        return f"<ResilientProvider {' -> '.join(provider.name for provider in self.chain)}>"

    def link(self, fallback: Routable) -> None:
        """Ask `fallback`, and whoever it falls back to, when this one has failed."""
        self.chain = (self.chain[0], *fallback.chain)
        self.policies = (self.policy, *fallback.policies)


Routable = Provider | ResilientProvider
"""What a model name can lead to: `name`, and the `chain` of providers with their `policies`."""
