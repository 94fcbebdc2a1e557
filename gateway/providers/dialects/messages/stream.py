"""A stream of chat completion chunks as the events of a Message.

`message_start` comes with the first chunk that has a choice, `message_delta` and `message_stop` when the
provider's stream is at its end, since its usage comes last.

https://platform.claude.com/docs/en/build-with-claude/streaming and
https://platform.openai.com/docs/api-reference/chat-streaming.
"""

from __future__ import annotations

from gateway.providers.dialects.completion import (
    Called,
    ChatMessage,
    Completion,
    ToolCall,
    Usage,
    completion,
    is_told,
)
from gateway.providers.dialects.messages.blocks import Block, BlockWriter, typed_event
from gateway.providers.dialects.messages.errors import error_event
from gateway.providers.dialects.messages.message import (
    Asked,
    call_id,
    call_start,
    head,
    hidden_block,
    told_usage,
)
from gateway.providers.dialects.messages.stop import Stop
from gateway.providers.dialects.messages.thinking import Hidden, Seal, Thought, extra, thoughts_of
from gateway.providers.events import LAST, Event, EventReader, event
from gateway.providers.translation import TranslationError


class MessageStream:
    """Translates one stream; see `gateway.providers.translation.Translator` for `feed` and `end`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._seal = Seal(asked.model)
        self._reader = EventReader()
        # Of the Message
        self._id = ""
        self._usage: Usage | None = None
        self._stop = Stop(asked.stops)
        self._is_over = False
        self._failed = False
        # Of its content
        self._blocks = BlockWriter()
        self._last: Block | None = None
        self._last_kind = ""
        self._calls: dict[int, tuple[str, Block]] = {}
        self._call_count = 0

    def feed(self, data: bytes) -> bytes:
        return b"".join([self._take(each) for each in self._reader.feed(data) if not self._is_over])

    def end(self) -> bytes:
        if self._failed:
            raise TranslationError("its stream ended with an error")
        if self._is_over:
            return b""
        if self._stop.finish_reason is None:
            raise TranslationError("its stream was cut short")
        return self._finish()

    def _take(self, told: Event) -> bytes:
        if told.data == LAST:
            return self._finish()
        chunk = completion(told.data)
        if is_told(chunk.error) or told.name == "error":
            self._is_over = self._failed = True
            return event(error_event(bytes(chunk.error) or told.data), "error")
        self._usage = chunk.usage or self._usage
        start = b""
        for choice in chunk.choices or []:
            if choice.index == 0:
                start = start or self._start(chunk)
                delta = choice.delta or ChatMessage()
                self._stop.note(choice, delta)
                self._add(delta)
        return start + self._blocks.take()

    def _start(self, chunk: Completion) -> bytes:
        if self._id:
            return b""
        message = head(chunk, self._asked)
        self._id = str(message["id"])
        return typed_event("message_start", {"message": message})

    def _finish(self) -> bytes:
        if not self._id:
            raise TranslationError("its stream has no choice")
        self._is_over = True
        self._blocks.end()
        usage = told_usage(self._usage or Usage())
        stop = self._stop.members()
        return b"".join(
            [
                self._blocks.take(),
                typed_event("message_delta", {"delta": stop, "usage": usage}),
                typed_event("message_stop", {}),
            ]
        )

    def _add(self, delta: ChatMessage) -> None:
        for thought in thoughts_of(delta) if self._asked.thoughts_shown else []:
            if isinstance(thought, Hidden):
                self._hide(thought)
            else:
                self._think(thought)
        for text in (delta.text(), delta.refusal):
            if text:
                block = self._running("text") or self._begin(Block({"type": "text", "text": ""}), "text")
                self._blocks.add(block, "text_delta", "text", text)
        if is_told(delta.extra_content) and self._asked.thoughts_shown:
            self._hide(extra("", delta.extra_content))
        for call in delta.tool_calls or []:
            self._call(call)

    def _think(self, thought: Thought) -> None:
        kind = f"thinking {thought.place} by {thought.member}"
        block = self._running(kind)
        if block is None:
            block = self._begin(Block({"type": "thinking", "thinking": "", "signature": ""}), kind)
        if thought.text:
            self._blocks.add(block, "thinking_delta", "thinking", thought.text)
        signature = self._seal.close(thought.member, thought.signed)
        block.last = {"type": "signature_delta", "signature": signature}
        if thought.signed:
            self._last = None  # signed is finished: the next one is another block

    def _call(self, call: ToolCall) -> None:
        index = max(self._calls, default=0) if call.index is None else call.index
        begun = self._calls.get(index)
        if begun is None or _is_another(call, *begun):
            begun = self._calls[index] = self._begin_call(call)
        _, block = begun
        if call.function is not None and call.function.arguments:
            self._blocks.add(block, "input_json_delta", "partial_json", call.function.arguments)

    def _begin_call(self, call: ToolCall) -> tuple[str, Block]:
        name = (call.function or Called()).name
        if name is None:
            raise TranslationError("its stream calls a tool without a name")
        identifier = call_id(call, self._id, self._call_count)
        self._call_count += 1
        if is_told(call.extra_content):
            self._hide(extra(identifier, call.extra_content))
        block = Block(call_start(identifier, name), is_call=True)
        return identifier, self._begin(block, "tool_use")

    def _hide(self, hidden: Hidden) -> None:
        self._begin(Block(hidden_block(hidden, self._seal)), "redacted_thinking")

    def _running(self, kind: str) -> Block | None:
        """The last block, if it is of the kind and may go on."""
        return self._last if self._last_kind == kind else None

    def _begin(self, block: Block, kind: str) -> Block:
        self._last = block
        self._last_kind = kind
        self._blocks.begin(block)
        return block


def _is_another(call: ToolCall, identifier: str, block: Block) -> bool:
    """Whether a piece at a call's index begins one more: some providers have them all at 0, or at none."""
    if call.function is None or not call.function.name:
        return False
    return call.id != identifier if call.id else block.may_end
