"""The event stream of the Messages API as that of chat completions, event by event.

`thinking_blocks` come in pieces like `tool_calls`: each has the `index` of its block, and texts of one index
are to be joined. The finish reason, the usage and `[DONE]` come with `message_stop`: a stream that is cut
before it never looks whole.

https://platform.claude.com/docs/en/build-with-claude/streaming
https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from gateway.providers.anthropic.errors import Fault, to_chat
from gateway.providers.anthropic.shapes import Block, Message, StopDetails, Usage, finish_reason
from gateway.providers.events import DONE, EventReader, event
from gateway.providers.reading import UNREADABLE
from gateway.providers.translation import TranslationError


class _Delta(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: _Delta = _Delta()
    usage: Usage | None = None
    error: Fault | None = None


_decode: Final = msgspec.json.Decoder(_Event).decode


class _Open:
    """A content block that has begun: its position among its like, and, of a call, whether arguments came."""

    __slots__ = ("arguments_came", "block", "position")

    def __init__(self, block: Block, position: int) -> None:
        self.block = block
        self.position = position
        self.arguments_came = False


class Stream:
    """One stream; the arguments are those of `Translator` (response.py)."""

    def __init__(self, created: int, *, with_usage: bool, deprecated_functions: bool) -> None:
        self._created = created
        self._with_usage = with_usage
        self._deprecated_functions = deprecated_functions
        self._reader = EventReader()
        self._usage = Usage()
        self._open: dict[int, _Open] = {}
        self._counts: dict[str, int] = {}
        self._head = b""
        self._tail = b',"usage":null}' if with_usage else b"}"
        self._stop_reason: str | None = None
        self._error = ""
        self._done = False

    def feed(self, data: bytes) -> bytes:
        """The chunks for the events that `data` completes. Raises TranslationError."""
        return b"".join([self._translate(item.data) for item in self._reader.feed(data)])

    def end(self) -> None:
        """Raises TranslationError where the stream had no end of its own."""
        if self._error:
            raise TranslationError(f"its stream ended with an error: {self._error}")
        if not self._done:
            raise TranslationError("its stream ended before `message_stop`")

    def _translate(self, data: bytes) -> bytes:
        if self._done or self._error:
            return b""
        try:
            item = _decode(data)
        except UNREADABLE as error:
            raise TranslationError(f"its stream has an event that cannot be read: {error}") from None
        handle = _EVENTS.get(item.type)
        return handle(self, item) if handle is not None else b""

    def _message_start(self, item: _Event) -> bytes:
        message = item.message
        if message is None:
            raise TranslationError("its stream has a `message_start` without a message")
        self._usage.update(message.usage)
        head = msgspec.json.encode(
            {
                "id": message.id,
                "object": "chat.completion.chunk",
                "created": self._created,
                "model": message.model,
                **message.usage.chat_tier(),
            }
        )
        self._head = head[:-1] + b',"choices":['
        return self._chunk({"role": "assistant", "content": ""})

    def _block_start(self, item: _Event) -> bytes:
        block = item.content_block
        if block is None:
            raise TranslationError("its stream has a `content_block_start` without a block")
        like = _LIKE.get(block.type, block.type)
        position = self._counts[like] = self._counts.get(like, -1) + 1
        opened = self._open[item.index] = _Open(block, position)
        if block.type == "tool_use":
            function = {"name": block.name, "arguments": ""}
            return self._call(opened, function, {"id": block.id, "type": "function"})
        if block.type == "redacted_thinking":
            return self._thought(opened, {"data": block.data})
        if block.type == "thinking":
            return self._thinking(opened, block.thinking, block.signature)
        return self._text(block.text)

    def _block_delta(self, item: _Event) -> bytes:
        delta = item.delta
        opened = self._open.get(item.index)
        if opened is None:
            raise TranslationError("its stream has a `content_block_delta` for a block that is not open")
        if delta.type == "text_delta":
            return self._text(delta.text)
        if delta.type == "input_json_delta" and delta.partial_json:
            opened.arguments_came = True
            return self._call(opened, {"arguments": delta.partial_json})
        if delta.type in ("thinking_delta", "signature_delta"):
            return self._thinking(opened, delta.thinking, delta.signature)
        return b""

    def _block_stop(self, item: _Event) -> bytes:
        opened = self._open.pop(item.index, None)
        if opened is None or opened.block.type != "tool_use" or opened.arguments_came:
            return b""
        return self._call(opened, {"arguments": bytes(opened.block.input).decode()})

    def _message_delta(self, item: _Event) -> bytes:
        self._stop_reason = item.delta.stop_reason or self._stop_reason
        if item.usage is not None:
            self._usage.update(item.usage)
        details = item.delta.stop_details
        if details is None or not details.explanation:
            return b""
        return self._chunk({"refusal": details.explanation})

    def _message_stop(self, _item: _Event) -> bytes:
        self._done = True
        reason = finish_reason(self._stop_reason, deprecated_functions=self._deprecated_functions)
        last = self._chunk({}, reason)
        if self._with_usage:
            last += event(b'%b],"usage":%b}' % (self._head, msgspec.json.encode(self._usage.chat())))
        return last + DONE

    def _fail(self, item: _Event) -> bytes:
        if item.error is None:
            raise TranslationError("its stream has an `error` without an error")
        self._error = item.error.type
        return event(to_chat(item.error))

    def _text(self, text: str) -> bytes:
        return self._chunk({"content": text}) if text else b""

    def _thinking(self, opened: _Open, text: str, signature: str) -> bytes:
        if not text and not signature:
            return b""
        # With its text, though empty: a block whose text is withheld must be sent back with it.
        signed = {"signature": signature} if signature else {}
        reasoning = {"reasoning_content": text} if text else {}
        return self._thought(opened, {"thinking": text, **signed}, reasoning)

    def _thought(
        self, opened: _Open, piece: Mapping[str, str], beside: Mapping[str, object] | None = None
    ) -> bytes:
        block = {"index": opened.position, "type": opened.block.type, **piece}
        return self._chunk({**(beside or {}), "thinking_blocks": [block]})

    def _call(
        self, opened: _Open, function: Mapping[str, str], identity: Mapping[str, str] | None = None
    ) -> bytes:
        if not self._deprecated_functions:
            call = {"index": opened.position, **(identity or {}), "function": function}
            return self._chunk({"tool_calls": [call]})
        # One at a time was asked for, and the shape has no place for more.
        return self._chunk({"function_call": function}) if opened.position == 0 else b""

    def _chunk(self, delta: Mapping[str, object], reason: str | None = None) -> bytes:
        if not self._head:
            raise TranslationError("its stream does not begin with `message_start`")
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return event(b"%b%b]%b" % (self._head, msgspec.json.encode(choice), self._tail))


# Thoughts of both kinds are counted together.
_LIKE: Final[Mapping[str, str]] = {"redacted_thinking": "thinking"}

_EVENTS: Final[Mapping[str, Callable[[Stream, _Event], bytes]]] = {
    "message_start": Stream._message_start,
    "content_block_start": Stream._block_start,
    "content_block_delta": Stream._block_delta,
    "content_block_stop": Stream._block_stop,
    "message_delta": Stream._message_delta,
    "message_stop": Stream._message_stop,
    "error": Stream._fail,
}
