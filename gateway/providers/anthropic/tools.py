"""The tools of a request, and whether the model must call one.

- Functions become tools; `strict` is handed on. Tools of type `custom` are not supported.
- `tool_choice`: `auto`, `none`, `required` (which is `any`) or a function by its name; `allowed_tools` is not
  supported. The newest models take no forced call.
- `parallel_tool_calls: false` becomes `disable_parallel_tool_use`.
- The deprecated `functions` and `function_call` become tools as well, of which one at a time is called.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from gateway.providers.anthropic.content import Block, cache_mark
from gateway.providers.anthropic.fields import BOOL, OBJECT, TEXT, Fields, Raw, wrong
from gateway.providers.anthropic.models import Traits

_WORDS: Final[Mapping[str, str]] = {"auto": "auto", "none": "none", "required": "any"}
_FORCED: Final = ("any", "tool")
_TEXT_OR_OBJECT: Final = msgspec.json.Decoder(str | dict[str, Raw]).decode


class Tools(NamedTuple):
    """What a request says of tools.

    members: those of the request to the Messages API.
    forced: whether the model must call one.
    deprecated: whether the client calls them by their old name, functions.
    """

    members: Mapping[str, object]
    forced: bool
    deprecated: bool


def read_tools(request: Fields, traits: Traits) -> Tools:
    """Takes all that is about tools out of `request`. Raises GatewayError (400)."""
    functions = request.objects("functions")
    definitions = [_definition(function, cache_mark(function)) for function in functions]
    for tool in request.objects("tools"):
        kind = tool.take("type", TEXT) or "function"
        if kind == "function":
            definitions.append(_definition(tool.need_object("function"), cache_mark(tool)))
            tool.close()
        else:
            tool.refusals.unsupported(tool.at("type"), f"has no tools of type `{kind}`")
    parallel = request.take("parallel_tool_calls", BOOL)
    choice = _choice(request, "tool_choice", traits) or _choice(request, "function_call", traits)
    if not definitions:
        if choice is not None and choice["type"] in _FORCED:
            raise wrong("tool_choice", "asks for a call, but `tools` has none that could be called")
        return Tools({}, forced=False, deprecated=False)
    if (functions or parallel is False) and (choice is None or choice["type"] != "none"):
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    members: dict[str, object] = {"tools": definitions}
    if choice is not None:
        members["tool_choice"] = choice
    forced = choice is not None and choice["type"] in _FORCED
    return Tools(members, forced, deprecated=bool(functions))


def _definition(function: Fields, mark: Mapping[str, object]) -> Block:
    tool: Block = {"name": function.need("name", TEXT)}
    description = function.take("description", TEXT)
    if description:
        tool["description"] = description
    # The API asks for a type at the root, which chat completions lets one leave out.
    tool["input_schema"] = {"type": "object", **(function.take("parameters", OBJECT) or {"properties": {}})}
    if function.take("strict", BOOL):
        tool["strict"] = True
    function.close()
    return {**tool, **mark}


def _choice(request: Fields, member: str, traits: Traits) -> Block | None:
    given = request.take(member, _TEXT_OR_OBJECT)
    if given is None:
        return None
    choice = _word(given, member) if isinstance(given, str) else _named(given, request, member)
    if choice is not None and choice["type"] in _FORCED and not traits.forced_tools:
        request.refusals.unsupported(member, "lets this model decide by itself whether it calls a tool")
        return None
    return choice


def _word(word: str, member: str) -> Block:
    if word not in _WORDS:
        raise wrong(member, f"must be one of {', '.join(_WORDS)}, or an object that names a function")
    return {"type": _WORDS[word]}


def _named(given: Mapping[str, Raw], request: Fields, member: str) -> Block | None:
    choice = Fields(given, member, request.refusals)
    if member == "tool_choice":
        kind = choice.need("type", TEXT)
        if kind != "function":
            request.refusals.unsupported(choice.at("type"), f"has no tool choice of type `{kind}`")
            return None
        function = choice.need_object("function")
        choice.close()
    else:
        function = choice
    name = function.need("name", TEXT)
    function.close()
    return {"type": "tool", "name": name}
