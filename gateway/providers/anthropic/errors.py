"""Errors of the Messages API and of chat completions, each as the other.

https://platform.claude.com/docs/en/api/errors
https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from gateway import errors
from gateway.providers.reading import UNREADABLE

API_ERROR: Final = "api_error"

TYPE_OF_STATUS: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: API_ERROR,
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""The error type of the Messages API for an HTTP status; see `type_of_status` for the others."""

STATUS_TO_ANTHROPIC: Final[Mapping[int, int]] = {503: 529}
"""Statuses which the Messages API has another one for."""

STATUS_FROM_ANTHROPIC: Final[Mapping[int, int]] = {529: 503}
"""Statuses of the Messages API which are not registered with IANA, as those that chat completions has."""


class Kind(NamedTuple):
    """`type` and `code` of an error object of chat completions."""

    type: str
    code: str | None


KIND_OF_TYPE: Final[Mapping[str, Kind]] = {
    "invalid_request_error": Kind(errors.INVALID_REQUEST, None),
    "authentication_error": Kind("authentication_error", "invalid_api_key"),
    "billing_error": Kind("insufficient_quota", "insufficient_quota"),
    "permission_error": Kind("permission_error", "permission_denied"),
    "not_found_error": Kind(errors.INVALID_REQUEST, "not_found"),
    "conflict_error": Kind(errors.INVALID_REQUEST, "conflict"),
    "request_too_large": Kind(errors.INVALID_REQUEST, "request_too_large"),
    "rate_limit_error": Kind(errors.RATE_LIMIT, "rate_limit_exceeded"),
    "timeout_error": Kind(errors.TIMEOUT, "timeout"),
    "overloaded_error": Kind(errors.UNAVAILABLE, "overloaded"),
    API_ERROR: Kind(errors.SERVER, None),
}
"""What chat completions calls an error type of the Messages API."""

# What the Messages API tells in words alone; programs look for the code.
_CODE_OF_MESSAGE: Final = (
    (
        "invalid_request_error",
        re.compile(r"prompt is too long|exceed context limit"),
        "context_length_exceeded",
    ),
    ("not_found_error", re.compile(r"^model:"), "model_not_found"),
    ("invalid_request_error", re.compile(r"credit balance is too low"), "insufficient_quota"),
)


class Fault(msgspec.Struct):
    """The `error` member of an error of the Messages API."""

    type: str
    message: str


class _Answer(msgspec.Struct):
    error: Fault


_decode: Final = msgspec.json.Decoder(_Answer).decode


def type_of_status(status: int) -> str:
    """The error type of the Messages API for any `status` from 400 on."""
    return TYPE_OF_STATUS.get(status, errors.INVALID_REQUEST if status < 500 else API_ERROR)


def to_chat(fault: Fault) -> bytes:
    """The error body of chat completions for an error of the Messages API."""
    kind = KIND_OF_TYPE.get(fault.type, Kind(fault.type, None))
    code = next(
        (
            code
            for type_, pattern, code in _CODE_OF_MESSAGE
            if type_ == fault.type and pattern.search(fault.message)
        ),
        kind.code,
    )
    error = {"message": fault.message, "type": kind.type, "param": None, "code": code}
    return msgspec.json.encode({"error": error})


def answer_to_chat(status: int, body: bytes) -> tuple[int, bytes]:
    """Status and body of chat completions for an error answer of the Messages API; takes any bytes."""
    try:
        fault = _decode(body).error
    except UNREADABLE:
        fault = Fault(type_of_status(status), f"The provider answered with status {status} and no reason.")
    return STATUS_FROM_ANTHROPIC.get(status, status), to_chat(fault)
