"""A Messages request as one of chat completions.

https://platform.claude.com/docs/en/api/messages/create and
https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from gateway.providers.dialects.limits import limit_name
from gateway.providers.dialects.messages.conversation import conversation
from gateway.providers.dialects.messages.message import Asked
from gateway.providers.dialects.messages.tools import tool_members
from gateway.providers.dialects.messages.translator import MessagesTranslator
from gateway.providers.reading import Json, Members
from gateway.providers.translation import Translation

MAX_USER: Final = 64
"""Characters of `user` that OpenAI takes; some other providers take 128."""

_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_MEDIUM_FROM: Final = 4096
_HIGH_FROM: Final = 16384

_LACKS: Final = {
    "top_k": "chat completions has no top_k",
    "container": "chat completions has no containers",
    "mcp_servers": "in chat completions the client alone calls MCP servers",
    "diagnostics": "chat completions tells nothing of cache misses",
}


def translate(body: bytes, model: str, *, drop_unsupported: bool = False) -> Translation:
    """The request for the provider's `model`, and who makes a Message of the answer.

    Raises GatewayError (400), naming the parameter, for what is not a Messages request, and for what chat
    completions cannot express: `drop_unsupported` leaves such parameters out, but never content.
    """
    request = Members.of_request(body, drop=drop_unsupported)
    request.ignore("model", "cache_control")
    stops = request.take("stop_sequences", list[str], "must be an array of strings") or []
    thinking, shown = _thinking(request)
    effort, output = _output(request)
    chat: Json = {"model": model, "messages": conversation(request, model)}
    chat |= _sampling(request, model)
    chat |= {"stop": stops} if stops else {}
    chat |= tool_members(request)
    chat |= {"reasoning_effort": effort or thinking} if effort or thinking else {}
    chat |= output | _caller(request)
    if request.take("stream", bool):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    _pass_over_defaults(request)
    request.finish(_LACKS)
    return Translation(
        b"/chat/completions",
        msgspec.json.encode(chat),
        MessagesTranslator(Asked(model, stops, thoughts_shown=shown)),
    )


def _sampling(request: Members, model: str) -> Json:
    """How many tokens there may be, and how they are chosen: in the digits that came."""
    limit = request.need("max_tokens", int)
    if limit < 1:
        raise request.wrong("max_tokens", "must be at least 1: chat completions cannot just fill a cache")
    members: Json = {limit_name(model): limit}
    for name in ("temperature", "top_p"):
        number = request.number(name)
        if number is not None:
            members[name] = number
    return members


def _thinking(request: Members) -> tuple[str | None, bool]:
    """The effort that `thinking` stands for, if any, and whether the client gets to read the thoughts."""
    thinking = request.child("thinking")
    if thinking is None:
        return None, True
    kind = thinking.need("type", str)
    effort = None
    if kind == "enabled":
        budget = thinking.need("budget_tokens", int)
        effort = "low" if budget < _MEDIUM_FROM else "medium" if budget < _HIGH_FROM else "high"
    elif kind not in ("adaptive", "disabled"):
        thinking.unsupported("type", f"chat completions has nothing like `{kind}`")
    display = thinking.take("display", str) or "summarized"
    if display not in ("summarized", "omitted"):
        raise thinking.wrong("display", "must be summarized or omitted")
    thinking.finish()
    return effort, kind != "disabled" and display != "omitted"


def _output(request: Members) -> tuple[str | None, Json]:
    """The effort that `output_config` asks for, if any, and the `response_format`."""
    config = request.child("output_config")
    if config is None:
        return None, {}
    effort = config.take("effort", str)
    if effort is not None and effort not in _EFFORTS:
        raise config.wrong("effort", f"must be one of {', '.join(_EFFORTS)}")
    form = config.child("format")
    config.finish()
    if form is None:
        return effort, {}
    if form.need("type", str) != "json_schema":
        raise form.wrong("type", "must be json_schema")
    schema = form.need_raw_object("schema", "must be a JSON schema, which is an object")
    form.finish()
    # Anthropic's API keeps to every schema; here that must be asked for.
    wanted = {"name": "output", "strict": True, "schema": schema}
    return effort, {"response_format": {"type": "json_schema", "json_schema": wanted}}


def _caller(request: Members) -> Json:
    """Who asks, and at which price."""
    members: Json = {}
    metadata = request.child("metadata")
    if metadata is not None:
        user = metadata.take("user_id", str)
        metadata.finish()
        if user is not None:
            # Claude Code's is JSON of about 200 characters. It is opaque, so its digest says as much.
            members["user"] = user if len(user) <= MAX_USER else sha256(user.encode()).hexdigest()
    tier = request.take("service_tier", str) or "auto"
    if tier == "standard_only":
        members["service_tier"] = "default"
    elif tier != "auto":
        raise request.wrong("service_tier", "must be auto or standard_only")
    return members


def _pass_over_defaults(request: Members) -> None:
    """Leaves out what is asked for where that is the case anyway, and refuses it where it is not."""
    if (request.take("speed", str) or "standard") != "standard":
        request.unsupported("speed", "chat completions has one speed")
    management = request.child("context_management")
    if management is None:
        return
    for edit in management.children("edits"):
        # Claude Code sends this one with every request: nothing is cleared.
        kind, keep = edit.need("type", str), edit.raw("keep")
        if kind != "clear_thinking_20251015" or keep is None or bytes(keep) != b'"all"':
            edit.unsupported("type", "chat completions does not edit the conversation")
        edit.finish()
    management.finish()
