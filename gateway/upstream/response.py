"""The head of a provider's response, as the exchange needs it."""

from __future__ import annotations

from typing import Final

# What is done with a field; every name that is not here is end-to-end and passed on.
_DROP, _LENGTH, _CODING, _CONNECTION, _TYPE, _ENCODING = range(6)
_RETRY_AFTER, _RETRY_AFTER_MS, _REQUEST_ID, _DATE = range(6, 10)
_KNOWN: Final = {
    # Hop-by-hop (RFC 9110 section 7.6.1); the framing is ours to make anew.
    b"keep-alive": _DROP,
    b"proxy-connection": _DROP,
    b"proxy-authenticate": _DROP,
    b"te": _DROP,
    b"trailer": _DROP,
    b"upgrade": _DROP,
    # What only the gateway may say.
    b"x-gateway-provider": _DROP,
    b"x-gateway-attempts": _DROP,
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
    b"content-type": _TYPE,
    b"content-encoding": _ENCODING,
    b"retry-after": _RETRY_AFTER,
    b"retry-after-ms": _RETRY_AFTER_MS,
    b"x-request-id": _REQUEST_ID,
    b"date": _DATE,
}


class MalformedResponseError(Exception):
    """A provider's bytes are not a response that can be passed on; the message says why, of "it"."""


class ResponseHead:
    """Status and header fields of a response; `fields`: name, `: `, value, CRLF in turn, end-to-end only.

    One that is complete does not change any more: it may stand for several responses that differ in nothing
    but their length, and then `content_length` is that of the first. `passed_as` is for whoever passes
    responses on, to keep what was made of this one.
    """

    __slots__ = (
        "coding",
        "connection",
        "content_encoding",
        "content_length",
        "content_type",
        "date",
        "fields",
        "passed_as",
        "request_id",
        "retry_after",
        "retry_after_ms",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0
        self.fields: list[bytes] = []
        self.content_type = b""
        self.content_length: int | None = None
        self.content_encoding: bytes | None = None
        self.coding: bytes | None = None
        self.connection: bytes | None = None
        self.retry_after: bytes | None = None
        self.retry_after_ms: bytes | None = None
        self.request_id: bytes | None = None
        self.date = False
        self.passed_as: object = None

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status} {self.content_type.decode('latin-1')}>"

    @property
    def ends_with_connection(self) -> bool:
        """The body has neither a length nor chunks: the provider's FIN ends it (RFC 9112 section 6.3)."""
        return self.content_length is None and self.coding is None

    def add_field(self, name: bytes, value: bytes) -> None:
        """Take one header field in, as the parser found it."""
        kind = _KNOWN.get(name.lower())
        if kind is None:
            self.fields += (name, b": ", value, b"\r\n")
        elif kind == _LENGTH:
            self.content_length = int(value)
        elif kind == _CODING:
            self.coding = value.lower() if self.coding is None else self.coding + b"," + value.lower()
        elif kind == _CONNECTION:
            self.connection = value if self.connection is None else self.connection + b"," + value
        elif kind != _DROP:
            self._add_passed_on(kind, value)
            self.fields += (name, b": ", value, b"\r\n")

    def _add_passed_on(self, kind: int, value: bytes) -> None:
        if kind == _TYPE:
            self.content_type = value
        elif kind == _DATE:
            self.date = True
        elif kind == _REQUEST_ID:
            self.request_id = value
        elif kind == _RETRY_AFTER:
            self.retry_after = value
        elif kind == _RETRY_AFTER_MS:
            self.retry_after_ms = value
        elif kind == _ENCODING and value.strip().lower() != b"identity":
            self.content_encoding = value

    def complete(self, status: int, version: str) -> None:
        """The head is whole: settle it. Raises MalformedResponseError for what the parser lets pass."""
        if version not in ("1.1", "1.0"):
            raise MalformedResponseError(f"its response is HTTP/{version}")
        if not 200 <= status <= 999:
            raise MalformedResponseError(f"its response has status {status:03d}")
        if self.coding is not None and self.coding.strip() != b"chunked":
            raise MalformedResponseError("its response has a transfer coding other than chunked")
        self.status = status
        if self.connection is not None:
            self._drop_connection_fields(self.connection)

    def _drop_connection_fields(self, connection: bytes) -> None:
        """Remove the fields that `connection` names, except those that are for all recipients anyway."""
        if connection.lower() in (b"close", b"keep-alive"):
            return
        named = {token.strip().lower() for token in connection.split(b",")} - _KNOWN.keys()
        if named:
            fields = self.fields
            self.fields = [
                piece
                for start in range(0, len(fields), 4)
                if fields[start].lower() not in named
                for piece in fields[start : start + 4]
            ]
