"""Providers out of a configuration: which are wrapped, who falls back to whom, what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from gateway.config import CircuitBreaker, Config, ConfigError, Provider, Secret
from gateway.providers import factory
from gateway.providers.factory import MockProvider
from gateway.providers.openai import OpenAIProvider
from gateway.providers.resilient import ResilientProvider, Routable
from gateway.resilience.plan import Policy


def mock(**settings: Any) -> Provider:
    return Provider(format="mock", **settings)


def build(**providers: Provider) -> dict[str, Routable]:
    return rebuild({}, **providers)


def rebuild(kept: dict[str, Routable], /, **providers: Provider) -> dict[str, Routable]:
    config = Config(providers=providers)
    return factory.build(config, lambda name, _: Policy(name, max_delay_s=1.0), "test.yaml", kept)


def names(provider: Routable) -> str:
    assert [policy.name for policy in provider.policies] == [one.name for one in provider.chain]
    return " -> ".join(one.name for one in provider.chain)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_retries": 0},
        {"max_retries": 2},
        {"circuit_breaker": CircuitBreaker()},
        {"circuit_breaker": CircuitBreaker(enabled=False)},
        {"fallback_provider": "b"},
    ],
    ids=repr,
)
def test_a_provider_with_resilience_is_wrapped(settings: dict[str, Any]) -> None:
    a = build(a=mock(**settings), b=mock())["a"]
    assert isinstance(a, ResilientProvider)
    assert a.policy.max_delay_s == 1.0  # the policy that was made for it
    assert a.chain[0].policy is not a.policy


def test_a_provider_without_any_is_not_wrapped() -> None:
    a = build(a=mock())["a"]
    assert isinstance(a, MockProvider)
    assert a.chain == (a,)
    [policy] = a.policies
    assert (policy.max_retries, policy.breaker, policy.cooldowns) == (0, None, None)


def test_the_policy_is_made_from_the_provider_s_settings() -> None:
    made: list[tuple[str, int]] = []

    def policy(name: str, settings: Provider) -> Policy:
        made.append((name, settings.retries))
        return Policy(name)

    config = Config(providers={"a": mock(max_retries=7), "b": mock(), "c": mock(fallback_provider="b")})
    factory.build(config, policy, "test.yaml")
    assert made == [("a", 7), ("c", 3)]


@pytest.mark.parametrize("order", ["".join(order) for order in itertools.permutations("abcd")])
def test_chains_are_resolved_in_any_order_of_the_file(order: str) -> None:
    fallbacks = {"a": "b", "b": "c", "c": None, "d": "b"}
    providers = build(**{name: mock(fallback_provider=fallbacks[name]) for name in order})
    assert {name: names(providers[name]) for name in "abcd"} == {
        "a": "a -> b -> c",
        "b": "b -> c",
        "c": "c",
        "d": "d -> b -> c",
    }
    assert list(providers) == list(order)
    # A fallback is the provider itself, with its own policy.
    assert providers["a"].chain[1] is providers["b"].chain[0]
    assert providers["a"].policies[1] is providers["b"].policies[0]


def test_each_format_has_its_class() -> None:
    providers = build(a=mock(), b=Provider(format="openai", base_url="http://host"))
    assert type(providers["a"].chain[0]) is MockProvider
    assert type(providers["b"].chain[0]) is OpenAIProvider
    assert [provider.format for provider in providers.values() if isinstance(provider, OpenAIProvider)] == [
        "mock",
        "openai",
    ]


def test_everything_that_cannot_be_built_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        build(
            **{"a.b": Provider(format="gemini", base_url="http://host/v1beta/openai")},
            b=mock(),
            c=Provider(
                format="openai",
                base_url="http://host",
                api_key=Secret("sk-0123456789"),
                headers={"authorization": Secret("Bearer other")},
            ),
        )
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [
        (
            'providers."a.b"',
            "base_url is that of the OpenAI-compatible API (use format: openai for it)",
        ),
        ("providers.c", "headers and api_key both set authorization (leave one of them out)"),
    ]
    assert "test.yaml" in str(caught.value)
    assert "sk-0123456789" not in str(caught.value)


def test_a_provider_whose_settings_have_not_changed_is_taken_over() -> None:
    before = build(a=mock(fallback_provider="b"), b=mock(), c=mock())
    after = rebuild(before, a=mock(fallback_provider="b"), b=mock(), c=mock())
    for name in "abc":
        assert after[name].chain[0] is before[name].chain[0]
        assert after[name].policies[0] is before[name].policies[0]
    assert names(after["a"]) == "a -> b"


def test_a_provider_that_is_taken_over_falls_back_to_the_new_one() -> None:
    before = build(a=mock(fallback_provider="b"), b=mock())
    after = rebuild({"a": before["a"]}, a=mock(fallback_provider="b"), b=mock(max_retries=1))
    assert after["a"].chain[0] is before["a"].chain[0]
    assert after["a"].chain[1] is after["b"].chain[0]
    assert after["a"].chain[1] is not before["b"].chain[0]
    assert names(before["a"]) == "a -> b"  # what is under way keeps what it began with


def test_reprs_tell_the_chain() -> None:
    providers = build(a=mock(fallback_provider="b"), b=mock())
    assert repr(providers["a"]) == "<ResilientProvider a -> b>"
    assert repr(providers["b"]) == "<MockProvider b>"
