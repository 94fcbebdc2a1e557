"""The providers of a fleet, a client of the gateway before it, and what is seen inside the gateway."""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from harness import WAIT_S, Running, running

from gateway.providers.mock import MockRequest, MockServer
from gateway.providers.mock.connection import Header, find_header
from gateway.providers.mock.faults import Fault, parse
from gateway.providers.mock.script import Step
from gateway.resilience.breaker import CircuitBreaker, State
from gateway.resilience.outcome import Outcome
from gateway.routing.route import Route

CHAT = "/v1/chat/completions"
_NAMED = re.compile(rb'name="model"\r\n\r\n([^\r]*)\r\n|"model":\s?"([^"]*)"').search


class Member(MockServer):
    """A provider that notes which model it is asked for, and which key it is shown.

    `by_key` and `by_model` have a fault for each of them that has one; bytes in `by_model` are the answer.
    """

    def __init__(
        self,
        name: str,
        *,
        by_key: Mapping[str, str] | None = None,
        by_model: Mapping[str, str | bytes] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(name, **settings)
        self.by_key = dict(by_key or {})
        self.by_model = dict(by_model or {})

    @property
    def models(self) -> list[str]:
        """The models of all requests, in their order."""
        return [model_in(request.body) for request in self.requests]

    @property
    def keys(self) -> list[str]:
        """The keys of all requests, in their order."""
        return [_key(request.headers) for request in self.requests]

    def decide_fault(self, headers: Iterable[Header]) -> Fault:
        text = self.by_key.get(_key(headers))
        return parse(text) if text else super().decide_fault(headers)

    def perform(
        self, request: MockRequest, fault: Fault, *, keep_alive: bool, http_1_0: bool
    ) -> Iterator[Step]:
        said = self.by_model.get(model_in(request.body), b"")
        if isinstance(said, str):
            fault, said = parse(said), b""
        steps = super().perform(request, fault, keep_alive=keep_alive, http_1_0=http_1_0)
        return iter((said,)) if said else steps


def _key(headers: Iterable[Header]) -> str:
    return (find_header(headers, "authorization") or "").removeprefix("Bearer ")


def model_in(body: bytes) -> str:
    """The model that a body names, JSON or a form."""
    found = _NAMED(body)
    return "" if found is None else (found[1] or found[2] or b"").decode()


def response(status: int, body: bytes, *fields: str) -> bytes:
    """The bytes of an answer."""
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass(frozen=True)
class Answer:
    """What the gateway said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def provider(self) -> str:
        return self.headers["x-gateway-provider"]

    @property
    def attempts(self) -> int:
        return int(self.headers["x-gateway-attempts"])

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error


def chat(model: str = "m", *, stream: bool = False, **more: Any) -> bytes:
    """The body of a request for a chat."""
    said = [{"role": "user", "content": "hi"}]
    return json.dumps({"model": model, "messages": said, "stream": stream, **more}).encode()


def raw(body: bytes) -> bytes:
    """A request with that body, for a raw connection."""
    head = f"POST {CHAT} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class Asker:
    """A client with one connection to the gateway."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self, body: bytes | None = None, path: str = CHAT, fields: Mapping[str, str] | None = None
    ) -> Answer:
        headers = {"content-type": "application/json", **(fields or {})}
        self._connection.request("POST", path, chat() if body is None else body, headers)
        got = self._connection.getresponse()
        return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())


def ask(
    gateway: Running,
    body: bytes | None = None,
    path: str = CHAT,
    fields: Mapping[str, str] | None = None,
) -> Answer:
    """One request on a connection of its own: a chat with model `m`, unless it has another body."""
    with Asker(gateway.port) as asker:
        return asker.ask(body, path, fields)


# Inside.


@contextmanager
def fleet(config: str, **members: MockServer) -> Iterator[Running]:
    """A gateway over the members that by chance chooses the first of several targets."""
    with running(config, **members) as gateway:
        gateway.app._service.sample = lambda: 0.0
        yield gateway


def route_of(gateway: Running, model: str = "m") -> Route:
    """The route of a model."""
    route = gateway.app._service.router.route(model)
    assert route is not None
    return route


def inflight(gateway: Running, model: str = "m") -> list[int]:
    """The attempts under way at each target of a model, in the order of the file."""
    targets = route_of(gateway, model).targets
    return [target.inflight for target in targets if target is not None]


def breaker_of(gateway: Running, name: str) -> CircuitBreaker:
    """The breaker of a provider that has one."""
    breaker = gateway.app.providers[name].policies[0].breaker
    assert isinstance(breaker, CircuitBreaker)
    return breaker


def break_down(gateway: Running, name: str) -> None:
    """Let the circuit of a provider open."""
    breaker = breaker_of(gateway, name)
    now = time.monotonic()
    while breaker.state(now) is State.CLOSED:
        breaker.record(breaker.acquire(now), Outcome.FAILURE, now)


def has_all_permits(gateway: Running, name: str) -> bool:
    """The half-open circuit of a provider lets a probe through: no permit is lost."""
    breaker, now = breaker_of(gateway, name), time.monotonic()
    assert breaker.state(now) is State.HALF_OPEN
    permit = breaker.acquire(now)
    if permit:
        breaker.record(permit, Outcome.NEUTRAL, now)
    return permit != 0


def counted(gateway: Running, name: str) -> dict[str, float]:
    """The samples of a metric, by their labels without their order, such as `from=a,to=b`."""
    with urllib.request.urlopen(f"{gateway.url}/metrics", timeout=WAIT_S) as page:
        text = page.read().decode()
    found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
    return {",".join(sorted(labels.replace('"', "").split(","))): float(value) for labels, value in found}
