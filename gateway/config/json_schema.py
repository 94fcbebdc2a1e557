"""The configuration as a JSON Schema, for editors and other programs: made from the structs of schema.py.

It is looser than `gateway check`, which knows more than a schema can say: what settings say together, the
range of a number in quotes, what a variable holds. It must never refuse what the check accepts. The text of
every scalar counts, so `model: 1.5` is a string to the gateway and a number to whoever reads YAML by its own
rules: hence the lists of types. Of these, ranges bind numbers only and patterns strings only.

Reference: https://json-schema.org/draft/2020-12/json-schema-core
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

from gateway.config import names, units
from gateway.config.schema import Config

__all__ = ["json_schema"]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]
"""A JSON Schema, or a part of one."""

# A string that holds a variable may become anything.
_REFERENCE: Final = r"\$\{"
_QUANTITY: Final = r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?"


def json_schema() -> Schema:
    """The schema of a whole file. Every property has a description, and a default where it has one."""
    definitions: dict[str, Schema] = {}
    root = _schema(Config, definitions)
    return {"$schema": DIALECT, "title": "Configuration of the gateway", **root, "$defs": definitions}


def _schema(hint: Any, definitions: dict[str, Schema]) -> Schema:
    """The schema of a value of the type `hint`; structs go to `definitions`, by name."""
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}  # it keeps its place, before those that it refers to
            definitions[hint.__name__] = _object(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if hint is NoneType:
        return {"type": "null"}
    if origin in (Union, UnionType):
        return {"anyOf": [_schema(member, definitions) for member in arguments]}
    if origin is dict:
        values = _schema(arguments[1], definitions)
        return {"type": "object", "propertyNames": _key(arguments[0]), "additionalProperties": values}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    if origin is Literal:
        return {"anyOf": [{"enum": list(arguments)}, {"type": "string", "pattern": _REFERENCE}]}
    return _scalar(hint)


def _key(hint: Any) -> Schema:
    """The schema of a key, in which no variable is read."""
    return {"pattern": _scalar(hint)["pattern"].removesuffix(f"|{_REFERENCE}")}


def _object(cls: type[msgspec.Struct], definitions: dict[str, Schema]) -> Schema:
    summary, settings = _documentation(cls)
    properties: dict[str, Schema] = {}
    required = []
    for field in msgspec.structs.fields(cls):
        properties[field.name] = {
            "description": settings.get(field.name) or _summary_of(field.type),
            **_schema(field.type, definitions),
            **_default(field),
        }
        if field.required:
            required.append(field.name)
    return {
        "description": summary,
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _default(field: FieldInfo) -> Schema:
    """The default as a file would say it; a block has none, for what stands in it has."""
    if field.required:
        return {}
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or isinstance(value, msgspec.Struct):
        return {}
    if isinstance(value, tuple):
        return {"default": list(value)}
    title = _scalar(field.type)["title"] if get_origin(field.type) is Annotated else ""
    return {"default": _WRITTEN.get(title, lambda value: value)(value)}


def _written_duration(seconds: float) -> str:
    return f"{seconds:g}s" if seconds % 1 == 0 else f"{seconds * 1000:g}ms"


def _written_size(count: int) -> str:
    steps = next(steps for steps in (3, 2, 1, 0) if count % (1 << 10 * steps) == 0)
    return f"{count >> 10 * steps}{('B', 'KiB', 'MiB', 'GiB')[steps]}"


def _written_number(value: float) -> float:
    return int(value) if value % 1 == 0 else value


_WRITTEN: Final[Mapping[str, Callable[[Any], Any]]] = {
    "duration": _written_duration,
    "number": _written_number,
    "size": _written_size,
}


# -- what one scalar may be

_IN_FILE: Final[Schema] = {
    "description": "In a file of its own, such as a mounted secret.",
    "type": "object",
    "properties": {"file": {"type": "string", "examples": ["/run/secrets/name"]}},
    "required": ["file"],
    "additionalProperties": False,
}


def _text(title: str, pattern: str, *examples: str) -> Schema:
    """A text that matches `pattern` as a whole."""
    return {
        "title": title,
        "type": ["string", "number", "boolean"],
        "pattern": f"^(?:{pattern})$|{_REFERENCE}",
        **({"examples": list(examples)} if examples else {}),
    }


def _number(kind: str, title: str, low: float, high: float, pattern: str, *examples: str) -> Schema:
    """A number from `low` to `high`, or a text that matches `pattern`."""
    bounds = {"minimum": low, "maximum": high}
    return _text(title, pattern, *examples) | {"type": [kind, "string"]} | bounds


_BY_PARSER: Final[Mapping[Callable[[str], object], Schema]] = {
    units.boolean: _text("boolean", "[Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF")
    | {"type": ["boolean", "string"]},
    units.size: _number(
        "number", "size", 1, units.MAX_SIZE, rf"{_QUANTITY} ?(([kKmMgG][iI]?)?[bB])?", "64KiB", "10MiB", "1GB"
    ),
    units.workers: _number("integer", "number of processes", 1, units.MAX_WORKERS, "auto|[0-9]{1,18}"),
    names.free_text: {"title": "text", "type": ["string", "number", "boolean"]},
    names.line: _text("text of one line", r"[^\x00-\x1f\x7f]+"),
    names.provider_name: _text("name of a provider", r"(?!none$)[A-Za-z0-9._-]{1,64}"),
    names.host: _text("host", "[A-Za-z0-9_.:%-]+", "127.0.0.1", "::1"),
    names.socket_path: _text("path", r"[^\x00-\x1f\x7f]{1,107}"),
    names.base_url: _text(
        "URL", r"[Hh][Tt][Tt][Pp][Ss]?://[^\s@?#]+", "https://host", "http://host:port/path"
    ),
    names.origin: _text("origin", r"\*|https?://[^\s@/?#]+", "https://app.example", "*"),
    names.session_field: _text("header field name", "[!#$%&'*+.^_`|~0-9A-Za-z-]+"),
    names.field_name: _text("header field name", "[!#$%&'*+.^_`|~0-9A-Za-z-]+"),
    names.field_value: _text("header field value", r"([!-~]([\t -~]*[!-~])?)?"),
    names.secret: _text("key", "[!-~]+", "${NAME}"),
}
_BY_FACTORY: Final[Mapping[str, Callable[[float, float], Schema]]] = {
    "whole": lambda low, high: _number("integer", "whole number", low, high, "[+-]?[0-9]{1,18}"),
    "number": lambda low, high: _number("number", "number", low, high, _QUANTITY),
    "duration": lambda low, high: _number(
        "number", "duration", low, high, rf"{_QUANTITY} ?(ms|s|m|h)?", "500ms", "30s", "2m", "1h"
    ),
}


def _scalar(hint: Any) -> Schema:
    """The schema of a scalar; `Annotated[plain, parse, read]` may also stand in a file."""
    schema = _parsed_by(hint.__metadata__[0])
    return schema if len(hint.__metadata__) == 1 else {"title": schema["title"], "anyOf": [schema, _IN_FILE]}


def _parsed_by(parse: Callable[[str], object]) -> Schema:
    """The schema of a text that `parse` reads. Raises TypeError for a function that is not known here."""
    known = _BY_PARSER.get(parse)
    if known is not None:
        return known
    make = _BY_FACTORY.get(parse.__qualname__.partition(".")[0])
    if make is None:
        raise TypeError(f"{parse.__qualname__} is new: say here which texts it takes")
    # The range stands in one place, the function that keeps it.
    bounds = inspect.getclosurevars(parse).nonlocals
    return make(bounds["low"], bounds.get("high", units.MAX_DURATION_S))


# -- what the docstrings say

_IN_YAML: Final[Mapping[str, str]] = {"None": "unset", "True": "true", "False": "false"}


def _documentation(cls: type[msgspec.Struct]) -> tuple[str, dict[str, str]]:
    """The summary of a struct, and what its docstring says of each setting (`name: text`)."""
    known = {field.name for field in msgspec.structs.fields(cls)}
    paragraphs: list[tuple[tuple[str, ...], list[str]]] = [((), [])]
    for line in inspect.cleandoc(cls.__doc__ or "").splitlines():
        entry = re.match(r"(\w+(?:, \w+)*): (.*)", line)
        if entry and known.issuperset(entry[1].split(", ")):
            paragraphs.append((tuple(entry[1].split(", ")), [entry[2]]))
        else:
            paragraphs[-1][1].append(line)
    texts = [(settings, _sentence(lines)) for settings, lines in paragraphs]
    return texts[0][1], {setting: text for settings, text in texts for setting in settings}


def _sentence(lines: list[str]) -> str:
    text = " ".join(line for line in lines if line)
    text = text[:1].upper() + text[1:]
    # What is None to the code has been left out of the file.
    return re.sub(r"\b(None|True|False)\b", lambda word: _IN_YAML[word[1]], text)


def _summary_of(hint: Any) -> str:
    """The summary of the struct that a setting holds, alone or by name; empty where it holds none."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _documentation(hint)[0]
    return next(filter(None, map(_summary_of, get_args(hint))), "")
