"""What the rules under `models` must agree on, with one another and with the providers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from gateway.config.cycles import find_cycles
from gateway.config.problem import Problem, child, did_you_mean, shown
from gateway.config.schema import Model

__all__ = ["check_models", "known_provider"]

KINDS = ("context_window", "content_policy")


def check_models(models: Mapping[str, Model], providers: Collection[str]) -> Iterator[Problem]:
    """Yield what is wrong with the rules of a configuration that has these providers."""
    for name, model in models.items():
        path = child("models", name)
        yield from known_provider(model.provider, child(path, "provider"), providers)
        yield from _targets(model, path) if model.targets else _single(model, path)
        yield from _strategy(model, path)
        for index, target in enumerate(model.targets):
            yield from known_provider(target.provider, child(path, "targets", index, "provider"), providers)
    yield from _fallbacks(models, providers)


def known_provider(name: str | None, path: str, providers: Collection[str]) -> Iterator[Problem]:
    """Refuse the name of a provider that does not exist."""
    if name is not None and name not in providers:
        yield Problem(path, f"{shown(name)} is not a provider {did_you_mean(name, providers)}")


def _single(model: Model, path: str) -> Iterator[Problem]:
    if model.provider is None:
        message = "is required (or `targets`, where there are several)"
        yield Problem(child(path, "provider"), message, reads=(child(path, "targets"),))


def _targets(model: Model, path: str) -> Iterator[Problem]:
    where = child(path, "targets")
    if model.provider is not None:
        message = "are given, and provider is too (leave one of them out)"
        yield Problem(where, message, reads=(child(path, "provider"),))
    if model.model is not None:
        yield Problem(child(path, "model"), "stands beside targets (give each of them a `model` of its own)")
    if not any(target.weight for target in model.targets):
        yield Problem(where, "have the weight 0, every one (give one of them more)")
    places: dict[tuple[str, str | None], int] = {}
    for index, target in enumerate(model.targets):
        first = places.setdefault((target.provider, target.model), index)
        if first != index:
            yield Problem(
                child(where, index),
                f"is the same as {child(where, first)} (leave it out, and give that one more weight)",
                reads=(child(where, first),),
            )


def _strategy(model: Model, path: str) -> Iterator[Problem]:
    """Refuse what is said about a choice that there is not."""
    reads = (child(path, "targets"), child(path, "strategy"))
    if model.strategy is not None and not model.targets:
        message = "chooses among targets, and there are none (leave it out, or use `targets`)"
        yield Problem(child(path, "strategy"), message, reads=reads)
    if model.session is not None and model.strategy != "session":
        message = f"is for strategy session, and strategy is {model.strategy or 'weighted'} (leave it out)"
        yield Problem(child(path, "session"), message, reads=reads)


def _fallbacks(models: Mapping[str, Model], providers: Collection[str]) -> Iterator[Problem]:
    references: dict[str, list[str]] = {}
    for name, model in models.items():
        references[name] = []
        for kind in KINDS:
            other: str | None = getattr(model.fallbacks, kind)
            if other is None:
                continue
            references[name].append(other)
            if not _leads_somewhere(other, models, providers):
                yield Problem(
                    child("models", name, "fallbacks", kind),
                    f"{shown(other)} is neither a name under models nor provider/model"
                    f" {did_you_mean(other, _names(models))}",
                )
    for cycle in find_cycles(references):
        rule = "names itself" if len(cycle) == 1 else "forms a cycle"
        yield Problem(
            child("models", cycle[0], "fallbacks"),
            f"{rule}: {' -> '.join([*cycle, cycle[0]])}"
            " (a chain of fallbacks must end in a model without one)",
        )


def _leads_somewhere(name: str, models: Mapping[str, Model], providers: Collection[str]) -> bool:
    # A pattern would do for a name that is spelt wrongly too.
    provider, slash, model = name.partition("/")
    return name in _names(models) or (bool(slash and model) and provider in providers)


def _names(models: Mapping[str, Model]) -> list[str]:
    return [name for name in models if "*" not in name]
