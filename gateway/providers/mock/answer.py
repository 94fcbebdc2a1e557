"""What every endpoint of the mock provider shares: a `Call` in, an `Answer` or an `ApiError` out.

An answer is pieces of body: one for a plain answer, one for each event of a stream. Nothing here reads a
clock or draws a random number: a call with the same serial number has the same answer, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

CREATED: Final = 1_700_000_000
"""The ``created`` of everything the mock makes, in seconds since the epoch."""

EVENT_STREAM: Final = "text/event-stream; charset=utf-8"
DONE: Final = b"data: [DONE]\n\n"

_ECHOED_WORDS: Final = 20

Json = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A request as the endpoints see it."""

    method: str
    path: str
    """The target without its query."""
    body: bytes = b""
    content_type: str = ""
    serial: int = 1
    """Counts the requests of a server from 1; it makes the ids."""
    server: str = "mock"
    reply: str | None = None
    """What to say instead of the default reply."""

    def reply_to(self, prompt: str) -> str:
        """The text of the answer to ``prompt``."""
        if self.reply is not None:
            return self.reply
        said = " ".join(prompt.split()[:_ECHOED_WORDS])
        greeting = f"Hello, this is {self.server}, an embedded mock provider."
        return f"{greeting} You said: {said}" if said else greeting


@dataclass(frozen=True, slots=True)
class Answer:
    """A response before it is framed."""

    pieces: tuple[bytes, ...]
    status: int = 200
    content_type: str = "application/json"
    chunked: bool = False
    """Whether each piece becomes a chunk; otherwise the body has a Content-Length."""
    fields: tuple[tuple[str, str], ...] = ()
    """Header fields beyond those that every answer has."""

    @property
    def body(self) -> bytes:
        """All pieces in one."""
        return b"".join(self.pieces)

    @property
    def is_event_stream(self) -> bool:
        """Whether the pieces are server-sent events, the last one terminal."""
        return self.content_type == EVENT_STREAM


class ApiError(Exception):
    """A request that the API refuses, in the shape of https://platform.openai.com/docs/guides/error-codes."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: Final[Json] = {"message": message, "type": kind, "param": param, "code": code}

    def answer(self, fields: tuple[tuple[str, str], ...] = ()) -> Answer:
        """The error as the response that the API would send."""
        return json_answer({"error": self.error}, status=self.status, fields=fields)


def missing_parameter(name: str) -> ApiError:
    """The refusal of a request without one of its required parameters."""
    return ApiError(
        400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
    )


def json_answer(value: Json, *, status: int = 200, fields: tuple[tuple[str, str], ...] = ()) -> Answer:
    """A plain JSON answer."""
    return Answer((msgspec.json.encode(value),), status=status, fields=fields)


def stream_answer(events: Sequence[bytes]) -> Answer:
    """A stream of server-sent events, the last of which is terminal."""
    return Answer(tuple(events), content_type=EVENT_STREAM, chunked=True)


def event(data: Json, name: str | None = None) -> bytes:
    """One server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    head = f"event: {name}\n".encode() if name else b""
    return b"%bdata: %b\n\n" % (head, msgspec.json.encode(data))


def decode(call: Call, shape: type[T]) -> T:
    """The JSON body of a call as a struct; fields that the mock does not know are skipped.

    Raises:
        ApiError: 400, when the body is not JSON or does not fit; ``param`` names the field.
    """
    try:
        return msgspec.json.decode(call.body, type=shape)
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        hint = "(HINT: This likely means you aren't using your HTTP library correctly.)"
        raise ApiError(400, f"We could not parse the JSON body of your request. {hint}") from None


def _misfit(reason: str) -> ApiError:
    """Word msgspec's message as the API does."""
    missing = re.fullmatch(r"Object missing required field `(\w+)`", reason)
    if missing:
        return missing_parameter(missing[1])
    place = re.search(r"`\$\.?([^`]+)`$", reason)
    param = place[1] if place else None
    return ApiError(400, f"Invalid request body: {reason}.", param=param, code="invalid_type")


def words(text: str) -> list[str]:
    """``text`` in pieces of one word each, which stand for tokens; joined they give it back."""
    return re.findall(r"\s*\S+(?:\s+\Z)?|\A\s+\Z", text)


def count_words(texts: Sequence[str]) -> int:
    """How many words, which stand for tokens, there are in all texts."""
    return sum(len(text.split()) for text in texts)


def texts_of(value: str | list[str | int | list[int]]) -> list[str]:
    """The inputs in a ``prompt`` or ``input``: a text, texts, one list of tokens, or several."""
    if isinstance(value, str):
        return [value]
    if value and all(isinstance(item, int) for item in value):
        return [_text_of(value)]
    return [_text_of(item) for item in value]


def _text_of(item: object) -> str:
    return " ".join(map(str, item)) if isinstance(item, list) else str(item)


class Part(msgspec.Struct):
    """A part of a message's content; only text has a meaning here."""

    text: str = ""


def content_text(content: str | list[Part] | None) -> str:
    """The text in a message's content."""
    if isinstance(content, list):
        return " ".join(part.text for part in content if part.text)
    return content or ""
