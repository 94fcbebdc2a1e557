"""A whole chat completion as a Message (https://platform.claude.com/docs/en/api/messages/create)."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from gateway.providers.dialects.messages.completion import (
    ChatMessage,
    Completion,
    Stop,
    ToolCall,
    Usage,
    completion,
    is_told,
)
from gateway.providers.dialects.messages.members import UNREADABLE, Json
from gateway.providers.dialects.messages.thinking import Hidden, Seal, extra, thoughts_of
from gateway.providers.dialects.messages.tools import id_for_client
from gateway.providers.translation import TranslationError

_decode_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_EMPTY: Final[Json] = {}


class Asked(NamedTuple):
    """What the request says of its answer.

    `model` is the provider's, `stops` are the client's stop sequences; without `thoughts_shown` the client
    gets nothing to read of what the model thought.
    """

    model: str
    stops: list[str]
    thoughts_shown: bool


def message(body: bytes, asked: Asked) -> bytes:
    """The Message. Raises TranslationError."""
    answer = completion(body)
    choice = next((choice for choice in answer.choices or [] if choice.index == 0), None)
    if choice is None or choice.message is None:
        raise TranslationError("it has no choice with a message")
    stop = Stop(asked.stops)
    stop.note(choice, choice.message)
    whole = head(answer, asked) | stop.members()
    whole["content"] = _content(choice.message, str(whole["id"]), asked)
    return msgspec.json.encode(whole)


def head(answer: Completion, asked: Asked) -> Json:
    """A Message without content, as it is told at first; `answer` is the completion, or its first chunk."""
    return {
        "id": answer.id or f"msg_{answer.created or 0}",
        "type": "message",
        "role": "assistant",
        "model": answer.model or asked.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": (answer.usage or Usage()).to_messages(),
    }


def call_id(call: ToolCall, message_id: str, number: int) -> str:
    """The id of a call for the provider; one that has none gets one of its place."""
    return call.id or f"call_{message_id}_{number}"


def call_start(identifier: str, name: str) -> Json:
    """A block `tool_use` before its input is known."""
    return {"type": "tool_use", "id": id_for_client(identifier), "name": name, "input": _EMPTY}


def hidden_block(hidden: Hidden, seal: Seal) -> Json:
    """A block `redacted_thinking`."""
    return {"type": "redacted_thinking", "data": seal.close(*hidden)}


def _content(said: ChatMessage, message_id: str, asked: Asked) -> list[Json]:
    seal = Seal(asked.model)
    blocks: list[Json] = []
    for thought in thoughts_of(said) if asked.thoughts_shown else []:
        if isinstance(thought, Hidden):
            blocks.append(hidden_block(thought, seal))
        else:
            signature = seal.close(thought.member, thought.signed)
            blocks.append({"type": "thinking", "thinking": thought.text, "signature": signature})
    blocks += [{"type": "text", "text": text} for text in (said.text(), said.refusal) if text]
    if is_told(said.extra_content) and asked.thoughts_shown:
        blocks.append(hidden_block(extra("", said.extra_content), seal))
    for number, call in enumerate(said.tool_calls or []):
        if call.function.name is None:
            raise TranslationError("it calls a tool without a name")
        identifier = call_id(call, message_id, number)
        if is_told(call.extra_content):
            blocks.append(hidden_block(extra(identifier, call.extra_content), seal))
        blocks.append(call_start(identifier, call.function.name) | {"input": _input(call)})
    return blocks


def _input(call: ToolCall) -> object:
    """The arguments, byte for byte; where a model wrote none that are an object, as Anthropic has them told.

    https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
    """
    arguments = call.function.arguments or ""
    if not arguments.strip():
        return _EMPTY
    try:
        _decode_object(arguments)
    except UNREADABLE:
        return {"INVALID_JSON": arguments}
    return msgspec.Raw(arguments.encode())
