"""Which provider a model name leads to, under which name, and how metrics call it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import Config, Model, Provider
from gateway.providers import factory
from gateway.resilience.plan import Policy
from gateway.routing.model_router import (
    MAX_REMEMBERED,
    MAX_REMEMBERED_NAME,
    ModelRouter,
    Route,
    model_not_found,
)

Rules = dict[str, str | tuple[str, str]]


def router(models: Rules, providers: str = "ab", default: str | None = None) -> ModelRouter:
    """A router whose `models` lead to a provider, or to a provider and the name that it knows there."""
    rules = {
        name: Model(provider=target)
        if isinstance(target, str)
        else Model(provider=target[0], model=target[1])
        for name, target in models.items()
    }
    config = Config(
        providers={name: Provider(format="mock") for name in providers},
        models=rules,
        default_provider=default,
    )
    return ModelRouter(config, factory.build(config, lambda name, _: Policy(name), "test"))


def where(route: Route | None) -> tuple[str, str] | None:
    return None if route is None else (route.chain[0].name, route.model)


# Precedence.


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-4o", ("a", "gpt-4o")),  # exact
        ("gpt-4o-mini", ("b", "gpt-4o-mini")),  # gpt-4o-*: more literal characters than gpt-* and *-mini
        ("o1-mini", ("a", "o1-mini")),  # *-mini
        ("gpt-5", ("a", "gpt-5")),  # gpt-*
        ("gpt-5-mini", ("a", "gpt-5-mini")),  # *-mini has more than gpt-*
        ("b/llama", ("b", "llama")),  # provider/model
        ("b/gpt-4o", ("b", "gpt-4o")),
        ("gpt-4o/b", ("a", "gpt-4o/b")),  # a pattern comes before provider/model
        ("b/meta/llama", ("b", "meta/llama")),
        ("c/llama", ("b", "c/llama")),  # no such provider: the default
        ("b/", ("b", "b/")),
        ("/b", ("b", "/b")),
        ("llama", ("b", "llama")),  # default
        ("", ("b", "")),
        ("GPT-4O", ("b", "GPT-4O")),  # names are case-sensitive
    ],
)
def test_precedence(name: str, expected: tuple[str, str]) -> None:
    rules: Rules = {
        "gpt-*": "a",
        "*-mini": "a",
        "gpt-4o-*": "b",
        "gpt-4o": "a",
    }
    assert where(router(rules, default="b").route(name)) == expected


@pytest.mark.parametrize(("first", "second"), [("x-*", "*-y"), ("*-y", "x-*")])
def test_of_two_patterns_as_specific_the_first_in_the_file_holds(first: str, second: str) -> None:
    assert where(router({first: "a", second: "b"}).route("x-y")) == ("a", "x-y")


def test_a_pattern_that_fits_everything_leaves_nothing_to_provider_and_model() -> None:
    assert where(router({"*": "a"}).route("b/llama")) == ("a", "b/llama")


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("*", ["", "x", "a/b", "two\nlines"], []),
        ("gpt-*", ["gpt-", "gpt-4"], ["gpt", "xgpt-4"]),
        ("*-mini", ["-mini", "o1-mini"], ["mini", "o1-mini-"]),
        ("a*c", ["ac", "abc", "acc"], ["a", "ab", "acb"]),
        ("a*b*c", ["abc", "abcbc", "a-b-b-c"], ["acb", "ab", "bc"]),
        ("a**c", ["ac", "abc"], ["ab"]),
        ("*b*", ["b", "abc"], ["", "ac"]),
        ("ab*ba", ["abba", "ab-ba"], ["aba"]),
        ("a.c*", ["a.c"], ["abc"]),  # nothing but the star is special
        ("[ab]*", ["[ab]x"], ["ax"]),
        ("*ä*", ["xäx"], ["xax"]),
    ],
)
def test_what_a_star_stands_for(pattern: str, fits: list[str], fits_not: list[str]) -> None:
    rules = router({pattern: "a"})
    assert [name for name in fits + fits_not if rules.route(name) is not None] == fits


def fits_by_definition(pattern: str, name: str) -> bool:
    """A star stands for any text: the definition, tried out."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(fits_by_definition(pattern[1:], name[cut:]) for cut in range(len(name) + 1))
    return name[:1] == pattern[0] and fits_by_definition(pattern[1:], name[1:])


@settings(deadline=None)
@given(pattern=st.text("ab*", max_size=7).filter(lambda text: "*" in text), name=st.text("ab", max_size=9))
def test_patterns_fit_by_their_definition(pattern: str, name: str) -> None:
    route = router({pattern: "a"}).route(name)
    assert (route is not None) == fits_by_definition(pattern, name)


def test_a_name_made_to_be_slow_is_not() -> None:
    rules = router({"a*b*c*d*e": "a"})
    began = time.process_time()
    assert rules.route("a" + "bcd" * 300_000) is None
    assert time.process_time() - began < 1.0  # to try every place would take days


# Defaults.


