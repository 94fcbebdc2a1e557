"""The Responses API, plain and as a stream of typed events.

https://platform.openai.com/docs/api-reference/responses and
https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from gateway.providers.mock import tools
from gateway.providers.mock.answer import (
    CREATED,
    Answer,
    Call,
    Json,
    Part,
    content_text,
    count_words,
    decode,
    event,
    json_answer,
    stream_answer,
    words,
)


class Item(msgspec.Struct):
    """An item of the input: a message, or what a function gave back."""

    role: str = ""
    content: str | list[Part] | None = None


class ToolChoice(msgspec.Struct):
    """A ``tool_choice`` that names its function."""

    name: str | None = None


class ResponseRequest(msgspec.Struct):
    """The body of ``POST /v1/responses``, as far as the mock reads it."""

    model: str
    input: str | list[Item] = ""
    instructions: str | None = None
    stream: bool | None = False
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    tools: list[Any] | None = None
    tool_choice: str | ToolChoice | None = None
    metadata: dict[str, str] | None = None
    previous_response_id: str | None = None


class Tool(msgspec.Struct):
    """A tool that the client offers; the mock calls functions only."""

    type: str = ""
    name: str = ""
    parameters: dict[str, Any] | None = None


class ToolsRequest(msgspec.Struct):
    """The tools of a request once more, as far as the mock calls them; the answer echoes all of them."""

    tools: list[Tool] | None = None


def response(call: Call) -> Answer:
    """Answer ``POST /v1/responses``.

    Raises:
        ApiError: the request does not fit.
    """
    request = decode(call, ResponseRequest)
    items = [Item("user", request.input)] if isinstance(request.input, str) else request.input
    last = items[-1] if items else Item()
    prompt = content_text(last.content)
    function = _function(call, request, prompt if last.role == "user" else "")
    if function:
        arguments = tools.arguments(function)
        output = _function_call(call.serial, function.name, arguments)
        pieces, truncated = tools.deltas(arguments), False
        output_tokens = count_words([function.name, arguments])
    else:
        everything = words(call.reply_to(prompt))
        pieces = everything[: request.max_output_tokens]
        truncated = len(pieces) < len(everything)
        output = _message(call.serial, "".join(pieces), "incomplete" if truncated else "completed")
        output_tokens = len(pieces)
    prompts = [request.instructions or "", *(content_text(item.content) for item in items)]
    finished = _response(call.serial, request, output, _usage(count_words(prompts), output_tokens), truncated)
    if request.stream:
        return stream_answer(list(_events(finished, output, pieces)))
    return json_answer(finished)


def error_event(error: Json) -> bytes:
    """An error in the stream, of which the type is always ``error``: the API's ``ResponseErrorEvent``."""
    return event({**error, "type": "error", "sequence_number": 0}, "error")


def _function(call: Call, request: ResponseRequest, prompt: str) -> tools.Function | None:
    choice = request.tool_choice or "auto"
    offered = decode(call, ToolsRequest).tools or []
    return tools.choose(
        [tools.Function(tool.name, tool.parameters) for tool in offered if tool.type == "function"],
        choice if isinstance(choice, str) else "auto",
        choice.name if isinstance(choice, ToolChoice) else None,
        prompt,
    )


def _message(serial: int, text: str, status: str) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    message: Json = {"type": "message", "role": "assistant", "content": content}
    return {"id": f"msg_mock_{serial}", "status": status, **message}


def _function_call(serial: int, name: str, arguments: str) -> Json:
    call: Json = {"call_id": f"call_mock_{serial}", "name": name, "arguments": arguments}
    return {"id": f"fc_mock_{serial}", "type": "function_call", "status": "completed", **call}


def _response(serial: int, request: ResponseRequest, output: Json, usage: Json, truncated: bool) -> Json:
    """The finished response object."""
    choice = request.tool_choice or "auto"
    return {
        "id": f"resp_mock_{serial}",
        "object": "response",
        "created_at": CREATED,
        "status": "incomplete" if truncated else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if truncated else None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "metadata": request.metadata or {},
        "model": request.model,
        "output": [output],
        "parallel_tool_calls": True,
        "previous_response_id": request.previous_response_id,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": choice if isinstance(choice, str) else {"type": "function", "name": choice.name},
        "tools": request.tools or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
    }


def _usage(input_tokens: int, output_tokens: int) -> Json:
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }


def _events(finished: Json, output: Json, pieces: list[str]) -> Iterator[bytes]:
    """The stream that leads to a finished response, its events numbered from 0."""
    for number, (name, fields) in enumerate(_steps(finished, output, pieces)):
        yield event({"type": name, "sequence_number": number, **fields}, name)


def _steps(finished: Json, output: Json, pieces: list[str]) -> Iterator[tuple[str, Json]]:
    started = {**finished, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    yield "response.created", {"response": started}
    yield "response.in_progress", {"response": started}
    yield from (_message_steps if output["type"] == "message" else _call_steps)(output, pieces)
    yield "response.output_item.done", {"output_index": 0, "item": output}
    yield f"response.{finished['status']}", {"response": finished}


def _message_steps(message: Json, pieces: list[str]) -> Iterator[tuple[str, Json]]:
    opened = {**message, "status": "in_progress", "content": []}
    yield "response.output_item.added", {"output_index": 0, "item": opened}
    place = {"item_id": message["id"], "output_index": 0, "content_index": 0}
    part = message["content"][0]
    yield "response.content_part.added", {**place, "part": {**part, "text": ""}}
    for piece in pieces:
        yield "response.output_text.delta", {**place, "delta": piece, "logprobs": []}
    yield "response.output_text.done", {**place, "text": part["text"], "logprobs": []}
    yield "response.content_part.done", {**place, "part": part}


def _call_steps(call: Json, pieces: list[str]) -> Iterator[tuple[str, Json]]:
    opened = {**call, "status": "in_progress", "arguments": ""}
    yield "response.output_item.added", {"output_index": 0, "item": opened}
    place = {"item_id": call["id"], "output_index": 0}
    for piece in pieces:
        yield "response.function_call_arguments.delta", {**place, "delta": piece}
    done = {**place, "name": call["name"], "arguments": call["arguments"]}
    yield "response.function_call_arguments.done", done
