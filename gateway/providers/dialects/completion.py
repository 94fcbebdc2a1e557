"""Chat completions as providers answer them, whole and in chunks: what of them a dialect tells its clients.

https://platform.openai.com/docs/api-reference/chat/object and …/chat-streaming, and what vLLM, SGLang,
OpenRouter, LiteLLM, DeepSeek and Google add to them. What only one dialect has a place for is read when it
asks: no answer is lost over a member that its client would not have got.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.providers.reading import UNREADABLE
from gateway.providers.translation import TranslationError

NOTHING: Final = msgspec.Raw()
THOUGHT_MEMBERS: Final = ("reasoning_content", "reasoning")
"""Where a message has what the model thought: DeepSeek and SGLang; vLLM, Groq, Ollama and OpenRouter."""

_BROKEN: Final = ("error", "abort")
"""How OpenRouter and vLLM end an answer that is not whole."""


def is_told(raw: msgspec.Raw) -> bool:
    """Whether a member is there and not null."""
    return bytes(memoryview(raw)[:1]) not in (b"", b"n")


class Part(msgspec.Struct):
    """A part of a message's content; answers have text alone."""

    type: str
    text: str | None = None


class Called(msgspec.Struct):
    """The function or custom tool of a call; in a delta, pieces of it."""

    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class ToolCall(msgspec.Struct):
    """A call, or in a delta a piece of the one at `index`."""

    function: Called | None = None
    custom: Called | None = None
    index: int | None = None
    id: str | None = None
    extra_content: msgspec.Raw = NOTHING


class ThinkingBlock(msgspec.Struct, omit_defaults=True):
    """A thought with its signature, or `data` that hides one; in a delta, a piece of the block at `index`."""

    type: str = ""
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    index: int | None = None


class Citation(msgspec.Struct):
    """A page that a range of the text is from."""

    url: str = ""
    title: str = ""
    start_index: int = 0
    end_index: int = 0


class _Annotation(msgspec.Struct):
    url_citation: Citation | None = None


class _Logprobs(msgspec.Struct):
    content: list[dict[str, Any]] | None = None


_annotations: Final = msgspec.json.Decoder(list[_Annotation]).decode
_logprobs: Final = msgspec.json.Decoder(_Logprobs).decode


class ChatMessage(msgspec.Struct):
    """The assistant's message, or a delta of it."""

    content: str | list[Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[ThinkingBlock] | None = None
    tool_calls: list[ToolCall] | None = None
    annotations: msgspec.Raw = NOTHING
    extra_content: msgspec.Raw = NOTHING

    def text(self) -> str:
        """All of the content. Raises TranslationError where it is more than text."""
        if not isinstance(self.content, list):
            return self.content or ""
        if any(part.type != "text" for part in self.content):
            raise TranslationError("its message has parts that are not text")
        return "".join(part.text or "" for part in self.content)

    def citations(self) -> list[Citation]:
        """The pages that the text is from. Raises TranslationError."""
        if not is_told(self.annotations):
            return []
        try:
            annotations = _annotations(self.annotations)
        except UNREADABLE as error:
            raise _no_completion(error) from None
        return [one.url_citation for one in annotations if one.url_citation is not None]


class Choice(msgspec.Struct):
    """One answer. vLLM tells the string that stopped it as `stop_reason`, SGLang as `matched_stop`."""

    index: int = 0
    message: ChatMessage | None = None
    delta: ChatMessage | None = None
    finish_reason: str | None = None
    stop_reason: object = None
    matched_stop: object = None
    logprobs: msgspec.Raw = NOTHING

    def ending(self) -> str | None:
        """The `finish_reason`. Raises TranslationError for that of an answer that is not whole."""
        if self.finish_reason in _BROKEN:
            raise TranslationError(f"its model gave up: finish_reason is {self.finish_reason}")
        return self.finish_reason

    def tokens(self) -> list[dict[str, Any]] | None:
        """The tokens of the text with their probabilities, if told. Raises TranslationError."""
        if not is_told(self.logprobs):
            return None
        try:
            return _logprobs(self.logprobs).content
        except UNREADABLE as error:
            raise _no_completion(error) from None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    """Tokens as the provider counts them; `prompt_tokens` has those of the cache in it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: object = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None

    @property
    def cached(self) -> int:
        """Tokens of the prompt that the provider's cache had."""
        details = self.prompt_tokens_details
        return 0 if details is None else details.cached_tokens or 0

    @property
    def cache_written(self) -> int:
        """Tokens of the prompt that its cache was given; LiteLLM has a name of its own for them."""
        details = self.prompt_tokens_details
        return 0 if details is None else details.cache_write_tokens or details.cache_creation_tokens or 0

    @property
    def reasoning(self) -> int:
        """Tokens of the answer that only the model has seen."""
        details = self.completion_tokens_details
        return 0 if details is None else details.reasoning_tokens or 0


class Completion(msgspec.Struct):
    """A chat completion, or one chunk of it, or the error that ends a stream."""

    id: str | None = None
    created: int | float | None = None
    model: str | None = None
    service_tier: object = None
    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: msgspec.Raw = NOTHING

    def choice(self) -> Choice | None:
        """The one answer that was asked for; None in a chunk of usage alone."""
        return next((choice for choice in self.choices or () if choice.index == 0), None)


_decode: Final = msgspec.json.Decoder(Completion).decode


def completion(data: bytes) -> Completion:
    """The completion or chunk in `data`. Raises TranslationError."""
    try:
        return _decode(data)
    except UNREADABLE as error:
        raise _no_completion(error) from None


def _no_completion(error: Exception) -> TranslationError:
    # A decoder's own words name the place and the type and quote nothing.
    reason = str(error) if isinstance(error, msgspec.ValidationError) else "it is not JSON"
    return TranslationError(f"its answer is no chat completion: {reason}")
