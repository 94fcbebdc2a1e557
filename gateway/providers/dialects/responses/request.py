"""A request of the Responses API as one of chat completions, for use without stored responses.

https://platform.openai.com/docs/api-reference/responses/create and
https://platform.openai.com/docs/api-reference/chat/create.

| parameter | what becomes of it |
|---|---|
| `model` | replaced by the upstream model |
| `instructions`, `input` | `messages` (see items) |
| `tools`, `tool_choice`, `parallel_tool_calls` | nested (see tools); nothing without any tool |
| `text.format` | `response_format` |
| `max_output_tokens` | `max_tokens`, or `max_completion_tokens` as the model wants (limits.py) |
| `reasoning.effort`, `text.verbosity` | `reasoning_effort`, `verbosity` |
| `reasoning.summary` | `auto` asks for nothing: what the provider tells of its reasoning is always given |
| `include`, `top_logprobs` | `logprobs`, `top_logprobs` |
| `temperature`, `top_p`, `user`, `safety_identifier`, `service_tier`, `prompt_cache_*` | the same |
| `stream` | with `stream_options.include_usage`: the last event tells the usage |
| `metadata` | told back in the response, which is all that it is for; not sent |
| `max_tool_calls` | told back: it limits tools that run at OpenAI, of which there are none |
| `include` | what only such tools have, or encrypted reasoning (see continuation), is accepted |
| `store: false`, `background: false`, `truncation: disabled`, `context_management: []` | ask for nothing |
| `store` absent | as `false`, which the response tells, since nothing is stored |
| `previous_response_id`, `conversation`, `prompt` | always refused: what they refer to is part of the input |
| all others, other values of the above | not supported: refused, or left out with `drop_unsupported` |
"""

from __future__ import annotations

from typing import Final

from gateway.providers.dialects.limits import limit_name
from gateway.providers.dialects.responses import items, tools
from gateway.providers.reading import Json, Members, refuse_content

_STORED: Final = ("previous_response_id", "conversation", "prompt")
_LOGPROBS: Final = "message.output_text.logprobs"
_INCLUDABLE: Final = frozenset(
    {
        _LOGPROBS,
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "reasoning.encrypted_content",
        "web_search_call.action.sources",
        "web_search_call.results",
    }
)
_PASSED: Final = (
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "user",
)
_NUMBERS: Final = ("temperature", "top_p")
_DEFAULTS: Final[Json] = {
    "background": False,
    "context_management": [],
    "store": False,
    "truncation": "disabled",
}


def translated(request: Members, model: str) -> tuple[Json, Json]:
    """The body for chat completions, and the members that a response tells back of its request.

    Raises GatewayError (400) for what is wrong or cannot be put to chat completions.
    """
    for name in _STORED:
        if request.has(name):
            lack = "nothing is stored that it could refer to; send all of it in `input`"
            refuse_content(name, lack)
    request.ignore("model")
    passed: Json = {name: request.take(name, str) for name in _PASSED}
    passed |= {name: request.number(name) for name in _NUMBERS}
    limit = request.take("max_output_tokens", int)
    reasoning = _reasoning(request)
    text, form, verbosity = _text(request)
    instructions = request.take("instructions", str)
    messages, withheld = items.messages(instructions, request.need_text_or_children("input"), model)
    offered, told_tools = _tools(request)
    top_logprobs = request.take("top_logprobs", int)
    chat = {
        "model": model,
        "messages": messages,
        **offered,
        **_logprobs(request, top_logprobs),
        "response_format": form,
        "verbosity": verbosity,
        "reasoning_effort": reasoning["effort"],
        "prompt_cache_options": _cache_options(request),
        limit_name(model): limit,
        **passed,
        **_stream(request),
    }
    told_back = {
        "background": False,
        "instructions": instructions,
        "max_output_tokens": limit,
        "max_tool_calls": request.take("max_tool_calls", int),
        "metadata": request.take("metadata", dict[str, str]) or {},
        "previous_response_id": None,
        "reasoning": reasoning,
        "store": False,
        "text": text,
        "top_logprobs": top_logprobs or 0,
        "truncation": "disabled",
        **told_tools,
        **{name: value for name, value in passed.items() if name != "prompt_cache_retention"},
        **({"input_transformations": withheld} if withheld else {}),
    }
    request.finish(defaults=_DEFAULTS)
    return {name: value for name, value in chat.items() if value is not None}, told_back


def _reasoning(request: Members) -> Json:
    """`reasoning` as it took effect."""
    reasoning = request.child("reasoning")
    if reasoning is None:
        return {"effort": None, "summary": None}
    effort = reasoning.take("effort", str)
    summary = reasoning.take("summary", str)
    if summary not in (None, "auto"):
        reasoning.unsupported(
            "summary", "reasoning is told as the provider tells it, which is what `auto` means"
        )
        summary = None
    reasoning.finish(defaults={"context": "auto", "generate_summary": "auto", "mode": "standard"})
    return {"effort": effort, "summary": summary}


def _text(request: Members) -> tuple[Json, Json | None, str | None]:
    """`text` as it took effect; the `response_format` and the verbosity that it asks for."""
    text = request.child("text")
    if text is None:
        return {"format": {"type": "text"}, "verbosity": "medium"}, None, None
    form = text.child("format")
    verbosity = text.take("verbosity", str)
    text.finish()
    told: Json = {"format": {"type": "text"}, "verbosity": verbosity or "medium"}
    if form is not None:
        told["format"] = form.given
    return told, None if form is None else tools.answer_format(form), verbosity


def _tools(request: Members) -> tuple[Json, Json]:
    """What chat completions takes of tools, and what of them is told back.

    Chat completions refuses an empty list, and the rest without a list.
    """
    offered = tools.read(request)
    given = request.text_or_child("tool_choice")
    choice = None if given is None else tools.choice(given, request)
    parallel = request.take("parallel_tool_calls", bool)
    told: Json = {
        "parallel_tool_calls": parallel is not False,
        "tool_choice": "auto",
        "tools": offered.given,
    }
    if choice is not None:
        told["tool_choice"] = given.given if isinstance(given, Members) else given
    if offered.chat:
        return {"tools": offered.chat, "tool_choice": choice, "parallel_tool_calls": parallel}, told
    if choice not in (None, "auto", "none"):
        raise request.wrong("tool_choice", "asks for a tool, but there is none in `tools`")
    return {}, told


def _logprobs(request: Members, top_logprobs: int | None) -> Json:
    include = request.take("include", list[str]) or []
    for number, value in enumerate(include):
        if value not in _INCLUDABLE:
            request.unsupported(f"include[{number}]", f"there is no `{value[:80]}`")
    if not top_logprobs and _LOGPROBS not in include:
        return {}
    return {"logprobs": True, "top_logprobs": top_logprobs}


def _cache_options(request: Members) -> Json | None:
    options = request.child("prompt_cache_options")
    if options is None:
        return None
    given = {name: options.take(name, str) for name in ("mode", "ttl")}
    options.finish()
    return {name: value for name, value in given.items() if value is not None}


def _stream(request: Members) -> Json:
    options = request.child("stream_options")
    if options is not None:
        options.finish(defaults={"include_obfuscation": False})  # no event is ever padded
    return {"stream": True, "stream_options": {"include_usage": True}} if request.take("stream", bool) else {}
