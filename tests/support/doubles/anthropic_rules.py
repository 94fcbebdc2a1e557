"""What Anthropic's Messages API asks of a request, as far as a translation can get it wrong.

Stricter than the API in one point: roles must alternate, since older versions of the API asked for that.
https://platform.claude.com/docs/en/api/messages
https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

VERSIONS = ("2023-06-01", "2026-10-21")
_ID = re.compile(r"[a-zA-Z0-9_-]+").fullmatch
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}").fullmatch


class ApiError(Exception):
    """An error answer of the API."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message


class Model(NamedTuple):
    """What one model takes: see the tables of the pages that models.py of the gateway names."""

    max_tokens: int
    thinking: tuple[str, ...]
    samplers: int = 0
    efforts: tuple[str, ...] = ("low", "medium", "high", "xhigh", "max")
    forced_tools: bool = True


MODELS: Mapping[str, Model] = {
    "claude-opus-5-5": Model(128_000, ("adaptive",), forced_tools=False),
    "claude-sonnet-5-5": Model(128_000, ("adaptive", "between_tools"), forced_tools=False),
    "claude-opus-4-8": Model(128_000, ("adaptive", "disabled")),
    "claude-sonnet-4-6": Model(
        128_000, ("adaptive", "enabled", "disabled"), 1, ("low", "medium", "high", "max")
    ),
    "claude-sonnet-4-5": Model(64_000, ("enabled", "disabled"), 1, ()),
    "claude-3-5-haiku-20241022": Model(8_192, (), 2, ()),
}

_TOP: Mapping[str, type | tuple[type, ...]] = {
    "model": str,
    "max_tokens": int,
    "messages": list,
    "system": (str, list),
    "tools": list,
    "tool_choice": dict,
    "thinking": dict,
    "output_config": dict,
    "stop_sequences": list,
    "metadata": dict,
    "service_tier": str,
    "stream": bool,
    "temperature": (int, float),
    "top_p": (int, float),
    "top_k": int,
}
_SAMPLERS = ("temperature", "top_p", "top_k")

# By type: the members a block must have, and those it may have besides.
_BLOCKS: Mapping[str, tuple[Mapping[str, type], tuple[str, ...]]] = {
    "text": ({"text": str}, ("cache_control", "citations")),
    "image": ({"source": dict}, ("cache_control",)),
    "document": ({"source": dict}, ("cache_control", "title", "context", "citations")),
    "thinking": ({"thinking": str, "signature": str}, ()),
    "redacted_thinking": ({"data": str}, ()),
    "tool_use": ({"id": str, "name": str, "input": dict}, ("cache_control",)),
    "tool_result": ({"tool_use_id": str}, ("content", "is_error", "cache_control")),
}
_OF_ROLE: Mapping[str, tuple[str, ...]] = {
    "user": ("text", "image", "document", "tool_result"),
    "assistant": ("text", "thinking", "redacted_thinking", "tool_use"),
}
_SOURCES: Mapping[tuple[str, str], tuple[Mapping[str, type], tuple[str, ...]]] = {
    ("image", "base64"): ({"media_type": str, "data": str}, ()),
    ("image", "url"): ({"url": str}, ()),
    ("image", "file"): ({"file_id": str}, ()),
    ("document", "base64"): ({"media_type": str, "data": str}, ()),
    ("document", "text"): ({"media_type": str, "data": str}, ()),
    ("document", "url"): ({"url": str}, ()),
    ("document", "file"): ({"file_id": str}, ()),
}
_MEDIA_TYPES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("image", "base64"): ("image/jpeg", "image/png", "image/gif", "image/webp"),
    ("document", "base64"): ("application/pdf",),
    ("document", "text"): ("text/plain",),
}


def sign(thinking: str) -> str:
    """The signature of a thought, by which the API knows that it is unchanged."""
    return "sig_" + hashlib.sha256(thinking.encode()).hexdigest()[:24]


