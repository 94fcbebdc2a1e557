"""The users of locustfile.py against a gateway of its own, for a second."""

from __future__ import annotations

import importlib.util

import pytest
import users
from parts import services


@pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="locust is not installed")
def test_users_are_answered() -> None:
    # The module is not imported here: locust replaces sockets and threads of the process that does.
    provider = {"format": "mock", "mock": {"event_interval": 0.001}}
    with services.gateway(
        {"providers": {"mock": provider}, "logging": {"level": "error"}}, pure=True
    ) as gateway:
        seen = users.locust(gateway, users.SCENARIOS["mixed"], users=4, seconds=1)
    assert {one["name"] for one in seen.requests} == {"plain", "stream's head", "whole stream"}
    assert all(one["count"] for one in seen.requests)
    assert seen.failures == 0
    assert 0 < seen.generator_share < 2
    assert seen.cpu_us > 0


@pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="locust is not installed")
def test_an_error_is_a_failure() -> None:
    provider = {"format": "mock", "mock": {"fault": "503"}}
    with services.gateway(
        {"providers": {"mock": provider}, "logging": {"level": "error"}}, pure=True
    ) as gateway:
        seen = users.locust(gateway, users.SCENARIOS["plain"], users=1, seconds=1)
    assert seen.failures == seen.requests[0]["count"] > 0
