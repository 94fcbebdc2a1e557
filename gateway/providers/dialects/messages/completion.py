"""Chat completions as providers answer them, whole and in chunks: what of them a Message is made from.

https://platform.openai.com/docs/api-reference/chat/object and …/chat/streaming, and what vLLM, SGLang,
OpenRouter, LiteLLM and Google add to them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from gateway.providers.dialects.messages.members import UNREADABLE, Json
from gateway.providers.translation import TranslationError

NOTHING: Final = msgspec.Raw()


def is_told(raw: msgspec.Raw) -> bool:
    """Whether a member is there and not null."""
    return bytes(memoryview(raw)[:1]) not in (b"", b"n")


class Part(msgspec.Struct):
    """A part of a message's content; answers have text alone."""

    type: str
    text: str | None = None


class Function(msgspec.Struct):
    """The function of a call; a delta has pieces of it."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    """A call, or in a delta a piece of the one at `index`."""

    function: Function = msgspec.field(default_factory=Function)
    index: int | None = None
    id: str | None = None
    extra_content: msgspec.Raw = NOTHING


class SignedThought(msgspec.Struct):
    """A thought with its signature, or one that only its `data` tells; in a delta a piece of it."""

    type: str
    index: int | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class ChatMessage(msgspec.Struct):
    """The assistant's message, or a delta of it."""

    content: str | list[Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[SignedThought] | None = None
    tool_calls: list[ToolCall] | None = None
    extra_content: msgspec.Raw = NOTHING

    def text(self) -> str:
        """All of the content. Raises TranslationError where it is more than text."""
        if not isinstance(self.content, list):
            return self.content or ""
        if any(part.type != "text" for part in self.content):
            raise TranslationError("its message has parts that are not text")
        return "".join(part.text or "" for part in self.content)


class Choice(msgspec.Struct):
    """One answer. vLLM tells the string that stopped it as `stop_reason`, SGLang as `matched_stop`."""

    index: int = 0
    message: ChatMessage | None = None
    delta: ChatMessage | None = None
    finish_reason: str | None = None
    stop_reason: object = None
    matched_stop: object = None


class PromptDetails(msgspec.Struct):
    """Where the tokens of the prompt came from; OpenAI and LiteLLM each have a name for what was written."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """What the tokens of the answer went to."""

    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    """Tokens; `prompt_tokens` has those of the cache in it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None

    def to_messages(self) -> Json:
        """The usage of the Messages API, whose `input_tokens` are those that no cache had part in."""
        prompt = self.prompt_tokens_details or PromptDetails()
        read = prompt.cached_tokens or 0
        written = prompt.cache_write_tokens or prompt.cache_creation_tokens or 0
        usage: Json = {
            "input_tokens": max(0, (self.prompt_tokens or 0) - read - written),
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "output_tokens": self.completion_tokens or 0,
        }
        thoughts = self.completion_tokens_details and self.completion_tokens_details.reasoning_tokens
        if thoughts:
            usage["output_tokens_details"] = {"thinking_tokens": thoughts}
        return usage


class Completion(msgspec.Struct):
    """A chat completion, or one chunk of it."""

    id: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: msgspec.Raw = NOTHING


_decode: Final = msgspec.json.Decoder(Completion).decode

_STOP_REASONS: Final = {
    "length": "max_tokens",
    "model_length": "model_context_window_exceeded",  # Mistral
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_BROKEN: Final = ("error", "abort")
"""How OpenRouter and vLLM end an answer that is not whole."""


def completion(data: bytes) -> Completion:
    """Raises TranslationError for what is no chat completion."""
    try:
        return _decode(data)
    except UNREADABLE as error:
        raise TranslationError(f"it is not a chat completion: {_reason(error)}") from None


class Stop:
    """Why an answer ended, put together from a whole choice or from those of a stream.

    `sequences` are the client's `stop_sequences`. Raises TranslationError for an answer that is not whole.
    """

    def __init__(self, sequences: Collection[str]) -> None:
        self._sequences = sequences
        self._sequence: str | None = None
        self._refused = False
        self._called = False
        self.finish_reason: str | None = None

    def note(self, choice: Choice, message: ChatMessage) -> None:
        """Takes up what `choice` tells; `message` is its message or its delta."""
        if choice.finish_reason in _BROKEN:
            raise TranslationError(f"its model gave up: finish_reason is {choice.finish_reason}")
        self.finish_reason = choice.finish_reason or self.finish_reason
        self._refused = self._refused or bool(message.refusal)
        self._called = self._called or bool(message.tool_calls)
        for matched in (choice.stop_reason, choice.matched_stop):
            if isinstance(matched, str) and matched in self._sequences:
                self._sequence = matched

    def members(self) -> Json:
        """`stop_reason` and `stop_sequence` of the Message."""
        reason = _STOP_REASONS.get(self.finish_reason or "")
        if reason is None and self._sequence is not None:
            return {"stop_reason": "stop_sequence", "stop_sequence": self._sequence}
        if reason is None:  # Ollama and others say `stop` after calls, too
            reason = "refusal" if self._refused else "tool_use" if self._called else "end_turn"
        return {"stop_reason": reason, "stop_sequence": None}


def _reason(error: Exception) -> str:
    """The decoder's words, which name the place and the type and quote nothing."""
    return str(error) if isinstance(error, msgspec.ValidationError) else "it is not JSON"
