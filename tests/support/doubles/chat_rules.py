"""What a strict provider of chat completions takes: OpenAI's rules, unknown fields included.

https://platform.openai.com/docs/api-reference/chat/create; the lengths are those that the API's errors name
("Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40").
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
CallId = Annotated[str, Meta(min_length=1, max_length=40)]
Schema = dict[str, Any]

THINKING_MODEL = re.compile(r"(o[1-9]|gpt-[5-9])").match


class RequestError(Exception):
    """400: `message` says why, `param` where."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


class Strict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An object without unknown members."""


class TextPart(Strict, tag_field="type", tag="text"):
    text: str


class ImageUrl(Strict):
    url: Annotated[str, Meta(pattern=r"^(https?://|data:image/(png|jpeg|gif|webp);base64,)")]
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(Strict, tag_field="type", tag="image_url"):
    image_url: ImageUrl


class File(Strict):
    file_data: Annotated[str, Meta(pattern=r"^data:[a-z]+/[a-z.+-]+;base64,")] | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(Strict, tag_field="type", tag="file"):
    file: File


class Function(Strict):
    name: Name
    arguments: str


class Call(Strict):
    id: CallId
    type: Literal["function"]
    function: Function
    extra_content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


Texts = str | Annotated[list[TextPart], Meta(min_length=1)]


class System(Strict, tag_field="role", tag="system"):
    content: Texts


class User(Strict, tag_field="role", tag="user"):
    content: str | Annotated[list[TextPart | ImagePart | FilePart], Meta(min_length=1)]


class Assistant(Strict, tag_field="role", tag="assistant"):
    content: Texts | None = None
    tool_calls: Annotated[list[Call], Meta(min_length=1)] | None = None
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
    reasoning: str | msgspec.UnsetType = msgspec.UNSET
    thinking_blocks: list[Schema] | msgspec.UnsetType = msgspec.UNSET
    extra_content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Tool(Strict, tag_field="role", tag="tool"):
    tool_call_id: str
    content: Texts


class Definition(Strict):
    name: Name
    description: str | None = None
    parameters: Schema | None = None
    strict: bool | None = None


class FunctionTool(Strict):
    type: Literal["function"]
    function: Definition


class Chosen(Strict):
    name: Name


class Choice(Strict):
    type: Literal["function"]
    function: Chosen


class JsonSchema(Strict):
    name: Name
    schema: Schema
    strict: bool | None = None
    description: str | None = None


class Format(Strict):
    type: Literal["json_schema", "json_object", "text"]
    json_schema: JsonSchema | None = None


class StreamOptions(Strict):
    include_usage: bool = False


Message = System | User | Assistant | Tool
Stop = Annotated[list[str], Meta(max_length=4)]


class Request(Strict):
    """The body of a request, as far as the gateway's translators send it."""

    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop: str | Stop | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    tools: Annotated[list[FunctionTool], Meta(min_length=1, max_length=128)] | None = None
    tool_choice: Literal["auto", "none", "required"] | Choice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: Format | None = None
    user: Annotated[str, Meta(max_length=64)] | None = None
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None


def checked(body: bytes, extensions: Collection[str]) -> Request:
    """The request; `extensions` are members of messages which are known here, though not OpenAI's.

    Raises RequestError.
    """
    try:
        request = msgspec.json.decode(body, type=Request)
    except msgspec.ValidationError as error:
        detail, _, path = str(error).partition(" - at `$")
        param = path.strip("`.")
        raise RequestError(f"Invalid '{param}': {detail}", param or None) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"We could not parse the JSON body of your request: {error}") from None
    _check_parameters(request)
    _check_tools(request)
    _check_order(request.messages)
    for index, message in enumerate(request.messages):
        _check_extensions(message, f"messages[{index}]", extensions)
    return request


def _check_parameters(request: Request) -> None:
    if request.stream_options is not None and not request.stream:
        raise RequestError("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    thinks = THINKING_MODEL(request.model) is not None
    if thinks and request.max_tokens is not None:
        message = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead."
        )
        raise RequestError(message, "max_tokens", "unsupported_parameter")
    form = request.response_format
    if form is not None and (form.type == "json_schema") != (form.json_schema is not None):
        raise RequestError("'json_schema' belongs to the type 'json_schema'.", "response_format")


def _check_tools(request: Request) -> None:
    names = [tool.function.name for tool in request.tools or []]
    if not names:
        for name in ("tool_choice", "parallel_tool_calls"):
            if getattr(request, name) is not None:
                raise RequestError(f"'{name}' is only allowed when 'tools' are specified.", name)
    if isinstance(request.tool_choice, Choice) and request.tool_choice.function.name not in names:
        name = request.tool_choice.function.name
        raise RequestError(f"Tool choice '{name}' not found in 'tools' parameter.", "tool_choice")


def _check_order(messages: list[Message]) -> None:
    """Each call is answered, by messages that follow at once, and nothing else is."""
    wanted: list[str] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if isinstance(message, Tool):
            if message.tool_call_id not in wanted:
                raise RequestError(
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
                    path,
                )
            wanted.remove(message.tool_call_id)
            continue
        _none_left(wanted, path)
        if isinstance(message, Assistant):
            wanted = [call.id for call in message.tool_calls or []]
            if message.content is None and not wanted:
                raise RequestError("'content' is required without 'tool_calls'.", f"{path}.content")
    _none_left(wanted, "messages")


def _none_left(wanted: list[str], path: str) -> None:
    if wanted:
        raise RequestError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following did not have response messages: {', '.join(wanted)}",
            path,
        )


def _check_extensions(message: Message, path: str, extensions: Collection[str]) -> None:
    holders: list[tuple[Strict, str]] = [(message, path)]
    if isinstance(message, Assistant):
        holders += [(call, f"{path}.tool_calls[{i}]") for i, call in enumerate(message.tool_calls or [])]
    for holder, where in holders:
        for name in ("reasoning_content", "reasoning", "thinking_blocks", "extra_content"):
            if getattr(holder, name, msgspec.UNSET) is not msgspec.UNSET and name not in extensions:
                param = f"{where}.{name}"
                raise RequestError(f"Unknown parameter: '{param}'.", param, "unknown_parameter")
