"""Which build is chosen, in a fresh interpreter for each case, as the environment says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import gateway

CHECKOUT = Path(gateway.__file__).parents[1]
SHOW = """
from gateway import _speedups
print(_speedups.COMPILED, _speedups.BackoffCore.__module__, _speedups.BreakerCore.__module__)
"""
WITHOUT_ONE = "import sys; sys.modules['gateway._speedups.breaker_c'] = None\n"
"""As if one extension of several were missing."""
PURE = "False gateway._speedups.backoff gateway._speedups.breaker"
COMPILED = "True gateway._speedups.backoff_c gateway._speedups.breaker_c"


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment | variables,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def chosen(code: str, **variables: str) -> str:
    result = run(code, **variables)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_pure_can_be_forced() -> None:
    assert chosen(SHOW, GATEWAY_PURE_PYTHON="1") == PURE


@pytest.mark.parametrize("value", ["0", ""])
@pytest.mark.usefixtures("compiled_exists")
def test_zero_and_empty_force_nothing(value: str) -> None:
    assert chosen(SHOW, GATEWAY_PURE_PYTHON=value, GATEWAY_REQUIRE_SPEEDUPS=value) == COMPILED


@pytest.mark.usefixtures("compiled_exists")
def test_required_and_there() -> None:
    assert chosen(SHOW, GATEWAY_REQUIRE_SPEEDUPS="1") == COMPILED


def test_builds_are_not_mixed_when_one_extension_is_missing() -> None:
    assert chosen(WITHOUT_ONE + SHOW) == PURE


@pytest.mark.parametrize(
    ("code", "variables", "message"),
    [
        (
            WITHOUT_ONE + SHOW,
            {"GATEWAY_REQUIRE_SPEEDUPS": "1"},
            "ImportError: GATEWAY_REQUIRE_SPEEDUPS=1, but a compiled module is missing",
        ),
        (
            SHOW,
            {"GATEWAY_REQUIRE_SPEEDUPS": "1", "GATEWAY_PURE_PYTHON": "1"},
            "ImportError: GATEWAY_PURE_PYTHON=1 and GATEWAY_REQUIRE_SPEEDUPS=1 contradict each other",
        ),
        (
            SHOW,
            {"GATEWAY_PURE_PYTHON": "yes"},
            "ImportError: the environment variable GATEWAY_PURE_PYTHON must be 1, 0 or empty, not 'yes'",
        ),
        ("import _speedups", {}, "ImportError: this package must be imported as gateway._speedups"),
    ],
)
def test_errors_say_what_is_wrong(code: str, variables: dict[str, str], message: str) -> None:
    result = run(code, **variables)
    assert result.returncode != 0
    assert message in result.stderr


def test_runs_without_cython() -> None:
    without_cython = "import sys; sys.modules['cython'] = None\n"
    assert chosen(without_cython + SHOW, GATEWAY_PURE_PYTHON="1") == PURE
