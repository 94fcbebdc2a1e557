"""A configuration of ours while it is being made, and its YAML."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import yaml

from gateway.config.importers.foreign import Foreign, Note
from gateway.config.problem import shown
from gateway.config.secret import SensitiveValueError

__all__ = [
    "Draft",
    "Settings",
    "Target",
    "accepted",
    "escaped",
    "rule",
    "seconds",
    "standing_by",
    "text",
    "weighed",
]

MAX_WEIGHT = 1_000_000

Settings = dict[str, Any]
"""A block of our configuration: keys and values as YAML has them."""


class Target(dict[str, Any]):
    """One of several targets of a model; written on one line."""


class Draft:
    """The blocks of a configuration, in the order in which they are written."""

    def __init__(self) -> None:
        self.server: Settings = {}
        self.providers: dict[str, Settings] = {}
        self.models: dict[str, Settings] = {}
        self.prices: dict[str, Settings] = {}

    def provider(self, name: str, settings: Settings) -> str:
        """Add a provider, unless there is one with these settings; the result is the name it has."""
        for known, others in self.providers.items():
            if others == settings:
                return known
        number = 1 + sum(known.partition("-")[0] == name for known in self.providers)
        unique = name if number == 1 else f"{name}-{number}"
        self.providers[unique] = settings
        return unique

    def text(self, title: str, notes: Iterable[Note]) -> str:
        """The file, which begins with what the reader must know."""
        comments = [f"# {title}"]
        comments += [f"#   line {note.line}: {note.path}: {note.message}" for note in notes]
        blocks = {"server": self.server, "providers": self.providers, "models": self.models}
        blocks |= {"prices": self.prices}
        filled = {name: block for name, block in blocks.items() if block}
        return "\n".join([*comments, "", ""]) + yaml.dump(filled, Dumper=_Dumper, sort_keys=False, width=1000)


def rule(targets: list[Target], strategy: str | None) -> Settings:
    """The rule for a model with these targets: plain where there is but one; the same one twice is one."""
    merged: dict[tuple[str, str | None], Target] = {}
    for target in targets:
        place = (target["provider"], target.get("model"))
        if place in merged:
            target = _weighing(target, _weight(merged[place]) + _weight(target))
        merged[place] = target
    if len(merged) == 1:
        [only] = merged.values()
        return {name: value for name, value in only.items() if name != "weight"}
    return ({"strategy": strategy} if strategy else {}) | {"targets": list(merged.values())}


def weighed(targets: list[Target], weights: list[float]) -> list[Target]:
    """The targets with their weights, which are all the same where they would all be 0."""
    if not any(weights):
        weights = [1.0] * len(targets)
    return [_weighing(target, weight) for target, weight in zip(targets, weights, strict=True)]


def standing_by(target: Target) -> Target:
    """A target that is asked when no other is left."""
    return _weighing(target, 0.0)


def _weight(target: Target) -> float:
    return float(target.get("weight", 1.0))


def _weighing(target: Target, weight: float) -> Target:
    rest = {name: value for name, value in target.items() if name != "weight"}
    weight = min(weight, MAX_WEIGHT)
    return Target(rest if weight == 1 else {**rest, "weight": int(weight) if weight % 1 == 0 else weight})


def escaped(text: str) -> str:
    """A text of another file that is to stay as it is: what looks like a variable of ours is none."""
    return text.replace("${", "$${")


def accepted(value: Foreign, parse: Callable[[str], Any]) -> Any:
    """What `parse` makes of the text of `value`; None where there is none, or it refuses, which is noted.

    parse: raises ValueError as gateway/config/build.py describes.
    """
    if not value.text:
        return None
    try:
        return parse(value.text)
    except SensitiveValueError as error:
        value.leave(f"the value (not shown) {error}")
    except ValueError as error:
        value.leave(f"{shown(value.text)} {error}")
    return None


def text(value: Foreign, parse: Callable[[str], Any]) -> str:
    """The text of `value` as a text of ours; empty where there is none that `parse` accepts."""
    return "" if accepted(value, parse) is None else escaped(value.text)


def seconds(value: float) -> str:
    """A duration as our files have it."""
    return f"{value:.12g}s"


class _Dumper(yaml.SafeDumper):
    """Writes blocks, but targets on one line; indents lists; repeats what stands twice."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_target(dumper: yaml.SafeDumper, target: Target) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", target.items(), flow_style=True)


_Dumper.add_representer(Target, _represent_target)
