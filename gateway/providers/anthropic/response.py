"""Answers of the Messages API as chat completions.

| Messages API | chat completions |
|---|---|
| `text` blocks | `content`, one behind the other |
| `thinking` blocks | `reasoning_content`, as DeepSeek, vLLM and LiteLLM have it |
| `thinking` and `redacted_thinking` blocks | `thinking_blocks`, unchanged, to be sent back with the message |
| `tool_use` blocks | `tool_calls`; the arguments are the provider's own JSON text |
| `stop_details.explanation` of a refusal | `refusal` |
| `input_tokens` + `cache_creation_input_tokens` + `cache_read_input_tokens` | `usage.prompt_tokens` |
| the last two of these | `usage.prompt_tokens_details.cache_write_tokens` and `.cached_tokens` |
| `output_tokens_details.thinking_tokens` | `usage.completion_tokens_details.reasoning_tokens` |

https://platform.claude.com/docs/en/api/messages
https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.providers.anthropic.errors import answer_to_chat
from gateway.providers.anthropic.shapes import Block, Message, finish_reason
from gateway.providers.anthropic.stream import Stream
from gateway.providers.reading import UNREADABLE
from gateway.providers.translation import TranslationError

_decode: Final = msgspec.json.Decoder(Message).decode


class Translator:
    """Puts one answer of the Messages API into the shape of chat completions.

    Args:
        created: seconds since the epoch, which the API's answers do not tell.
        with_usage: whether the client asked for the usage of a stream.
        deprecated_functions: whether it offered `functions`, and so gets a `function_call`.
    """

    def __init__(self, created: int, *, with_usage: bool, deprecated_functions: bool) -> None:
        self._created = created
        self._deprecated_functions = deprecated_functions
        self._stream = Stream(created, with_usage=with_usage, deprecated_functions=deprecated_functions)

    def whole(self, body: bytes) -> bytes:
        """The chat completion for a message. Raises TranslationError where `body` is none."""
        try:
            message = _decode(body)
        except UNREADABLE as error:
            raise TranslationError(f"its answer is not a message: {error}") from None
        reason = finish_reason(message.stop_reason, deprecated_functions=self._deprecated_functions)
        choice = {
            "index": 0,
            "message": self._message(message),
            "logprobs": None,
            "finish_reason": reason,
        }
        return msgspec.json.encode(
            {
                "id": message.id,
                "object": "chat.completion",
                "created": self._created,
                "model": message.model,
                "choices": [choice],
                "usage": message.usage.chat(),
                **message.usage.chat_tier(),
            }
        )

    def error(self, status: int, body: bytes) -> tuple[int, bytes]:
        """Status and body of chat completions for an error of the Messages API."""
        return answer_to_chat(status, body)

    def feed(self, data: bytes) -> bytes:
        """The chunks for the events that `data` completes. Raises TranslationError."""
        return self._stream.feed(data)

    def end(self) -> bytes:
        """Nothing. Raises TranslationError where the stream had no end of its own."""
        self._stream.end()
        return b""

    def _message(self, message: Message) -> dict[str, object]:
        texts = [block.text for block in message.content if block.type == "text"]
        thoughts = [thought for block in message.content if (thought := _thought(block)) is not None]
        reasoning = "".join(block.thinking for block in message.content if block.type == "thinking")
        calls = [block for block in message.content if block.type == "tool_use"]
        details = message.stop_details
        made: dict[str, object] = {
            "role": "assistant",
            "content": "".join(texts) if texts or not calls else None,
            "refusal": details.explanation if details is not None else None,
        }
        if reasoning:
            made["reasoning_content"] = reasoning
        if thoughts:
            made["thinking_blocks"] = thoughts
        if calls and self._deprecated_functions:
            made["function_call"] = _function(calls[0])
        elif calls:
            made["tool_calls"] = [
                {"id": call.id, "type": "function", "function": _function(call)} for call in calls
            ]
        return made


def _function(call: Block) -> dict[str, str]:
    return {"name": call.name, "arguments": bytes(call.input).decode()}


def _thought(block: Block) -> dict[str, str] | None:
    if block.type == "thinking":
        return {"type": "thinking", "thinking": block.thinking, "signature": block.signature}
    if block.type == "redacted_thinking":
        return {"type": "redacted_thinking", "data": block.data}
    return None