def test_without_models_every_name_goes_to_the_first_provider() -> None:
    assert where(router({}).route("anything")) == ("a", "anything")
    assert where(router({}, "ba").route("anything")) == ("b", "anything")


def test_without_models_every_name_goes_to_the_default_provider() -> None:
    assert where(router({}, default="b").route("anything")) == ("b", "anything")


def test_without_models_a_provider_may_still_be_named() -> None:
    assert where(router({}).route("b/llama")) == ("b", "llama")


def test_with_models_and_no_default_a_name_that_fits_no_rule_leads_nowhere() -> None:
    rules = router({"known": "a"})
    assert rules.route("unknown") is None
    assert rules.route("unknown") is None  # nor the second time
    assert where(rules.route("known")) == ("a", "known")
    assert where(rules.route("b/unknown")) == ("b", "unknown")


@pytest.mark.parametrize(("default", "expected"), [(None, "a"), ("b", "b")])
@pytest.mark.parametrize("models", [{}, {"known": "b"}])
def test_a_request_that_names_no_model_goes_to_the_default(
    models: Rules, default: str | None, expected: str
) -> None:
    route = router(models, default=default).nameless()
    assert where(route) == (expected, "")
    assert not route.renamed
    assert route.label == "other"


# Renaming and labels.


@pytest.mark.parametrize(
    ("name", "expected", "renamed"),
    [
        ("fast", ("b", "llama-3.1-8b"), True),
        ("same", ("b", "same"), False),
        ("plain", ("a", "plain"), False),
        ("big-1", ("a", "llama-70b"), True),
        ("b/x", ("b", "x"), True),
        ("other", ("a", "other"), False),
    ],
)
def test_the_name_that_the_provider_knows(name: str, expected: tuple[str, str], renamed: bool) -> None:
    rules: Rules = {
        "fast": ("b", "llama-3.1-8b"),
        "same": ("b", "same"),
        "plain": "a",
        "big-*": ("a", "llama-70b"),
    }
    route = router(rules, default="a").route(name)
    assert route is not None
    assert where(route) == expected
    assert route.renamed == renamed


@pytest.mark.parametrize(
    ("name", "label"),
    [("fast", "fast"), ("big-1", "big-*"), ("big-2", "big-*"), ("b/secret", "other"), ("anything", "other")],
)
def test_labels_are_what_is_configured(name: str, label: str) -> None:
    route = router({"fast": "a", "big-*": "a"}, default="a").route(name)
    assert route is not None
    assert route.label == label


@settings(deadline=None)
@given(st.text(max_size=20))
def test_no_name_makes_a_label_of_its_own(name: str) -> None:
    route = router({"fast": "a", "*b*": "a"}, default="b").route(name)
    assert route is not None
    assert route.label in {"fast", "*b*", "other"}


def test_a_route_has_the_whole_chain() -> None:
    config = Config(
        providers={"a": Provider(format="mock", fallback_provider="b"), "b": Provider(format="mock")}
    )
    rules = ModelRouter(config, factory.build(config, lambda name, _: Policy(name), "test"))
    route = rules.route("m")
    assert route is not None
    assert [provider.name for provider in route.chain] == ["a", "b"]
    assert [policy.name for policy in route.policies] == ["a", "b"]
    assert [provider.name for provider in rules.providers] == ["a", "b"]


# Names come from clients.


def test_what_is_remembered_of_names_is_bounded() -> None:
    rules = router({"*": "a"})
    first = rules.route("m")
    assert rules.route("m") is first
    for number in range(MAX_REMEMBERED):
        rules.route(f"m{number}")
    again = rules.route("m")
    assert again is not first
    assert where(again) == ("a", "m")


def test_a_long_name_is_routed_and_forgotten() -> None:
    rules = router({"*": "a"})
    for name, remembered in (("m" * MAX_REMEMBERED_NAME, True), ("m" * (MAX_REMEMBERED_NAME + 1), False)):
        assert (rules.route(name) is rules.route(name)) == remembered
        assert where(rules.route(name)) == ("a", name)


def test_ten_thousand_names_and_patterns() -> None:
    models: Rules = {f"model-{number}": "a" for number in range(10_000)}
    models |= {f"pattern-{number}-*": ("b", f"known-{number}") for number in range(100)}
    rules = router(models)
    assert rules.names == [f"model-{number}" for number in range(10_000)]
    assert where(rules.route("model-9999")) == ("a", "model-9999")
    assert where(rules.route("pattern-99-x")) == ("b", "known-99")
    assert rules.route("model-10000") is None
    assert repr(rules) == "<ModelRouter 10000 names, 100 patterns>"


def test_a_name_that_leads_nowhere_is_told_in_the_api_s_own_error() -> None:
    error = model_not_found("gpt-9")
    assert error.status == 404
    assert error.object() == {
        "message": "The model 'gpt-9' does not exist here (no rule under `models` fits it).",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
    assert len(model_not_found("m" * 1_000_000).message) < 300


def test_a_route_tells_where_it_leads() -> None:
    assert repr(router({"fast": ("b", "llama")}).route("fast")) == "<Route fast -> b 'llama'>"
