"""What the whole suite shares: a header that tells the versions, and the two builds of the compiled part."""

from __future__ import annotations

import importlib
import os
import platform
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType

import pytest
from hypothesis import settings

from gateway import __version__, _speedups

# How thoroughly property tests look: for seconds, or with HYPOTHESIS_PROFILE=long for hours. They have no
# deadline, for a busy machine is no failure.
settings.register_profile("short", deadline=None)
settings.register_profile("long", deadline=None, max_examples=200_000, stateful_step_count=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

SHOWN_VERSIONS = ("uvloop", "httptools", "msgspec", "orjson", "openai", "hypothesis")


def pytest_report_header() -> str:
    build = "compiled" if _speedups.COMPILED else "pure"
    versions = ", ".join(f"{name}-{metadata.version(name)}" for name in SHOWN_VERSIONS)
    return f"gateway: {__version__} ({build}), {platform.python_implementation()}, {versions}"


@dataclass(frozen=True)
class Build:
    """One of the two builds of `gateway._speedups`."""

    name: str

    def module(self, name: str) -> ModuleType:
        """Import an accelerated module of this build."""
        return importlib.import_module(f"gateway._speedups.{name}{'_c' if self.name == 'compiled' else ''}")


def existing_build(name: str) -> Build:
    """Return the build, or skip the test where it is missing and not required."""
    build = Build(name)
    try:
        build.module("breaker")
    except ImportError as error:
        if _speedups.REQUIRE_SPEEDUPS:
            raise
        pytest.skip(f"the compiled build is missing: {error}")
    return build


@pytest.fixture(params=["compiled", "pure"])
def build(request: pytest.FixtureRequest) -> Build:
    """Each build in turn, whichever of them is active."""
    return existing_build(request.param)


@pytest.fixture
def compiled_exists() -> None:
    """Skips a test that is about the compiled build where there is none."""
    existing_build("compiled")
