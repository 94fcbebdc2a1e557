"""What Gemini's API refuses, as its own errors.

Names that it does not know, content out of order, calls without answers or signatures, values out of range.
Sources: https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/function-calling,
https://ai.google.dev/gemini-api/docs/thought-signatures, https://ai.google.dev/gemini-api/docs/thinking
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Final

ANY: Final = object()
SIGNATURE: Final = base64.b64encode(b"a signed thought").decode()
"""The signature of every thought of the double."""
SKIP: Final = "skip_thought_signature_validator"

_BLOB: Final = {"mimeType": ANY, "data": ANY}
_FILE: Final = {"mimeType": ANY, "fileUri": ANY}
_RESPONSE_PART: Final = {"inlineData": _BLOB, "fileData": _FILE, "mediaResolution": {"level": ANY}}
_PART: Final = {
    "text": ANY,
    "thought": ANY,
    "thoughtSignature": ANY,
    "inlineData": _BLOB,
    "fileData": _FILE,
    "mediaResolution": {"level": ANY},
    "functionCall": {"id": ANY, "name": ANY, "args": ANY},
    "functionResponse": {"id": ANY, "name": ANY, "response": ANY, "parts": [_RESPONSE_PART]},
}
_DATA: Final = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
_CONTENT: Final = {"role": ANY, "parts": [_PART]}
_DECLARATION: Final = {
    "name": ANY,
    "description": ANY,
    "parameters": ANY,
    "parametersJsonSchema": ANY,
    "response": ANY,
    "responseJsonSchema": ANY,
}
_THINKING: Final = {"includeThoughts": ANY, "thinkingBudget": ANY, "thinkingLevel": ANY}
_CONFIG: Final = dict.fromkeys(
    (
        "candidateCount",
        "frequencyPenalty",
        "logprobs",
        "maxOutputTokens",
        "presencePenalty",
        "responseJsonSchema",
        "responseLogprobs",
        "responseMimeType",
        "responseModalities",
        "responseSchema",
        "seed",
        "stopSequences",
        "temperature",
        "topK",
        "topP",
    ),
    ANY,
) | {"thinkingConfig": _THINKING}
GENERATE: Final = {
    "contents": [_CONTENT],
    "systemInstruction": _CONTENT,
    "tools": [{"functionDeclarations": [_DECLARATION]}],
    "toolConfig": {"functionCallingConfig": {"mode": ANY, "allowedFunctionNames": ANY}},
    "safetySettings": [{"category": ANY, "threshold": ANY}],
    "generationConfig": _CONFIG,
    "cachedContent": ANY,
    "serviceTier": ANY,
}
EMBED: Final = {
    "requests": [
        {"model": ANY, "content": _CONTENT, "taskType": ANY, "title": ANY, "outputDimensionality": ANY}
    ]
}

_RANGES: Final = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "candidateCount": (1, 8),
    "maxOutputTokens": (1, 65536),
    "presencePenalty": (-2, 2),
    "frequencyPenalty": (-2, 2),
    "logprobs": (0, 20),
    "seed": (-(2**31), 2**31 - 1),
}
_SNAKE: Final = re.compile(r"_([a-z])").sub
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}").fullmatch


class ApiError(Exception):
    """An error of the API: the status of HTTP, the name of the google.rpc.Code, a message, details."""

    def __init__(self, code: int, status: str, message: str, *details: dict[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.details = details

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = list(self.details)
        return {"error": error}


def invalid(message: str) -> ApiError:
    """400 INVALID_ARGUMENT."""
    return ApiError(400, "INVALID_ARGUMENT", message)


def known(value: Any, shape: Any, path: str = "") -> Any:
    """`value` with its names in camel case; `shape` is a dict of members, a list of one item, or ANY."""
    if shape is ANY:
        return value
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise invalid(f"Invalid value at '{path}': Proto field is repeated")
        return [known(item, shape[0], f"{path}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        raise invalid(f"Invalid value at '{path}': Proto field is a message")
    made = {}
    for given, member in value.items():
        name = _SNAKE(lambda match: match[1].upper(), given)
        if name not in shape:
            raise invalid(
                f"Invalid JSON payload received. Unknown name \"{given}\" at '{path}': Cannot find field."
            )
        made[name] = known(member, shape[name], f"{path}.{given}".strip("."))
    return made


def check_generate(body: Any, generation: int) -> None:
    """Refuses a GenerateContentRequest for a model of `generation` as the API does."""
    request = known(body, GENERATE)
    contents = request.get("contents")
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified")
    for index, content in enumerate(contents):
        _check_content(content, f"contents[{index}]")
    if "systemInstruction" in request:
        _check_content({"role": "user", **request["systemInstruction"]}, "systemInstruction")
    _check_calls(contents)
    if generation >= 3:
        _check_signatures(contents)
    _check_tools(request)
    _check_config(request.get("generationConfig", {}), generation)


def _check_content(content: dict[str, Any], path: str) -> None:
    if content.get("role", "user") not in ("user", "model"):
        raise invalid("Please use a valid role: user, model.")
    if not content.get("parts"):
        raise invalid(f"* GenerateContentRequest.{path}.parts: contents.parts must not be empty.")
    for index, part in enumerate(content["parts"]):
        if len([name for name in _DATA if name in part]) != 1:
            raise invalid(f"{path}.parts[{index}].data: required oneof field 'data' must be initialized once")
        try:
            base64.b64decode(part.get("inlineData", {}).get("data", ""), validate=True)
        except binascii.Error:
            raise invalid(f"Invalid value at '{path}.parts[{index}]': Base64 decoding failed") from None


def _parts(content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [part[name] for part in content["parts"] if name in part]


def _check_calls(contents: list[dict[str, Any]]) -> None:
    for before, content in zip([None, *contents], contents, strict=False):
        calls = _parts(content, "functionCall")
        if calls and (content.get("role") != "model" or before is None or before.get("role") == "model"):
            raise invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a "
                "function response turn."
            )
        if any(not isinstance(call.get("args", {}), dict) for call in calls):
            raise invalid("Invalid value at 'function_call.args': Proto field is a message")
        responses = _parts(content, "functionResponse")
        if not responses:
            continue
        asked = [] if before is None else _parts(before, "functionCall")
        if len(asked) != len(responses):
            raise invalid(
                "Please ensure that the number of function response parts is equal to the number of "
                "function call parts of the function call turn."
            )
        if sorted(_identity(call) for call in asked) != sorted(_identity(one) for one in responses):
            raise invalid("Please ensure that function response parts match the function call parts.")
        if any(not isinstance(response.get("response"), dict) for response in responses):
            raise invalid("Invalid value at 'function_response.response': Proto field is a message")
    last = contents[-1]
    if _parts(last, "functionCall"):
        raise invalid("Please ensure that function call turn is followed by a function response turn.")


def _identity(part: dict[str, Any]) -> tuple[str, str]:
    return part.get("id", ""), part["name"]


def _current_turn(contents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What stands behind the last content that a user wrote."""
    started = max(
        (
            index
            for index, content in enumerate(contents)
            if content.get("role", "user") == "user" and not _parts(content, "functionResponse")
        ),
        default=-1,
    )
    yield from contents[started + 1 :]


