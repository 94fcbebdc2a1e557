"""A session stays with one target: by a field or by `user`, in every process, and when others come and go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from family import served
from harness import running

from .members import Asker, Member, break_down, chat

MODELS = """
models:
  by-field:
    strategy: session
    session: {header: X-Session-Id}
    targets: [{provider: a}, {provider: b}, {provider: c}]
  by-user:
    strategy: session
    targets: [{provider: a}, {provider: b}, {provider: c}]
"""
CONFIG = """
providers:
  a: {format: openai, base_url: "{a}", circuit_breaker: {max_failures: 1}}
  b: {format: openai, base_url: "{b}", circuit_breaker: {max_failures: 1}}
  c: {format: openai, base_url: "{c}", circuit_breaker: {max_failures: 1}}
"""
MOCKS = """
server: {port: 0, workers: WORKERS}
providers: {a: {format: mock}, b: {format: mock}, c: {format: mock}}
"""
SESSIONS = [f"session-{number}" for number in range(24)]

Places = Mapping[str, str]
"""The provider that each session has."""


def asking(by: str, session: str) -> tuple[bytes, dict[str, str]]:
    """A body and fields that name the session."""
    named: dict[str, Any] = {"user": session} if by == "by-user" else {}
    return chat(by, **named), {} if named else {"x-session-id": session}


def places(port: int, by: str) -> Places:
    """Where the sessions are, each on a connection of its own."""
    found = {}
    for session in SESSIONS:
        with Asker(port) as asker:
            body, fields = asking(by, session)
            found[session] = asker.ask(body, fields=fields).provider
    return found


@pytest.mark.parametrize("by", ["by-field", "by-user"])
def test_it_stays_and_only_those_of_a_target_that_is_down_move(by: str) -> None:
    with running(CONFIG + MODELS, a=Member("a"), b=Member("b"), c=Member("c")) as gateway:
        before = places(gateway.port, by)
        assert set(before.values()) == {"a", "b", "c"}
        assert places(gateway.port, by) == before
        break_down(gateway, "b")
        after = places(gateway.port, by)
    assert "b" not in after.values()
    assert all(after[session] == place for session, place in before.items() if place != "b")


def test_every_worker_and_every_gateway_has_the_same_places(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    found: dict[str, list[Places]] = {"by-field": [], "by-user": []}
    for workers in (1, 2):
        config.write_text(MOCKS.replace("WORKERS", str(workers)) + MODELS)
        with served(config) as gateway:
            gateway.wait_for("started", workers)
            port = int(gateway.url.rpartition(":")[2])
            for by, seen in found.items():
                seen += [places(port, by) for _ in range(workers)]
    for first, *others in found.values():
        assert all(one == first for one in others)


@pytest.mark.parametrize("user", [None, ""])
def test_a_user_who_is_nobody_is_no_session(user: str | None) -> None:
    with (
        running(CONFIG + MODELS, a=Member("a"), b=Member("b"), c=Member("c")) as gateway,
        Asker(gateway.port) as asker,
    ):
        assert len({asker.ask(chat("by-user", user=user)).provider for _ in range(60)}) == 3
