"""Defaults, and what is in effect when resilience is configured in part."""

from __future__ import annotations

import msgspec
import pytest

from gateway.config import CircuitBreaker, Config, Provider, Secret

BREAKER = CircuitBreaker()


@pytest.mark.parametrize(
    ("settings", "wrapped", "retries", "breaker"),
    [
        ({}, False, 0, None),
        ({"max_retries": 0}, True, 0, None),
        ({"max_retries": 5}, True, 5, None),
        ({"fallback_provider": "b"}, True, 3, BREAKER),
        ({"fallback_provider": "b", "max_retries": 0}, True, 0, BREAKER),
        ({"circuit_breaker": BREAKER}, True, 3, BREAKER),
        ({"circuit_breaker": CircuitBreaker(max_failures=2)}, True, 3, CircuitBreaker(max_failures=2)),
        ({"circuit_breaker": CircuitBreaker(enabled=False)}, True, 3, None),
        ({"circuit_breaker": CircuitBreaker(enabled=False), "fallback_provider": "b"}, True, 3, None),
    ],
)
def test_what_is_in_effect(
    settings: dict[str, object], wrapped: bool, retries: int, breaker: CircuitBreaker | None
) -> None:
    provider = msgspec.structs.replace(Provider(format="mock"), **settings)
    assert (provider.wrapped, provider.retries, provider.breaker) == (wrapped, retries, breaker)


def test_the_breaker_opens_after_five_failures_for_thirty_seconds_and_sends_one_probe() -> None:
    assert (BREAKER.max_failures, BREAKER.timeout, BREAKER.half_open_probes) == (5, 30.0, 1)


@pytest.mark.parametrize(
    ("provider", "responses", "messages"),
    [
        (Provider(format="openai"), True, False),
        (Provider(format="azure"), True, False),
        (Provider(format="mock"), True, False),
        (Provider(format="anthropic"), False, True),
        (Provider(format="gemini"), False, False),
        (Provider(format="openai", responses="chat", messages="native"), False, True),
        (Provider(format="openai", responses="native", messages="chat"), True, False),
    ],
)
def test_which_apis_a_provider_is_asked_on(provider: Provider, responses: bool, messages: bool) -> None:
    assert (provider.has_responses, provider.has_messages) == (responses, messages)


def test_keys_are_one_or_several() -> None:
    one, two = Secret("one"), Secret("two")
    assert Provider(format="mock").keys == ()
    assert Provider(format="mock", api_key=one).keys == (one,)
    assert Provider(format="mock", api_keys=(one, two)).keys == (one, two)


def test_a_configuration_is_frozen() -> None:
    config = Config(providers={"a": Provider(format="mock")})
    with pytest.raises(AttributeError):
        config.default_provider = "a"  # type: ignore[misc]


def test_no_two_configurations_share_their_tables() -> None:
    assert Config().providers is not Config().providers
    assert Provider(format="mock").headers is not Provider(format="mock").headers
