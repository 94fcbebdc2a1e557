"""LiteLLM's groups of deployments, their fallbacks and their aliases -> our rules under `models`.

Groups that others fall back to become targets of weight 0, which are asked when no other is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from gateway.config.importers.draft import Draft, Settings, Target, escaped, rule, standing_by, weighed
from gateway.config.importers.foreign import Foreign
from gateway.config.problem import shown

__all__ = ["Deployment", "add_models", "either"]

_STRATEGIES: Final = {
    "simple-shuffle": None,
    "least-busy": "least_inflight",
    "latency-based-routing": "lowest_latency",
}


class Deployment(NamedTuple):
    """One entry of `model_list`: where it leads, its order, and what LiteLLM would weigh it by."""

    target: Target
    order: float
    shares: Mapping[str, float]


Groups = Mapping[str, list[Deployment]]
"""Deployments by the name under which they are listed."""


def either(root: Foreign, *names: str) -> Foreign:
    """The setting of the router, or else the library's; both have most of them."""
    found = [root[block][name] for block in ("router_settings", "litellm_settings") for name in names]
    given = [value for value in found if value]
    for shadowed in given[1:]:
        shadowed.leave(f"{given[0].path} goes before it")
    return given[0] if given else found[0]


def add_models(root: Foreign, draft: Draft, groups: Groups) -> None:
    """Add a rule for each group, and one for each alias of a group."""
    strategy = _strategy(either(root, "routing_strategy"))
    fallbacks: dict[str, list[str]] = {}
    for name, other in _pairs(either(root, "fallbacks"), groups):
        fallbacks.setdefault(name, []).append(other.text)
    default = [one.text for one in either(root, "default_fallbacks") if _is_known(one, groups)]
    by_kind = _fallbacks_by_kind(root, groups)
    for name, deployments in groups.items():
        targets = _targets(deployments)
        for group in fallbacks.get(name, fallbacks.get("*", default)):
            if group != name:
                targets += [standing_by(Target(_renamed(one.target, group))) for one in groups[group]]
        draft.models[name] = rule(targets, strategy)
        if name in by_kind:
            draft.models[name]["fallbacks"] = {kind: escaped(other) for kind, other in by_kind[name].items()}
    _add_aliases(root["router_settings"]["model_group_alias"], draft)


def _strategy(setting: Foreign) -> str | None:
    name = setting.text or "simple-shuffle"
    if name not in _STRATEGIES:
        setting.leave(f"{shown(name)} has no counterpart; requests are shared out by weight")
    return _STRATEGIES.get(name)


def _targets(deployments: list[Deployment]) -> list[Target]:
    """The targets of a group; those of a later order stand by."""
    first = min(deployment.order for deployment in deployments)
    early = [one for one in deployments if one.order == first]
    late = sorted((one for one in deployments if one.order > first), key=lambda one: one.order)
    named = [name for name in ("weight", "rpm", "tpm") if any(name in one.shares for one in early)]
    weights = [one.shares.get(named[0], 0.0) if named else 1.0 for one in early]
    return weighed([one.target for one in early], weights) + [standing_by(one.target) for one in late]


def _add_aliases(setting: Foreign, draft: Draft) -> None:
    for alias, value in setting.entries():
        group = value["model"].text if value["model"] else value.text
        if alias in draft.models or group not in draft.models or not (alias and alias.isprintable()):
            value.leave(f"{shown(alias)} cannot stand for {shown(group)}: no such model, or no free name")
        else:
            draft.models[alias] = _renamed(draft.models[group], group)


def _renamed(settings: Settings, name: str) -> Settings:
    """A rule or target for the model `name`, to stand under another name."""
    if "targets" in settings:
        return settings | {"targets": [Target(_renamed(target, name)) for target in settings["targets"]]}
    if "*" in name or "model" in settings:
        return settings
    rest = {key: value for key, value in settings.items() if key != "provider"}
    return {"provider": settings["provider"], "model": escaped(name), **rest}


# -- fallbacks: `[{group: [other, …]}, …]`


def _fallbacks_by_kind(root: Foreign, groups: Groups) -> dict[str, dict[str, str]]:
    """By group and kind, whom to ask; here that is but one, no pattern, and none may lead back."""
    found: dict[str, dict[str, str]] = {}
    for kind in ("context_window", "content_policy"):
        for name, other in _pairs(either(root, f"{kind}_fallbacks"), groups):
            if kind in found.get(name, ()):
                other.leave("only the first one is asked")
            elif "*" in other.text or name not in groups:
                other.leave("a fallback of this kind leads from one model to another, and to no pattern")
            elif name == other.text or name in _reachable(other.text, found):
                other.leave("leads back to where it began")
            else:
                found.setdefault(name, {})[kind] = other.text
    return found


def _reachable(name: str, found: Mapping[str, Mapping[str, str]]) -> set[str]:
    """The groups to which fallbacks lead from one; there is no cycle yet."""
    nearest = set(found.get(name, {}).values())
    return nearest.union(*(_reachable(one, found) for one in nearest))


def _pairs(setting: Foreign, groups: Groups) -> Iterator[tuple[str, Foreign]]:
    for entry in setting:
        for name, others in entry.entries():
            for other in others:
                if name not in groups and name != "*":
                    other.leave(f"{shown(name)} is no model of model_list")
                elif _is_known(other, groups):
                    yield name, other


def _is_known(other: Foreign, groups: Groups) -> bool:
    if other.text not in groups:
        other.leave(f"{shown(other.text)} is no model of model_list")
        return False
    return True
