"""What is wrong with a configuration, where, and how that is told."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

__all__ = ["ConfigError", "Position", "Problem", "child", "did_you_mean", "shown"]

MAX_SHOWN = 80
MAX_LISTED = 16

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Position(NamedTuple):
    """A place in the file. Both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    path: the setting, such as `providers.plano.timeouts.total`; empty for the file as a whole.
    message: the value, the rule that it breaks, and what would be right.
    position: where the setting stands; None where the file does not hold it.
    reads: paths of the other settings that the rule looked at.
    """

    path: str
    message: str
    position: Position | None = None
    reads: tuple[str, ...] = ()


class ConfigError(Exception):
    """A configuration that cannot be used. As text it has a line a problem: file:line:column: path: message.

    problems: all of them, at least one, in the order of the file.
    source: the file, or what stands for it; empty where that is not known.
    """

    def __init__(self, problems: Iterable[Problem], source: str = "") -> None:
        self.problems = tuple(problems)
        self.source = source
        super().__init__("\n".join(self._line(problem) for problem in self.problems))

    def _line(self, problem: Problem) -> str:
        place = ":".join(map(str, (self.source, *(problem.position or ())))) if self.source else ""
        return ": ".join(part for part in (place, problem.path, problem.message) if part)


def child(path: str, *keys: str | int) -> str:
    """Extend a path by keys (quoted where they hold more than letters, digits, _ and -) and indexes."""
    for key in keys:
        if isinstance(key, int):
            path = f"{path}[{key}]"
        else:
            name = key if _PLAIN_KEY.fullmatch(key) else _quoted(key)
            path = f"{path}.{name}" if path else name
    return path


def shown(text: str) -> str:
    """Quote a value for a message, on one line and cut at 80 characters."""
    return _quoted(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "...")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """End a sentence about an unknown word: with the nearest known one, or else with a list."""
    words = list(known)
    near = get_close_matches(word, words, n=1)
    if near:
        return f"(did you mean {shown(near[0])}?)"
    listed = ", ".join(words if len(words) <= MAX_LISTED else [*words[:MAX_LISTED], "..."])
    return f"(use one of {listed})" if words else "(there is none)"


def _quoted(text: str) -> str:
    # json.dumps() lets control characters above 0x7F and halves of surrogate pairs through to the terminal.
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    plain = (char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return f'"{"".join(plain)}"'
