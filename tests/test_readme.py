"""What the README promises in code holds: its commands, its configurations, its map of the folders."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import gateway
from gateway import cli

CHECKOUT = Path(gateway.__file__).parents[1]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_first_two_blocks_of_shell_are_the_whole_way_in() -> None:
    assert blocks("sh") == [
        "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/gateway demo\n",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest\n",
    ]


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_configuration_is_good(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    assert cli.main(["check", "--config", str(path)]) == 0


@pytest.mark.parametrize("text", blocks("python"))
def test_every_program_compiles(text: str) -> None:
    compile(text, "README.md", "exec")


def test_every_command_is_one_that_exists(capsys: pytest.CaptureFixture[str]) -> None:
    commands = set(re.findall(r"\.venv/bin/gateway (\w+)", README))
    assert commands == {"check", "demo", "serve"}
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0
    assert "--config" in capsys.readouterr().out


def may_import() -> dict[str, set[str]]:
    """The table that test_structure.py holds the sources to."""
    tree = ast.parse((CHECKOUT / "tests" / "test_structure.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "MAY_IMPORT":
            assert isinstance(node.value, ast.Dict)
            return {
                ast.literal_eval(part): set() if ast.unparse(parts) == "set()" else ast.literal_eval(parts)
                for part, parts in zip(node.value.keys, node.value.values, strict=True)
                if part is not None
            }
    raise AssertionError("test_structure.py has no MAY_IMPORT")


def test_the_map_tells_of_every_part_what_it_may_import() -> None:
    rows = re.findall(r"^\| `(?:gateway/)?(\w+)(?:/|\.py)` \|[^|]*\|([^|]*)\|$", README, re.MULTILINE)
    told = {part: set(re.findall(r"`(\w+)`", parts)) for part, parts in rows}
    table = may_import()
    assert {part: told.get(part) for part in table} == table


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_leads_somewhere(path: str) -> None:
    assert (CHECKOUT / path).exists()
