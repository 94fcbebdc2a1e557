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
from gateway.providers.anthropic.models import Traits
from gateway.providers.reading import Members, wrong

_WORDS: Final[Mapping[str, str]] = {"auto": "auto", "none": "none", "required": "any"}
_FORCED: Final = ("any", "tool")


class Tools(NamedTuple):
    """What a request says of tools.

    members: those of the request to the Messages API.
    forced: whether the model must call one.
    deprecated: whether the client calls them by their old name, functions.
    """

    members: Mapping[str, object]
    forced: bool
    deprecated: bool


def read_tools(request: Members, traits: Traits) -> Tools:
    """Takes all that is about tools out of `request`. Raises GatewayError (400)."""
    functions = request.children("functions")
    definitions = [_definition(function, cache_mark(function)) for function in functions]
    for tool in request.children("tools"):
        kind = tool.take("type", str) or "function"
        if kind == "function":
            definitions.append(_definition(tool.need_child("function"), cache_mark(tool)))
            tool.finish()
        else:
            tool.unsupported("type", f"its API has no tools of type `{kind}`")
    parallel = request.take("parallel_tool_calls", bool)
    choice = _choice(request, "tool_choice", traits) or _choice(request, "function_call", traits)
    if not definitions:
        if choice is not None and choice["type"] in _FORCED:
            raise request.wrong("tool_choice", "asks for a call, but `tools` has none that could be called")
        return Tools({}, forced=False, deprecated=False)
    if (functions or parallel is False) and (choice is None or choice["type"] != "none"):
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    members: dict[str, object] = {"tools": definitions}
    if choice is not None:
        members["tool_choice"] = choice
    forced = choice is not None and choice["type"] in _FORCED
    return Tools(members, forced, deprecated=bool(functions))


def _definition(function: Members, mark: Mapping[str, object]) -> Block:
    tool: Block = {"name": function.need("name", str)}
    description = function.take("description", str)
    if description:
        tool["description"] = description
    parameters = function.take("parameters", dict[str, msgspec.Raw])
    # The API asks for a type at the root, which chat completions lets one leave out.
    tool["input_schema"] = {"type": "object", **(parameters or {"properties": {}})}
    if function.take("strict", bool):
        tool["strict"] = True
    function.finish()
    return {**tool, **mark}


def _choice(request: Members, member: str, traits: Traits) -> Block | None:
    given = request.text_or_child(member)
    if given is None:
        return None
    choice = _word(given, member) if isinstance(given, str) else _named(given, member)
    if choice is not None and choice["type"] in _FORCED and not traits.forced_tools:
        request.unsupported(member, "its API lets this model decide by itself whether it calls a tool")
        return None
    return choice


def _word(word: str, member: str) -> Block:
    if word not in _WORDS:
        raise wrong(member, f"must be one of {', '.join(_WORDS)}, or an object that names a function")
    return {"type": _WORDS[word]}


def _named(choice: Members, member: str) -> Block | None:
    if member == "tool_choice":
        kind = choice.need("type", str)
        if kind != "function":
            choice.unsupported("type", f"its API has no tool choice of type `{kind}`")
            return None
        function = choice.need_child("function")
        choice.finish()
    else:
        function = choice
    name = function.need("name", str)
    function.finish()
    return {"type": "tool", "name": name}
