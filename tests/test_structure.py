"""The structure that the project promises, read from its sources: imports, what is compiled, lengths."""

from __future__ import annotations

import ast
import importlib.machinery
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway

CHECKOUT = Path(gateway.__file__).parents[1]
SPEEDUPS = CHECKOUT / "_speedups"
MAX_LINES = 450
EXTENSION_SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]

TOP = {"__main__", "app", "cli", "demo"}
"""These put the parts together, and may import every one."""

MAY_IMPORT: dict[str, set[str]] = {
    "admin": {"observe", "resilience", "config", "errors"},
    "proxy": {"resilience", "routing", "providers", "observe", "errors"},
    "server": {"config", "errors", "observe"},
    "upstream": {"config", "errors", "observe"},
    "process": {"config", "observe", "errors"},
    "routing": {"providers", "config", "errors"},
    "providers": {"resilience", "config", "errors"},
    "resilience": {"_speedups", "config", "errors"},
    "config": set(),
    "errors": set(),
    "observe": set(),
    "_speedups": set(),
}
"""Which parts a part may import beside itself."""


def sources(*folders: str) -> list[Path]:
    """Python files of the checkout; links are not followed, so each is found once."""
    found = [path for folder in folders for path in sorted((CHECKOUT / folder).rglob("*.py"))]
    linked = CHECKOUT / "gateway" / "_speedups"
    return [path for path in found if linked not in path.parents]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported_modules(tree: ast.Module, package: tuple[str, ...]) -> Iterator[str]:
    """Every module that a tree may import by any statement, at any depth, with dots resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imported_parts(tree: ast.Module, package: tuple[str, ...]) -> set[str]:
    """Which parts of the gateway a tree imports; its version belongs to none."""
    modules = (module.split(".") for module in imported_modules(tree, package))
    return {names[1] for names in modules if names[0] == "gateway" and len(names) > 1} - {"__version__"}


def package_of(path: Path) -> tuple[str, ...]:
    if path.parent == SPEEDUPS:
        return ("gateway", "_speedups")
    return path.parent.relative_to(CHECKOUT).parts


def part_of(path: Path) -> str:
    return (*package_of(path), path.stem)[1]


@pytest.mark.parametrize("path", sources("gateway", "_speedups"), ids=lambda p: str(p.relative_to(CHECKOUT)))
def test_imports_follow_the_table(path: Path) -> None:
    part = part_of(path)
    if part == "__init__" or part in TOP:
        return
    assert part in MAY_IMPORT, f"gateway/{part} is new: add to MAY_IMPORT what it may import"
    forbidden = imported_parts(parsed(path), package_of(path)) - MAY_IMPORT[part] - {part}
    assert not forbidden, f"{part} must not import {', '.join(sorted(forbidden))}"


@pytest.mark.parametrize(
    ("code", "package", "parts"),
    [
        ("import gateway.config.schema", ("gateway", "server"), {"config"}),
        ("from gateway import errors, __version__", ("gateway", "server"), {"errors"}),
        ("from gateway.config import Config", ("gateway", "server"), {"config"}),
        ("from .request import Request", ("gateway", "server"), {"server"}),
        ("from .. import errors", ("gateway", "server"), {"errors"}),
        ("from ..upstream.pool import Pool", ("gateway", "server"), {"upstream"}),
        ("def f():\n    if x:\n        import gateway.app", ("gateway", "server"), {"app"}),
        ("import asyncio, gateway\nfrom httptools import parser", ("gateway", "server"), set()),
    ],
)
def test_the_walk_sees_every_form_of_import(code: str, package: tuple[str, ...], parts: set[str]) -> None:
    assert imported_parts(ast.parse(code), package) == parts


def listed_in_setup() -> set[str]:
    """What `COMPILED_MODULES` in setup.py lists."""
    for node in parsed(CHECKOUT / "setup.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED_MODULES":
            return set(ast.literal_eval(node.value))
    raise AssertionError("setup.py has no COMPILED_MODULES")


def test_setup_lists_the_modules_that_are_chosen_between() -> None:
    tree = parsed(SPEEDUPS / "__init__.py")
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    compiled = {name for name in imported if name is not None and name.endswith("_c")}
    assert compiled == {f"gateway._speedups.{name}_c" for name in listed_in_setup()}
    assert {name.removesuffix("_c") for name in compiled} <= imported  # each has its fallback


@pytest.mark.parametrize("name", sorted(listed_in_setup()))
def test_no_extension_is_older_than_its_source(name: str) -> None:
    source, extension = SPEEDUPS / f"{name}.py", SPEEDUPS / f"{name}_c{EXTENSION_SUFFIX}"
    if not extension.exists():
        pytest.skip("not compiled here")
    assert extension.stat().st_mtime >= source.stat().st_mtime, "install again: pip install -e '.[test]'"


@pytest.mark.parametrize("name", sorted(listed_in_setup()))
def test_every_compiled_module_tells_what_it_gains(name: str) -> None:
    docstring = ast.get_docstring(parsed(SPEEDUPS / f"{name}.py"))
    assert docstring is not None
    assert "Measured by bench/micro.py: " in docstring


def test_files_are_short_and_say_what_they_are_for() -> None:
    wrong = []
    for path in sources("gateway", "_speedups", "tests", "bench"):
        if path.read_text(encoding="utf-8").count("\n") > MAX_LINES:
            wrong.append(f"{path.relative_to(CHECKOUT)} is longer than {MAX_LINES} lines: split it")
        if not ast.get_docstring(parsed(path)):
            wrong.append(f"{path.relative_to(CHECKOUT)} does not open with a docstring")
    assert not wrong
