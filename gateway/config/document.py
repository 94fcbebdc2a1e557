"""YAML text -> its nodes, within bounds. What the scalars mean is not decided here but by the schema."""

from __future__ import annotations

import re
from typing import cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.config.problem import ConfigError, Position, Problem

__all__ = ["MAX_BYTES", "compose", "is_empty", "is_null", "position"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 100_000

_NULLS = frozenset({"~", "null", "Null", "NULL"})
# The name of an anchor, an alias or a tag in PyYAML's messages: a key without quotes may look like one.
_NAME = re.compile(r"'[!\w-]{2,}'")


class _Loader(yaml.BaseLoader):
    """Composes nodes within bounds: of nesting, as Python's stack has one, and of what aliases multiply."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        # How many nodes each one stands for, itself included. One that is still open has no entry.
        self._weights: dict[Node, int] = {}

    def compose_node(self, parent: Node | None, index: int) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._refusal(f"more than {MAX_DEPTH} levels of nesting")
        is_alias = self.check_event(yaml.AliasEvent)
        node = cast(Node, super().compose_node(parent, index))
        self._depth -= 1
        if not is_alias:
            self._weights[node] = 1 + sum(self._weights[part] for part in _parts(node))
        elif node not in self._weights:
            raise self._refusal("an alias stands inside of what it names")
        if max(self._weights[node], len(self._weights)) > MAX_VALUES:
            raise self._refusal(f"more than {MAX_VALUES} values, counted again for each alias")
        return node

    def _refusal(self, problem: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())


def compose(text: str, source: str) -> MappingNode:
    """Parse the text of a file. Raises ConfigError where it is not one YAML mapping of at most 1 MiB."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise _error(source, f"the file is larger than {MAX_BYTES >> 20} MiB")
    root = _parse(text, source)
    if root is None or is_empty(root):
        raise _error(source, "the file is empty (it needs `providers:` with at least one provider)")
    if not isinstance(root, MappingNode):
        raise _error(source, "the file is not a mapping (use keys such as `providers:`)", position(root))
    return root


def position(node: Node) -> Position:
    """Tell where a node begins."""
    return _position(node.start_mark)


def is_null(node: Node) -> bool:
    """Tell whether a node is a null that was written out."""
    return isinstance(node, ScalarNode) and node.style is None and node.value in _NULLS


def is_empty(node: Node) -> bool:
    """Tell whether nothing at all was written where a node should be, as after `port:`."""
    return isinstance(node, ScalarNode) and node.style is None and node.value == ""


def _parse(text: str, source: str) -> Node | None:
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise _error(
            source, f"not YAML: the character U+{error.character:04X} is not allowed", place
        ) from None
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        message = _NAME.sub("(name not shown)", ": ".join(filter(None, (error.context, error.problem))))
        mark = error.problem_mark or loader.get_mark()
        if "${" in text[text.rfind("\n", 0, mark.index) + 1 : mark.index + 1]:
            message += ' (inside braces and brackets, write "${NAME}" in quotes)'
        raise _error(source, f"not valid YAML: {message}", _position(mark)) from None
    except (ValueError, OverflowError):
        # What PyYAML passes on from chr() and int(): "\UFFFFFFFF", or a %YAML of five thousand digits.
        place = _position(loader.get_mark())
        raise _error(source, "not valid YAML: an escape or a version number is out of range", place) from None


def _parts(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for entry in node.value for part in entry]
    return node.value if isinstance(node, SequenceNode) else []


def _position(mark: yaml.Mark) -> Position:
    return Position(mark.line + 1, mark.column + 1)


def _error(source: str, message: str, place: Position | None = None) -> ConfigError:
    return ConfigError([Problem("", message, place)], source)
