"""Providers out of the configuration, in two passes: first each by itself, then who falls back to whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gateway.config import schema
from gateway.config.problem import ConfigError, Problem, child
from gateway.providers.anthropic import AnthropicProvider
from gateway.providers.azure import AzureProvider
from gateway.providers.base import Provider
from gateway.providers.gemini import GeminiProvider
from gateway.providers.mock import MockServer
from gateway.providers.openai import OpenAIProvider
from gateway.providers.resilient import ResilientProvider, Routable
from gateway.resilience.plan import Policy


class MockProvider(OpenAIProvider):
    """A provider that lives in this process; `server` answers for it."""

    def __init__(self, name: str, settings: schema.Provider) -> None:
        super().__init__(name, settings)
        mock = settings.mock or schema.Mock()
        self.server = MockServer(
            name,
            reply=mock.reply,
            latency=mock.latency,
            event_interval=mock.event_interval,
            fault=mock.fault,
            faults=mock.faults,
        )


_FORMATS: Final[Mapping[str, Callable[[str, schema.Provider], Provider]]] = {
    "openai": OpenAIProvider,
    "azure": AzureProvider,
    "anthropic": AnthropicProvider,
    "gemini": GeminiProvider,
    "mock": MockProvider,
}


def build(
    config: schema.Config,
    policy: Callable[[str, schema.Provider], Policy],
    source: str,
    kept: Mapping[str, Routable] | None = None,
) -> dict[str, Routable]:
    """Every provider of `config` by name, wrapped where it is configured so; `policy` makes the policies.

    Of those in `kept`, whose settings have not changed, the provider and the policy are taken over.
    Raises ConfigError, with every problem of `source` at once.
    """
    kept = kept or {}
    problems: list[Problem] = []
    providers: dict[str, Routable] = {}
    for name, settings in config.providers.items():
        if name in kept:
            old = kept[name]
            providers[name] = ResilientProvider(old.chain[0], old.policies[0]) if settings.wrapped else old
            continue
        make = _FORMATS.get(settings.format)
        path = child("providers", name)
        if make is None:
            known = ", ".join(_FORMATS)
            message = f'"{settings.format}" is not available in this version (use one of: {known})'
            problems.append(Problem(f"{path}.format", message))
            continue
        try:
            provider = make(name, settings)
        except ValueError as error:
            problems.append(Problem(f"{path}.mock" if settings.mock is not None else path, str(error)))
            continue
        providers[name] = (
            ResilientProvider(provider, policy(name, settings)) if settings.wrapped else provider
        )
    if problems:
        raise ConfigError(problems, source)
    _link(config, providers)
    return providers


def _link(config: schema.Config, providers: Mapping[str, Routable]) -> None:
    linked: set[str] = set()

    def link(name: str) -> None:
        # The end of a chain comes first; check.py has refused cycles and unknown names.
        fallback = config.providers[name].fallback_provider
        provider = providers[name]
        if name not in linked and fallback is not None and isinstance(provider, ResilientProvider):
            linked.add(name)
            link(fallback)
            provider.link(providers[fallback])

    for name in providers:
        link(name)
