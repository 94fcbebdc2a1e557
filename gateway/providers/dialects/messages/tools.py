"""Tools: the client's as functions, which of them must be called, and the names that calls go by."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, urlsafe_b64encode
from typing import Final

from gateway.providers.reading import Json, Members

_FUNCTION_OF_CHOICE: Final = {"auto": "auto", "any": "required", "none": "none"}
# How long the API may hold input back: .../docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
_HINTS: Final = ("cache_control", "eager_input_streaming")
_DIRECT: Final = ["direct"]

_ESCAPE: Final = "toolu_gw_"
_PLAIN: Final = re.compile(rf"(?!{_ESCAPE})[A-Za-z0-9_-]+").fullmatch


def tool_members(request: Members) -> Json:
    """`tools`, `tool_choice` and `parallel_tool_calls` of chat completions."""
    tools = [tool for each in request.children("tools") if (tool := _function(each)) is not None]
    choice = request.child("tool_choice")
    if not tools:
        return _without_tools(choice)
    return {"tools": tools} | ({} if choice is None else _choice(choice))


def id_for_client(identifier: str) -> str:
    """The id of a call in letters that the Messages API allows (`^[a-zA-Z0-9_-]+$`); as it is, if it may."""
    if _PLAIN(identifier):
        return identifier
    return _ESCAPE + urlsafe_b64encode(identifier.encode()).decode().rstrip("=")


def id_for_provider(identifier: str) -> str:
    """The id that the provider gave to a call; one that never was a provider's stays what it is."""
    if not identifier.startswith(_ESCAPE):
        return identifier
    escaped = identifier.removeprefix(_ESCAPE)
    try:
        return b64decode(escaped + "=" * (-len(escaped) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return identifier


def _function(tool: Members) -> Json | None:
    kind = tool.take("type", str) or "custom"
    name = tool.need("name", str)
    if kind != "custom":
        tool.unsupported("type", f"chat completions has no tool of Anthropic's such as `{name}` ({kind})")
        return None
    function: Json = {"name": name}
    description = tool.take("description", str)
    if description is not None:
        function["description"] = description
    function["parameters"] = tool.need_raw_object("input_schema", "must be a JSON schema, which is an object")
    strict = tool.take("strict", bool)
    if strict is not None:
        function["strict"] = strict
    tool.ignore(*_HINTS)
    if tool.take("defer_loading", bool):
        tool.unsupported("defer_loading", "chat completions gives the model every tool at once")
    callers = tool.take("allowed_callers", list[str], "must be an array of strings")
    if (callers or _DIRECT) != _DIRECT:
        tool.unsupported("allowed_callers", "in chat completions the model alone calls tools")
    tool.finish()
    return {"type": "function", "function": function}


def _choice(choice: Members) -> Json:
    kind = choice.need("type", str)
    members: Json = {}
    if kind == "tool":
        members["tool_choice"] = {"type": "function", "function": {"name": choice.need("name", str)}}
    elif kind in _FUNCTION_OF_CHOICE:
        members["tool_choice"] = _FUNCTION_OF_CHOICE[kind]
    else:
        raise choice.wrong("type", "must be auto, any, tool or none")
    if choice.take("disable_parallel_tool_use", bool):
        members["parallel_tool_calls"] = False
    choice.finish()
    return members


def _without_tools(choice: Members | None) -> Json:
    """Nothing, since `auto` and `none` mean nothing then; the other choices cannot be kept."""
    if choice is not None and choice.need("type", str) not in ("auto", "none"):
        raise choice.wrong("type", "asks for a tool, but there is none in `tools`")
    return {}
