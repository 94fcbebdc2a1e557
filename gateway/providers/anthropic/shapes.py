"""What answers of the Messages API have in common, whole and streamed, and what becomes of it.

Members and types that are not known are passed over, as the API asks of its clients.

https://platform.claude.com/docs/en/api/messages
https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

_FINISH_REASONS: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_TIERS: Final[Mapping[str, str]] = {"standard": "default", "priority": "priority"}


class OutputDetails(msgspec.Struct):
    """What the output tokens were spent on."""

    thinking_tokens: int = 0


class Usage(msgspec.Struct):
    """Token counts; in a stream, later ones stand for the earlier ones."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None
    service_tier: str | None = None

    def update(self, later: Usage) -> None:
        """Takes what `later` tells."""
        for name in self.__struct_fields__:
            value = getattr(later, name)
            if value is not None:
                setattr(self, name, value)

    def chat(self) -> dict[str, object]:
        """The object `usage` of a chat completion."""
        written = self.cache_creation_input_tokens or 0
        read = self.cache_read_input_tokens or 0
        prompt = (self.input_tokens or 0) + written + read
        completion = self.output_tokens or 0
        usage: dict[str, object] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        }
        if self.output_tokens_details is not None:
            thinking = self.output_tokens_details.thinking_tokens
            usage["completion_tokens_details"] = {"reasoning_tokens": thinking}
        return usage

    def chat_tier(self) -> dict[str, str]:
        """The member `service_tier` of a chat completion, if the API tells one."""
        return {} if self.service_tier is None else {"service_tier": _TIERS.get(self.service_tier, "default")}


class Block(msgspec.Struct):
    """A content block of any type; what its type does not have is empty."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class StopDetails(msgspec.Struct):
    """Why the model stopped, in words."""

    explanation: str | None = None


class Message(msgspec.Struct):
    """A whole answer, or what is known of one when its stream begins."""

    id: str
    model: str
    content: list[Block]
    usage: Usage
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


def finish_reason(stop_reason: str | None, *, deprecated_functions: bool) -> str:
    """The `finish_reason` for a `stop_reason`; `stop` for one that is not known."""
    reason = _FINISH_REASONS.get(stop_reason or "", "stop")
    return "function_call" if deprecated_functions and reason == "tool_calls" else reason
