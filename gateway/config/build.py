"""YAML nodes -> the structs of schema.py, with every problem on the way and not only the first.

The type of a setting says what its text means, never the look of the text: `model: 1.5`,
`api_version: 2024-10-21` and a provider called `on` are strings, `port: ${PORT}` is a number, and none of
YAML's guesses (1:30 is 90, `no` is false) can happen. A type is one of

- a struct, `dict[key, type]` or `tuple[type, ...]`, and `Literal` for a choice;
- `Annotated[plain, parse]` for a scalar: `parse(text)` returns the value, or raises ValueError with the rest
  of a sentence that begins with the text, such as 'is not a duration (use "30s")'; SensitiveValueError where
  the text must not be quoted;
- `Annotated[plain, parse, read]` for one that may also stand in a file, as `{file: path}`: `read(path)`
  likewise;
- `type | None`, where a null that is written out is None.

A value that is wrong is left out of the result: the default stands in for it, so that the checks which come
after can still look at the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import UNSET
from msgspec.structs import FieldInfo
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.config.document import is_empty, is_null, position
from gateway.config.environment import expand
from gateway.config.problem import Position, Problem, child, did_you_mean, shown
from gateway.config.secret import SensitiveValueError

__all__ = ["Builder"]

_TAGS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"})


class Builder:
    """Builds one value.

    problems: by path; the first of each path.
    positions: by path, for every setting that the file holds.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.problems: dict[str, Problem] = {}
        self.positions: dict[str, Position] = {}
        self._environ = environ

    def build(self, hint: Any, node: Node, path: str, at: Node) -> Any:
        """Return the value of `node` as `hint` asks for, or UNSET where there is no usable one.

        path: the setting. at: the node to which messages point, which is its key.
        """
        self.positions[path] = position(at)
        inner = _without_none(hint)
        if inner is not hint and is_null(node):
            return None
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            return self._struct(inner, node, path, at)
        if get_origin(inner) is dict:
            key_hint, value_hint = get_args(inner)
            return self._dict(key_hint, value_hint, node, path)
        if get_origin(inner) is tuple:
            return self._tuple(get_args(inner)[0], node, path)
        if isinstance(node, MappingNode) and (read := _reader(inner)) is not None:
            return self._in_file(read, node, path)
        return self._scalar(_parser(inner), node, path)

    def _struct(self, cls: type[msgspec.Struct], node: Node, path: str, at: Node) -> msgspec.Struct:
        fields = _fields(cls)
        values: dict[str, Any] = {}
        for name, key, item in self._entries(node, path, f"is not a mapping (it takes {', '.join(fields)})"):
            where = child(path, name)
            if name not in fields:
                self._reject(where, f"unknown key {did_you_mean(name, fields)}", key)
                continue
            value = self.build(fields[name].type, item, where, key)
            if value is not UNSET:
                values[name] = value
        for name, field in fields.items():
            if field.required and name not in values:
                # All that is required is text. The stand-in is never used: the file is refused.
                values[name] = ""
                if path not in self.problems:
                    self._reject(child(path, name), "is required", at)
        return cls(**values)

    def _dict(self, key_hint: Any, hint: Any, node: Node, path: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, key, item in self._entries(node, path, "is not a mapping (use `name: value`)"):
            where = child(path, name)
            self._parse(_parser(key_hint), name, where, key)
            value = self.build(hint, item, where, key)
            if value is not UNSET:
                values[name] = value
        return values

    def _tuple(self, hint: Any, node: Node, path: str) -> Any:
        if not self._is_a(SequenceNode, node, path, "is not a list (use `[first, second]`)"):
            return UNSET
        items = [self.build(hint, item, child(path, index), item) for index, item in enumerate(node.value)]
        return tuple(item for item in items if item is not UNSET)

    def _in_file(self, read: Callable[[str], object], node: MappingNode, path: str) -> Any:
        # What else the mapping holds may be the value itself, so its keys are not told.
        if [key.value for key, _ in node.value] != ["file"]:
            return self._reject(path, "is a mapping (use a single value, or {file: /run/secrets/name})")
        [(key, item)] = node.value
        where = child(path, "file")
        self.positions[where] = position(key)
        return self._scalar(read, item, where)

    def _scalar(self, parse: Callable[[str], object], node: Node, path: str) -> Any:
        kind = "mapping" if isinstance(node, MappingNode) else "list"
        if not self._is_a(ScalarNode, node, path, f"is a {kind} (use a single value)"):
            return UNSET
        try:
            text = expand(node.value, self._environ)
        except ValueError as error:
            return self._reject(path, str(error))
        return self._parse(parse, text, path)

    def _parse(self, parse: Callable[[str], object], text: str, path: str, at: Node | None = None) -> Any:
        try:
            return parse(text)
        except SensitiveValueError as error:
            return self._reject(path, f"the value (not shown) {error}", at)
        except ValueError as error:
            return self._reject(path, f"{shown(text)} {error}", at)

    def _entries(self, node: Node, path: str, otherwise: str) -> Iterator[tuple[str, ScalarNode, Node]]:
        """Yield the name, key and value of each entry that can be read."""
        if not self._is_a(MappingNode, node, path, otherwise):
            return
        first: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or key.tag not in _TAGS:
                self._reject(path, "has a key that is not plain text (quote it)", key)
            elif key.value in first:
                line = position(first[key.value]).line
                self._reject(child(path, key.value), f"is given twice (first in line {line})", key)
            else:
                first[key.value] = key
                yield key.value, key, value

    def _is_a(self, kind: type[Node], node: Node, path: str, otherwise: str) -> bool:
        """Tell whether a node is of this kind. If not, record why; `otherwise` is for one of another kind."""
        if is_empty(node):
            self._reject(path, "has no value (give one, or leave the key out)")
        elif node.tag not in _TAGS:
            self._reject(path, "has a YAML tag (leave out the word that begins with !, or quote it)")
        elif is_null(node):
            self._reject(path, "is null (leave the key out for the default)")
        elif not isinstance(node, kind):
            self._reject(path, otherwise)
        else:
            return True
        return False

    def _reject(self, path: str, message: str, at: Node | None = None) -> Any:
        place = self.positions.get(path) if at is None else position(at)
        self.problems.setdefault(path, Problem(path, message, place))
        return UNSET


@cache
def _fields(cls: type[msgspec.Struct]) -> dict[str, FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(cls)}


def _without_none(hint: Any) -> Any:
    """Return the `type` of `type | None`, and any other as it is."""
    if get_origin(hint) in (Union, UnionType):
        return next(member for member in get_args(hint) if member is not NoneType)
    return hint


def _parser(hint: Any) -> Callable[[str], object]:
    if get_origin(hint) is Literal:
        return _choice(get_args(hint))
    if get_origin(hint) is Annotated:
        parse: Callable[[str], object] = hint.__metadata__[0]
        return parse
    raise TypeError(f"{hint} does not say how its text is read")


def _reader(hint: Any) -> Callable[[str], object] | None:
    """Return what reads the value from a file; None where it cannot stand in one."""
    return hint.__metadata__[1] if get_origin(hint) is Annotated and len(hint.__metadata__) > 1 else None


def _choice(words: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"is not one of {', '.join(words)}")
        return text

    return parse
