"""How a request is put to a provider whose API is not the client's, and its answer put back.

Chat completions is the hub: what clients speak beside it (dialects/) becomes chat completions first, and what
a provider speaks instead of it is made from that. So a translation may be two, one behind the other.

A translator belongs to one attempt. It does no I/O and keeps no more of a stream than an unfinished event.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class TranslationError(ValueError):
    """A provider's answer is not what its API promises; the message says how, without quoting it."""


class Translator(Protocol):
    """Puts one answer of a provider into the API that the client speaks."""

    def whole(self, body: bytes) -> bytes:
        """The client's body for the `body` of a 2xx answer that is not streamed. Raises TranslationError."""

    def error(self, status: int, body: bytes) -> tuple[int, bytes]:
        """The client's status and body for those of an answer from 400 on; takes any bytes, never raises."""

    def feed(self, data: bytes) -> bytes:
        """What the client gets, maybe nothing yet, for more bytes of an event stream: whole events only.

        Any split of the same bytes gives the same output. Raises TranslationError; all that was whole before
        that is lost to the caller, so the stream is then broken.
        """

    def end(self) -> bytes:
        """What is still to come when the stream's framing has ended.

        Raises TranslationError where the stream had not come to its last event: it was cut short.
        """


class Translation(NamedTuple):
    """One attempt's request as the provider wants it, and who translates the answer.

    `target` is what stands behind the base URL: path and query, in the provider's terms, beginning with `/`
    and without the API's prefix (`/messages`, `/models/gemini-2.5-pro:streamGenerateContent?alt=sse`).
    `fields` are whole header lines that only this attempt has.
    """

    target: bytes
    body: bytes
    translator: Translator
    fields: bytes = b""


class Chained:
    """Two translators as one: `near` is the provider's, `far` makes the client's API out of what it gives."""

    def __init__(self, near: Translator, far: Translator) -> None:
        self._near = near
        self._far = far

    def whole(self, body: bytes) -> bytes:
        return self._far.whole(self._near.whole(body))

    def error(self, status: int, body: bytes) -> tuple[int, bytes]:
        return self._far.error(*self._near.error(status, body))

    def feed(self, data: bytes) -> bytes:
        data = self._near.feed(data)
        return self._far.feed(data) if data else b""

    def end(self) -> bytes:
        data = self._near.end()
        return (self._far.feed(data) if data else b"") + self._far.end()
