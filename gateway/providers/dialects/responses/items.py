"""The `input` of a request as the messages of chat completions.

https://platform.openai.com/docs/api-reference/responses/create#responses-create-input

| item | message |
|---|---|
| `message` of `user`, `assistant` | the same role |
| `message` of `system`, `developer` | `system`: every server knows it, and OpenAI reads either as the other |
| `reasoning` | what the provider wants back (see continuation), else `reasoning_content` |
| `function_call`, `custom_tool_call` | `tool_calls` of the assistant's message |
| `function_call_output`, `custom_tool_call_output` | `tool` |

What the model said in one turn is several items here, and one message there. Of a message's parts, one text
alone becomes a plain string, which more servers take than a list. Chat completions takes only text from a
tool, so what else it gave back follows in a message of the user, under a text that tells whose it is.
Reasoning of another model is withheld, as the API itself does, which the response tells
(`input_transformations`).

All other items and parts are refused: they belong to tools that run at OpenAI, or to what is stored there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway.providers.dialects.responses.continuation import Continuation, Seal
from gateway.providers.reading import INVALID_VALUE, MISSING, Members, refuse_content, wrong

Json = dict[str, Any]

_ROLES: Final[Mapping[str, str]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}


class _Messages:
    """Messages in the making: `content` is always a list of parts."""

    def __init__(self, model: str) -> None:
        self.seal = Seal(model)
        self.withheld: list[Json] = []
        self._messages: list[Json] = []
        self._attached: list[Json] = []
        self._extras: dict[str, msgspec.Raw] = {}

    def add(self, role: str, content: list[Json]) -> None:
        self._attach()
        self._messages.append({"role": role, "content": content})

    def turn(self) -> Json:
        """The assistant's message that all ends with; begun where there is none."""
        if not self._messages or self._messages[-1]["role"] != "assistant":
            self.add("assistant", [])
        return self._messages[-1]

    def reason(self, text: str, continuation: Continuation) -> None:
        """Add reasoning to the assistant's turn."""
        self._extras |= continuation.extras
        if continuation.blocks:
            self.turn().setdefault("thinking_blocks", []).extend(continuation.blocks)
        elif text:
            turn = self.turn()
            before = turn.get(continuation.member)
            turn[continuation.member] = f"{before}\n\n{text}" if before else text

    def call(self, call_id: str, kind: str, what: Json) -> None:
        """Add a call of a tool of a `kind` to the assistant's turn."""
        call: Json = {"id": call_id, "type": kind, kind: what}
        if call_id in self._extras:
            call["extra_content"] = self._extras[call_id]
        self.turn().setdefault("tool_calls", []).append(call)

    def result(self, call_id: str, parts: list[Json]) -> None:
        """Add what a tool gave back."""
        others = [part for part in parts if part["type"] != "text"]
        if others:
            parts = [part for part in parts if part["type"] == "text"]
            parts.append(_plain("(What is not text follows in the user's message.)"))
            self._attached += [_plain(f"From the result of the tool call {call_id}:"), *others]
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": parts})

    def finished(self) -> list[Json]:
        """The messages as they are sent."""
        self._attach()
        return [{**message, "content": _content(message)} for message in self._messages]

    def _attach(self) -> None:
        if self._attached:
            self._messages.append({"role": "user", "content": self._attached})
            self._attached = []


def messages(
    instructions: str | None, given: str | list[Members], model: str
) -> tuple[list[Json], list[Json]]:
    """The messages to `model` for `instructions` and `input`, and what is withheld of the reasoning in it.

    Raises GatewayError (400).
    """
    found = _Messages(model)
    if instructions:
        found.add("system", [_plain(instructions)])
    if isinstance(given, str):
        found.add("user", [_plain(given)])
    else:
        for item in given:
            _add(found, item)
    finished = found.finished()
    if not finished:
        raise wrong("input", "says nothing; it must have an item", INVALID_VALUE)
    return finished, found.withheld


def _content(message: Json) -> str | list[Json] | None:
    parts: list[Json] = message["content"]
    if not parts:
        return None if "tool_calls" in message else ""
    only = parts[0]
    return only["text"] if len(parts) == 1 and only.keys() == {"type", "text"} else parts


def _plain(text: str) -> Json:
    return {"type": "text", "text": text}


def _add(found: _Messages, item: Members) -> None:
    if item.has("type"):
        kind = item.peek("type") or item.need_one_of("type", _ITEMS)
    else:  # the API lets these two go without
        kind = "message" if item.has("role") else "item_reference"
    if kind == "item_reference":
        refuse_content(item.path, "nothing is stored that an item could refer to; send the item itself")
    if kind not in _ITEMS:
        refuse_content(item.at("type"), f"no message says what an item of type `{kind[:80]}` does")
    _ITEMS[kind](found, item)
    item.ignore("type", "id", "status")
    item.finish(defaults=_DEFAULTS.get(kind, {}))


