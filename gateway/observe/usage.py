"""Tokens as the provider counts them, read from responses on their way; no byte is changed for it.

Shapes: `usage` of chat completions, completions and embeddings (`prompt_tokens`, `completion_tokens`), of
the Responses API and of the Messages API (`input_tokens`, `output_tokens`), and Gemini's `usageMetadata`. A
stream tells it at its end, that of the Messages API also at its beginning; so that is where it is looked
for, and the events between cost nothing. What cannot be read is no usage.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

_USAGE: Final = re.compile(rb'"usage(?:Metadata)?"\s*:\s*(\{(?:[^{}]|\{[^{}]*\})*\})')
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
    """That of chat completions, completions and embeddings, or at least nothing else than it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None

    def tokens(self) -> Tokens:
        inputs, outputs = self.prompt_tokens_details, self.completion_tokens_details
        return Tokens(
            self.prompt_tokens or 0,
            self.completion_tokens or 0,
            (inputs and inputs.cached_tokens) or 0,
            (outputs and outputs.reasoning_tokens) or 0,
        )


class _OtherUsage(msgspec.Struct):
    """That of the Responses API, of the Messages API and of Gemini's."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    gemini_input: int | None = msgspec.field(default=None, name="promptTokenCount")
    gemini_output: int | None = msgspec.field(default=None, name="candidatesTokenCount")
    gemini_thoughts: int | None = msgspec.field(default=None, name="thoughtsTokenCount")
    gemini_cached: int | None = msgspec.field(default=None, name="cachedContentTokenCount")
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None

    def tokens(self) -> Tokens:
        inputs, outputs = self.input_tokens_details, self.output_tokens_details
        # Anthropic's and Gemini's numbers leave out what the others count in: cached input, and thoughts.
        read = self.cache_read_input_tokens or 0
        outside = read + (self.cache_creation_input_tokens or 0)
        thoughts = self.gemini_thoughts or 0
        return Tokens(
            (self.input_tokens or self.gemini_input or 0) + outside,
            (self.output_tokens or self.gemini_output or 0) + thoughts,
            (inputs and inputs.cached_tokens) or read or self.gemini_cached or 0,
            (outputs and outputs.reasoning_tokens) or thoughts,
        )


class _Answer(msgspec.Struct):
    usage: _Usage | None = None


class _OtherAnswer(msgspec.Struct):
    usage: _OtherUsage | None = None
    usage_metadata: _OtherUsage | None = msgspec.field(default=None, name="usageMetadata")


_decode: Final = msgspec.json.Decoder(_Answer).decode
_decode_other: Final = msgspec.json.Decoder(_OtherAnswer).decode
_decode_usage: Final = msgspec.json.Decoder(_Usage).decode
_decode_other_usage: Final = msgspec.json.Decoder(_OtherUsage).decode


def of_body(body: bytes) -> Tokens | None:
    """The usage in a whole JSON body."""
    try:
        # Decoding skips what is not asked for, and costs less than to search the text for a mark first.
        usage = _decode(body).usage
        if usage is not None and usage.prompt_tokens is not None:
            return usage.tokens()
        answer = _decode_other(body)
    except _UNREADABLE:
        return None
    other = answer.usage or answer.usage_metadata
    return None if other is None else other.tokens()


def of_text(text: bytes) -> Tokens | None:
    """The last usage object in a piece of JSON or of an event stream, wherever the piece was cut out."""
    end = len(text)
    while (at := text.rfind(b'"usage', 0, end)) >= 0:
        found = _USAGE.match(text, at)
        if found is not None:
            break
        end = at  # `"usage": null` and the like: look before it
    else:
        return None
    try:
        usage = _decode_usage(found[1])
        return (_decode_other_usage(found[1]) if usage.prompt_tokens is None else usage).tokens()
    except _UNREADABLE:
        return None


def together(first: Tokens | None, last: Tokens | None) -> Tokens | None:
    """The usage of a stream that told of it at its beginning and at its end: each number the larger one."""
    if first is None or last is None:
        return first or last
    return Tokens(*map(max, first, last))
