"""What the installed package says of itself agrees with its sources."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import gateway

CHECKOUT = Path(gateway.__file__).parents[1]
IMPORT_NAMES = {"pyyaml": "yaml", "prometheus-client": "prometheus_client"}
"""Where a distribution is imported by another name than its own."""


def project() -> dict[str, object]:
    table: dict[str, object] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return table


def runtime_dependencies() -> list[str]:
    requirements = metadata.requires("llm-gateway") or []
    return [requirement for requirement in requirements if "extra ==" not in requirement]


def test_version_has_one_place() -> None:
    assert metadata.version("llm-gateway") == gateway.__version__
    assert "version" not in project()


def test_console_script() -> None:
    (script,) = metadata.distribution("llm-gateway").entry_points.select(group="console_scripts")
    assert (script.name, script.value) == ("gateway", "gateway.cli:main")


@pytest.mark.parametrize("requirement", runtime_dependencies())
def test_dependency_has_a_lower_bound_and_a_reason(requirement: str) -> None:
    name = re.split(r"[<>=]", requirement)[0]
    (line,) = (
        line for line in (CHECKOUT / "pyproject.toml").read_text().splitlines() if f'"{name}>=' in line
    )
    assert re.search(r'>=[\d.]+",\s+# \w+', line)


IN_EXTRAS = {"otel.py": {"opentelemetry"}}
"""What a file may import that an extra installs; it is only imported where that is wanted."""


def test_every_import_is_declared() -> None:
    declared = {re.split(r"[<>=]", requirement)[0] for requirement in runtime_dependencies()}
    allowed = {IMPORT_NAMES.get(name, name) for name in declared} | {"gateway"} | sys.stdlib_module_names
    undeclared = set()
    for path in (CHECKOUT / "gateway").rglob("*.py"):
        allowed_here = allowed | IN_EXTRAS.get(path.name, set())
        for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(statement, ast.Import):
                undeclared |= {alias.name.split(".")[0] for alias in statement.names} - allowed_here
            elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
                undeclared |= {statement.module.split(".")[0]} - allowed_here
    # For type checkers alone, which know it without its being installed.
    assert undeclared - {"typing_extensions", "_typeshed"} == set()


def test_runs_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "gateway", "--version"], capture_output=True, text=True, timeout=60, cwd="/"
    )
    assert result.returncode == 0, result.stderr
    assert gateway.__version__ in result.stdout
    assert re.search(r"\b(compiled|pure)\b", result.stdout)
