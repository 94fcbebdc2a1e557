"""What a chat completion and a chunk of a streamed one have in common, as far as a response tells it.

https://platform.openai.com/docs/api-reference/chat/object and
https://platform.openai.com/docs/api-reference/chat-streaming; continuation tells what others add to them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.providers.dialects.responses.continuation import Block
from gateway.providers.translation import TranslationError

Json = dict[str, Any]


class Called(msgspec.Struct):
    """The function or custom tool of a call; in a stream, a piece of it."""

    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class ToolCall(msgspec.Struct):
    """A call, or a piece of one."""

    index: int | None = None
    id: str | None = None
    function: Called | None = None
    custom: Called | None = None
    extra_content: Json | None = None


class Citation(msgspec.Struct):
    """A page that a range of the text is from."""

    url: str = ""
    title: str = ""
    start_index: int = 0
    end_index: int = 0


class Annotation(msgspec.Struct):
    """An annotation of the text; there is one kind."""

    url_citation: Citation | None = None


class Part(msgspec.Struct):
    """A part of a message; answers have text alone."""

    type: str
    text: str = ""


class Said(msgspec.Struct):
    """What the assistant says: a message, or a piece of one."""

    content: str | list[Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[Block] | None = None
    annotations: list[Annotation] | None = None
    tool_calls: list[ToolCall] | None = None

    def text(self) -> str:
        """All of the content. Raises TranslationError where it is more than text."""
        if not isinstance(self.content, list):
            return self.content or ""
        if any(part.type != "text" for part in self.content):
            raise TranslationError("its message has parts that are not text")
        return "".join(part.text for part in self.content)


class Logprobs(msgspec.Struct):
    """The tokens of the text with their probabilities; those of a refusal have no place in a response."""

    content: list[Json] | None = None


class Choice(msgspec.Struct):
    """One of the answers; only the first is asked for."""

    index: int = 0
    message: Said | None = None
    delta: Said | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct):
    """Tokens that the provider's cache had, and that it was given (LiteLLM: `cache_creation_tokens`)."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """Tokens of the answer that only the model has seen."""

    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    """Tokens as the provider counts them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None

    def told(self) -> Json:
        """The usage of a response."""
        before = self.prompt_tokens or 0
        after = self.completion_tokens or 0
        of_prompt = self.prompt_tokens_details or PromptDetails()
        written = of_prompt.cache_write_tokens or of_prompt.cache_creation_tokens
        of_completion = self.completion_tokens_details or CompletionDetails()
        return {
            "input_tokens": before,
            "input_tokens_details": {
                "cached_tokens": of_prompt.cached_tokens or 0,
                "cache_write_tokens": written or 0,
            },
            "output_tokens": after,
            "output_tokens_details": {"reasoning_tokens": of_completion.reasoning_tokens or 0},
            "total_tokens": before + after if self.total_tokens is None else self.total_tokens,
        }


class Completion(msgspec.Struct):
    """A chat completion, or a chunk, or the error that ends a stream."""

    id: str | None = None
    created: int | float | None = None
    model: str | None = None
    service_tier: str | None = None
    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: Json | str | None = None

    def choice(self) -> Choice | None:
        """The answer that was asked for; None in a chunk of usage alone."""
        return next((choice for choice in self.choices or () if choice.index == 0), None)


_decode: Final = msgspec.json.Decoder(Completion).decode


def decode(data: bytes) -> Completion:
    """The completion or chunk in `data`. Raises TranslationError."""
    try:
        return _decode(data)
    except msgspec.ValidationError as error:
        raise TranslationError(f"its answer is no chat completion: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TranslationError("its answer is not JSON") from None