def _check_signatures(contents: list[dict[str, Any]]) -> None:
    for content in _current_turn(contents):
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and calls[0].get("thoughtSignature") not in (SIGNATURE, SKIP):
            raise invalid("Function call is missing a thought_signature in functionCall parts.")


def _check_tools(request: dict[str, Any]) -> None:
    declared = [one for tool in request.get("tools", []) for one in tool.get("functionDeclarations", [])]
    names = [one.get("name", "") for one in declared]
    for name in names:
        if not _NAME(name):
            raise invalid(f"Invalid function name {name!r}. Must start with a letter or an underscore.")
    if len(set(names)) != len(names):
        raise invalid("Duplicate function declaration found.")
    config = request.get("toolConfig", {}).get("functionCallingConfig", {})
    allowed = config.get("allowedFunctionNames")
    if config.get("mode", "AUTO") not in ("AUTO", "ANY", "NONE", "VALIDATED"):
        raise invalid("Invalid value at 'tool_config.function_calling_config.mode'")
    if allowed is not None:
        if config.get("mode") not in ("ANY", "VALIDATED"):
            raise invalid("Allowed function names should only be set when the function calling mode is ANY.")
        if not set(allowed) <= set(names):
            raise invalid("allowed_function_names should be a subset of the function declarations.")


def _check_config(config: dict[str, Any], generation: int) -> None:
    for name, (low, high) in _RANGES.items():
        if name in config and not low <= config[name] <= high:
            raise invalid(f"{name} must be in the range [{low}, {high}].")
    if "logprobs" in config and not config.get("responseLogprobs"):
        raise invalid("Logprobs is set but response_logprobs is not.")
    if len(config.get("stopSequences", [])) > 5:
        raise invalid("The number of stop sequences must be at most 5.")
    if "responseJsonSchema" in config and config.get("responseMimeType") != "application/json":
        raise invalid("response_json_schema needs response_mime_type application/json.")
    thinking = config.get("thinkingConfig", {})
    if "thinkingLevel" in thinking and "thinkingBudget" in thinking:
        raise invalid("You can only set only one of thinking budget and thinking level.")
    if "thinkingLevel" in thinking and generation < 3:
        raise invalid("Thinking level is not supported for this model.")
    if thinking.get("thinkingLevel", "LOW") not in ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"):
        raise invalid("Invalid value at 'generation_config.thinking_config.thinking_level'")
