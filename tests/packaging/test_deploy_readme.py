"""What deploy/README.md promises is there: its links, its commands, its proofs and what they need."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import gateway

CHECKOUT = Path(gateway.__file__).parents[1]
FOLDER = CHECKOUT / "deploy"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PROOFS = re.findall(r"^\| `python (tests/deploy/\w+\.py)` \|.*\| ([^|]*) \|$", README, re.MULTILINE)


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_leads_somewhere(path: str) -> None:
    assert (FOLDER / path).exists()


@pytest.mark.parametrize(("language", "block"), BLOCKS)
def test_every_block_is_shell_whose_files_exist(language: str, block: str) -> None:
    assert language == "sh"
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)
    for path in re.findall(r"\bdeploy/[\w./-]+", block):
        assert (CHECKOUT / path).exists()


def test_every_proof_is_listed_and_every_listed_one_exists() -> None:
    proofs = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "tests/deploy").glob("*_proof.py")}
    assert {path for path, _ in PROOFS} == proofs


@pytest.mark.parametrize(("path", "packages"), PROOFS)
def test_a_proof_names_the_packages_that_it_needs(path: str, packages: str) -> None:
    opening = (CHECKOUT / path).read_text().split('"""')[1]
    assert f"python {path}" in opening
    for package in packages.removeprefix("the same, and ").split(", "):
        assert f"`{package}`" in opening


def test_the_image_is_built_by_the_commands_that_are_proven() -> None:
    first = BLOCKS[0][1].splitlines()
    assert first[2:4] == [
        "docker build -t llm-gateway .",
        "docker run -d --name gateway -p 127.0.0.1:4000:4000 llm-gateway",
    ]
