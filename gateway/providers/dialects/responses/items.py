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
from typing import Any, ClassVar, Final

import msgspec

from gateway.errors import bad_request
from gateway.providers.dialects.responses.continuation import Continuation, Seal
from gateway.providers.dialects.responses.reading import Given, Json, Reader, join, not_one_of, unsupported

_ROLES: Final[Mapping[str, str]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
_OF_ANY_ITEM: Final = frozenset({"type", "id", "status"})


class _Message(Given):
    """A message of either side."""

    role: str
    content: str | list[Any]
    moot: ClassVar = _OF_ANY_ITEM


class _Reasoning(Given):
    """What the model thought, as far as it was told."""

    id: str = ""
    summary: list[Any] = msgspec.field(default_factory=list)
    content: list[Any] = msgspec.field(default_factory=list)
    encrypted_content: str | None = None
    moot: ClassVar = _OF_ANY_ITEM


class _FunctionCall(Given):
    """A call of a function."""

    call_id: str
    name: str
    arguments: str
    moot: ClassVar = _OF_ANY_ITEM
    idle: ClassVar = {"async": False, "caller": {"type": "direct"}}


class _CustomToolCall(Given):
    """A call of a tool whose input is no JSON."""

    call_id: str
    name: str
    input: str
    moot: ClassVar = _OF_ANY_ITEM
    idle: ClassVar = {"async": False, "caller": {"type": "direct"}}


class _Output(Given):
    """What a tool gave back."""

    call_id: str
    output: str | list[Any]
    moot: ClassVar = _OF_ANY_ITEM | {"name"}  # the call tells it
    idle: ClassVar = {"caller": {"type": "direct"}}


class _Text(Given):
    """Text of either side; what annotates it is told to clients, not to models."""

    text: str
    prompt_cache_breakpoint: Json | None = None
    moot: ClassVar = frozenset({"type", "annotations", "logprobs"})


class _Refusal(Given):
    refusal: str
    moot: ClassVar = frozenset({"type"})


class _Image(Given):
    image_url: str
    detail: str | None = None
    prompt_cache_breakpoint: Json | None = None
    moot: ClassVar = frozenset({"type"})


class _File(Given):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: Json | None = None
    moot: ClassVar = frozenset({"type"})
    idle: ClassVar = {"detail": "auto"}


class _Audio(Given):
    input_audio: Json
    moot: ClassVar = frozenset({"type"})


class _Messages:
    """Messages in the making: `content` is always a list of parts."""

    def __init__(self, model: str) -> None:
        self.seal = Seal(model)
        self.withheld: list[Json] = []
        self._messages: list[Json] = []
        self._attached: list[Json] = []
        self._extras: dict[str, Json] = {}

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
        call = {"id": call_id, "type": kind, kind: what}
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
    instructions: str | None, given: str | list[Any], model: str, reader: Reader
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
        for number, item in enumerate(given):
            _add(found, item, f"input[{number}]", reader)
    finished = found.finished()
    if not finished:
        raise bad_request("`input` says nothing; it must have an item.", code="invalid_value", param="input")
    return finished, found.withheld


def _content(message: Json) -> str | list[Json] | None:
    parts: list[Json] = message["content"]
    if not parts:
        return None if "tool_calls" in message else ""
    only = parts[0]
    return only["text"] if len(parts) == 1 and only.keys() == {"type", "text"} else parts


def _plain(text: str) -> Json:
    return {"type": "text", "text": text}


def _add(found: _Messages, item: object, path: str, reader: Reader) -> None:
    if not isinstance(item, dict):
        raise bad_request(f"`{path}` must be an object.", code="invalid_type", param=path)
    kind = item.get("type")
    if kind is None:  # the API lets these two go without
        kind = "message" if "role" in item else "item_reference"
    if not isinstance(kind, str):
        raise not_one_of(join(path, "type"), kind, _ITEMS)
    if kind == "item_reference":
        raise unsupported(path, "nothing is stored that an item could refer to; send the item itself")
    if kind not in _ITEMS:
        raise unsupported(join(path, "type"), f"no message says what an item of type `{kind[:80]}` does")
    _ITEMS[kind](found, item, path, reader)


def _message(found: _Messages, item: Json, path: str, reader: Reader) -> None:
    given = reader.read(item, _Message, path)
    if given.role not in _ROLES:
        raise not_one_of(join(path, "role"), given.role, _ROLES)
    parts = _parts(given.content, join(path, "content"), reader)
    if given.role == "assistant":
        found.turn()["content"] += parts
    else:
        found.add(_ROLES[given.role], parts)


def _reasoning(found: _Messages, item: Json, path: str, reader: Reader) -> None:
    given = reader.read(item, _Reasoning, path)
    texts = [
        reader.read(part, _Text, f"{path}.{name}[{number}]").text
        for name, parts in (("summary", given.summary), ("content", given.content))
        for number, part in enumerate(parts)
    ]
    content = given.encrypted_content
    continuation = Continuation() if content is None else found.seal.open(content)
    if continuation is not None:
        found.reason("\n\n".join(texts), continuation)
    else:
        removed = {"action": "removed", "reason": "model_mismatch"}
        found.withheld.append({"id": given.id, "type": "reasoning", **removed})


def _function_call(found: _Messages, item: Json, path: str, reader: Reader) -> None:
    given = reader.read(item, _FunctionCall, path)
    found.call(given.call_id, "function", {"name": given.name, "arguments": given.arguments})


def _custom_tool_call(found: _Messages, item: Json, path: str, reader: Reader) -> None:
    given = reader.read(item, _CustomToolCall, path)
    found.call(given.call_id, "custom", {"name": given.name, "input": given.input})


def _output(found: _Messages, item: Json, path: str, reader: Reader) -> None:
    given = reader.read(item, _Output, path)
    found.result(given.call_id, _parts(given.output, join(path, "output"), reader))


_ITEMS: Final[Mapping[str, Callable[[_Messages, Json, str, Reader], None]]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _function_call,
    "function_call_output": _output,
    "custom_tool_call": _custom_tool_call,
    "custom_tool_call_output": _output,
}


def _parts(content: str | list[Any], path: str, reader: Reader) -> list[Json]:
    if isinstance(content, str):
        return [_plain(content)]
    return [_part(part, f"{path}[{number}]", reader) for number, part in enumerate(content)]


def _part(part: object, path: str, reader: Reader) -> Json:
    if not isinstance(part, dict):
        raise bad_request(f"`{path}` must be an object.", code="invalid_type", param=path)
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _PARTS:
        raise not_one_of(join(path, "type"), kind, _PARTS)
    return _PARTS[kind](part, path, reader)


def _text(part: Json, path: str, reader: Reader) -> Json:
    return {"type": "text", **reader.read(part, _Text, path).fields()}


def _refusal(part: Json, path: str, reader: Reader) -> Json:
    return {"type": "refusal", **reader.read(part, _Refusal, path).fields()}


def _image(part: Json, path: str, reader: Reader) -> Json:
    if part.get("image_url") is None and part.get("file_id") is not None:
        raise unsupported(join(path, "file_id"), "an image is sent itself or as a URL, in `image_url`")
    given = reader.read(part, _Image, path).fields()
    image = {"url": given.pop("image_url")}
    if "detail" in given:
        image["detail"] = given.pop("detail")
    return {"type": "image_url", "image_url": image, **given}


def _file(part: Json, path: str, reader: Reader) -> Json:
    if part.get("file_url") is not None:
        raise unsupported(join(path, "file_url"), "a file is sent itself, in `file_data`")
    given = reader.read(part, _File, path).fields()
    breakpoint_ = {name: given.pop(name) for name in ["prompt_cache_breakpoint"] if name in given}
    if "file_data" not in given and "file_id" not in given:
        param = join(path, "file_data")
        raise bad_request(f"`{param}` is missing.", code="missing_required_parameter", param=param)
    return {"type": "file", "file": given, **breakpoint_}


def _audio(part: Json, path: str, reader: Reader) -> Json:
    return {"type": "input_audio", **reader.read(part, _Audio, path).fields()}


_PARTS: Final[Mapping[str, Callable[[Json, str, Reader], Json]]] = {
    "input_text": _text,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
    "output_text": _text,
    "refusal": _refusal,
}
