"""Makes a Message of what a provider answers to a request for chat completions."""

from __future__ import annotations

from gateway.providers.dialects.messages.errors import error_answer
from gateway.providers.dialects.messages.message import Asked, message
from gateway.providers.dialects.messages.stream import MessageStream


class MessagesTranslator:
    """Translates one answer; see `gateway.providers.translation.Translator`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._stream = MessageStream(asked)
        self.feed = self._stream.feed
        self.end = self._stream.end

    def whole(self, body: bytes) -> bytes:
        return message(body, self._asked)

    def error(self, status: int, body: bytes) -> tuple[int, bytes]:
        return error_answer(status, body)
