"""The `model` of a request body, and a body with another one. Everything else in a body is left alone.

JSON: only `model` is decoded, the rest is skipped without building objects. Multipart forms
(`/v1/audio/transcriptions`, `/v1/images/edits`): the part named `model` (RFC 7578).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from gateway.errors import GatewayError, bad_request

# Where a body must be a JSON object; elsewhere one in which no model can be read goes to the default provider.
STRICT_PATHS: Final = frozenset(
    {b"/v1/chat/completions", b"/v1/completions", b"/v1/embeddings", b"/v1/responses"}
)
_BOUNDARY: Final = re.compile(rb'boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE).search
_NAMED_MODEL: Final = re.compile(
    rb'^content-disposition:[^\r\n]*;[ \t]*name=(?:"model"|model)[ \t]*(?:;|\r|$)',
    re.IGNORECASE | re.MULTILINE,
).search
_MAX_PARTS: Final = 64
_MAX_PART_HEAD: Final = 8192


class _Body(msgspec.Struct):
    model: str | msgspec.UnsetType = msgspec.UNSET


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


def with_model(content_type: bytes | None, body: bytes, model: str) -> bytes:
    """`body`, in which `model_of` found a model, naming `model` instead; all other members as they came."""
    if content_type is not None and content_type[:19].lower() == b"multipart/form-data":
        field = _find_model_field(content_type, body)
        assert field is not None
        return body[: field.start] + model.encode() + body[field.end :]
    members = _decode_members(body)
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
    return bad_request(f"The request body is not valid JSON: {error}.")


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
        if at < 0:
            return None
        head_start = at + len(delimiter)
        head_end = body.find(b"\r\n\r\n", head_start, head_start + _MAX_PART_HEAD)
        if head_end < 0:
            return None
        next_part = body.find(b"\r\n" + delimiter, head_end + 2)
        if next_part < 0:
            return None
        if _NAMED_MODEL(body, head_start, head_end + 2):
            return _Field(min(head_end + 4, next_part), next_part)
        at = next_part + 2
    return None
