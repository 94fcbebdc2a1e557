"""The list of models: what is configured, what providers list, and under which name each can be reached."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from heads import head

from gateway.config import CircuitBreaker as BreakerSettings
from gateway.config import Config, Model, Provider, Target
from gateway.errors import ConnectError, Fault, GatewayError
from gateway.providers import factory
from gateway.proxy import models
from gateway.proxy.models import ANSWER_S, FRESH_S, MAX_LIST, ModelList
from gateway.resilience.breaker import CircuitBreaker
from gateway.resilience.outcome import Outcome
from gateway.resilience.plan import Policy
from gateway.routing.model_router import ModelRouter


class Client:
    """A client that remembers its answer."""

    def __init__(self) -> None:
        self.status = 0
        self.fields = b""
        self.body = b""
        self._answered = asyncio.Event()

    def respond(self, status: int, fields: list[bytes], body: bytes, length: int | None = None) -> None:
        assert not self.status, "a request is answered once"
        self.status, self.fields, self.body = status, b"".join(fields), body
        self._answered.set()

    def refuse(self, error: GatewayError, fields: list[bytes]) -> None:
        self.respond(error.status, fields, error.body())

    async def answered(self) -> None:
        await asyncio.wait_for(self._answered.wait(), 5.0)

    @property
    def answer(self) -> Any:
        return json.loads(self.body)

    def ids(self) -> list[str]:
        """The names in a list."""
        assert self.answer["object"] == "list"
        return [model["id"] for model in self.answer["data"]]

    def date_field(self) -> tuple[bytes, ...]:
        return (b"date", b": ", b"today", b"\r\n")

    start = write = end = cut = None  # an answer is written whole


class Upstream:
    """The pool of one provider, and its only connection; `answer` is a body, a status or what goes wrong.

    A body comes in two reads; of one with `divide_at` only the first one comes.
    """

    reused = received = False

    def __init__(self, answer: object = None) -> None:
        self.answer: Any = answer
        self.heads: list[bytes] = []
        self.limits: dict[str, Any] = {}
        self.divide_at = 0
        self.cancelled = 0
        self.abandoned = 0

    def acquire(self, user: Any, *, fresh: bool = False) -> Upstream | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is Fault.CONNECT:
            asyncio.get_running_loop().call_soon(user.on_not_connected, Fault.CONNECT, "refused")
            return None
        if self.answer == "later":
            self.answer = listing("late")
            asyncio.get_running_loop().call_soon(user.on_connected, self)
            return None
        return self

    def cancel(self, user: Any) -> None:
        self.cancelled += 1

    def send(self, user: Any, head_: bytes, body: bytes, **limits: Any) -> None:
        self.heads.append(head_)
        self.limits = limits
        assert body == b""
        if self.answer == "silence":
            return
        if isinstance(self.answer, Fault):
            user.on_failure(self.answer, "it failed")
        elif isinstance(self.answer, int):
            user.on_head(head(self.answer))
            user.on_body(b"{}", True)
        else:
            user.on_head(head(200))
            at = self.divide_at or len(self.answer) // 2
            user.on_body(self.answer[:at], False)
            if not self.divide_at:
                user.on_body(self.answer[at:], True)

    def abandon(self) -> None:
        self.abandoned += 1

    commit = pause = resume = None


def listing(*names: str, **members: Any) -> bytes:
    return json.dumps({"object": "list", "data": [{"id": name, **members} for name in names]}).encode()


class Scene:
    """Providers `a` and `b` with what they list, under some routing rules."""

    def __init__(
        self,
        rules: Mapping[str, str | tuple[str, str] | Model] = {},
        default: str | None = None,
        policies: Mapping[str, Policy] = {},
        **answers: object,
    ) -> None:
        self.now = 1000.0
        self.upstreams = {name: Upstream(answers.get(name, listing())) for name in ("a", "b")}
        config = Config(
            providers={
                name: Provider(format="mock", circuit_breaker=BreakerSettings()) for name in self.upstreams
            },
            models={
                name: rule
                if isinstance(rule, Model)
                else Model(provider=rule)
                if isinstance(rule, str)
                else Model(provider=rule[0], model=rule[1])
                for name, rule in rules.items()
            },
            default_provider=default,
        )
        providers = factory.build(config, lambda name, _: policies.get(name, Policy(name)), "test")
        self.list = ModelList(ModelRouter(config, providers), self.upstreams, lambda: self.now)  # type: ignore[arg-type]

    def ask(self, name: bytes = b"") -> Client:
        """Ask once, in an event loop of its own."""
        [client] = self.ask_at_once(name)
        return client

    def ask_at_once(self, *names: bytes) -> list[Client]:
        """Ask for each name at the same time."""

        async def ask() -> list[Client]:
            clients = [Client() for _ in names]
            for client, name in zip(clients, names, strict=True):
                self.answer(client, name)
            for client in clients:
                await client.answered()
            # Whom nobody waits for is asked all the same.
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)
            return clients

        return asyncio.run(ask())

    def answer(self, client: Client, name: bytes = b"") -> Any:
        return self.list.answer(name, client, lambda: b"x-request-id: req_1\r\n")  # type: ignore[arg-type]

    def names(self) -> list[str]:
        return self.ask().ids()

    def times_asked(self) -> dict[str, int]:
        return {name: len(upstream.heads) for name, upstream in self.upstreams.items()}


# What is listed, and under which name.


def test_what_is_configured_is_listed_without_any_provider() -> None:
    scene = Scene({"fast": ("b", "llama"), "gpt-4o": "a", "gpt-*": "a"}, a=Fault.CONNECT, b=Fault.CONNECT)
    assert scene.ask().answer["data"] == [
        {"id": "fast", "object": "model", "created": 0, "owned_by": "b"},
        {"id": "gpt-4o", "object": "model", "created": 0, "owned_by": "a"},
    ]


def test_what_providers_list_stands_under_the_name_that_reaches_it() -> None:
    scene = Scene(a=listing("m", "n"), b=listing("m", "o"))  # every name goes to the first provider
    assert scene.names() == ["m", "n", "b/m", "b/o"]
    assert scene.ask(b"/b/o").answer == {"id": "b/o", "object": "model", "created": 0, "owned_by": "b"}


def test_a_model_that_is_routed_elsewhere_is_listed_with_its_provider() -> None:
    scene = Scene({"m": "b", "x-*": "b"}, default="a", a=listing("m", "x-1", "y"), b=listing("m", "x-1"))
    assert scene.names() == ["m", "a/m", "a/x-1", "y", "x-1"]


def test_a_model_that_no_name_leads_to_is_left_out() -> None:
    scene = Scene({"*": "a"}, a=listing("m"), b=listing("o"))  # "b/o" would be a model of a
    assert scene.names() == ["m"]


def test_a_model_behind_a_rule_that_renames_is_listed_with_its_provider() -> None:
    scene = Scene({"m": ("a", "other")}, a=listing("m", "other"))
    assert scene.names() == ["m", "a/m", "a/other"]


def test_a_model_with_several_targets_is_that_of_each_of_them() -> None:
    several = Model(targets=(Target(provider="a"), Target(provider="b", model="o-2")))
    scene = Scene({"m": several, "x-*": several}, a=listing("m", "x-1", "y"), b=listing("m", "o-2", "x-2"))
    assert scene.names() == ["m", "x-1", "a/y", "b/m", "b/o-2", "b/x-2"]
    assert scene.ask(b"/x-3").answer["owned_by"] == "a"


def test_a_model_that_is_configured_and_listed_stands_once() -> None:
    assert Scene({"m": "a"}, a=listing("m", "m")).names() == ["m"]


def test_the_members_of_a_provider_s_model_are_kept_as_they_came() -> None:
    body = b'{"data": [{"id": "m", "created": 12345678901234567890123, "x": {"y": [1.0, 1e400]}}]}'
    sent = Scene(a=body).ask().body
    assert b'"created":12345678901234567890123,' in sent
    assert b'"x":{"y": [1.0, 1e400]}' in sent
    assert b'"owned_by":"a"' in sent


# One model.


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/fast", "fast"),
        (b"/m", "m"),
        (b"/b/o", "b/o"),
        (b"/b%2Fo", "b/o"),
        (b"/gr%C3%B6%C3%9Fe", "größe"),
        (b"/", None),
        (b"", None),
    ],
)
def test_one_model_is_found_by_its_name(path: bytes, found: str | None) -> None:
    scene = Scene({"fast": "b"}, default="a", a=listing("m", "größe"), b=listing("o"))
    client = scene.ask(path)
    assert client.status == 200
    assert client.answer["object"] == ("list" if found is None else "model")
    assert client.answer.get("id") == found


@pytest.mark.parametrize("path", [b"/unknown", b"/o", b"/a/m", b"/%FF", b"/m/"])
def test_an_unknown_model_is_404(path: bytes) -> None:
    client = Scene(a=listing("m"), b=listing("o")).ask(path)
    assert client.status == 404
    assert client.answer["error"]["code"] == "model_not_found"
    assert client.fields == b"x-request-id: req_1\r\n"


def test_the_answer_has_the_fields_of_every_answer() -> None:
    assert Scene().ask().fields == (
        b"x-request-id: req_1\r\ncontent-type: application/json\r\ndate: today\r\n"
    )


# When providers are asked.


def test_a_list_is_asked_for_once_in_a_while() -> None:
    scene = Scene(a=listing("m"))
    assert scene.names() == ["m"]
    scene.upstreams["a"].answer = listing("n")
    scene.now += FRESH_S - 0.001
    assert scene.names() == ["m"]
    assert scene.times_asked() == {"a": 1, "b": 1}
    scene.now += 0.001
    assert scene.names() == ["m"]  # nobody waits for the new one
    assert scene.times_asked() == {"a": 2, "b": 2}
    assert scene.names() == ["n"]
    assert scene.times_asked() == {"a": 2, "b": 2}


def test_only_the_first_clients_wait_for_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "ANSWER_S", 0.01)
    scene = Scene(a="silence", b=listing("o"))
    assert scene.names() == ["b/o"]
    monkeypatch.setattr(models, "ANSWER_S", 60.0)
    scene.now += FRESH_S

    async def ask() -> Client:
        client = Client()
        scene.answer(client)
        await client.answered()
        assert len(asyncio.all_tasks()) == 2  # this one, and the question that goes on without the client
        return client

    assert asyncio.run(ask()).ids() == ["b/o"]
    assert scene.times_asked() == {"a": 2, "b": 2}


def test_many_clients_at_once_share_one_question() -> None:
    scene = Scene(a="later")
    assert [client.ids() for client in scene.ask_at_once(b"", b"", b"")] == [["late"]] * 3
    assert scene.times_asked() == {"a": 1, "b": 1}


def test_the_question_is_a_plain_get_of_the_provider() -> None:
    scene = Scene()
    scene.ask()
    [asked] = scene.upstreams["a"].heads
    assert asked == (
        b"GET /v1/models HTTP/1.1\r\nhost: mock\r\naccept: application/json\r\nvia: 1.1 gateway\r\n\r\n"
    )
    limit_s = scene.now + ANSWER_S
    assert scene.upstreams["a"].limits == {"bodiless": False, "deadline_s": limit_s, "limit_s": limit_s}


def test_a_provider_whose_circuit_is_open_is_left_alone() -> None:
    breaker = CircuitBreaker(1)
    breaker.record(breaker.acquire(1000.0), Outcome.FAILURE, 1000.0)
    scene = Scene(policies={"a": Policy("a", breaker=breaker)}, a=listing("m"), b=listing("o"))
    assert scene.names() == ["b/o"]
    assert scene.times_asked() == {"a": 0, "b": 1}


@pytest.mark.parametrize(
    "answer",
    [
        500,
        404,
        Fault.CONNECT,
        Fault.RESET,
        ConnectError(Fault.SATURATED, "full"),
        b"",
        b"not JSON",
        b"[]",
        b'{"data": null}',
        b'{"data": [{"name": "no id"}]}',
        b'{"data": [{"id": 1}]}',
        b'{"data": ["m"]}',
        b'{"data": [{"id": "\xff"}]}',
        b"[" * 100_000,
    ],
    ids=lambda answer: repr(answer)[:40],
)
def test_a_provider_that_gives_no_list_keeps_its_last_one(answer: object) -> None:
    scene = Scene(a=listing("m"), b=listing("o"))
    assert scene.names() == ["m", "b/o"]
    scene.upstreams["a"].answer = answer
    scene.now += FRESH_S
    assert scene.names() == ["m", "b/o"]
    assert Scene(a=answer).names() == []


def test_a_provider_that_does_not_answer_holds_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "ANSWER_S", 0.01)
    scene = Scene(a="silence", b=listing("o"))
    assert scene.names() == ["b/o"]
    assert scene.upstreams["a"].abandoned == 1
    assert scene.upstreams["a"].cancelled == 1  # it might still have waited for a connection


def test_a_list_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "ANSWER_S", 60.0)
    assert MAX_LIST == 4 << 20
    blanks = b" " * (MAX_LIST - len(listing("m")))
    assert Scene(a=listing("m") + blanks).names() == ["m"]
    endless = Scene(a=listing("m") + 2 * blanks)
    endless.upstreams["a"].divide_at = MAX_LIST + 1
    assert endless.names() == []
    assert endless.upstreams["a"].abandoned == 1


# What must not go wrong.


def test_a_defect_in_a_list_is_answered_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(a=listing("m"))
    monkeypatch.setattr(scene.list._router, "route", lambda name: 1 // 0)
    client = scene.ask()
    assert (client.status, client.answer["error"]["code"]) == (500, "internal_error")
    assert client.fields == b"x-request-id: req_1\r\n"
    [record] = caplog.records
    assert (record.message, record.levelname, record.where) == ("internal_error", "ERROR", "GET /v1/models")  # type: ignore[attr-defined]
    assert record.exc_info is not None


def test_a_defect_in_a_question_is_logged_and_the_others_answer(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(a=ZeroDivisionError(), b=listing("o"))
    assert scene.names() == ["b/o"]
    [record] = caplog.records
    assert (record.message, record.provider) == ("internal_error", "a")  # type: ignore[attr-defined]


def test_a_client_that_leaves_does_not_take_the_list_from_the_others() -> None:
    scene = Scene(a="later")

    async def ask() -> tuple[Client, Client]:
        leaving, staying = Client(), Client()
        answering = scene.answer(leaving)
        scene.answer(staying)
        answering.pause()
        answering.resume()
        await asyncio.sleep(0)
        answering.gone()
        await staying.answered()
        return leaving, staying

    leaving, staying = asyncio.run(ask())
    assert leaving.status == 0
    assert staying.ids() == ["late"]
