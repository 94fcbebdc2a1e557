"""Public model name -> route: the chain of providers, and the name that the model has at each.

The rules, in their order: the exact name; the pattern with the most literal characters (of two that have as
many, the one that stands first in the file); `provider/model`; the default provider.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from gateway.config import schema
from gateway.errors import INVALID_REQUEST, GatewayError
from gateway.providers.resilient import Routable
from gateway.routing.group import Group, Targets
from gateway.routing.route import Kind, Lineup, Route

__all__ = ["OTHER", "ModelRouter", "Route", "model_not_found", "shown"]

OTHER: Final = "other"
MAX_REMEMBERED: Final = 4096
MAX_REMEMBERED_NAME: Final = 256
_MAX_NAME_SHOWN: Final = 200


class ModelRouter:
    """The routing rules of one configuration over its `providers`."""

    def __init__(self, config: schema.Config, providers: Mapping[str, Routable]) -> None:
        self._providers = providers
        first = next(iter(providers.values()))
        default = first if config.default_provider is None else providers[config.default_provider]
        self._nameless = _plain(default, "", "")
        self._default = None if config.models and config.default_provider is None else default
        fallbacks: dict[str, dict[Kind, Route]] = {name: {} for name in config.models}
        rules = {name: _rule(name, rule, providers, fallbacks[name]) for name, rule in config.models.items()}
        self._exact = {name: make(name) for name, make in rules.items() if "*" not in name}
        self._remembered: dict[str, Route] = {}
        patterns = [name for name in rules if "*" in name]
        patterns.sort(key=lambda pattern: len(pattern.replace("*", "")), reverse=True)
        self._patterns = [(_compile(pattern).fullmatch, rules[pattern]) for pattern in patterns]
        # The routes hold these already: only now is there a route for every name.
        for name, rule in config.models.items():
            fallbacks[name].update(self._fallbacks(rule.fallbacks))

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
        """The route of a request for the model `name`, see `Route.group`; None when no rule fits it."""
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
        for fits, make in self._patterns:
            if fits(name):
                return make(name)
        route = self._at_provider(name)
        if route is None and self._default is not None:
            route = _plain(self._default, name, name)
        return route

    def _at_provider(self, name: str) -> Route | None:
        prefix, slash, model = name.partition("/")
        if slash and model and prefix in self._providers:
            return _plain(self._providers[prefix], model, name)
        return None

    def _fallbacks(self, names: schema.Fallbacks) -> Iterator[tuple[Kind, Route]]:
        kinds: tuple[tuple[Kind, str | None], ...] = (
            ("context_window", names.context_window),
            ("content_policy", names.content_policy),
        )
        for kind, name in kinds:
            if name is not None:
                # Not a pattern, of which `*` would keep every `provider/model` from the provider.
                route = self._exact.get(name) or self._at_provider(name)
                assert route is not None, "check has refused other names"
                yield kind, route


def _plain(provider: Routable, model: str, name: str) -> Route:
    """The route that no rule describes."""
    return Route(Lineup.of(provider, model), name, OTHER, {})


def _rule(
    label: str,
    rule: schema.Model,
    providers: Mapping[str, Routable],
    fallbacks: Mapping[Kind, Route],
) -> Callable[[str], Route]:
    """What makes the route of a name that fits a rule."""
    if rule.provider is None:
        targets = Targets(rule, providers)
        return lambda name: Group(targets, name, label, fallbacks).route()
    lineup = Lineup.of(providers[rule.provider], rule.model)
    return lambda name: Route(lineup, name, label, fallbacks)


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
