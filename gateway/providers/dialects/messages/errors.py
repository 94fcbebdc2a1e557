"""Errors of chat completions as those of the Messages API (https://platform.claude.com/docs/en/api/errors)."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.providers.anthropic.errors import API_ERROR, KIND_OF_TYPE, STATUS_TO_ANTHROPIC, type_of_status
from gateway.providers.reading import UNREADABLE

# Reversed: of several names for one type, the first of the table counts.
_NAME_OF_TYPE: Final = {kind.type: name for name, kind in reversed([*KIND_OF_TYPE.items()])}


class _Fault(msgspec.Struct):
    message: str
    type: str | None = None
    code: str | int | None = None


class _Answer(msgspec.Struct):
    error: _Fault | str


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode
_decode_fault: Final = msgspec.json.Decoder(_Fault | str).decode


def error_answer(status: int, body: bytes) -> tuple[int, bytes]:
    """Status and body for an error answer of chat completions; takes any bytes."""
    try:
        fault = _decode_answer(body).error
    except UNREADABLE:
        fault = f"The provider answered with status {status} and no reason."
    message = fault if isinstance(fault, str) else fault.message
    return STATUS_TO_ANTHROPIC.get(status, status), _body(type_of_status(status), message)


def error_event(error: bytes) -> bytes:
    """The data of an `error` event for the `error` member of a chunk; takes any bytes."""
    try:
        fault = _decode_fault(error)
    except UNREADABLE:
        fault = "The provider ended the stream with an error and no reason."
    if isinstance(fault, str):
        return _body(API_ERROR, fault)
    if isinstance(fault.code, int):  # vLLM tells the status so
        return _body(type_of_status(fault.code), fault.message)
    return _body(_NAME_OF_TYPE.get(fault.type or "", API_ERROR), fault.message)


def _body(kind: str, message: str) -> bytes:
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": message}})
