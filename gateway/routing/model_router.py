"""Public model name -> chain of providers and the name that the model has there.

The rules, in their order: the exact name; the pattern with the most literal characters (of two that have as
many, the one that stands first in the file); `provider/model`; the default provider.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gateway.config import schema
from gateway.errors import INVALID_REQUEST, GatewayError
from gateway.providers.resilient import Routable

OTHER: Final = "other"
MAX_REMEMBERED: Final = 4096
MAX_REMEMBERED_NAME: Final = 256
_MAX_NAME_SHOWN: Final = 200


class Route:
    """Where a request goes: the providers to ask in turn, and the `model` that they know.

    `renamed` says that this is not what the client wrote. `label` is the name for metrics, of a closed set:
    the model where it is configured by name, else the pattern that fits, else `other`.
    """

    __slots__ = ("chain", "label", "model", "policies", "renamed")

    def __init__(self, provider: Routable, model: str, renamed: bool, label: str) -> None:
        self.chain = provider.chain
        self.policies = provider.policies
        self.model = model
        self.renamed = renamed
        self.label = label

    def __repr__(self) -> str:
        return f"<Route {self.label} -> {self.chain[0].name} {self.model!r}>"


class ModelRouter:
    """The routing rules of one configuration over its `providers`."""

    def __init__(self, config: schema.Config, providers: Mapping[str, Routable]) -> None:
        self._providers = providers
        first = next(iter(providers.values()))
        default = first if config.default_provider is None else providers[config.default_provider]
        self._nameless = Route(default, "", False, OTHER)
        self._default = None if config.models and config.default_provider is None else default
        self._exact: dict[str, Route] = {}
        self._remembered: dict[str, Route] = {}
        patterns: list[tuple[str, schema.Model]] = []
        for name, rule in config.models.items():
            if "*" in name:
                patterns.append((name, rule))
            else:
                self._exact[name] = self._route(name, rule, name)
        patterns.sort(key=lambda pattern: len(pattern[0].replace("*", "")), reverse=True)
        self._patterns = [(_compile(name).fullmatch, name, rule) for name, rule in patterns]

    def __repr__(self) -> str:
        return f"<ModelRouter {len(self._exact)} names, {len(self._patterns)} patterns>"

    @property
    def names(self) -> list[str]:
        """The model names that are configured exactly, in the order of the file."""
        return list(self._exact)

    @property
    def providers(self) -> list[Routable]:
        """Every provider, in the order of the file."""
        return list(self._providers.values())

    def nameless(self) -> Route:
        """The route of a request that names no model."""
        return self._nameless

    def route(self, name: str) -> Route | None:
        """The route of a request for the model `name`; None when no rule fits it."""
        route = self._exact.get(name) or self._remembered.get(name)
        if route is None:
            route = self._find(name)
            # Names come from clients: what is remembered of them is bounded.
            if route is not None and len(name) <= MAX_REMEMBERED_NAME:
                if len(self._remembered) >= MAX_REMEMBERED:
                    self._remembered.clear()
                self._remembered[name] = route
        return route

    def _find(self, name: str) -> Route | None:
        for fits, pattern, rule in self._patterns:
            if fits(name):
                return self._route(name, rule, pattern)
        prefix, slash, model = name.partition("/")
        if slash and model and prefix in self._providers:
            return Route(self._providers[prefix], model, True, OTHER)
        return None if self._default is None else Route(self._default, name, False, OTHER)

    def _route(self, name: str, rule: schema.Model, label: str) -> Route:
        model = rule.model or name
        return Route(self._providers[rule.provider], model, model != name, label)


def shown(name: str) -> str:
    """A client's model name for a message, of a bounded length."""
    return name if len(name) <= _MAX_NAME_SHOWN else name[:_MAX_NAME_SHOWN] + "…"


def model_not_found(name: str) -> GatewayError:
    """404 for a name that no rule fits."""
    message = f"The model '{shown(name)}' does not exist here (no rule under `models` fits it)."
    return GatewayError(404, INVALID_REQUEST, "model_not_found", message, param="model")


def _compile(pattern: str) -> re.Pattern[str]:
    first, *middle, last = map(re.escape, re.split(r"\*+", pattern))
    # Atomic groups take the first place of each part and never another one: where that one does not lead to a
    # fit none does, and to try them all would take a time that grows with a power of the name's length.
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + ".*" + last, re.DOTALL)
