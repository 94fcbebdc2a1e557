"""A request of the Responses API as one of chat completions, for use without stored responses.

https://platform.openai.com/docs/api-reference/responses/create and
https://platform.openai.com/docs/api-reference/chat/create.

| parameter | what becomes of it |
|---|---|
| `model` | replaced by the upstream model |
| `instructions`, `input` | `messages` (see items) |
| `tools`, `tool_choice`, `parallel_tool_calls` | nested (see tools); nothing without any tool |
| `text.format` | `response_format` |
| `max_output_tokens` | `max_completion_tokens`: either counts reasoning |
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

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec

from gateway.errors import bad_request
from gateway.providers.dialects.responses import items, tools
from gateway.providers.dialects.responses.reading import Given, Json, Reader, unsupported

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
_PASSED: Final[Mapping[str, str]] = {
    "max_output_tokens": "max_completion_tokens",
    "prompt_cache_key": "prompt_cache_key",
    "prompt_cache_retention": "prompt_cache_retention",
    "safety_identifier": "safety_identifier",
    "service_tier": "service_tier",
    "temperature": "temperature",
    "top_p": "top_p",
    "user": "user",
}


class Request(Given):
    """The parameters that can be put to chat completions, and those that the response tells back."""

    input: str | list[Any]
    include: list[str] = msgspec.field(default_factory=list)
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Json | None = None
    prompt_cache_retention: str | None = None
    reasoning: Json | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    stream: bool = False
    stream_options: Json | None = None
    temperature: float | int | None = None
    text: Json | None = None
    tool_choice: str | Json | None = None
    tools: list[Any] = msgspec.field(default_factory=list)
    top_logprobs: int | None = None
    top_p: float | int | None = None
    user: str | None = None
    moot: ClassVar = frozenset({"model"})
    idle: ClassVar = {
        "background": False,
        "context_management": [],
        "store": False,
        "truncation": "disabled",
    }


class _Reasoning(Given):
    effort: str | None = None
    summary: str | None = None
    idle: ClassVar = {"context": "auto", "generate_summary": "auto", "mode": "standard"}


class _Text(Given):
    format: Json | None = None
    verbosity: str | None = None


class _StreamOptions(Given):
    """No field is ever padded, which is what `include_obfuscation` would ask for."""

    idle: ClassVar = {"include_obfuscation": False}


class _PromptCacheOptions(Given):
    mode: str | None = None
    ttl: str | None = None


def decode(body: bytes) -> Json:
    """The JSON object in `body`. Raises GatewayError (400)."""
    try:
        return msgspec.json.decode(body, type=Json)
    except msgspec.ValidationError:
        raise bad_request("The request body must be a JSON object.") from None
    except UnicodeDecodeError:
        raise bad_request("The request body is not valid UTF-8.") from None
    except msgspec.DecodeError as error:
        raise bad_request(f"The request body is not valid JSON: {error}.") from None


def translated(body: Json, model: str, reader: Reader) -> tuple[Json, Json]:
    """The body for chat completions, and the fields that a response tells back of its request.

    Raises GatewayError (400) for what is wrong or cannot be put to chat completions.
    """
    for name in _STORED:
        if body.get(name) is not None:
            raise unsupported(name, "nothing is stored that it could refer to; send all of it in `input`")
    request = reader.read(body, Request, "")
    request.tools = tools.supported(request.tools, reader)
    reasoning = _reasoning(request, reader)
    text = reader.read(request.text or {}, _Text, "text")
    reader.read(request.stream_options or {}, _StreamOptions, "stream_options")
    messages, withheld = items.messages(request.instructions, request.input, model, reader)
    chat = {
        "model": model,
        "messages": messages,
        **_tools(request, reader),
        **_logprobs(request, reader),
        "response_format": None if text.format is None else tools.answer_format(text.format, reader),
        "verbosity": text.verbosity,
        "reasoning_effort": reasoning.effort,
        "prompt_cache_options": _cache_options(request, reader),
        **{there: getattr(request, here) for here, there in _PASSED.items()},
    }
    if request.stream:
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    sent = {name: value for name, value in chat.items() if value is not None}
    told_back = _told_back(request, reasoning, text)
    return sent, {**told_back, "input_transformations": withheld} if withheld else told_back


def _reasoning(request: Request, reader: Reader) -> _Reasoning:
    reasoning = reader.read(request.reasoning or {}, _Reasoning, "reasoning")
    if reasoning.summary not in (None, "auto"):
        reader.lacks("reasoning.summary", "reasoning is told as the provider tells it; `auto` means that")
        reasoning.summary = None
    return reasoning


def _tools(request: Request, reader: Reader) -> Json:
    """What chat completions takes of tools; it refuses an empty list, and the rest without a list."""
    choice = None if request.tool_choice is None else tools.choice(request.tool_choice, reader)
    if choice is None:
        request.tool_choice = None
    if not request.tools:
        if choice not in (None, "auto", "none"):
            raise bad_request(
                "`tool_choice` asks for a tool, but there is none in `tools`.",
                code="invalid_value",
                param="tool_choice",
            )
        return {}
    return {
        "tools": tools.translated(request.tools, reader),
        "tool_choice": choice,
        "parallel_tool_calls": request.parallel_tool_calls,
    }


def _logprobs(request: Request, reader: Reader) -> Json:
    for number, value in enumerate(request.include):
        if value not in _INCLUDABLE:
            reader.lacks(f"include[{number}]", f"there is no `{value[:80]}`")
    if not request.top_logprobs and _LOGPROBS not in request.include:
        return {}
    return {"logprobs": True, "top_logprobs": request.top_logprobs}


def _cache_options(request: Request, reader: Reader) -> Json | None:
    if request.prompt_cache_options is None:
        return None
    return reader.read(request.prompt_cache_options, _PromptCacheOptions, "prompt_cache_options").fields()


def _told_back(request: Request, reasoning: _Reasoning, text: _Text) -> Json:
    """The fields of a response that its request determines, as they took effect; null where unknown."""
    return {
        "background": False,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "metadata": request.metadata or {},
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": None,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": {"effort": reasoning.effort, "summary": reasoning.summary},
        "safety_identifier": request.safety_identifier,
        "service_tier": request.service_tier,
        "store": False,
        "temperature": request.temperature,
        "text": {"format": text.format or {"type": "text"}, "verbosity": text.verbosity or "medium"},
        "tool_choice": request.tool_choice or "auto",
        "tools": request.tools,
        "top_logprobs": request.top_logprobs or 0,
        "top_p": request.top_p,
        "truncation": "disabled",
        "user": request.user,
    }
