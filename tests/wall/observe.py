"""Runs one row of the wall: a real gateway over real sockets, and what was seen of one request."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dead_ends
from harness import Running, running

from gateway.providers.mock import MockServer
from gateway.providers.mock.connection import MockRequest
from gateway.providers.mock.faults import Fault
from gateway.providers.mock.script import Step

from .client import Answer, ask
from .gateways import count_failures, pool_of
from .rows import ALONE, FAILURES_BEFORE, OPENING, RETRIES, Row, View

REPLY = "one two three"
KEY = "sk-the-gateways-own-key"
MAX_FAILURES = FAILURES_BEFORE + RETRIES + 1
CONFIG = """
providers:
  a:
    format: openai
    base_url: "ADDRESS"
    api_key: KEY
    max_retries: RETRIES
    retry: {base_delay: 1ms, max_delay: 1s}
    timeouts: {connect: CONNECT, first_byte: SILENCE, idle: SILENCE, total: 5s}
    circuit_breaker: {max_failures: MAX_FAILURES}FALLBACK
  b: {format: openai, base_url: "{b}", circuit_breaker: {max_failures: 1}}
"""

MAY_DIFFER = {
    *("connection", "transfer-encoding", "content-length", "date"),
    *("x-request-id", "openai-processing-ms"),
}
"""Header fields that are not end-to-end, or differ between two answers."""


DEAD_ENDS = {"{full}": dead_ends.full_backlog, "{mute}": dead_ends.mute, "{plain}": dead_ends.plain_text}


class Raw(MockServer):
    """A provider that answers every request with the same steps."""

    def __init__(self, name: str, steps: tuple[Step, ...]) -> None:
        super().__init__(name)
        self._steps = steps

    def perform(
        self, request: MockRequest, fault: Fault, *, keep_alive: bool, http_1_0: bool
    ) -> Iterator[Step]:
        super().perform(request, fault, keep_alive=keep_alive, http_1_0=http_1_0)
        return iter(self._steps)


@contextmanager
def address_of(row: Row) -> Iterator[str]:
    """The address of provider `a` for a row, as long as that holds."""
    dead_end = next((make for name, make in DEAD_ENDS.items() if name in row.address), None)
    if dead_end is None:
        yield row.address
        return
    with dead_end() as port:
        yield f"{row.address.partition('{')[0]}127.0.0.1:{port}"


def config_of(row: Row, setting: str, address: str) -> str:
    """The configuration for a row in a setting, with provider `a` at an address."""
    opening = setting == OPENING
    values = {
        "ADDRESS": address,
        "KEY": KEY,
        "CONNECT": "60ms" if row.silent else "4s",
        "SILENCE": "60ms" if row.silent else "4s",
        "MAX_FAILURES": str(MAX_FAILURES if opening else 9),
        "RETRIES": str(RETRIES + 2 if opening else RETRIES),
        "FALLBACK": "" if setting == ALONE else "\n    fallback_provider: b",
    }
    text = CONFIG
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def provider_of(row: Row) -> MockServer:
    if isinstance(row.fault, tuple):
        return Raw("a", row.fault)
    return MockServer("a", reply=REPLY, fault=row.fault, faults=[row.before] if row.before else [])


def observe(row: Row, setting: str, *, stream: bool) -> tuple[View, Answer]:
    """Make the request of a row, and look at it from all sides."""
    a, b = provider_of(row), MockServer("b", reply=REPLY)
    with address_of(row) as address, running(config_of(row, setting, address), a=a, b=b) as gateway:
        if row.before:
            ask(gateway.port, stream=stream)
            asked_before = a.requests_seen
        else:
            asked_before = 0
        count_failures(gateway, "a", FAILURES_BEFORE)
        count_failures(gateway, "b", 1)
        if row.refuses:
            gateway.kill("a")
        answer = ask(gateway.port, stream=stream)
        asked = a.requests_seen - asked_before
        kept = gateway.call(lambda: pool_of(gateway).connections) > 0
        gateway.until(lambda: a.connections_open == int(kept))
        health = health_of(gateway)
        assert (health["b"]["circuit_state"], health["b"]["failures"]) == ("open", 1), "b's breaker was fed"
        view = View(
            client=told(answer, gateway, row, stream=stream),
            attempts=int(answer.headers.get("x-gateway-attempts", "0")),
            failures=health["a"]["failures"],
            circuit=health["a"]["circuit_state"],
            asked=asked,
            kept=kept,
        )
    return view, answer


def health_of(gateway: Running) -> dict[str, Any]:
    """What /health says, by provider."""
    answer = ask(gateway.port, path="/health", body=b"")
    return {provider["name"]: provider for provider in json.loads(answer.body)["provider_health"]}


def told(answer: Answer, gateway: Running, row: Row, *, stream: bool) -> str:
    """What the client makes of an answer, in the words of the table."""
    provider = answer.headers["x-gateway-provider"]
    error = answer.error
    own = error is not None and answer.status in (502, 504) and "x-mock-server" not in answer.headers
    if own and error is not None:
        return f"{answer.status} {error['code'] or error['type']}"
    said = f"{answer.status} of {provider}"
    if not row.silent:
        said += difference(answer, direct(gateway, provider, stream=stream))
    last_error = error_in(answer.events[-1]) if answer.is_stream and answer.events else None
    if answer.ending != "whole":
        said += f", then {last_error['code']}" if last_error else ""
        said += f", {answer.ending}"
    return said


def direct(gateway: Running, provider: str, *, stream: bool) -> Answer:
    """What the provider says to somebody who asks it without the gateway, but with its key."""
    port = int(gateway.addresses[provider].rpartition(":")[2])
    return ask(port, stream=stream, fields=f"authorization: Bearer {KEY}\r\n")


def difference(answer: Answer, original: Answer) -> str:
    """Whether an answer is what the provider said, apart from numbers, its framing and our key."""
    said, says = (
        re.sub(rb"[0-9]+", b"0", part.body.replace(KEY.encode(), b"*" * len(KEY)))
        for part in (original, answer)
    )
    if original.ending == "reset":
        return ""  # the kernel may have thrown away what came before
    if answer.ending == "whole":
        same = said == says and (original.ending == "whole" or original.headers == {})
    else:
        same = says.startswith(said)
    for name, value in original.headers.items():
        if name not in MAY_DIFFER and answer.headers.get(name) != value:
            return f", {name} changed"
    return "" if same else ", body changed"


def error_in(event: bytes) -> dict[str, Any] | None:
    """The error that an event carries."""
    try:
        error = json.loads(event.partition(b"data: ")[2])["error"]
    except (ValueError, KeyError, TypeError):
        return None
    return error if isinstance(error, dict) else None
