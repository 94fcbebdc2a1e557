"""One request as it is parsed, and what HTTP demands of it beyond framing.

The parser (llhttp) refuses every ambiguous framing by itself, but takes requests without Host, with two of
them, in HTTP/0.9 or 2.0, with any target: `check_head` refuses these (RFC 9110 and 9112).
"""

from __future__ import annotations

import re
from typing import Final

from gateway.errors import GatewayError, bad_request, refused

MAX_FIELDS: Final = 256
METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
ALLOW: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

# uri-host [":" port] of RFC 3986: no userinfo, no path, no blank.
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-fvV:.]+\])(?::[0-9]*)?").fullmatch
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]+)(/?[^#]*)", re.IGNORECASE).fullmatch
# Plain, percent-encoded, behind a backslash, with a path parameter ("/..;x/"): as various servers read it.
_SLASH: Final = rb"(?:/|\\|%2f|%5c)"
_DOT_SEGMENT: Final = re.compile(
    _SLASH + rb"(?:\.|%2e){1,2}(?:" + _SLASH + rb"|;|%3b|$)", re.IGNORECASE
).search
_MAX_LENGTH_BYTES: Final = 20  # 2 ** 64 has as many digits

# What is done with a field besides passing it on; every name that is not here is end-to-end and passed on.
_DROP, _HOST_FIELD, _LENGTH, _CODING, _CONNECTION, _EXPECT = range(6)
_AUTHORIZATION, _API_KEY, _TYPE, _REQUEST_ID, _ORIGIN, _TRACEPARENT, _TRACESTATE = range(6, 13)
_KNOWN: Final = {
    # Hop-by-hop (RFC 9110 section 7.6.1); an Upgrade that we do not speak is as if it were not there.
    b"keep-alive": _DROP,
    b"proxy-connection": _DROP,
    b"te": _DROP,
    b"trailer": _DROP,
    # A stranger's word on who he is, and secrets meant for us or for the browser's own site.
    b"proxy-authorization": _DROP,
    b"api-key": _DROP,
    b"x-goog-api-key": _DROP,
    b"cookie": _DROP,
    b"forwarded": _DROP,
    b"x-real-ip": _DROP,
    b"upgrade": _DROP,
    b"http2-settings": _DROP,
    b"host": _HOST_FIELD,
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
    b"expect": _EXPECT,
    b"authorization": _AUTHORIZATION,
    b"x-api-key": _API_KEY,
    b"content-type": _TYPE,
    b"x-request-id": _REQUEST_ID,
    b"origin": _ORIGIN,
    # Each attempt gets a `traceparent` of its own (see observe/tracing.py).
    b"traceparent": _TRACEPARENT,
    b"tracestate": _TRACESTATE,
}


class RequestHead:
    """The head of a request; `fields` are the end-to-end fields as name, `: `, value, CRLF in turn.

    `target` is in origin-form, `path` is the part of it before `?`. One that was checked does not change any
    more: it stands for every request with the same head. `sent_as` is for whoever passes such requests on, to
    keep what was made of this one.
    """

    __slots__ = (
        "api_key",
        "authorization",
        "coding",
        "connection",
        "content_length",
        "content_type",
        "expect",
        "fields",
        "host",
        "hosts",
        "keep_alive",
        "method",
        "minor",
        "origin",
        "path",
        "request_id",
        "sent_as",
        "target",
        "traceparent",
        "tracestate",
    )

    def __init__(self) -> None:
        self.method = b""
        self.target = b""
        self.path = b""
        self.minor = 1
        self.keep_alive = True
        self.fields: list[bytes] = []
        self.sent_as: object = None
        self.host = b""
        self.hosts = 0
        self.content_length: bytes | None = None
        self.coding: bytes | None = None
        self.connection: bytes | None = None
        self.expect: bytes | None = None
        self.authorization: bytes | None = None
        self.api_key: bytes | None = None
        self.content_type: bytes | None = None
        self.request_id: bytes | None = None
        self.origin: bytes | None = None
        self.traceparent: bytes | None = None
        self.tracestate: bytes | None = None

    def __repr__(self) -> str:
        return f"<RequestHead {self.method.decode()} {self.path.decode('latin-1')}>"

    def add_field(self, name: bytes, value: bytes) -> None:
        """Take one header field in, as the parser found it."""
        lower = name.lower()
        kind = _KNOWN.get(lower)
        if kind is None:
            if lower[:12] != b"x-forwarded-":
                self.fields += (name, b": ", value, b"\r\n")
        elif kind == _TYPE:
            self.content_type = value
            self.fields += (name, b": ", value, b"\r\n")
        elif kind == _HOST_FIELD:
            self.host = value
            self.hosts += 1
        elif kind == _LENGTH:
            self.content_length = value
        elif kind == _CONNECTION:
            self.connection = value if self.connection is None else self.connection + b"," + value
        elif kind == _AUTHORIZATION:
            self.authorization = value
        elif kind != _DROP:
            self._add_rare(kind, name, value)

    def _add_rare(self, kind: int, name: bytes, value: bytes) -> None:
        value = value.rstrip(b" \t")  # the parser leaves it there
        if kind == _CODING:
            self.coding = value if self.coding is None else self.coding + b"," + value
        elif kind == _EXPECT:
            self.expect = value if self.expect is None else self.expect + b"," + value
        elif kind == _API_KEY:
            self.api_key = value
        elif kind == _TRACEPARENT:
            self.traceparent = value if self.traceparent is None else b""  # two are as bad as none
        elif kind == _TRACESTATE:
            self.tracestate = value if self.tracestate is None else self.tracestate + b"," + value
        else:
            if kind == _REQUEST_ID:
                self.request_id = value
            else:
                self.origin = value
            self.fields += (name, b": ", value, b"\r\n")

    @property
    def is_messages(self) -> bool:
        """It is for Anthropic's Messages API, whose keys and errors look different."""
        return self.path.startswith(b"/v1/messages")

    def head_without_upgrade(self) -> bytes:
        """The head as it was checked, without Upgrade: a form in which the parser goes on to the body."""
        pieces = [self.method, b" ", self.target, b" HTTP/1.%d\r\nhost: " % self.minor, self.host, b"\r\n"]
        pieces += self.fields
        for name, value in (
            (b"content-length", self.content_length),
            (b"transfer-encoding", self.coding),
            (b"expect", self.expect),
            (b"authorization", self.authorization),
            (b"x-api-key", self.api_key),
            (b"traceparent", self.traceparent),
            (b"tracestate", self.tracestate),
            (b"connection", None if self.keep_alive else b"close"),
        ):
            if value is not None:
                pieces += (name, b": ", value, b"\r\n")
        pieces.append(b"\r\n")
        return b"".join(pieces)

    def check_head(self, version: str, max_body: int) -> GatewayError | None:
        """What is wrong with the head, in the order in which an answer matters; None when it may be served.

        Also settles `path`, `target`, `minor`, and removes the fields that `Connection` names.
        """
        if version == "1.0":
            self.minor = 0
            self.keep_alive = False
        elif version != "1.1":
            return refused(
                505, "http_version_not_supported", f"HTTP/{version} is not spoken here; use HTTP/1.1."
            )
        if len(self.fields) > 4 * MAX_FIELDS:
            return refused(431, "too_many_headers", f"The request has more than {MAX_FIELDS} header fields.")
        problem = self._check_method_and_target() or self._check_host() or self._check_framing(max_body)
        if problem is not None:
            return problem
        if self.expect is not None and self.expect.lower() != b"100-continue":
            return refused(417, "expectation_failed", "The only expectation understood is 100-continue.")
        if self.connection is not None and self.connection != b"keep-alive":
            self._drop_connection_fields(self.connection)
        return None

    def _check_method_and_target(self) -> GatewayError | None:
        if self.method not in METHODS:
            method = self.method.decode("latin-1")
            return refused(
                405, "method_not_allowed", f"The method {method} is not allowed here.", allow=ALLOW
            )
        target = self.target
        if not target.startswith(b"/"):
            if target == b"*" and self.method == b"OPTIONS":
                self.path = target
                return None
            absolute = _ABSOLUTE(target)
            if absolute is None:
                return bad_request(
                    "The request target is neither a path nor an http URL.", code="invalid_target"
                )
            # RFC 9112 section 3.2.2: the authority of an absolute-form target replaces Host.
            self.host, target = absolute.groups()
            if not target.startswith(b"/"):
                target = b"/" + target
        elif b"#" in target:
            return bad_request("The request target has a fragment.", code="invalid_target")
        self.target = target
        self.path = path = target.partition(b"?")[0]
        # A dot segment could lead out of the provider's base path while our key is attached.
        if (b"/." in path or b"%" in path or b"\\" in path) and _DOT_SEGMENT(path):
            return bad_request("The path has a dot segment.", code="invalid_target")
        return None

    def _check_host(self) -> GatewayError | None:
        if self.hosts != 1 and (self.hosts or self.minor):
            return bad_request(
                "There must be exactly one Host field (RFC 9112 section 3.2).", code="invalid_host"
            )
        if not _HOST(self.host) and not _HOST(self.host.rstrip(b" \t")):
            return bad_request("The Host field is not a host with an optional port.", code="invalid_host")
        return None

    def _check_framing(self, max_body: int) -> GatewayError | None:
        if self.coding is not None:
            if not self.minor:
                return bad_request("HTTP/1.0 has no Transfer-Encoding.", code="invalid_framing")
            return _check_coding(self.coding)
        if self.content_length is not None:
            if len(self.content_length) > _MAX_LENGTH_BYTES:
                return bad_request(
                    f"The Content-Length field is longer than {_MAX_LENGTH_BYTES} bytes.",
                    code="invalid_framing",
                )
            if int(self.content_length) > max_body:
                return too_large(max_body)
        return None

    def _drop_connection_fields(self, connection: bytes) -> None:
        named = {token.strip().lower() for token in connection.split(b",")}
        if b"close" in named:
            self.keep_alive = False
        if b"traceparent" in named or b"tracestate" in named:
            self.traceparent = self.tracestate = None
        named.discard(b"content-type")  # a body without its type would be another request
        if not named <= {b"close", b"keep-alive", b"upgrade"}:
            fields = self.fields
            self.fields = [
                piece
                for start in range(0, len(fields), 4)
                if fields[start].lower() not in named
                for piece in fields[start : start + 4]
            ]


class Request:
    """A request: its `head`, its whole `body`, and when its last bytes were read.

    `received_s` is in seconds of the monotonic clock. Of the head, what those need who answer requests can be
    read here too.
    """

    __slots__ = ("body", "head", "received_s")

    def __init__(self, head: RequestHead, body: bytes, received_s: float) -> None:
        self.head = head
        self.body = body
        self.received_s = received_s

    def __repr__(self) -> str:
        return f"<Request {self.head.method.decode()} {self.head.path.decode('latin-1')}>"

    @property
    def method(self) -> bytes:
        """The method, in upper case."""
        return self.head.method

    @property
    def target(self) -> bytes:
        """The target in origin-form: path and query."""
        return self.head.target

    @property
    def path(self) -> bytes:
        """The target up to its query."""
        return self.head.path

    @property
    def fields(self) -> list[bytes]:
        """The end-to-end fields as name, `: `, value, CRLF in turn."""
        return self.head.fields

    @property
    def origin(self) -> bytes | None:
        """The Origin field (Fetch standard)."""
        return self.head.origin

    @property
    def content_type(self) -> bytes | None:
        """The Content-Type field."""
        return self.head.content_type

    @property
    def request_id(self) -> bytes | None:
        """The client's own id of the request (X-Request-Id)."""
        return self.head.request_id

    @property
    def traceparent(self) -> bytes | None:
        """The caller's span (https://www.w3.org/TR/trace-context/)."""
        return self.head.traceparent

    @property
    def tracestate(self) -> bytes | None:
        """What goes with `traceparent`."""
        return self.head.tracestate


def _check_coding(coding: bytes) -> GatewayError | None:
    *others, last = (name.strip() for name in coding.lower().split(b","))
    if last != b"chunked":
        # Where the body ends cannot be known (RFC 9112 section 6.3).
        return bad_request("The last transfer coding must be chunked.", code="invalid_framing")
    if others:
        return refused(501, "unsupported_transfer_coding", "The only transfer coding understood is chunked.")
    return None


def too_large(max_body: int) -> GatewayError:
    """413 for a body over `max_body` bytes."""
    return refused(
        413,
        "request_too_large",
        f"The request body is larger than {max_body} bytes (server.limits.max_body).",
    )
