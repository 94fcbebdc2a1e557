"""Puts the answer of `generateContent` and `streamGenerateContent` into a chat completion."""

from __future__ import annotations

import hashlib

import msgspec

from gateway.providers.events import DONE, EventReader, event
from gateway.providers.gemini import answer, errors
from gateway.providers.gemini.answer import Answer, Candidate
from gateway.providers.reading import Json
from gateway.providers.translation import TranslationError


class ChatTranslator:
    """Translates one answer for `model`, plain or streamed; see `gateway.providers.translation.Translator`.

    `now` is seconds since the epoch; `usage_asked` says whether a stream ends with its usage.

    Why a stream ended is told when it has ended: until then any event may still bring something.
    """

    def __init__(self, model: str, now: int, *, usage_asked: bool = False) -> None:
        self._model = model
        self._created = now
        self._usage_asked = usage_asked
        self._events = EventReader()
        self._id = ""
        self._choices: dict[int, _Choice] = {}
        self._usage: Json | None = None
        self._error: str | None = None

    def whole(self, body: bytes) -> bytes:
        """The chat completion. Raises TranslationError."""
        given = answer.read(body)
        self._begin(given, body)
        choices = [self._whole_choice(candidate) for candidate in given.outcome]
        if not choices:
            raise TranslationError("its answer has no candidates")
        made = self._frame("chat.completion", choices)
        if given.usage_metadata is not None:
            made["usage"] = answer.usage(given.usage_metadata)
        return msgspec.json.encode(made)

    def error(self, status: int, body: bytes) -> tuple[int, bytes]:
        """The client's error."""
        return errors.translate(status, body)

    def feed(self, data: bytes) -> bytes:
        """The chunks of the events that `data` completes. Raises TranslationError."""
        return b"".join([chunk for given in self._events.feed(data) for chunk in self._chunks(given.data)])

    def end(self) -> bytes:
        """Why each choice ended, the usage, `[DONE]`. Raises TranslationError for a stream that broke."""
        if self._error is not None:
            raise TranslationError(self._error)
        if not self._choices:
            raise TranslationError("its stream ended without an answer")
        chunks = [self._last_chunk(index, choice) for index, choice in sorted(self._choices.items())]
        if self._usage_asked and self._usage is not None:
            made = self._frame("chat.completion.chunk", []) | {"usage": self._usage}
            chunks.append(event(msgspec.json.encode(made)))
        return b"".join(chunks) + DONE

    def _begin(self, given: Answer, body: bytes) -> None:
        self._id = given.response_id or hashlib.blake2b(body, digest_size=12).hexdigest()
        self._model = given.model_version or self._model

    def _frame(self, kind: str, choices: list[Json]) -> Json:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }

    def _whole_choice(self, candidate: Candidate) -> Json:
        members, calls = answer.said(candidate.parts, self._id, 0)
        message: Json = {"role": "assistant", "content": None if calls else "", "refusal": None, **members}
        if calls:
            message["tool_calls"] = calls
        if candidate.finish_reason is None:
            raise TranslationError("its answer has a candidate without a finishReason")
        reason = answer.finish_reason(candidate.finish_reason, called=bool(calls))
        return _choice(candidate, "message", message, reason)

    def _chunks(self, data: bytes) -> list[bytes]:
        if self._error is not None:
            return []
        failure = errors.read(data)
        if failure is not None:
            self._error = f"its stream brought an error: {failure.code}"
            return [event(failure.body())]
        given = answer.read(data)
        if not self._id:
            self._begin(given, data)
        if given.usage_metadata is not None:
            self._usage = answer.usage(given.usage_metadata)
        return [chunk for candidate in given.outcome for chunk in self._delta(candidate)]

    def _delta(self, candidate: Candidate) -> list[bytes]:
        begun = candidate.index in self._choices
        choice = self._choices.setdefault(candidate.index, _Choice())
        choice.reason = candidate.finish_reason or choice.reason
        delta, calls = answer.said(candidate.parts, self._id, choice.calls)
        if calls:
            delta["tool_calls"] = [{"index": index, **call} for index, call in enumerate(calls, choice.calls)]
            choice.calls += len(calls)
        if not begun:
            delta = {"role": "assistant", "content": "", **delta}
        if not delta and candidate.logprobs_result is None:
            return []
        return [self._chunk(_choice(candidate, "delta", delta, None))]

    def _last_chunk(self, index: int, choice: _Choice) -> bytes:
        if choice.reason is None:
            raise TranslationError("its stream ended without a finishReason")
        reason = answer.finish_reason(choice.reason, called=choice.calls > 0)
        return self._chunk(_choice(Candidate(index), "delta", {}, reason))

    def _chunk(self, choice: Json) -> bytes:
        made = self._frame("chat.completion.chunk", [choice])
        if self._usage_asked:
            made["usage"] = None
        return event(msgspec.json.encode(made))


class _Choice:
    """What is known of one choice of a stream."""

    __slots__ = ("calls", "reason")

    def __init__(self) -> None:
        self.calls = 0
        self.reason: str | None = None


def _choice(candidate: Candidate, name: str, value: Json, reason: str | None) -> Json:
    result = candidate.logprobs_result
    return {
        "index": candidate.index,
        name: value,
        "logprobs": None if result is None else answer.logprobs(result),
        "finish_reason": reason,
    }
