"""Another gateway's configuration, read so that nothing in it is lost without a word.

Each value remembers its place, and the ledger remembers which values were looked at. What nobody has looked
at by the end is noted as not converted; so a converter cannot overlook a setting, however new it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.config.document import compose, is_empty, is_null, position
from gateway.config.problem import child

__all__ = ["Foreign", "Ledger", "Note"]

NOT_CONVERTED = "not converted"


@dataclass(frozen=True, slots=True)
class Note:
    """What became of one setting that has no exact counterpart; `line` counts from 1."""

    line: int
    path: str
    message: str


@dataclass(slots=True)
class Ledger:
    """What was noted, and which nodes were looked at.

    reasons: why a setting that nobody looks at has no counterpart, by its name or by that of its block.
    """

    notes: list[Note] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    reasons: Mapping[str, str] = field(default_factory=dict)


class Foreign:
    """One value of the file, or the place where one could be: that is false, and has no text and no parts."""

    __slots__ = ("_ledger", "_line", "_node", "path")

    def __init__(self, node: Node | None, path: str, line: int, ledger: Ledger) -> None:
        self._node = None if node is None or is_null(node) or is_empty(node) else node
        self.path = path
        self._line = line
        self._ledger = ledger

    @classmethod
    def parse(cls, text: str, source: str, ledger: Ledger) -> Foreign:
        """Read YAML or JSON. Raises ConfigError where it is neither, or no mapping."""
        # JSON may be indented by tabs, which YAML forbids; no text of JSON can begin a line with one.
        if text.lstrip().startswith("{"):
            text = re.sub(r"^\t+", " ", text, flags=re.MULTILINE)
        return cls(compose(text, source), "", 1, ledger)

    def __bool__(self) -> bool:
        return self._node is not None

    @property
    def text(self) -> str:
        """The text of a scalar; empty where there is none."""
        if isinstance(self._node, ScalarNode):
            self._ledger.seen.add(id(self._node))
            value: str = self._node.value
            return value
        if self:
            self.leave("is not a single value")
        return ""

    @property
    def is_true(self) -> bool:
        """Whether a switch is on."""
        return self.text.lower() in ("true", "yes", "on")

    def __getitem__(self, key: str) -> Foreign:
        """The value of a key."""
        node, line = self._children().get(key, (None, self._line))
        return Foreign(node, child(self.path, key), line, self._ledger)

    def __iter__(self) -> Iterator[Foreign]:
        """The members of a list; none of anything else."""
        if isinstance(self._node, SequenceNode):
            self._ledger.seen.add(id(self._node))
            for index, node in enumerate(self._node.value):
                yield Foreign(node, child(self.path, index), position(node).line, self._ledger)

    def entries(self) -> Iterator[tuple[str, Foreign]]:
        """The keys of a mapping with their values."""
        for key in self._children():
            yield key, self[key]

    def note(self, message: str) -> None:
        """Tell what became of this value."""
        self._ledger.notes.append(Note(self._line, self.path, message))

    def leave(self, message: str) -> None:
        """Leave out this value with all that is in it, for a reason."""
        self.note(f"{NOT_CONVERTED}: {message}")
        self._see_all(self._node)

    def explain(self, reasons: Mapping[str, str]) -> None:
        """Say why settings of this file have no counterpart, for `note_what_is_left`."""
        self._ledger.reasons = reasons

    def note_what_is_left(self) -> None:
        """Note each setting in here that nobody has looked at; a block of such settings once."""
        block = self.path.rpartition(".")[2]
        for key, (node, line) in self._children().items():
            reason = self._ledger.reasons.get(key) or self._ledger.reasons.get(block)
            is_section = not self.path and isinstance(node, MappingNode) and reason is None
            if self._is_untouched(node) and not is_section:
                message = NOT_CONVERTED if reason is None else f"{NOT_CONVERTED}: {reason}"
                self._ledger.notes.append(Note(line, child(self.path, key), message))
                self._see_all(node)
            else:
                Foreign(node, child(self.path, key), line, self._ledger).note_what_is_left()
        for item in self:
            item.note_what_is_left()

    def _children(self) -> dict[str, tuple[Node, int]]:
        """The values of a mapping by key, with their lines; those of `<<` are beneath its own."""
        found: dict[str, tuple[Node, int]] = {}
        if not isinstance(self._node, MappingNode):
            return found
        for key, value in self._node.value:
            if isinstance(key, ScalarNode) and key.value == "<<":
                for merged in value.value if isinstance(value, SequenceNode) else [value]:
                    found = Foreign(merged, self.path, self._line, self._ledger)._children() | found
        own = [(key, value) for key, value in self._node.value if isinstance(key, ScalarNode)]
        return found | {key.value: (node, position(key).line) for key, node in own if key.value != "<<"}

    def _is_untouched(self, node: Node) -> bool:
        if id(node) in self._ledger.seen or is_null(node) or is_empty(node):
            return False
        parts = _parts(node)
        return isinstance(node, ScalarNode) or (bool(parts) and all(map(self._is_untouched, parts)))

    def _see_all(self, node: Node | None) -> None:
        if node is not None:
            self._ledger.seen.add(id(node))
            for part in _parts(node):
                self._see_all(part)


def _parts(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [value for _, value in node.value]
    return node.value if isinstance(node, SequenceNode) else []