def check(body: bytes, version: str) -> dict[str, Any]:
    """The request in `body`. Raises ApiError where the API would answer with one."""
    try:
        request = json.loads(body)
    except ValueError:
        raise _invalid("The request body is not valid JSON") from None
    if not isinstance(request, dict):
        raise _invalid("The request body must be an object")
    _members(request, {"model": str, "max_tokens": int, "messages": list}, tuple(_TOP), "")
    for name, value in request.items():
        if not isinstance(value, _TOP[name]) or (isinstance(value, bool) and _TOP[name] is not bool):
            raise _invalid(f"{name}: Input should be a valid value")
    model = MODELS.get(request["model"])
    if model is None:
        raise ApiError(404, "not_found_error", f"model: {request['model']}")
    if not 1 <= request["max_tokens"] <= model.max_tokens:
        raise _invalid(
            f"max_tokens: {request['max_tokens']} > {model.max_tokens}, which is the maximum allowed"
        )
    _check_sampling(request, model, version)
    _check_thinking(request, model)
    _check_tools(request, model)
    _check_output(request.get("output_config", {}), model)
    _check_small(request)
    _check_messages(request)
    marks = sum(1 for _ in _marks(request))
    if marks > 4:
        raise _invalid(f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")
    return request


def _invalid(message: str) -> ApiError:
    return ApiError(400, "invalid_request_error", message)


def _members(value: Any, required: Mapping[str, type], optional: tuple[str, ...], path: str) -> None:
    """The members of `value` are the `required` ones, of their types, and maybe `optional` ones."""
    at = f"{path}." if path else ""
    if not isinstance(value, dict):
        raise _invalid(f"{path}: Input should be an object")
    for name, kind in required.items():
        if name not in value:
            raise _invalid(f"{at}{name}: Field required")
        if not isinstance(value[name], kind):
            raise _invalid(f"{at}{name}: Input should be a valid {kind.__name__}")
    for name in value:
        if name not in required and name not in optional:
            raise _invalid(f"{at}{name}: Extra inputs are not permitted")


def _check_sampling(request: Mapping[str, Any], model: Model, version: str) -> None:
    given = [name for name in _SAMPLERS if name in request]
    if given and (version != VERSIONS[0] or not model.samplers):
        raise _invalid(f"`{given[0]}` is deprecated for this model.")
    if model.samplers == 1 and {"temperature", "top_p"} <= set(given):
        raise _invalid("`temperature` and `top_p` cannot both be specified for this model.")
    for name in ("temperature", "top_p"):
        if not 0 <= request.get(name, 1) <= 1:
            raise _invalid(f"{name}: range: 0..1")


def _check_thinking(request: Mapping[str, Any], model: Model) -> None:
    thinking = request.get("thinking")
    if thinking is None:
        return
    _members(thinking, {"type": str}, ("budget_tokens", "display"), "thinking")
    if thinking["type"] not in model.thinking:
        raise _invalid(f'"thinking.type.{thinking["type"]}" is not supported for this model.')
    if thinking["type"] == "enabled":
        budget = thinking.get("budget_tokens", 0)
        if budget < 1024:
            raise _invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if budget >= request["max_tokens"]:
            raise _invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if thinking["type"] in ("enabled", "adaptive"):
        if request.get("temperature", 1) != 1 or "top_k" in request:
            raise _invalid("`temperature` may only be set to 1 when thinking is enabled.")
        if request.get("tool_choice", {}).get("type") in ("any", "tool"):
            raise _invalid("Thinking may not be enabled when tool_choice forces tool use.")


def _check_tools(request: Mapping[str, Any], model: Model) -> None:
    names = set()
    for index, tool in enumerate(request.get("tools", ())):
        path = f"tools.{index}"
        _members(
            tool,
            {"name": str, "input_schema": dict},
            ("description", "strict", "cache_control", "type"),
            path,
        )
        if not _NAME(tool["name"]) or tool["name"] in names:
            raise _invalid(f"{path}.name: must be unique and match '^[a-zA-Z0-9_-]{{1,128}}$'")
        if tool["input_schema"].get("type") != "object":
            raise _invalid(f"{path}.input_schema.type: Input should be 'object'")
        names.add(tool["name"])
    choice = request.get("tool_choice")
    if choice is None:
        return
    required: dict[str, type] = {"type": str, **({"name": str} if choice.get("type") == "tool" else {})}
    optional = () if choice.get("type") == "none" else ("disable_parallel_tool_use",)
    _members(choice, required, optional, "tool_choice")
    if not names:
        raise _invalid("tool_choice: may only be specified while providing tools.")
    if choice["type"] not in ("auto", "any", "tool", "none"):
        raise _invalid("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    if choice["type"] == "tool" and choice["name"] not in names:
        raise _invalid(f"tool_choice.name: Tool '{choice['name']}' not found in provided tools")
    if choice["type"] in ("any", "tool") and not model.forced_tools:
        raise _invalid("tool_choice: forced tool use is not supported for this model.")


def _check_output(output: Mapping[str, Any], model: Model) -> None:
    _members(output, {}, ("effort", "format"), "output_config")
    if "effort" in output and output["effort"] not in model.efforts:
        raise _invalid("output_config.effort: this model does not support this effort level.")
    if "format" in output:
        _members(output["format"], {"type": str, "schema": dict}, (), "output_config.format")
        if output["format"]["type"] != "json_schema":
            raise _invalid("output_config.format.type: Input should be 'json_schema'")
        for schema in _walk(output["format"]["schema"]):
            if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
                raise _invalid("output_config.format.schema: 'additionalProperties' must be false")


def _check_small(request: Mapping[str, Any]) -> None:
    _members(request.get("metadata", {}), {}, ("user_id",), "metadata")
    if request.get("service_tier", "auto") not in ("auto", "standard_only"):
        raise _invalid("service_tier: Input should be 'auto' or 'standard_only'")
    for index, sequence in enumerate(request.get("stop_sequences", ())):
        if not isinstance(sequence, str) or not sequence.strip():
            raise _invalid(f"stop_sequences.{index}: each stop sequence must contain non-whitespace")
    _content(request.get("system", "-"), ("text",), "system")


def _check_messages(request: Mapping[str, Any]) -> None:
    if not request["messages"]:
        raise _invalid("messages: at least one message is required")
    called: list[str] = []
    previous = "assistant"
    for index, message in enumerate(request["messages"]):
        path = f"messages.{index}"
        _members(message, {"role": str}, ("content",), path)
        role = message["role"]
        if role not in _OF_ROLE:
            raise _invalid(f'messages: Unexpected role "{role}".')
        if role == previous:
            raise _invalid('messages: roles must alternate between "user" and "assistant", user first')
        blocks = _content(message.get("content"), _OF_ROLE[role], f"{path}.content")
        _check_results(blocks, called, path)
        called = [block["id"] for block in blocks if block["type"] == "tool_use"]
        previous = role
    if called:
        raise _unanswered(path, called)


def _check_results(blocks: list[dict[str, Any]], called: list[str], path: str) -> None:
    results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    missing = [id_ for id_ in called if id_ not in results]
    if missing:
        raise _unanswered(path, missing)
    for id_ in results:
        if id_ not in called:
            raise _invalid(f"{path}: unexpected `tool_use_id` found in `tool_result` blocks: {id_}.")
    if any(block["type"] != "tool_result" for block in blocks[: len(results)]):
        raise _invalid(f"{path}: `tool_result` blocks must come first in the content.")


def _unanswered(path: str, ids: list[str]) -> ApiError:
    return _invalid(
        f"{path}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(ids)}."
    )


def _content(content: Any, types: tuple[str, ...], path: str) -> list[dict[str, Any]]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list) or not content:
        raise _invalid(f"{path}: Input should be a non-empty string or list")
    for index, block in enumerate(content):
        _block(block, types, f"{path}.{index}")
    return content


def _block(block: Any, types: tuple[str, ...], path: str) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in types:
        raise _invalid(f"{path}: Input tag '{kind}' found using 'type' does not match any of {types}")
    required, optional = _BLOCKS[kind]
    _members(block, {"type": str, **required}, optional, path)
    check = _CHECKS.get(kind)
    if check is not None:
        check(block, path)


def _text(block: Mapping[str, Any], path: str) -> None:
    if not block["text"].strip():
        raise _invalid(f"{path}: text content blocks must contain non-whitespace text")


def _source(block: Mapping[str, Any], path: str) -> None:
    source = block["source"]
    kind = (block["type"], source.get("type"))
    if kind not in _SOURCES:
        raise _invalid(f"{path}.source.type: Input should be a known source")
    required, optional = _SOURCES[kind]
    _members(source, {"type": str, **required}, optional, f"{path}.source")
    if kind in _MEDIA_TYPES and source["media_type"] not in _MEDIA_TYPES[kind]:
        raise _invalid(f"{path}.source.media_type: Input should be one of {_MEDIA_TYPES[kind]}")


def _thinking(block: Mapping[str, Any], path: str) -> None:
    if block["signature"] != sign(block["thinking"]):
        raise _invalid(f"{path}: Invalid `signature` in `thinking` block")


def _call(block: Mapping[str, Any], path: str) -> None:
    if not _ID(block["id"]) or not _NAME(block["name"]):
        raise _invalid(f"{path}.id: String should match pattern '^[a-zA-Z0-9_-]+$'")


def _result(block: Mapping[str, Any], path: str) -> None:
    if "content" in block:
        _content(block["content"], ("text", "image", "document"), f"{path}.content")


_CHECKS: Mapping[str, Callable[[Mapping[str, Any], str], None]] = {
    "text": _text,
    "image": _source,
    "document": _source,
    "thinking": _thinking,
    "tool_use": _call,
    "tool_result": _result,
}


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within `value`."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _walk(inner)


def _marks(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for value in _walk(request):
        mark = value.get("cache_control")
        if mark is not None:
            _members(mark, {"type": str}, ("ttl",), "cache_control")
            yield value
