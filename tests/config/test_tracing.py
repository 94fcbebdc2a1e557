"""`tracing`: off by itself, and refused with advice where what it needs is not installed."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from gateway.config import Config, Provider, Tracing, check

CONFIG = Config(providers={"a": Provider(format="mock")}, tracing=Tracing(enabled=True))
Problems = Callable[..., dict[str, str]]


def missing(_: str) -> None:
    """How `find_spec` says that the last package of a path is not there."""


def missing_altogether(name: str) -> None:
    """How it says so of an earlier one."""
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("find_spec", [missing, missing_altogether])
def test_without_the_extra_it_is_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, find_spec: Callable[[str], None]
) -> None:
    monkeypatch.setattr(sys.modules["gateway.config.check"], "find_spec", find_spec)
    (problem,) = check(CONFIG)
    assert problem.path == "tracing.enabled"
    assert "pip install '.[otel]'" in problem.message
    assert check(Config(providers=CONFIG.providers)) == []


def test_with_the_extra_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["gateway.config.check"], "find_spec", lambda name: name)
    assert check(CONFIG) == []


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ("endpoint: localhost:4318", "tracing.endpoint"),
        ("sample: 1.5", "tracing.sample"),
        ("service_name: ''", "tracing.service_name"),
        ("headers: {}", "tracing.headers"),
    ],
)
def test_a_wrong_setting(problems: Problems, setting: str, path: str) -> None:
    assert list(problems(f"providers: {{a: {{format: mock}}}}\ntracing: {{{setting}}}")) == [path]


@pytest.mark.parametrize("name", ["traceparent", "TraceState"])
def test_a_provider_cannot_have_a_trace_of_its_own(problems: Problems, name: str) -> None:
    found = problems(f"providers: {{a: {{format: mock, headers: {{{name}: x}}}}}}")
    assert "that the gateway sets itself" in found[f"providers.a.headers.{name}"]
