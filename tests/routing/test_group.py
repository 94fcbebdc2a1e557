"""A model with several targets: who is passed over, who is asked in turn and for what, and sessions."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Config, Fallbacks, Model, Provider, Session, Target
from gateway.config.schema import Strategy
from gateway.providers import factory
from gateway.resilience.breaker import CircuitBreaker
from gateway.resilience.outcome import Outcome
from gateway.resilience.plan import Policy
from gateway.resilience.retry import Cooldowns
from gateway.routing import group as group_module
from gateway.routing.group import Group
from gateway.routing.model_router import ModelRouter
from gateway.routing.route import Route

A, B, C = (Target(provider=name) for name in "abc")
NO_FALLBACKS: Mapping[str, str] = {}


class Scene:
    """The rule `pattern` over the providers a to f, each with a breaker that a failure opens for 10 s."""

    def __init__(
        self,
        *targets: Target,
        strategy: Strategy | None = None,
        session: Session | None = None,
        fallback_providers: Mapping[str, str] = NO_FALLBACKS,
        pattern: str = "m",
        fallbacks: Fallbacks | None = None,
    ) -> None:
        self.policies = {
            name: Policy(name, breaker=CircuitBreaker(1, 10.0), cooldowns=Cooldowns()) for name in "abcdef"
        }
        rule = Model(targets=targets, strategy=strategy, session=session, fallbacks=fallbacks or Fallbacks())
        config = Config(
            providers={
                name: Provider(format="mock", max_retries=0, fallback_provider=fallback_providers.get(name))
                for name in self.policies
            },
            models={pattern: rule, "large": Model(provider="f", model="f-large")},
        )
        providers = factory.build(config, lambda name, _: self.policies[name], "test")
        self.router = ModelRouter(config, providers)

    def break_down(self, name: str, now: float = 0.0) -> None:
        breaker = self.policies[name].breaker
        assert breaker is not None
        breaker.record(breaker.acquire(now), Outcome.FAILURE, now)

    def group(self, name: str = "m") -> Group:
        route = self.router.route(name)
        assert route is not None
        assert route.group is not None
        return route.group

    def choose(
        self, now: float = 0.0, sample: float = 0.0, session: bytes | None = None, name: str = "m"
    ) -> Route:
        return self.group(name).choose(now, sample, session)


def way(route: Route) -> str:
    """Who is asked for what, such as `a/m b/m`; a star behind those who are targets."""
    assert [policy.name for policy in route.policies] == [provider.name for provider in route.chain]
    return " ".join(
        f"{provider.name}/{model}{'*' if target else ''}"
        for provider, model, target in zip(route.chain, route.models, route.targets, strict=True)
    )


# Who is asked in turn.


@pytest.mark.parametrize(
    ("sample", "expected"), [(0.0, "a/m* b/x*"), (0.24, "a/m* b/x*"), (0.25, "b/x* a/m*"), (0.9, "b/x* a/m*")]
)
def test_the_others_are_asked_behind_the_chosen_one_each_for_its_model(sample: float, expected: str) -> None:
    scene = Scene(A, Target(provider="b", model="x", weight=3.0))
    route = scene.choose(sample=sample)
    assert way(route) == expected
    assert (route.model, route.renamed) == (route.models[0], route.models[0] != "m")
    assert (route.label, route.group) == ("m", None)


def test_then_come_the_fallbacks_of_all_each_once() -> None:
    scene = Scene(
        Target(provider="a", model="x"),
        Target(provider="b", model="y"),
        fallback_providers={"a": "c", "c": "d", "b": "d", "d": "e"},
    )
    assert way(scene.choose(sample=0.0)) == "a/x* b/y* c/x d/x e/x"
    assert way(scene.choose(sample=0.9)) == "b/y* a/x* d/y e/y c/x"


def test_a_fallback_that_is_a_target_is_asked_once_and_for_its_own_model() -> None:
    scene = Scene(
        Target(provider="a", model="x"), Target(provider="b", model="y"), fallback_providers={"a": "b"}
    )
    assert way(scene.choose(sample=0.0)) == "a/x* b/y*"
    scene.break_down("b")
    assert way(scene.choose(sample=0.9)) == "a/x* b/y*"  # as a fallback, which a breaker does not hold up


def test_two_models_of_one_provider() -> None:
    scene = Scene(
        Target(provider="a", model="x"), Target(provider="a", model="y"), fallback_providers={"a": "b"}
    )
    assert way(scene.choose(sample=0.9)) == "a/y* a/x* b/y"


def test_targets_tell_of_their_attempts() -> None:
    scene = Scene(A, B, strategy="least_inflight")
    first = scene.choose(sample=0.0)
    assert way(first) == "a/m* b/m*"
    target = first.targets[0]
    assert target is not None
    target.began()
    assert way(scene.choose(sample=0.0)) == "b/m* a/m*"
    target.ended(False, 1.0)
    assert way(scene.choose(sample=0.0)) == "a/m* b/m*"


# Who is passed over.


def test_a_target_whose_circuit_is_open_is_passed_over() -> None:
    scene = Scene(A, B, C)
    scene.break_down("a")
    assert {way(scene.choose(now=9.9, sample=sample / 100)) for sample in range(100)} == {
        "b/m* c/m*",
        "c/m* b/m*",
    }


def test_a_half_open_one_is_asked_while_it_has_a_permit() -> None:
    scene = Scene(A, B)
    scene.break_down("a")
    assert way(scene.choose(now=10.0)) == "a/m* b/m*"
    breaker = scene.policies["a"].breaker
    assert breaker is not None
    permit = breaker.acquire(10.0)
    assert way(scene.choose(now=10.0)) == "b/m*"
    breaker.record(permit, Outcome.SUCCESS, 10.5)
    assert way(scene.choose(now=10.5)) == "a/m* b/m*"


def test_one_that_asked_to_be_left_alone_with_the_model_is_passed_over() -> None:
    scene = Scene(Target(provider="a", model="x"), B)
    cooldowns = scene.policies["a"].cooldowns
    assert cooldowns is not None
    cooldowns.extend("y", 30.0, 0.0)
    assert way(scene.choose(now=1.0)) == "a/x* b/m*"
    cooldowns.extend("x", 5.0, 0.0)
    assert way(scene.choose(now=4.9)) == "b/m*"
    assert way(scene.choose(now=5.0)) == "a/x* b/m*"


@pytest.mark.parametrize(("sample", "expected"), [(0.0, "a/m* e/m"), (0.9, "b/m*")])
def test_where_all_are_passed_over_one_is_chosen_and_stands_alone(sample: float, expected: str) -> None:
    scene = Scene(A, B, fallback_providers={"a": "e"})
    scene.break_down("a")
    scene.break_down("b")
    assert way(scene.choose(sample=sample)) == expected


def test_one_of_weight_0_is_asked_when_no_other_is_left() -> None:
    scene = Scene(Target(provider="a", weight=0.0), B)
    assert way(scene.choose(sample=0.0)) == "b/m* a/m*"
    scene.break_down("b")
    assert way(scene.choose(sample=0.0)) == "a/m*"


@pytest.mark.parametrize("strategy", ["weighted", "least_inflight", "lowest_latency", "session"])
@given(broken=st.sets(st.sampled_from("abc")), seed=st.integers())
def test_nobody_who_is_open_is_chosen_unless_all_are(strategy: Strategy, broken: set[str], seed: int) -> None:
    scene = Scene(A, B, C, strategy=strategy)
    for name in broken:
        scene.break_down(name)
    draw = random.Random(seed).random
    chosen = {scene.choose(sample=draw(), session=b"%d" % key).chain[0].name for key in range(150)}
    assert chosen == (set("abc") - broken or set("abc"))


def test_sessions_of_one_that_is_open_go_elsewhere_and_come_back() -> None:
    scene = Scene(A, B, C, strategy="session")
    keys = [b"%d" % number for number in range(200)]
    before = {key: scene.choose(session=key).chain[0].name for key in keys}
    scene.break_down("b")
    during = {key: scene.choose(session=key).chain[0].name for key in keys}
    assert {key for key in keys if during[key] != before[key]} == {key for key in keys if before[key] == "b"}
    assert {key: scene.choose(now=10.0, session=key).chain[0].name for key in keys} == before


# Names that fit a pattern.


def test_names_of_a_pattern_share_what_is_known_of_the_targets() -> None:
    scene = Scene(A, Target(provider="b", model="y"), strategy="least_inflight", pattern="x-*")
    first = scene.choose(name="x-1")
    assert way(first) == "a/x-1* b/y*"
    assert (first.label, first.renamed) == ("x-*", False)
    assert first.targets[0] is not None
    first.targets[0].began()
    second = scene.choose(name="x-2")
    assert way(second) == "b/y* a/x-2*"
    assert second.renamed


# The route before the choice.


def test_the_route_of_a_group_lists_its_targets() -> None:
    scene = Scene(A, Target(provider="b", model="y"), fallback_providers={"b": "c"})
    route = scene.router.route("m")
    assert route is not None
    assert way(route) == "a/m* b/y* c/y"
    assert route.leads_to("a", "m")
    assert route.leads_to("b", "y")
    assert not route.leads_to("b", "m")
    assert not route.leads_to("c", "y")
    assert repr(route.group) == (
        "<Group 'm' of <Targets weighted (<Target a None weight=1 inflight=0>,"
        " <Target b 'y' weight=1 inflight=0>)>>"
    )


def test_what_is_remembered_of_orders_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_module, "MAX_LINEUPS", 2)
    scene = Scene(A, B, C)
    chance = random.Random(1)
    ways = Counter(way(scene.choose(sample=chance.random())) for _ in range(200))
    assert len(ways) == 6


# Another model for what was refused.


def test_fallbacks_are_routes_of_their_own() -> None:
    scene = Scene(A, B, fallbacks=Fallbacks(context_window="large", content_policy="c/free"))
    for route in (scene.choose(), scene.router.route("m")):
        assert route is not None
        assert {kind: way(other) for kind, other in route.fallbacks.items()} == {
            "context_window": "f/f-large",
            "content_policy": "c/free",
        }
        assert route.fallbacks["context_window"] is scene.router.route("large")
        assert route.fallbacks["content_policy"].label == "other"
    large = scene.router.route("large")
    assert large is not None
    assert large.fallbacks == {}


def test_a_pattern_has_no_say_in_what_a_fallback_means() -> None:
    scene = Scene(A, B, pattern="*", fallbacks=Fallbacks(context_window="c/free"))
    assert way(scene.choose(name="any").fallbacks["context_window"]) == "c/free"


# Sessions.


FIELDS = [b"Accept", b": ", b"*/*", b"\r\n", b"X-Session-ID", b": ", b"s1", b"\r\n"]


def never() -> bytes | None:
    raise AssertionError("the body is read only where that is asked for")


def test_the_session_is_in_a_field_or_else_in_the_body() -> None:
    group = Scene(A, B, strategy="session", session=Session(header="x-session-id")).group()
    assert group.session(FIELDS, never) == b"s1"
    assert group.session(FIELDS[:4], lambda: b'"me"') == b'"me"'
    assert group.session([], lambda: None) is None
    by_user = Scene(A, B, strategy="session").group()
    assert by_user.session(FIELDS, lambda: b'"me"') == b'"me"'


@pytest.mark.parametrize("user", [b"null", b'""', None])
def test_a_user_who_is_nobody_names_no_session(user: bytes | None) -> None:
    assert Scene(A, B, strategy="session").group().session(FIELDS, lambda: user) is None


@pytest.mark.parametrize("strategy", ["weighted", "least_inflight", "lowest_latency", None])
def test_other_strategies_want_no_session(strategy: Strategy | None) -> None:
    assert Scene(A, B, strategy=strategy).group().session(FIELDS, never) is None
