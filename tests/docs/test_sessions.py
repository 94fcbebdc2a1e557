"""Every document's commands, configurations and programs, carried out in their order."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import PATHS, Block, blocks
from session import session

RUNNABLE = {"shell", "program", "configuration"}
WITH_SOMETHING_TO_RUN = [path for path in PATHS if any(block.kind in RUNNABLE for block in blocks(path))]


def performed(path: Path, folder: Path) -> list[tuple[Block, str]]:
    """The blocks of a document that were carried out, each with what it printed."""
    document = blocks(path)
    with session(folder, document) as here:
        return [(block, here.perform(block)) for block in document if block.kind in RUNNABLE]


@pytest.mark.parametrize("path", WITH_SOMETHING_TO_RUN, ids=lambda path: path.name)
def test_what_a_document_says_can_be_done(path: Path, tmp_path: Path) -> None:
    printed = performed(path, tmp_path)
    assert printed
    for block, text in printed:
        asks = "127.0.0.1:4000" in block.text
        assert text or not asks, f"{block} printed nothing"
        if path.name == "quickstart.md" and asks:
            assert "gateway" in text.lower()
