"""What the rules under `models` must agree on."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config import Config, Fallbacks, Model, Provider, Session, Target, check, loads

A, B = Target(provider="a"), Target(provider="b")


def found(**models: Model) -> dict[str, str]:
    """What is wrong with these rules, by path below `models`."""
    providers = {name: Provider(format="mock") for name in ("a", "b")}
    problems = check(Config(providers=providers, models={"ok": Model(provider="a"), **models}))
    return {problem.path.removeprefix("models."): problem.message for problem in problems}


def targets(*given: Target, **settings: Any) -> Model:
    return Model(targets=given, **settings)


@pytest.mark.parametrize(
    "rule",
    [
        targets(A),
        targets(A, B, strategy="weighted"),
        targets(A, Target(provider="a", model="x"), Target(provider="a", model="y")),
        targets(A, Target(provider="b", weight=0.0)),
        targets(A, B, strategy="session"),
        targets(A, B, strategy="session", session=Session(header="x-session-id")),
        Model(provider="a", fallbacks=Fallbacks(context_window="ok", content_policy="ok")),
        targets(A, B, fallbacks=Fallbacks(context_window="b/large/one")),
    ],
    ids=repr,
)
def test_rules_that_agree(rule: Model) -> None:
    assert found(m=rule) == {}


@pytest.mark.parametrize(
    ("rule", "path", "message"),
    [
        (Model(), "m.provider", "is required (or `targets`, where there are several)"),
        (
            targets(A, provider="b"),
            "m.targets",
            "are given, and provider is too (leave one of them out)",
        ),
        (targets(A, model="x"), "m.model", "stands beside targets (give each of them a `model` of its own)"),
        (
            targets(A, Target(provider="aa")),
            "m.targets[1].provider",
            '"aa" is not a provider (did you mean "a"?)',
        ),
        (
            targets(A, B, Target(provider="a", weight=2.0)),
            "m.targets[2]",
            "is the same as models.m.targets[0] (leave it out, and give that one more weight)",
        ),
        (
            targets(Target(provider="a", weight=0.0), Target(provider="b", weight=0.0)),
            "m.targets",
            "have the weight 0, every one (give one of them more)",
        ),
        (
            Model(provider="a", strategy="weighted"),
            "m.strategy",
            "chooses among targets, and there are none (leave it out, or use `targets`)",
        ),
        (
            targets(A, session=Session()),
            "m.session",
            "is for strategy session, and strategy is weighted (leave it out)",
        ),
        (
            targets(A, strategy="lowest_latency", session=Session()),
            "m.session",
            "is for strategy session, and strategy is lowest_latency (leave it out)",
        ),
        (
            Model(provider="a", fallbacks=Fallbacks(context_window="okk")),
            "m.fallbacks.context_window",
            '"okk" is neither a name under models nor provider/model (did you mean "ok"?)',
        ),
        (
            Model(provider="a", fallbacks=Fallbacks(content_policy="c/x")),
            "m.fallbacks.content_policy",
            '"c/x" is neither a name under models nor provider/model (use one of ok, m)',
        ),
        (
            Model(provider="a", fallbacks=Fallbacks(content_policy="a/")),
            "m.fallbacks.content_policy",
            '"a/" is neither a name under models nor provider/model',
        ),
        (
            Model(provider="a", fallbacks=Fallbacks(context_window="m")),
            "m.fallbacks",
            "names itself: m -> m (a chain of fallbacks must end in a model without one)",
        ),
    ],
    ids=repr,
)
def test_rules_that_do_not(rule: Model, path: str, message: str) -> None:
    problems = found(m=rule)
    assert list(problems) == [path]
    assert problems[path].startswith(message)


def test_a_pattern_is_no_fallback_and_nothing_that_only_fits_one_is() -> None:
    rule = Model(provider="a", fallbacks=Fallbacks(context_window="gpt-*", content_policy="gpt-4"))
    assert list(found(**{"gpt-*": Model(provider="a"), "m": rule})) == [
        "m.fallbacks.context_window",
        "m.fallbacks.content_policy",
    ]


def test_a_cycle_is_refused_over_both_kinds() -> None:
    problems = found(
        x=Model(provider="a", fallbacks=Fallbacks(context_window="y")),
        y=Model(provider="a", fallbacks=Fallbacks(context_window="ok", content_policy="z")),
        z=Model(provider="a", fallbacks=Fallbacks(content_policy="x", context_window="a/m")),
    )
    assert problems == {
        "x.fallbacks": "forms a cycle: x -> y -> z -> x"
        " (a chain of fallbacks must end in a model without one)"
    }


def test_the_place_of_a_problem_is_told(problems: Any) -> None:
    text = """
        providers: {a: {format: mock}, b: {format: mock}}
        models:
          m:
            targets: [{provider: a, weight: 2}, {provider: b, model: x}]
            strategy: session
            session: {header: X-Session}
            fallbacks: {context_window: large, content_policy: b/other}
          large: {provider: b}
    """
    assert problems(text) == {}
    model = loads(text, "test.yaml", {}).models["m"]
    assert model.targets == (Target(provider="a", weight=2.0), Target(provider="b", model="x"))
    assert (model.strategy, model.session) == ("session", Session(header="X-Session"))
    assert model.fallbacks == Fallbacks(context_window="large", content_policy="b/other")
    assert list(problems(text.replace("large,", "lage,").replace("b, model", "c, model"))) == [
        "models.m.targets[1].provider",
        "models.m.fallbacks.context_window",
    ]
