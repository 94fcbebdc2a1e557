"""The conversation: `system` and `messages` of the Messages API as the messages of chat completions.

- Messages of one role in a row are one turn, as in Anthropic's API: calls and their results keep together.
- Results of tools become messages of their own, before all else that the user says. Chat completions takes
  only text there, so what else a result has (images, documents) opens the user's message, each under a text
  that tells whose it is.
- A result that `is_error` begins with the word "Error:", since chat completions has no such mark.
- Text of the assistant stands before its calls, in whatever order they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Final

from gateway.providers.dialects.messages.content import (
    GIVEN,
    Parts,
    Reader,
    joined,
    parts_of,
    text,
    text_part,
)
from gateway.providers.dialects.messages.thinking import Recollection, Seal
from gateway.providers.dialects.messages.tools import id_for_provider
from gateway.providers.reading import Json, Members, refuse_content

_TEXTS: Final = {"text": text}
_ROLES: Final = ("user", "assistant", "system")


def conversation(request: Members, model: str) -> list[Json]:
    """The messages for `model`. Raises GatewayError (400), naming the path of what cannot be put so."""
    prompt = request.text_or_children("system") or ""
    system = prompt if isinstance(prompt, str) else joined(parts_of(prompt, _TEXTS))
    messages = request.children("messages")
    if not messages:
        raise request.wrong("messages", "must be an array of at least one message")
    roles = [message.need_one_of("role", _ROLES) for message in messages]
    if roles[-1] == "assistant":
        # Left in, it would be answered by a turn of its own rather than be continued.
        messages[-1].unsupported("role", "chat completions does not continue a message of the assistant")
    turns: list[Json] = [{"role": "system", "content": system}] if system else []
    for role, group in groupby(zip(roles, messages, strict=True), key=lambda pair: pair[0]):
        turn = [message for _, message in group]
        if role == "system":
            turns += [{"role": "system", "content": joined(_said([message], _TEXTS))} for message in turn]
        elif role == "user":
            turns += _user(turn)
        else:
            turns.append(_assistant(turn, Seal(model)))
        for message in turn:
            message.finish()
    return turns


def _said(turn: list[Members], readers: Mapping[str, Reader]) -> Parts:
    """The parts that `readers` make of the messages of a turn."""
    said: Parts = []
    for message in turn:
        content = message.need_text_or_children("content")
        said += [text_part(content)] if isinstance(content, str) else parts_of(content, readers)
    return said


def _user(turn: list[Members]) -> Iterator[Json]:
    results: list[Json] = []
    attached: Parts = []

    def tool_result(block: Members) -> Parts:
        results.append(_tool_result(block, attached))
        return []

    said = _said(turn, {**GIVEN, "tool_result": tool_result})
    yield from results
    if attached or said or not results:
        yield {"role": "user", "content": joined(attached + said)}


def _tool_result(block: Members, attached: Parts) -> Json:
    """The tool's message; what chat completions takes only from a user is added to `attached`."""
    identifier = id_for_provider(block.need("tool_use_id", str))
    content = block.text_or_children("content") or ""
    parts = [text_part(content)] if isinstance(content, str) else parts_of(content, GIVEN)
    texts = [part for part in parts if part["type"] == "text"]
    others = [part for part in parts if part["type"] != "text"]
    if others:
        texts.append(text_part("(What is not text stands in the user's message below.)"))
        attached += [text_part(f"From the result of the tool call {identifier}:"), *others]
    if block.take("is_error", bool):
        texts.insert(0, text_part("Error:"))
    return {"role": "tool", "tool_call_id": identifier, "content": joined(texts)}


def _assistant(turn: list[Members], seal: Seal) -> Json:
    thoughts = Recollection(seal)
    calls: list[tuple[str, Json]] = []

    def thinking(block: Members) -> Parts:
        thoughts.thinking(block)
        return []

    def redacted_thinking(block: Members) -> Parts:
        thoughts.redacted(block)
        return []

    def tool_use(block: Members) -> Parts:
        calls.append(_call(block))
        return []

    readers = {
        "text": text,
        "thinking": thinking,
        "redacted_thinking": redacted_thinking,
        "tool_use": tool_use,
    }
    said = _said(turn, readers)
    message: Json = {"role": "assistant", "content": joined(said) if said or not calls else None}
    if calls:
        message["tool_calls"] = [
            call | ({"extra_content": thoughts.extras[identifier]} if identifier in thoughts.extras else {})
            for identifier, call in calls
        ]
    return message | thoughts.members


def _call(block: Members) -> tuple[str, Json]:
    """A call and its id; the arguments stay byte for byte what came as `input`."""
    identifier = id_for_provider(block.need("id", str))
    arguments = block.need_raw_object("input", "must be an object")
    caller = block.child("caller")
    if caller is not None and caller.need("type", str) != "direct":
        refuse_content(caller.at("type"), "in chat completions the model alone calls tools")
    function = {"name": block.need("name", str), "arguments": bytes(arguments).decode()}
    return identifier, {"id": identifier, "type": "function", "function": function}
