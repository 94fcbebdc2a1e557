"""How attempts fail, and the errors that the gateway answers with, in the JSON shape of the OpenAI API.

Every SDK raises its usual class from the status code, so the status is the contract; `type` and `code`
tell a person, and a program that looks closer, what happened.
Reference: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any, Final

import orjson

INVALID_REQUEST: Final = "invalid_request_error"
RATE_LIMIT: Final = "rate_limit_error"
UPSTREAM: Final = "upstream_error"
TIMEOUT: Final = "timeout_error"
UNAVAILABLE: Final = "service_unavailable_error"
SERVER: Final = "server_error"

# https://docs.anthropic.com/en/api/errors: the error types of the Messages API, by status.
_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Fault(StrEnum):
    """How an attempt failed that brought no response to pass on; the text is its `reason` in logs."""

    DNS = "dns_error"
    CONNECT = "connect_error"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls_error"
    RESET = "connection_reset"
    CLOSED = "connection_closed"
    PROTOCOL = "protocol_error"
    TIMEOUT = "timeout"
    STREAM_ERROR = "stream_error"
    EMPTY_STREAM = "empty_stream"
    SATURATED = "saturated"


class ConnectError(Exception):
    """No connection to a provider; `fault` says at which step it failed."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class GatewayError(Exception):
    """An answer that the gateway makes itself.

    `status` is the HTTP status, `retry_after_s` the seconds after which a new try makes sense (sent rounded
    up as `Retry-After`), `allow` the methods of a 405.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        code: str | None,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.allow = allow

    def __repr__(self) -> str:
        return f"GatewayError({self.status}, {self.code!r}, {self.message!r})"

    def object(self) -> dict[str, Any]:
        """The value of the `error` member: message, type, param, code."""
        return {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}

    def body(self, *, anthropic: bool = False) -> bytes:
        """The response body, in the OpenAI shape or, for `/v1/messages*`, in Anthropic's."""
        if anthropic:
            other = "invalid_request_error" if self.status < 500 else "api_error"
            kind = _ANTHROPIC_TYPES.get(self.status, other)
            return orjson.dumps({"type": "error", "error": {"type": kind, "message": self.message}})
        return orjson.dumps({"error": self.object()})

    def fields(self) -> list[bytes]:
        """Header fields that go with the answer, as name, `: `, value, CRLF in turn."""
        fields = [b"content-type", b": ", b"application/json", b"\r\n"]
        if self.retry_after_s is not None:
            seconds = max(1, math.ceil(self.retry_after_s))
            fields += [b"retry-after", b": ", b"%d" % seconds, b"\r\n"]
        if self.allow is not None:
            fields += [b"allow", b": ", self.allow.encode(), b"\r\n"]
        if self.status == 401:
            fields += [b"www-authenticate", b": ", b"Bearer", b"\r\n"]
        return fields


def bad_request(message: str, *, code: str | None = None, param: str | None = None) -> GatewayError:
    """400: the request cannot be understood."""
    return GatewayError(400, INVALID_REQUEST, code, message, param=param)


def refused(status: int, code: str, message: str, *, allow: str | None = None) -> GatewayError:
    """Another 4xx or 5xx of HTTP itself: a limit, a method, a version."""
    kind = INVALID_REQUEST if status < 500 else SERVER
    return GatewayError(status, kind, code, message, allow=allow)


def overloaded(message: str, retry_after_s: float = 1.0) -> GatewayError:
    """503: a limit of the gateway itself is reached."""
    return GatewayError(503, UNAVAILABLE, "overloaded", message, retry_after_s=retry_after_s)
