"""Errors of Gemini's API as those of OpenAI's.

Its errors are a google.rpc.Status: `{"error": {"code", "message", "status", "details"}}`, alone or as the one
item of an array. The status of HTTP stays, but for a key that is not known: the API calls that a 400, and
OpenAI's SDKs an AuthenticationError.
Source: https://ai.google.dev/gemini-api/docs/troubleshooting, https://google.aip.dev/193,
https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.errors import INVALID_REQUEST, RATE_LIMIT, SERVER, TIMEOUT, UNAVAILABLE, GatewayError
from gateway.providers.reading import UNREADABLE

_CODES: Final[dict[str, tuple[int, str, str]]] = {
    "INVALID_ARGUMENT": (400, INVALID_REQUEST, "invalid_argument"),
    "FAILED_PRECONDITION": (400, INVALID_REQUEST, "failed_precondition"),
    "OUT_OF_RANGE": (400, INVALID_REQUEST, "out_of_range"),
    "UNAUTHENTICATED": (401, INVALID_REQUEST, "invalid_api_key"),
    "PERMISSION_DENIED": (403, INVALID_REQUEST, "permission_denied"),
    "NOT_FOUND": (404, INVALID_REQUEST, "model_not_found"),
    "ALREADY_EXISTS": (409, INVALID_REQUEST, "already_exists"),
    "ABORTED": (409, INVALID_REQUEST, "aborted"),
    "RESOURCE_EXHAUSTED": (429, RATE_LIMIT, "rate_limit_exceeded"),
    "CANCELLED": (499, INVALID_REQUEST, "cancelled"),
    "INTERNAL": (500, SERVER, "internal_error"),
    "UNKNOWN": (500, SERVER, "internal_error"),
    "DATA_LOSS": (500, SERVER, "internal_error"),
    "UNIMPLEMENTED": (501, SERVER, "not_implemented"),
    "UNAVAILABLE": (503, UNAVAILABLE, "overloaded"),
    "DEADLINE_EXCEEDED": (504, TIMEOUT, "timeout"),
}
"""By the name of the google.rpc.Code: the status of HTTP that it stands for, our type, our code."""

_BY_STATUS: Final = {status: name for name, (status, _, _) in reversed(_CODES.items())}
_TOO_LONG: Final = re.compile(r"exceeds the maximum number of tokens").search
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s").fullmatch


class _Detail(msgspec.Struct, rename="camel"):
    """Members of google.rpc.ErrorInfo and google.rpc.RetryInfo."""

    reason: str = ""
    retry_delay: str = ""


class _Status(msgspec.Struct):
    code: int = 0
    message: str = ""
    status: str = ""
    details: list[_Detail] = []


class _Body(msgspec.Struct):
    error: _Status


_body_of: Final = msgspec.json.Decoder(_Body | list[_Body]).decode


def read(body: bytes, status: int = 0) -> GatewayError | None:
    """The error that `body` spells, or None where it spells none; `status` is HTTP's, 0 within a stream.

    Its `retry_after_s` is the delay that the API asks for in a google.rpc.RetryInfo: no header has it.
    """
    try:
        decoded = _body_of(body)
    except UNREADABLE:
        return None
    if isinstance(decoded, _Body):
        return _translated(decoded.error, status)
    return _translated(decoded[0].error, status) if decoded else None


def translate(status: int, body: bytes) -> tuple[int, bytes]:
    """The client's status and body for an answer from 400 on; any bytes will do."""
    error = read(body, status)
    if error is None:  # it comes from something in between: a proxy, a load balancer
        error = _translated(_Status(message=f"The provider answered with status {status}."), status)
    return error.status, error.body()


def _translated(error: _Status, http_status: int) -> GatewayError:
    name = error.status
    if name not in _CODES:
        number = http_status or error.code
        name = _BY_STATUS.get(number, "INVALID_ARGUMENT" if 400 <= number < 500 else "UNKNOWN")
    status, kind, code = _CODES[name]
    status = http_status or status
    if any(detail.reason == "API_KEY_INVALID" for detail in error.details):
        status, kind, code = 401, INVALID_REQUEST, "invalid_api_key"
    elif _TOO_LONG(error.message):
        code = "context_length_exceeded"
    delays = [_DURATION(detail.retry_delay) for detail in error.details]
    retry_after_s = next((float(delay[1]) for delay in delays if delay is not None), None)
    return GatewayError(status, kind, code, error.message, retry_after_s=retry_after_s)