def _message(found: _Messages, item: Members) -> None:
    role = item.need("role", str)
    if role not in _ROLES:
        raise item.wrong("role", f"must be one of {', '.join(_ROLES)}")
    parts = _parts(item, "content")
    if role == "assistant":
        found.turn()["content"] += parts
    else:
        found.add(_ROLES[role], parts)


def _reasoning(found: _Messages, item: Members) -> None:
    identifier = item.take("id", str) or ""
    parts = [part for name in ("summary", "content") for part in item.children(name)]
    texts: list[str] = [_part(part, "output_text")["text"] for part in parts]
    content = item.take("encrypted_content", str)
    continuation = Continuation() if content is None else found.seal.open(content)
    if continuation is not None:
        found.reason("\n\n".join(texts), continuation)
    else:
        removed = {"action": "removed", "reason": "model_mismatch"}
        found.withheld.append({"id": identifier, "type": "reasoning", **removed})


def _function_call(found: _Messages, item: Members) -> None:
    call_id = item.need("call_id", str)
    found.call(call_id, "function", {name: item.need(name, str) for name in ("name", "arguments")})


def _custom_tool_call(found: _Messages, item: Members) -> None:
    call_id = item.need("call_id", str)
    found.call(call_id, "custom", {name: item.need(name, str) for name in ("name", "input")})


def _output(found: _Messages, item: Members) -> None:
    item.ignore("name")  # the call tells it
    found.result(item.need("call_id", str), _parts(item, "output"))


_ITEMS: Final[Mapping[str, Callable[[_Messages, Members], None]]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _function_call,
    "function_call_output": _output,
    "custom_tool_call": _custom_tool_call,
    "custom_tool_call_output": _output,
}
_OF_OUTPUTS: Final[Json] = {"caller": {"type": "direct"}}
_OF_CALLS: Final[Json] = {"async": False, **_OF_OUTPUTS}
_DEFAULTS: Final[Mapping[str, Json]] = {
    "function_call": _OF_CALLS,
    "function_call_output": _OF_OUTPUTS,
    "custom_tool_call": _OF_CALLS,
    "custom_tool_call_output": _OF_OUTPUTS,
    "input_file": {"detail": "auto"},
}
"""By the type of an item or part: the values that ask for nothing."""


def _parts(item: Members, name: str) -> list[Json]:
    content = item.need_text_or_children(name)
    if isinstance(content, str):
        return [_plain(content)]
    return [_part(part, part.need_one_of("type", _PARTS)) for part in content]


def _part(part: Members, kind: str) -> Json:
    """What a part of a `kind` is in chat completions; nothing of it is left unread."""
    made = _PARTS[kind](part)
    part.ignore("type")
    part.finish(defaults=_DEFAULTS.get(kind, {}))
    return made


def _text(part: Members) -> Json:
    """Text of either side; what annotates it is told to clients, not to models."""
    part.ignore("annotations", "logprobs")
    return {"type": "text", "text": part.need("text", str)} | _breakpoint(part)


def _refusal(part: Members) -> Json:
    return {"type": "refusal", "refusal": part.need("refusal", str)}


def _image(part: Members) -> Json:
    if part.has("file_id") and not part.has("image_url"):
        refuse_content(part.at("file_id"), "an image is sent itself or as a URL, in `image_url`")
    image = {"url": part.need("image_url", str)} | _given(part, "detail")
    return {"type": "image_url", "image_url": image} | _breakpoint(part)


def _file(part: Members) -> Json:
    if part.has("file_url"):
        refuse_content(part.at("file_url"), "a file is sent itself, in `file_data`")
    file = _given(part, "file_data", "file_id", "filename")
    if "file_data" not in file and "file_id" not in file:
        raise part.wrong("file_data", "is missing; it must be a string", MISSING)
    return {"type": "file", "file": file} | _breakpoint(part)


def _audio(part: Members) -> Json:
    return {"type": "input_audio", "input_audio": part.need_raw_object("input_audio")}


def _given(part: Members, *names: str) -> Json:
    """The strings of these names, as far as they are there."""
    taken = {name: part.take(name, str) for name in names}
    return {name: value for name, value in taken.items() if value is not None}


def _breakpoint(part: Members) -> Json:
    name = "prompt_cache_breakpoint"
    breakpoint_ = part.raw_object(name)
    return {} if breakpoint_ is None else {name: breakpoint_}


_PARTS: Final[Mapping[str, Callable[[Members], Json]]] = {
    "input_text": _text,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
    "output_text": _text,
    "refusal": _refusal,
}
