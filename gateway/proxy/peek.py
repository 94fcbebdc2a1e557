"""The `model` of a request body, and a body with another one. Everything else in a body is left alone.

JSON: only `model` is decoded, the rest is skipped without building objects. Multipart forms
(`/v1/audio/transcriptions`, `/v1/images/edits`): the part named `model` (RFC 7578).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from gateway.errors import GatewayError, bad_request

# Where a body must be a JSON object; elsewhere one that names no model goes to the default provider.
STRICT_PATHS: Final = frozenset(
    {b"/v1/chat/completions", b"/v1/completions", b"/v1/embeddings", b"/v1/responses"}
)
_BOUNDARY: Final = re.compile(rb';\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE).search
_DISPOSITION: Final = re.compile(rb"^content-disposition:[^\r\n]*", re.IGNORECASE | re.MULTILINE).search
_PARAMETERS: Final = re.compile(rb';[ \t]*([^=;\s]+)=(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))').findall
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]").search
_MAX_PARTS: Final = 64
_MAX_PART_HEAD: Final = 8192


class _Body(msgspec.Struct):
    model: str | msgspec.UnsetType = msgspec.UNSET


class _User(msgspec.Struct):
    user: msgspec.Raw = msgspec.Raw()


_decode_user: Final = msgspec.json.Decoder(_User).decode
_decode: Final = msgspec.json.Decoder(_Body).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def model_of(path: bytes, content_type: bytes | None, body: bytes) -> str | None:
    """The model that the body of a request names, or None.

    Raises GatewayError (400) on the paths of `STRICT_PATHS` for a body that is not a JSON object or whose
    `model` is not a string.
    """
    if path in STRICT_PATHS:
        try:
            model = _decode(body).model
        except _UNREADABLE as error:
            raise _refusal(body, error) from None
        return None if model is msgspec.UNSET else model
    if not body or content_type is None:
        return None
    kind = content_type[:19].lower()
    if kind == b"multipart/form-data":
        field = _find_model_field(content_type, body)
        return None if field is None else field.value(body)
    if not kind.startswith(b"application/json"):
        return None
    try:
        model = _decode(body).model
    except _UNREADABLE:
        return None
    return None if model is msgspec.UNSET else model


def user_of(body: bytes) -> bytes | None:
    """The JSON of the `user` that a body names, whatever its type; None where there is none to be read."""
    try:
        return bytes(_decode_user(body).user) or None
    except _UNREADABLE:
        return None


def with_model(content_type: bytes | None, body: bytes, model: str) -> bytes:
    """`body`, in which `model_of` found a model, naming `model` instead; all other members as they came.

    Raises GatewayError (400) for JSON whose member names are not UTF-8: those `model_of` does not look at.
    """
    if content_type is not None and content_type[:19].lower() == b"multipart/form-data":
        field = _find_model_field(content_type, body)
        if field is not None:  # else JSON that was only declared a form, on a strict path
            return body[: field.start] + model.encode() + body[field.end :]
    try:
        members = _decode_members(body)
    except _UNREADABLE as error:
        raise _refusal(body, error) from None
    members["model"] = msgspec.Raw(msgspec.json.encode(model))
    return msgspec.json.encode(members)


def _refusal(body: bytes, error: Exception) -> GatewayError:
    if isinstance(error, msgspec.ValidationError):
        if str(error).endswith("`$.model`"):
            return bad_request("`model` must be a string.", param="model")
        return bad_request("The request body must be a JSON object.")
    if not body:
        return bad_request("The request body is empty; it must be a JSON object.")
    if isinstance(error, RecursionError):
        return bad_request("The request body is nested too deeply.")
    if isinstance(error, UnicodeDecodeError):
        return bad_request("The request body is not valid UTF-8.")
    detail = str(error)
    if detail == "Input data was truncated" and _SURROGATE(body):
        # msgspec says this of either.
        detail = "it is cut short, or has half of a surrogate pair (RFC 8259 section 8.2)"
    return bad_request(f"The request body is not valid JSON: {detail}.")


class _Field(NamedTuple):
    start: int
    end: int

    def value(self, body: bytes) -> str | None:
        try:
            return body[self.start : self.end].decode().strip() or None
        except UnicodeDecodeError:
            return None


def _find_model_field(content_type: bytes, body: bytes) -> _Field | None:
    match = _BOUNDARY(content_type)
    if match is None:
        return None
    delimiter = b"--" + (match[1] or match[2])
    at = body.find(delimiter)
    for _ in range(_MAX_PARTS):
        head_start = at + len(delimiter)
        if at < 0 or body.startswith(b"--", head_start):
            return None
        head_end = body.find(b"\r\n\r\n", head_start, head_start + _MAX_PART_HEAD)
        if head_end < 0:
            return None
        next_part = body.find(b"\r\n" + delimiter, head_end + 2)
        if next_part < 0:
            return None
        if _name_of(body[head_start:head_end]) == b"model":
            return _Field(min(head_end + 4, next_part), next_part)
        at = next_part + 2
    return None


def _name_of(head: bytes) -> bytes | None:
    """The name of a form's field, out of the head of its part (RFC 7578 section 4.2)."""
    line = _DISPOSITION(head)
    parameters = _PARAMETERS(line[0]) if line is not None else ()
    return next((quoted or plain for name, quoted, plain in parameters if name.lower() == b"name"), None)
