"""Tools and the choice among them as Gemini's `tools` and `toolConfig`.

Parameters go as `parametersJsonSchema`, which takes the JSON Schema as it stands. A `strict` function wants
calls that keep to its schema, which is what the mode VALIDATED promises; ANY always does.
Source: https://ai.google.dev/api/caching#FunctionDeclaration, #FunctionCallingConfig
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.providers.reading import Json, Members

_MODES: Final = {"none": "NONE", "auto": "AUTO", "required": "ANY"}
_ALLOWED_MODES: Final = {"auto": "VALIDATED", "required": "ANY"}


class Tools(NamedTuple):
    """What is declared, and whether any of it is strict."""

    declarations: list[Json]
    strict: bool


def read(request: Members) -> Tools:
    """The functions of `tools`. Raises GatewayError (400) for tools of another type."""
    declarations = []
    strict = False
    for tool in request.children("tools"):
        kind = tool.need("type", str)
        if kind != "function":
            tool.unsupported("type", f"its API has functions only, not {kind!r}")
            continue
        function = tool.need_child("function", '{"name": "f", "parameters": {"type": "object"}}')
        declaration: Json = {"name": function.need("name", str)}
        description = function.take("description", str)
        if description is not None:
            declaration["description"] = description
        parameters = function.raw("parameters")
        if parameters is not None:
            declaration["parametersJsonSchema"] = parameters
        strict = function.take("strict", bool) or strict
        function.finish()
        tool.finish()
        declarations.append(declaration)
    return Tools(declarations, strict)


def choice(request: Members, *, strict: bool) -> Json | None:
    """`tool_choice` as `functionCallingConfig`; None = the default, by which the model decides.

    Raises GatewayError (400) for a choice that it cannot take.
    """
    chosen = request.text_or_child("tool_choice")
    if isinstance(chosen, Members):
        return _named(chosen)
    if chosen is not None and chosen not in _MODES:
        raise request.wrong("tool_choice", f"must be one of {', '.join(_MODES)}, or an object")
    mode = _MODES[chosen or "auto"]
    if mode != "AUTO":
        return {"mode": mode}
    return {"mode": "VALIDATED"} if strict else None


def _named(chosen: Members) -> Json | None:
    kind = chosen.need("type", str)
    if kind == "function":
        function = chosen.need_child("function", '{"name": "f"}')
        config: Json = {"mode": "ANY", "allowedFunctionNames": [function.need("name", str)]}
        function.finish()
    elif kind == "allowed_tools":
        config = _allowed(chosen.need_child("allowed_tools", '{"mode": "auto", "tools": […]}'))
    else:
        chosen.unsupported("type", f"its API chooses among functions only, not {kind!r}")
        return None
    chosen.finish()
    return config


def _allowed(allowed: Members) -> Json:
    mode = allowed.need_one_of("mode", _ALLOWED_MODES)
    names = []
    for tool in allowed.children("tools"):
        function = tool.need_child("function", '{"name": "f"}')
        names.append(function.need("name", str))
        function.finish()
        tool.ignore("type")
        tool.finish()
    allowed.finish()
    return {"mode": _ALLOWED_MODES[mode], "allowedFunctionNames": names}
