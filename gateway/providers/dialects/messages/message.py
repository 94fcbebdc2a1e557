"""A whole chat completion as a Message (https://platform.claude.com/docs/en/api/messages/create)."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from gateway.providers.dialects.completion import (
    Called,
    ChatMessage,
    Completion,
    ToolCall,
    Usage,
    completion,
    is_told,
)
from gateway.providers.dialects.messages.stop import Stop
from gateway.providers.dialects.messages.thinking import Hidden, Seal, extra, thoughts_of
from gateway.providers.dialects.messages.tools import id_for_client
from gateway.providers.reading import Json, spelled_object
from gateway.providers.translation import TranslationError

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
    choice = answer.choice()
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
        "usage": told_usage(answer.usage or Usage()),
    }


def told_usage(usage: Usage) -> Json:
    """The usage of a Message, whose `input_tokens` are those that no cache had part in."""
    told: Json = {
        "input_tokens": max(0, (usage.prompt_tokens or 0) - usage.cached - usage.cache_written),
        "cache_creation_input_tokens": usage.cache_written,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.completion_tokens or 0,
    }
    if usage.reasoning:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return told


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
        called = call.function or Called()
        if called.name is None:
            raise TranslationError("it calls a tool without a name")
        identifier = call_id(call, message_id, number)
        if is_told(call.extra_content):
            blocks.append(hidden_block(extra(identifier, call.extra_content), seal))
        blocks.append(call_start(identifier, called.name) | {"input": _input(called)})
    return blocks


def _input(called: Called) -> object:
    """The arguments, byte for byte; where a model wrote none that are an object, as Anthropic has them told.

    https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
    """
    arguments = called.arguments or ""
    spelled = spelled_object(arguments)
    return {"INVALID_JSON": arguments} if spelled is None else spelled
