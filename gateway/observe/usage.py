"""Tokens as the provider counts them, read from responses on their way; no byte is changed for it.

Shapes: `usage` of chat completions, completions and embeddings (`prompt_tokens`, `completion_tokens`), of the
Responses API (`input_tokens`, `output_tokens`, in streams inside `response`), of the Messages API (the same
names, in streams first inside `message`). What cannot be read is no usage.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

MAX_EVENT: Final = 64 * 1024
_MARKS: Final = (b'"usage":{', b'"usage": {')
_EVENT_END: Final = re.compile(rb"\r?\n\r?\n|\r\r")
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class Tokens(NamedTuple):
    """Tokens of one request. `cached` are among `input`, `reasoning` among `output`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0


class Price(NamedTuple):
    """US dollars for a million tokens; `cached` is for input tokens that the provider had in its cache."""

    input: float
    output: float
    cached: float

    def cost(self, tokens: Tokens) -> float:
        """What `tokens` cost in US dollars."""
        fresh = max(0, tokens.input - tokens.cached)
        return (fresh * self.input + tokens.cached * self.cached + tokens.output * self.output) / 1e6


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    input_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    output_tokens_details: _OutputDetails | None = None

    def tokens(self) -> Tokens:
        inputs = self.prompt_tokens_details or self.input_tokens_details
        outputs = self.completion_tokens_details or self.output_tokens_details
        cached = (inputs and inputs.cached_tokens) or self.cache_read_input_tokens or 0
        return Tokens(
            self.prompt_tokens or self.input_tokens or 0,
            self.completion_tokens or self.output_tokens or 0,
            cached,
            (outputs and outputs.reasoning_tokens) or 0,
        )


class _Inner(msgspec.Struct):
    usage: _Usage | None = None


class _Answer(msgspec.Struct):
    usage: _Usage | None = None
    response: _Inner | None = None
    message: _Inner | None = None


_decode: Final = msgspec.json.Decoder(_Answer).decode
_decode_usage: Final = msgspec.json.Decoder(_Usage).decode


def of_body(body: bytes) -> Tokens | None:
    """The usage in a whole JSON body."""
    if _MARKS[0] not in body and _MARKS[1] not in body:
        return None
    return _read(body)


def of_tail(tail: bytes) -> Tokens | None:
    """The usage in the end of a long JSON body whose beginning is gone."""
    start = max(tail.rfind(mark) for mark in _MARKS)
    if start < 0:
        return None
    start = tail.index(b"{", start)
    depth = 0
    for at in range(start, len(tail)):
        depth += (tail[at] == 0x7B) - (tail[at] == 0x7D)  # no string in a usage object has braces
        if depth == 0:
            try:
                return _decode_usage(tail[start : at + 1]).tokens()
            except _UNREADABLE:
                return None
    return None


class StreamUsage:
    """Watches an event stream for its usage; `tokens` is the last that was seen, each number the largest."""

    __slots__ = ("_partial", "tokens")

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        self._partial = b""

    def watch(self, data: bytes) -> None:
        """Look at the next bytes of the stream."""
        if not self._partial and data.endswith(b"\n\n"):
            self._look(data)
            return
        data = self._partial + data
        end = 0
        for mark in _EVENT_END.finditer(data):
            end = mark.end()
        self._partial = data[end:] if len(data) - end <= MAX_EVENT else b""
        if end:
            self._look(data[:end])

    def _look(self, events: bytes) -> None:
        if _MARKS[0] not in events and _MARKS[1] not in events:
            return
        for event in _EVENT_END.split(events):
            if b'"usage"' in event:
                at = event.find(b"data:")
                tokens = _read(event[at + 5 :].strip()) if at >= 0 else None
                if tokens is not None:
                    self.tokens = tokens if self.tokens is None else Tokens(*map(max, self.tokens, tokens))


def _read(body: bytes) -> Tokens | None:
    try:
        answer = _decode(body)
    except _UNREADABLE:
        return None
    usage = answer.usage
    if usage is None:
        inner = answer.response or answer.message
        usage = None if inner is None else inner.usage
    return None if usage is None else usage.tokens()
