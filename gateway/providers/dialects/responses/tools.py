"""Tools and the form of the answer, as chat completions takes them.

The Responses API has flat what chat completions nests: `{"type": "function", "name": …}` there is
`{"type": "function", "function": {"name": …}}` here. Tools that run at OpenAI (`web_search`, `mcp` …) are not
supported. A function's `strict` is passed on as it is given; where it is absent, the Responses API tries to
be strict and chat completions does not (https://platform.openai.com/docs/guides/migrate-to-responses).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from gateway.providers.reading import Json, Members

_OF_ANY_TOOL: Final = {"allowed_callers": ["direct"], "async": False, "defer_loading": False}
_WORDS: Final = ("none", "auto", "required")
_FORMS: Final = ("text", "json_schema", "json_object")


class Tools(NamedTuple):
    """The tools that can be put to chat completions: as they came, and as they go."""

    given: list[msgspec.Raw]
    chat: list[Json]


def read(request: Members) -> Tools:
    """The `tools` of a request. Raises GatewayError (400)."""
    tools = Tools([], [])
    for tool in request.children("tools"):
        kind = _kind(tool)
        if kind is not None:
            tools.given.append(tool.given)
            tools.chat.append({"type": kind, kind: _READERS[kind](tool)})
            tool.finish(defaults=_OF_ANY_TOOL)
    return tools


def choice(given: str | Members, request: Members) -> str | Json | None:
    """`tool_choice` likewise; None where it names what is left out. Raises GatewayError (400)."""
    if isinstance(given, str):
        if given not in _WORDS:
            raise request.wrong("tool_choice", f"must be one of {', '.join(_WORDS)}, or an object")
        return given
    if given.peek("type") != "allowed_tools":
        return _named(given)
    given.ignore("type")
    mode = given.need("mode", str)
    named = [_named(tool) for tool in given.need_children("tools")]
    given.finish()
    tools = [tool for tool in named if tool is not None]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def answer_format(form: Members) -> Json | None:
    """`text.format` as `response_format`; None for plain text. Raises GatewayError (400)."""
    kind = form.need_one_of("type", _FORMS)
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": kind}
    schema = _described(form) | {"schema": form.need_raw_object("schema")} | _strict(form)
    form.finish()
    return {"type": kind, kind: schema}


def _kind(tool: Members) -> str | None:
    """The type of a tool; None for one that is left out."""
    kind = tool.peek("type")
    if kind is None or kind in _READERS:
        return tool.need_one_of("type", _READERS)
    tool.unsupported("type", f"no tool runs at the provider, such as `{kind[:80]}`")
    return None


def _named(tool: Members) -> Json | None:
    """A tool that a choice names; None for one that is left out."""
    kind = _kind(tool)
    if kind is None:
        return None
    name = tool.need("name", str)
    tool.finish()
    return {"type": kind, kind: {"name": name}}


def _function(tool: Members) -> Json:
    parameters = tool.raw_object("parameters")
    return _described(tool) | ({} if parameters is None else {"parameters": parameters}) | _strict(tool)


def _custom(tool: Members) -> Json:
    """A tool whose input is no JSON, but a text of a `format`."""
    form = tool.child("format")
    return _described(tool) | ({} if form is None else {"format": _text_format(form)})


def _text_format(form: Members) -> Json | msgspec.Raw:
    if form.peek("type") != "grammar":
        return form.given
    form.ignore("type")
    grammar = {name: form.need(name, str) for name in ("definition", "syntax")}
    form.finish()
    return {"type": "grammar", "grammar": grammar}


def _described(named: Members) -> Json:
    name = named.need("name", str)
    description = named.take("description", str)
    return {"name": name} if description is None else {"name": name, "description": description}


def _strict(named: Members) -> Json:
    strict = named.take("strict", bool)
    return {} if strict is None else {"strict": strict}


_READERS: Final[Mapping[str, Callable[[Members], Json]]] = {"function": _function, "custom": _custom}
