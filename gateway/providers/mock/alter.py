"""Faults of content: the answer says the wrong thing, in HTTP that is right.

`alter` replaces the answer; faults of the wire, which `script` knows, leave it as it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from gateway.providers.mock import responses
from gateway.providers.mock.answer import Answer, ApiError, Call, event, stream_answer
from gateway.providers.mock.faults import Fault

_FILLING: Final = 65536
_GZIP: Final = zlib.MAX_WBITS | 16

_REASONS: Final[Mapping[int, tuple[str, str, str | None]]] = {
    400: ("The request was refused.", "invalid_request_error", None),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: ("You are not allowed to do this.", "permission_error", None),
    404: ("The model does not exist.", "invalid_request_error", "model_not_found"),
    408: ("The request took too long.", "timeout", None),
    413: ("The request is too large.", "invalid_request_error", None),
    429: ("Rate limit reached. Please try again later.", "requests", "rate_limit_exceeded"),
    503: ("The engine is currently overloaded, please try again later.", "server_error", "overloaded"),
}
"""Message, type and code by status, after https://platform.openai.com/docs/guides/error-codes."""


def alter(answer: Answer, fault: Fault, call: Call, credential: str) -> Answer:
    """The answer that a fault of content puts in the place of the right one.

    Args:
        answer: the right one.
        fault: any fault; one that is not of content changes nothing.
        call: what is answered; the shape of an error event depends on its path.
        credential: what the request carried as Authorization, without the scheme.
    """
    if fault.status:
        return _status(fault, credential)
    alteration = _ALTERATIONS.get(fault.name)
    return alteration(answer, fault, call) if alteration else answer


def _status(fault: Fault, credential: str) -> Answer:
    other = ("The server had an error.", "server_error", None)
    if fault.status < 500:
        other = ("The request was refused.", "invalid_request_error", None)
    message, kind, code = _REASONS.get(fault.status, other)
    if fault.echo_key:
        message = f"{message} The key was: {credential}"
    error = ApiError(fault.status, message, kind=fault.type or kind, code=_code(fault) or code)
    fields = (("retry-after", fault.retry_after), ("retry-after-ms", fault.retry_after_ms))
    return error.answer(tuple((name, value) for name, value in fields if value))


def _code(fault: Fault) -> str | int | None:
    # Some servers, vLLM for one, write the status as a number here.
    return int(fault.code) if fault.code.isdigit() else fault.code or None


def _error_event(answer: Answer, fault: Fault, call: Call) -> Answer:
    error = ApiError(200, "The server had an error in the stream.", kind=fault.type, code=_code(fault)).error
    is_responses = call.path == "/v1/responses"
    last = responses.error_event(error) if is_responses else event({"error": error})
    before = answer.pieces[: fault.after] if answer.is_event_stream else ()
    return stream_answer([*before, last])


def _bad_json_event(answer: Answer, fault: Fault, call: Call) -> Answer:
    if not answer.is_event_stream:
        return answer
    before, behind = answer.pieces[: fault.after], answer.pieces[fault.after :]
    return stream_answer([*before, b'data: {"id": nonsense\n\n', *behind])


def _no_done(answer: Answer, fault: Fault, call: Call) -> Answer:
    return stream_answer(answer.pieces[:-1]) if answer.is_event_stream else answer


def _empty_stream(answer: Answer, fault: Fault, call: Call) -> Answer:
    return stream_answer([])


def _comment_only(answer: Answer, fault: Fault, call: Call) -> Answer:
    return stream_answer([b": keep-alive\n\n"] * fault.n)


def _redirect(answer: Answer, fault: Fault, call: Call) -> Answer:
    return Answer((b"",), status=302, content_type="text/html", fields=(("location", fault.location),))


def _no_content(answer: Answer, fault: Fault, call: Call) -> Answer:
    return replace(answer, pieces=(), status=204)


def _gzip(answer: Answer, fault: Fault, call: Call) -> Answer:
    fields = (*answer.fields, ("content-encoding", "gzip"))
    return replace(answer, pieces=tuple(_compress(answer.pieces)), fields=fields)


def _compress(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Each piece by itself, so that a stream can be read as it comes; the last one ends the coding."""
    compressor = zlib.compressobj(wbits=_GZIP)
    *first, last = pieces
    for piece in first:
        yield compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)
    yield compressor.compress(last) + compressor.flush()


def _big(answer: Answer, fault: Fault, call: Call) -> Answer:
    head, tail = b'{"filling":"', b'"}'
    whole, rest = divmod(fault.size - len(head) - len(tail), _FILLING)
    # One block again and again: the body may be far larger than the memory it takes.
    return Answer((head, *[b"x" * _FILLING] * whole, b"x" * rest, tail))


_ALTERATIONS: Final[Mapping[str, Callable[[Answer, Fault, Call], Answer]]] = {
    "error_event": _error_event,
    "bad_json_event": _bad_json_event,
    "no_done": _no_done,
    "empty_stream": _empty_stream,
    "comment_only": _comment_only,
    "redirect": _redirect,
    "no_content": _no_content,
    "gzip": _gzip,
    "big": _big,
}
