"""The reference of the configuration, made from its JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from gateway.config.json_schema import json_schema
from making.markdown import table

Schema = dict[str, Any]


class Block(NamedTuple):
    """A mapping of the file: its path, such as `providers.NAME.retry`, and the name of its definition."""

    path: str
    definition: str


def reference() -> str:
    """A heading and a table for each block, in the order in which a reader meets them."""
    definitions: dict[str, Schema] = json_schema()["$defs"]
    sections = []
    for block in _blocks("", "Config", definitions):
        definition = definitions[block.definition]
        required = definition.get("required", ())
        rows = [
            _row(block.path, name, schema, name in required)
            for name, schema in definition["properties"].items()
        ]
        heading = f"### `{block.path}`" if block.path else "### Top level"
        head = ("Key", "Value", "Default", "Meaning")
        sections.append(f"{heading}\n\n{definition['description']}\n\n{table(head, rows)}")
    return "\n".join(sections)


def _blocks(path: str, name: str, definitions: dict[str, Schema]) -> Iterator[Block]:
    yield Block(path, name)
    for key, schema in definitions[name]["properties"].items():
        below = f"{path}.{key}" if path else key
        for suffix, reference in _references(schema):
            yield from _blocks(below + suffix, reference, definitions)


def _references(schema: Schema) -> Iterator[tuple[str, str]]:
    """The blocks in a value, each with what its path has behind the key."""
    if "$ref" in schema:
        yield "", schema["$ref"].rpartition("/")[2]
    for member in schema.get("anyOf", ()):
        yield from _references(member)
    for part, suffix in (("additionalProperties", ".NAME"), ("items", "[]")):
        if isinstance(inner := schema.get(part), dict):
            yield from ((suffix + more, name) for more, name in _references(inner))


def _row(path: str, name: str, schema: Schema, required: bool) -> tuple[str, str, str, str]:
    default = "required" if required else ""
    if "default" in schema:
        default = f"`{_written(schema['default'])}`"
    return f"`{name}`", _value(schema, f"{path}.{name}".lstrip(".")), default, _cell(schema["description"])


def _value(schema: Schema, path: str) -> str:
    """What may stand there: a type with its range, a choice, or a link to the block."""
    if "anyOf" in schema:
        members = [one for one in schema["anyOf"] if one.get("type") != "null" and not _is_variable(one)]
        return " or ".join(_value(one, path) for one in members)
    if "$ref" in schema:
        return f"[block](#{_anchor(path)})"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_value(schema['items'], f'{path}[]')}"
    if set(schema.get("properties", ())) == {"file"}:
        return "`{file: PATH}`"
    if schema.get("type") == "object":
        return f"by name: {_value(schema['additionalProperties'], f'{path}.NAME')}"
    return schema["title"] + _range(schema)


def _is_variable(schema: Schema) -> bool:
    return set(schema) == {"type", "pattern"}


def _range(schema: Schema) -> str:
    if "minimum" not in schema:
        return ""
    low, high = schema["minimum"], schema["maximum"]
    if schema["title"] == "duration":
        return f", {low:g} s to {high / 3600:g} h"
    if schema["title"] == "size":
        return f", {low} B to {high >> 40} TiB"
    return f", {low:g} to {high}"


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _anchor(path: str) -> str:
    """What GitHub makes of the heading."""
    return "".join(char for char in path.lower() if char.isalnum() or char in "_-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
