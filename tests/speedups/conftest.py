"""The public classes over each of the two builds."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import pytest

from gateway import _speedups
from gateway.resilience import breaker as active


@pytest.fixture
def breaker(build: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`gateway.resilience.breaker` as it is when this build is the active one."""
    monkeypatch.setattr(_speedups, "BreakerCore", build.module("breaker").BreakerCore)
    assert active.__file__ is not None
    spec = importlib.util.spec_from_file_location(f"breaker_{build.name}", active.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
