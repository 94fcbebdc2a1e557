"""The programs of the documents that need npm or further packages, run against the document's gateway.

    python -m pytest tests/docs/sdks.py

Installs what the blocks name into a folder that is removed afterwards. Needs node 18 or later, npm, and
registries of both kinds; so it is not part of the default run.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from documents import ALL, Block, blocks
from session import session

PROGRAMS = [block for block in ALL if block.kind == "sdk"]
INSTALL_S = 600.0


def installed(block: Block, folder: Path) -> list[str]:
    """Install what a block needs into `folder`; the result is the command that runs its program there."""
    language, *packages = block.info
    if language == "js":
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *packages]
        program = folder / "program.mjs"
        run = ["node", str(program)]
    else:
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), *packages]
        program = folder / "program.py"
        run = [sys.executable, str(program)]
    subprocess.run(command, check=True, timeout=INSTALL_S)
    return run


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_a_program_gets_its_answer_plain_and_streamed(block: Block, tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    folder.mkdir()
    command = installed(block, folder)
    work = tmp_path / "work"
    work.mkdir()
    with session(work, blocks(block.path)) as here:
        for one in blocks(block.path):
            if one.kind == "configuration":
                here.perform(one)
        Path(command[-1]).write_text(here.here(block.text), encoding="utf-8")
        printed = here.run(command, block)
    assert printed.count("Hello from the gateway.") == 2
