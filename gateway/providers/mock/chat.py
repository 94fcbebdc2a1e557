"""Chat completions and completions, plain and streamed.

https://platform.openai.com/docs/api-reference/chat and https://platform.openai.com/docs/api-reference/completions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final, NamedTuple

import msgspec

from gateway.providers.mock import tools
from gateway.providers.mock.answer import (
    CREATED,
    DONE,
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
    texts_of,
    words,
)

Choices = Annotated[int, msgspec.Meta(ge=1, le=128)]
Limit = Annotated[int, msgspec.Meta(ge=1)]

_UNSAID: Final[Json] = {"role": "assistant", "content": None, "refusal": None}


class Message(msgspec.Struct):
    """A message of the conversation."""

    role: str
    content: str | list[Part] | None = None


class Tool(msgspec.Struct):
    """A tool that the client offers; the mock calls functions only."""

    function: tools.Function | None = None


class FunctionName(msgspec.Struct):
    """The function in a ``tool_choice``."""

    name: str


class ToolChoice(msgspec.Struct):
    """A ``tool_choice`` that names its function."""

    function: FunctionName | None = None


class StreamOptions(msgspec.Struct):
    """How a stream is wanted."""

    include_usage: bool = False


class ChatRequest(msgspec.Struct):
    """The body of ``POST /v1/chat/completions``, as far as the mock reads it."""

    model: str
    messages: list[Message]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Choices | None = 1
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None


class CompletionRequest(msgspec.Struct):
    """The body of ``POST /v1/completions``, as far as the mock reads it."""

    model: str
    prompt: str | list[str | int | list[int]] = ""
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Choices | None = 1
    max_tokens: Limit | None = None


class _Turn(NamedTuple):
    """What the assistant says, the same in every choice."""

    message: Json
    deltas: Sequence[Json]
    finish_reason: str
    tokens: int


def chat_completion(call: Call) -> Answer:
    """Answer ``POST /v1/chat/completions``.

    Raises:
        ApiError: the request does not fit.
    """
    request = decode(call, ChatRequest)
    turn = _turn(call, request)
    choices = request.n or 1
    prompt_tokens = count_words([content_text(message.content) for message in request.messages])
    usage = _usage(prompt_tokens, turn.tokens * choices)
    envelope = _envelope(f"chatcmpl-mock-{call.serial}", "chat.completion", request.model)
    if request.stream:
        chunk = {**envelope, "object": "chat.completion.chunk"}
        parts = (
            {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            for index in range(choices)
            for delta, finish_reason in [*((delta, None) for delta in turn.deltas), ({}, turn.finish_reason)]
        )
        return stream_answer(list(_events(chunk, parts, request.stream_options or StreamOptions(), usage)))
    choice = {"message": turn.message, "logprobs": None, "finish_reason": turn.finish_reason}
    return json_answer(
        {**envelope, "choices": [{"index": index, **choice} for index in range(choices)], "usage": usage}
    )


def completion(call: Call) -> Answer:
    """Answer ``POST /v1/completions``: ``n`` choices for each prompt.

    Raises:
        ApiError: the request does not fit.
    """
    request = decode(call, CompletionRequest)
    prompts = texts_of(request.prompt)
    each = [_cut(call.reply_to(prompt), request.max_tokens) for prompt in prompts]
    said = [turn for turn in each for _ in range(request.n or 1)]
    usage = _usage(count_words(prompts), sum(len(pieces) for pieces, _ in said))
    envelope = _envelope(f"cmpl-mock-{call.serial}", "text_completion", request.model)
    if request.stream:
        parts = (
            {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}
            for index, (pieces, reason) in enumerate(said)
            for text, finish_reason in [*((piece, None) for piece in pieces), ("", reason)]
        )
        return stream_answer(list(_events(envelope, parts, request.stream_options or StreamOptions(), usage)))
    choices = [
        {"index": index, "text": "".join(pieces), "logprobs": None, "finish_reason": reason}
        for index, (pieces, reason) in enumerate(said)
    ]
    return json_answer({**envelope, "choices": choices, "usage": usage})


def _turn(call: Call, request: ChatRequest) -> _Turn:
    last = request.messages[-1] if request.messages else Message("system")
    prompt = content_text(last.content)
    choice = request.tool_choice or "auto"
    named = choice.function.name if isinstance(choice, ToolChoice) and choice.function else None
    function = tools.choose(
        [tool.function for tool in request.tools or [] if tool.function],
        choice if isinstance(choice, str) else "auto",
        named,
        prompt if last.role == "user" else "",
    )
    if function:
        return _tool_turn(f"call_mock_{call.serial}", function)
    pieces, reason = _cut(call.reply_to(prompt), request.max_completion_tokens or request.max_tokens)
    message = {**_UNSAID, "content": "".join(pieces), "annotations": []}
    first = {**_UNSAID, "content": ""}
    return _Turn(message, [first, *({"content": piece} for piece in pieces)], reason, len(pieces))


def _tool_turn(identifier: str, function: tools.Function) -> _Turn:
    arguments = tools.arguments(function)
    call = {"id": identifier, "type": "function", "function": {"name": function.name, "arguments": arguments}}
    first = {"index": 0, **call, "function": {"name": function.name, "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": delta}} for delta in tools.deltas(arguments)]
    deltas = [{**_UNSAID, "tool_calls": [first]}, *({"tool_calls": [more]} for more in rest)]
    tokens = count_words([function.name, arguments])
    return _Turn({**_UNSAID, "tool_calls": [call]}, deltas, "tool_calls", tokens)


def _cut(text: str, limit: int | None) -> tuple[list[str], str]:
    """The words of a reply within ``limit``, and why it ends there."""
    pieces = words(text)
    return (pieces, "stop") if limit is None or len(pieces) <= limit else (pieces[:limit], "length")


def _events(envelope: Json, choices: Iterable[Json], options: StreamOptions, usage: Json) -> Iterator[bytes]:
    """The events of a stream; with ``include_usage`` the last but one has the counts, the others null."""
    uncounted: Json = {"usage": None} if options.include_usage else {}
    for choice in choices:
        yield event({**envelope, "choices": [choice], **uncounted})
    if options.include_usage:
        yield event({**envelope, "choices": [], "usage": usage})
    yield DONE


def _envelope(identifier: str, kind: str, model: str) -> Json:
    made: Json = {"created": CREATED, "model": model, "system_fingerprint": "fp_mock"}
    return {"id": identifier, "object": kind, **made}


def _usage(prompt: int, completion: int) -> Json:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
