"""Content blocks of a stream, one after the other.

The Messages API streams a block whole before the next one begins. Deltas of chat completions come as they
like: the arguments of several calls in turn, text between them. So only the first block that is not at its
end is open; what comes for a later one waits. A block of text is at its end when another begins, that of a
call when its arguments are a whole object; the calls of almost every provider come one after the other, and
none of their deltas ever waits.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import re
from collections import deque
from typing import Final

import msgspec

from gateway.providers.events import MAX_EVENT, event
from gateway.providers.reading import Json
from gateway.providers.translation import TranslationError

_MARKS: Final = re.compile(r'\\.?|["{}\[\]]', re.DOTALL).findall


def typed_event(kind: str, members: Json) -> bytes:
    """An event of the Messages API: its name is also its `type`."""
    return event(msgspec.json.encode({"type": kind, **members}), kind)


class ObjectEnd:
    """Finds the end of a JSON object that comes in pieces, whatever they are; keeps none of them."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self.reached = False

    def feed(self, text: str) -> None:
        """Takes the next piece."""
        if self._escaped and text:
            text = text[1:]
            self._escaped = False
        for mark in _MARKS(text):
            if mark == '"':
                self._in_string = not self._in_string
            elif mark[0] == "\\":
                self._escaped = len(mark) == 1
            elif not self._in_string:
                self._depth += 1 if mark in "{[" else -1
                self.reached = self.reached or self._depth == 0


class Block:
    """One content block. `start` is how it begins, `last` the delta, if any, that it ends with."""

    def __init__(self, start: Json, last: Json | None = None, *, is_call: bool = False) -> None:
        self.start = start
        self.last = last
        self.is_over = False
        self.waiting: list[Json] = []
        self.input_end = ObjectEnd() if is_call else None

    @property
    def may_end(self) -> bool:
        """Whether nothing more is to come for it once another block has begun."""
        return self.input_end is None or self.input_end.reached


class BlockWriter:
    """Writes the events of blocks in their order."""

    def __init__(self) -> None:
        self._unfinished: deque[Block] = deque()
        self._index = -1
        self._waiting_size = 0
        self._events: list[bytes] = []

    def begin(self, block: Block) -> None:
        """Puts a block behind those that there are."""
        self._unfinished.append(block)
        if len(self._unfinished) == 1:
            self._open(block)
        else:
            self._end_what_may()

    def add(self, block: Block, kind: str, member: str, text: str) -> None:
        """Adds a delta of the type `kind` to a block that has begun. Raises TranslationError."""
        if block.is_over:
            if text.strip():
                raise TranslationError("its stream goes on with a call after the end of its arguments")
            return
        if block.input_end is not None:
            block.input_end.feed(text)
        delta: Json = {"type": kind, member: text}
        if block is self._unfinished[0]:
            self._write(delta)
            self._end_what_may()
            return
        self._waiting_size += len(text)
        if self._waiting_size > MAX_EVENT:
            raise TranslationError(f"calls of more than {MAX_EVENT} characters come in turn in its stream")
        block.waiting.append(delta)

    def end(self) -> None:
        """Ends all blocks."""
        while self._unfinished:
            self._end_first()

    def take(self) -> bytes:
        """The events since the last call."""
        events = b"".join(self._events)
        self._events.clear()
        return events

    def _end_what_may(self) -> None:
        while len(self._unfinished) > 1 and self._unfinished[0].may_end:
            self._end_first()

    def _open(self, block: Block) -> None:
        self._index += 1
        self._events.append(
            typed_event("content_block_start", {"index": self._index, "content_block": block.start})
        )
        for delta in block.waiting:
            self._write(delta)
        block.waiting.clear()

    def _write(self, delta: Json) -> None:
        self._events.append(typed_event("content_block_delta", {"index": self._index, "delta": delta}))

    def _end_first(self) -> None:
        block = self._unfinished.popleft()
        block.is_over = True
        if block.last is not None:
            self._write(block.last)
        self._events.append(typed_event("content_block_stop", {"index": self._index}))
        if self._unfinished:
            self._open(self._unfinished[0])
