"""Tools and the form of the answer, as chat completions takes them.

The Responses API has flat what chat completions nests: `{"type": "function", "name": …}` there is
`{"type": "function", "function": {"name": …}}` here. Tools that run at OpenAI (`web_search`, `mcp` …) are not
supported. A function's `strict` is passed on as it is given; where it is absent, the Responses API tries to
be strict and chat completions does not (https://platform.openai.com/docs/guides/migrate-to-responses).
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from gateway.errors import bad_request
from gateway.providers.dialects.responses.reading import Given, Json, Reader, join, not_one_of

_OF_ANY_TOOL: Final = {"allowed_callers": ["direct"], "async": False, "defer_loading": False}
_WORDS: Final = ("none", "auto", "required")


class _Function(Given):
    name: str
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None
    moot: ClassVar = frozenset({"type"})
    idle: ClassVar = _OF_ANY_TOOL


class _Custom(Given):
    """A tool whose input is no JSON, but a text of a `format`."""

    name: str
    description: str | None = None
    format: Json | None = None
    moot: ClassVar = frozenset({"type"})
    idle: ClassVar = _OF_ANY_TOOL


class _Grammar(Given):
    definition: str
    syntax: str
    moot: ClassVar = frozenset({"type"})


class _Named(Given):
    """A tool that a choice names."""

    name: str
    moot: ClassVar = frozenset({"type"})


class _Allowed(Given):
    """A choice among some of the tools."""

    mode: str
    tools: list[Any]
    moot: ClassVar = frozenset({"type"})


class _Schema(Given):
    """A form that the answer must have."""

    name: str
    schema: Json
    description: str | None = None
    strict: bool | None = None
    moot: ClassVar = frozenset({"type"})


_TOOLS: Final[dict[str, type[_Function] | type[_Custom]]] = {"function": _Function, "custom": _Custom}


def supported(tools: list[Any], reader: Reader) -> list[Json]:
    """Those of `tools` that can be put to chat completions, as they came. Raises GatewayError (400)."""
    kept = []
    for number, tool in enumerate(tools):
        path = f"tools[{number}]"
        if not isinstance(tool, dict):
            raise bad_request(f"`{path}` must be an object.", code="invalid_type", param=path)
        if _is_expressible(tool, path, reader):
            kept.append(tool)
    return kept


def translated(tools: list[Json], reader: Reader) -> list[Json]:
    """`tools`, which are all `supported`, in the form of chat completions."""
    return [_tool(tool, f"tools[{number}]", reader) for number, tool in enumerate(tools)]


def choice(given: str | Json, reader: Reader) -> str | Json | None:
    """`tool_choice` likewise; None where it names what is left out. Raises GatewayError (400)."""
    if isinstance(given, str):
        if given not in _WORDS:
            raise not_one_of("tool_choice", given, _WORDS)
        return given
    if given.get("type") != "allowed_tools":
        return _named(given, "tool_choice", reader)
    allowed = reader.read(given, _Allowed, "tool_choice")
    named = [
        _named(tool, f"tool_choice.tools[{number}]", reader) for number, tool in enumerate(allowed.tools)
    ]
    tools = [tool for tool in named if tool is not None]
    return {"type": "allowed_tools", "allowed_tools": {"mode": allowed.mode, "tools": tools}}


def answer_format(given: Json, reader: Reader) -> Json | None:
    """`text.format` as `response_format`; None for plain text. Raises GatewayError (400)."""
    kind = given.get("type")
    if kind == "json_schema":
        return {"type": kind, kind: reader.read(given, _Schema, "text.format").fields()}
    if kind == "json_object":
        return {"type": kind}
    if kind != "text":
        raise not_one_of("text.format.type", kind, ("text", "json_schema", "json_object"))
    return None


def _is_expressible(tool: Json, path: str, reader: Reader) -> bool:
    kind = tool.get("type")
    if not isinstance(kind, str):
        raise not_one_of(join(path, "type"), kind, _TOOLS)
    if kind not in _TOOLS:
        reader.lacks(join(path, "type"), f"no tool runs at the provider, such as `{kind[:80]}`")
    return kind in _TOOLS


def _tool(tool: Json, path: str, reader: Reader) -> Json:
    kind = tool["type"]
    fields = reader.read(tool, _TOOLS[kind], path).fields()
    format_ = fields.get("format")
    if format_ is not None and format_.get("type") == "grammar":
        grammar = reader.read(format_, _Grammar, join(path, "format")).fields()
        fields["format"] = {"type": "grammar", "grammar": grammar}
    return {"type": kind, kind: fields}


def _named(tool: object, path: str, reader: Reader) -> Json | None:
    if not isinstance(tool, dict):
        raise bad_request(f"`{path}` must be an object.", code="invalid_type", param=path)
    if not _is_expressible(tool, path, reader):
        return None
    return {"type": tool["type"], tool["type"]: reader.read(tool, _Named, path).fields()}
