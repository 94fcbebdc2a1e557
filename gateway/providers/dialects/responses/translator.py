"""A chat completion as a response, plain or as the typed events of a stream.

https://platform.openai.com/docs/api-reference/responses/object and
https://platform.openai.com/docs/api-reference/responses-streaming. A plain answer takes the same way as a
streamed one, as a stream of one piece whose events nobody hears.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.providers.dialects.completion import Completion, Usage, completion, is_told
from gateway.providers.dialects.responses.output import Output
from gateway.providers.events import LAST, Event, EventReader, event
from gateway.providers.reading import UNREADABLE
from gateway.providers.translation import TranslationError

Json = dict[str, Any]

_error: Final = msgspec.json.Decoder(dict[str, Any] | str).decode
_COMPLETE: Final = (None, "stop", "tool_calls", "function_call")
_REASONS: Final[Mapping[str, str]] = {"length": "max_output_tokens"}
"""Why a response is incomplete, by `finish_reason`; any other reason is told as it is."""


class ResponsesTranslator:
    """Makes a response out of a chat completion.

    `now` is the time of the request in seconds since the epoch, and `told_back` what the response repeats of
    it; both stand in for what the provider does not tell.
    """

    def __init__(self, model: str, now: int, told_back: Mapping[str, Any]) -> None:
        self._head: Json = {
            "id": "",
            "object": "response",
            "created_at": now,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            # Encoded now, where a request that is nested too deeply can still be refused; on one line, since
            # an event has it as its data.
            **{name: msgspec.Raw(_compact(value)) for name, value in told_back.items()},
            "model": model,
            "output": [],
            "usage": None,
        }
        self._model = model
        self._is_whole = False
        self._events = EventReader()
        self._written: list[bytes] = []
        self._number = 0
        self._output: Output | None = None
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._is_over = False
        self._failed = False

    def whole(self, body: bytes) -> bytes:
        answer = completion(body)
        choice = answer.choice()
        if choice is None or choice.message is None:
            raise TranslationError("its answer has no message")
        for index, call in enumerate(choice.message.tool_calls or ()):
            call.index = index
        choice.delta = choice.message
        self._is_whole = True
        self._take(answer)
        return _encode(self._ended())

    def error(self, status: int, body: bytes) -> tuple[int, bytes]:
        return status, body  # the errors of both are the same

    def feed(self, data: bytes) -> bytes:
        for received in self._events.feed(data):
            if not self._is_over:
                self._receive(received)
        return self._taken()

    def end(self) -> bytes:
        if self._failed:
            raise TranslationError("its stream ended with an error")
        if not self._is_over:
            if self._finish_reason is None:
                raise TranslationError("its stream ended before its last event")
            self._finish()
        return self._taken()

    def _receive(self, received: Event) -> None:
        if received.data.strip() == LAST:
            if self._output is None:
                raise TranslationError("its stream has no chunk")
            self._finish()
            return
        chunk = completion(received.data)
        if is_told(chunk.error):
            self._fail(chunk.error)
        else:
            self._take(chunk)

    def _take(self, chunk: Completion) -> None:
        """Take up a chunk; the first tells whose it is."""
        if self._output is None:
            self._output = self._begin(chunk)
        self._usage = chunk.usage or self._usage
        if isinstance(chunk.service_tier, str):
            self._head["service_tier"] = chunk.service_tier
        choice = chunk.choice()
        if choice is None:
            return
        if choice.delta is not None:
            self._output.add(choice.delta, choice)
        self._finish_reason = choice.ending() or self._finish_reason

    def _begin(self, chunk: Completion) -> Output:
        suffix = (chunk.id or "").removeprefix("chatcmpl-") or f"{self._head['created_at']:x}"
        self._head["id"] = f"resp_{suffix}"
        self._head["model"] = chunk.model or self._head["model"]
        self._head["created_at"] = chunk.created or self._head["created_at"]
        self._tell("response.created", response=self._head)
        self._tell("response.in_progress", response=self._head)
        return Output(self._tell, suffix, self._model)

    def _finish(self) -> None:
        response = self._ended()
        self._tell(f"response.{response['status']}", response=response)
        self._is_over = True

    def _ended(self) -> Json:
        """The response, now that all of the answer is there."""
        assert self._output is not None
        complete = self._finish_reason in _COMPLETE
        reason = self._finish_reason or ""
        return {
            **self._head,
            "status": "completed" if complete else "incomplete",
            "incomplete_details": None if complete else {"reason": _REASONS.get(reason, reason)},
            "output": self._output.finish(complete=complete),
            "usage": None if self._usage is None else _told_usage(self._usage),
        }

    def _fail(self, raw: msgspec.Raw) -> None:
        """Tell of an error in the stream as the API does: the error, and that a response has failed of it."""
        try:
            error = _error(raw)
        except UNREADABLE:
            raise TranslationError("its stream has an error that is neither an object nor a text") from None
        known = error if isinstance(error, dict) else {"message": error}
        code = known.get("code") or known.get("type")
        code = "server_error" if code is None else str(code)
        message = str(known.get("message") or "The provider's stream ended with an error.")
        self._tell("error", code=code, message=message, param=known.get("param"))
        if self._output is not None:
            failed = {**self._head, "status": "failed", "error": {"code": code, "message": message}}
            # What is not whole is not told as done: nobody shall call a tool with half of its arguments.
            failed["output"] = self._output.done
            self._tell("response.failed", response=failed)
        self._is_over = self._failed = True

    def _tell(self, kind: str, **fields: object) -> None:
        if self._is_whole:
            return
        payload = _encode({"type": kind, "sequence_number": self._number, **fields})
        self._written.append(event(payload, kind))
        self._number += 1

    def _taken(self) -> bytes:
        written = b"".join(self._written)
        self._written = []
        return written


def _told_usage(usage: Usage) -> Json:
    before = usage.prompt_tokens or 0
    after = usage.completion_tokens or 0
    total = usage.total_tokens
    return {
        "input_tokens": before,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_written},
        "output_tokens": after,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": total if type(total) is int else before + after,
    }


def _compact(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=-1)


def _encode(value: Json) -> bytes:
    try:
        return msgspec.json.encode(value)
    except RecursionError:
        raise TranslationError("its answer is nested too deeply") from None
