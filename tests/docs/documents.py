"""The documents as data: README.md and docs/*.md, their fenced blocks, and which kind each block is of.

The info string of a block says its kind:

    yaml               a configuration, whole or a part: `gateway check` accepts it; it becomes ./gateway.yaml
    yaml NAME          another file of that name, for the commands
    json, json NAME    JSON, one value or one a line
    sh, bash           commands, run in the order of the document, in a folder of its own
    sh long            commands that install something or take minutes: not run, but what they name exists
    python             a program, run against the gateway of the document
    python PACKAGES    one that needs further packages: run by sdks.py
    js PACKAGES        likewise, from npm
    promql             queries for metrics that exist
    text, mermaid      nothing that could be run
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import gateway

CHECKOUT = Path(gateway.__file__).parents[1]
PATHS = (CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md")))

_BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WAY_IN = "python3 -m venv .venv && "


@dataclass(frozen=True)
class Block:
    """A fenced block: its document, its first line there, the words of its info string, what is in it."""

    path: Path
    line: int
    info: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}"

    @property
    def kind(self) -> str:
        """A word of the table above. Raises ValueError where the info string is none of it."""
        match self.info:
            case ("sh" | "bash", *more):
                if more == ["long"] or self.text.startswith(_WAY_IN):  # .ci/run runs the README's way in
                    return "long"
                if not more:
                    return "shell"
            case ("yaml",):
                return "configuration"
            case ("python",):
                return "program"
            case ("python" | "js", *packages) if packages:
                return "sdk"
            case ("yaml" | "json", name) if "." in name:
                return "file"
            case ("json" | "promql" as kind,):
                return kind
            case ("text" | "mermaid",):
                return "shown"
        raise ValueError(f"{self}: ```{' '.join(self.info)} is of no kind that documents.py knows")


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a document, in their order."""
    text = path.read_text(encoding="utf-8")
    return [
        Block(path, text.count("\n", 0, found.start()) + 1, tuple(found[1].split()), found[2])
        for found in _BLOCK.finditer(text)
    ]


ALL = [block for path in PATHS for block in blocks(path)]
