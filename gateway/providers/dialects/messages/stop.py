"""Why an answer ended (https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gateway.providers.dialects.completion import ChatMessage, Choice
from gateway.providers.reading import Json

_STOP_REASONS: Final = {
    "length": "max_tokens",
    "model_length": "model_context_window_exceeded",  # Mistral
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


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
        self.finish_reason = choice.ending() or self.finish_reason
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
