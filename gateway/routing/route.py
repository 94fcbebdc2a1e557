"""Where a request goes: who is asked in turn, and under which name each of them knows the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from gateway.providers.resilient import Routable
from gateway.routing.target import Target

if TYPE_CHECKING:
    from gateway.routing.group import Group

Kind = Literal["context_window", "content_policy"]
"""What a provider may refuse a request for that another model would take."""


class Place:
    """One place in a lineup: the provider at `index` of the chain of `owner`, and how it is treated there.

    `model` is the name that it knows, None for the name that the client sends. `target` is who is told of the
    attempts; None where it is no target of a rule, but somebody's fallback.
    """

    __slots__ = ("model", "policy", "provider", "target")

    def __init__(self, owner: Routable, index: int, model: str | None, target: Target | None = None) -> None:
        self.provider = owner.chain[index]
        self.policy = owner.policies[index]
        self.model = model
        self.target = target

    def __repr__(self) -> str:
        return f"<Place {self.provider.name} {self.model!r}>"


class Lineup:
    """Who is asked in turn: the columns `chain`, `policies` and `targets` of its `places`."""

    __slots__ = ("_are_models_known", "_models", "chain", "policies", "targets")

    def __init__(self, places: Sequence[Place]) -> None:
        self.chain = tuple(place.provider for place in places)
        self.policies = tuple(place.policy for place in places)
        self.targets = tuple(place.target for place in places)
        self._models = tuple(place.model or "" for place in places)
        self._are_models_known = all(place.model is not None for place in places)

    @classmethod
    def of(cls, provider: Routable, model: str | None) -> Lineup:
        """The chain of one provider, all of whom know the same name."""
        return cls([Place(provider, index, model) for index in range(len(provider.chain))])

    def __repr__(self) -> str:
        return f"<Lineup {' -> '.join(provider.name for provider in self.chain)}>"

    def models(self, name: str) -> tuple[str, ...]:
        """What each of them calls the model that the client calls `name`."""
        return self._models if self._are_models_known else tuple(model or name for model in self._models)


class Route:
    """The way of requests for the model that the client calls `name`, along a lineup.

    `chain`, `policies`, `models` and `targets` have one member for each who is asked in turn: the provider,
    how it is treated, the name that it knows, and the target to tell of the attempts or None. `model` is the
    first of the names, and `renamed` says that this is not what the client wrote. `label` is the name for
    metrics, of a closed set: the model where it is configured by name, else the pattern that fits, else
    `other`. `fallbacks` are the ways to other models, by what a provider refused the request for.

    A route with a `group` is not taken itself, but the one that `group.choose` returns for each request.
    """

    __slots__ = (
        "chain",
        "fallbacks",
        "group",
        "label",
        "model",
        "models",
        "policies",
        "renamed",
        "targets",
    )

    def __init__(
        self,
        lineup: Lineup,
        name: str,
        label: str,
        fallbacks: Mapping[Kind, Route],
        group: Group | None = None,
    ) -> None:
        self.chain = lineup.chain
        self.policies = lineup.policies
        self.targets = lineup.targets
        self.models = lineup.models(name)
        self.model = self.models[0]
        self.renamed = self.model != name
        self.label = label
        self.fallbacks = fallbacks
        self.group = group

    def __repr__(self) -> str:
        return f"<Route {self.label} -> {self.chain[0].name} {self.model!r}>"

    def leads_to(self, provider: str, model: str) -> bool:
        """Whether this is a way to `model` of `provider`, other than as a fallback."""
        return any(
            (place == 0 or target is not None) and one.name == provider and known == model
            for place, (one, known, target) in enumerate(
                zip(self.chain, self.models, self.targets, strict=True)
            )
        )
