"""The messages of a chat as Gemini's `systemInstruction` and `contents`.

- `system` and `developer`, wherever they stand, become parts of the one `systemInstruction`, in their order.
- Contents have the roles `user` and `model`; messages in a row of the same role become one content.
- A tool's result becomes a `functionResponse` with the name of the function that its `tool_call_id` was given
  to; results in a row become one content, as the API asks. The text goes as `{"output": "…"}` rather than as
  the object that it may spell: Gemini's objects have only double precision numbers.
- What an assistant's message has in `extra_content.google.thought_signature`, for itself or for one of its
  tool calls, goes back as `thoughtSignature`. From generation 3 on the API refuses calls of the current turn
  without one; calls that another provider made get the value that the documentation has for that.
- `images` of an assistant's message, which is where answers have them, become parts again.
- `reasoning_content` is left out: the signature stands for it.

Source: https://ai.google.dev/api/caching#Content, https://ai.google.dev/gemini-api/docs/function-calling,
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from gateway.providers.gemini import parts
from gateway.providers.gemini.models import NEWEST
from gateway.providers.reading import Json, Members, refuse_content, spelled_object

NO_SIGNATURE: Final = "skip_thought_signature_validator"
"""The `thoughtSignature` of a call that Gemini has not made."""
_LACKS: Final = {"name": "its API has no names of participants"}
_OTHER_CONTENT: Final = {
    "audio": "its API has no audio of earlier answers; send the transcript as `content`",
    "function_call": "it is the deprecated form of `tool_calls`; send those",
}


class Chat(NamedTuple):
    """The messages as Gemini has them."""

    system: list[Json]
    contents: list[Json]


def read(messages: list[Members], generation: int) -> Chat:
    """Raises GatewayError (400) for a message that the API cannot have; `generation` is that of the model."""
    roles = [message.need("role", str) for message in messages]
    last_user = max((index for index, role in enumerate(roles) if role == "user"), default=-1)
    conversation = _Conversation(generation)
    for index, (role, message) in enumerate(zip(roles, messages, strict=True)):
        reader = _READERS.get(role)
        if reader is None:
            known = ", ".join(_READERS)
            refuse_content(message.at("role"), f"it takes the roles {known}, not {role!r}")
        reader(conversation, message, index > last_user)
        message.finish(_LACKS)
    return Chat(conversation.system, conversation.contents)


class _Conversation:
    """What has been read so far."""

    def __init__(self, generation: int) -> None:
        self._generation = generation
        self._names: dict[str, str] = {}
        self._role = ""
        self._parts: list[Json] = []
        self.system: list[Json] = []
        self.contents: list[Json] = []

    def add_system(self, message: Members, _current: bool) -> None:
        content = message.need_text_or_children("content")
        self.system += parts.read(content, ("text",), self._generation) or [{"text": ""}]

    def add_user(self, message: Members, _current: bool) -> None:
        content = message.need_text_or_children("content")
        self._append("user", parts.read(content, parts.MEDIA, self._generation))

    def add_assistant(self, message: Members, current: bool) -> None:
        message.ignore("reasoning_content", "reasoning", "thinking_blocks", "annotations")
        made = parts.read(message.text_or_children("content"), ("text", "refusal"), self._generation)
        made += parts.read(message.take("refusal", str), ("text",), self._generation)
        made += parts.read(message.children("images"), ("image_url",), self._generation)
        signature = _signature(message)
        if signature is not None:
            made = made or [{"text": ""}]
            made[-1]["thoughtSignature"] = signature
        calls = [self._call(call) for call in message.children("tool_calls")]
        signed = any("thoughtSignature" in call for call in calls)
        if calls and current and not signed and self._generation >= NEWEST:
            calls[0]["thoughtSignature"] = NO_SIGNATURE
        for name, lack in _OTHER_CONTENT.items():
            if message.raw(name) is not None:
                refuse_content(message.at(name), lack)
        self._append("model", made + calls)

    def add_tool(self, message: Members, _current: bool) -> None:
        content = message.need_text_or_children("content")
        call_id = message.need("tool_call_id", str)
        name = self._names.get(call_id)
        if name is None:
            raise message.wrong("tool_call_id", f"is {call_id!r}; no tool call before it has that id")
        message.ignore("name")  # the call's own is what counts
        read = parts.read(content, parts.MEDIA, self._generation)
        texts = [part["text"] for part in read if "text" in part]
        output = texts[0] if len(texts) == 1 else texts or ""
        response: Json = {"id": call_id, "name": name, "response": {"output": output}}
        media = [part for part in read if "text" not in part]
        if media:
            response["parts"] = media
        self._append("tool", [{"functionResponse": response}])

    def _call(self, call: Members) -> Json:
        kind = call.take("type", str) or "function"
        if kind != "function":
            refuse_content(call.at("type"), f"its API has function calls only, not {kind!r}")
        call_id = call.need("id", str)
        function = call.need_child("function", '{"name": "f", "arguments": "{}"}')
        name = self._names[call_id] = function.need("name", str)
        made: Json = {"functionCall": {"id": call_id, "name": name, "args": _arguments(function)}}
        signature = _signature(call)
        if signature is not None:
            made["thoughtSignature"] = signature
        function.finish()
        call.ignore("index")  # of the stream that it was put together from
        call.finish()
        return made

    def _append(self, role: str, made: list[Json]) -> None:
        # Results are the user's too, but must not stand among what the user says.
        made = made or [{"text": ""}]  # a content must have a part
        if role == self._role:
            self._parts += made
            return
        self._role = role
        self._parts = made
        self.contents.append({"role": "model" if role == "model" else "user", "parts": made})


_READERS: Final[dict[str, Callable[[_Conversation, Members, bool], None]]] = {
    "system": _Conversation.add_system,
    "developer": _Conversation.add_system,
    "user": _Conversation.add_user,
    "assistant": _Conversation.add_assistant,
    "tool": _Conversation.add_tool,
}
"""By role; the flag tells whether the message stands behind the last of the user."""


def _arguments(function: Members) -> msgspec.Raw:
    """The arguments as the object that they spell, in the bytes that came."""
    arguments = spelled_object(function.need("arguments", str))
    if arguments is None:
        raise function.wrong("arguments", "must be a JSON object in a string")
    return arguments


def _signature(carrier: Members) -> str | None:
    """`extra_content.google.thought_signature`; what is in there for others is theirs."""
    extra = carrier.child("extra_content")
    google = None if extra is None else extra.child("google")
    return None if google is None else google.take("thought_signature", str)
