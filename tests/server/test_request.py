"""What a head demands of the gateway beyond framing: method, target, Host, and which fields go on."""

from __future__ import annotations

import pytest
from conversation import Conversation, post, splits

from gateway.server.request import MAX_FIELDS

HOST = b"host: gw\r\n"


def fields_of(*lines: bytes) -> bytes:
    """The header fields that a provider would be sent of a request with these."""
    talk = Conversation().says(post(b"{}", *lines))
    assert talk.requests, talk.wire
    return b"".join(talk.requests[0].request.fields)


def refusal(request: bytes) -> tuple[int, str]:
    """How a request is refused, whatever the split: status and code; no handler may have seen it."""
    talk = Conversation().says(request)
    for pieces in splits(request):
        assert Conversation().says(*pieces).outcome == talk.outcome, pieces
    assert talk.requests == []
    (answer,) = talk.heard
    assert answer.closes
    assert talk.ended
    assert answer.error["message"]
    return answer.status, answer.error["code"]


# -- which fields go on


@pytest.mark.parametrize(
    "name",
    [
        # credentials, which are the client's and not the provider's
        "Authorization",
        "Proxy-Authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "Cookie",
        # where the client says it comes from
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "x-forwarded-anything",
        "X-Real-IP",
        # hop-by-hop (RFC 9110 section 7.6.1)
        "Keep-Alive",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Upgrade",
        "HTTP2-Settings",
    ],
)
def test_field_never_goes_on(name: str) -> None:
    for variant in (name, name.lower(), name.upper()):
        assert fields_of(variant.encode() + b": secret") == b""


def test_framing_and_host_are_written_anew() -> None:
    assert fields_of(b"connection: keep-alive", b"expect: 100-continue") == b""


@pytest.mark.parametrize(
    "line",
    [
        b"Idempotency-Key: 1",
        b"OpenAI-Organization: org",
        b"OpenAI-Beta: assistants=v2",
        b"anthropic-version: 2023-06-01",
        b"User-Agent: test",
        b"Accept-Encoding: gzip, br",
        b"Accept: text/event-stream",
        b"Content-Type: application/json",
        b"Content-Encoding: gzip",
        b"X-Stainless-Lang: python",
        b"x-request-id: 7",
        b"Origin: https://page",
        b"Via: 1.1 other",
        b"X-Forwarded: no field of a proxy",
        b"x-latin: caf\xe9",
        b"x-empty: ",
    ],
)
def test_field_goes_on_as_it_came(line: bytes) -> None:
    assert fields_of(line) == line + b"\r\n"


def test_upgrade_changes_nothing_else() -> None:
    lines = (
        b"Content-Type: application/json",
        b"authorization: Bearer sk",
        b"x-api-key: sk",
        b"X-Request-Id: 7",
        b"origin: https://page",
        b"traceparent: 00-1-2-01",
        b"tracestate: a=1",
        b"expect: 100-continue",
        b"X-Other: 1",
    )
    plain = Conversation().says(post(b"{}", *lines)).requests[0].request.head
    upgrade = (b"connection: upgrade", b"upgrade: h2c")
    upgraded = Conversation().says(post(b"{}", *lines, *upgrade)).requests[0].request.head
    for name in plain.__slots__:
        if name != "connection":
            assert getattr(upgraded, name) == getattr(plain, name), name
    assert plain.content_type == b"application/json"
    assert plain.authorization == b"Bearer sk"
    assert plain.request_id == b"7"


@pytest.mark.parametrize(
    ("lines", "parent", "state"),
    [
        ([b"traceparent: 00-1-2-01", b"tracestate: a=1", b"tracestate: b=2"], b"00-1-2-01", b"a=1,b=2"),
        ([b"traceparent: 00-1-2-01", b"traceparent: 00-3-4-01"], b"", None),
        ([b"traceparent: 00-1-2-01", b"tracestate: a=1", b"connection: traceparent"], None, None),
        ([], None, None),
    ],
)
def test_trace_context_is_kept_for_the_attempts(
    lines: list[bytes], parent: bytes | None, state: bytes | None
) -> None:
    request = Conversation().says(post(b"{}", *lines)).requests[0].request
    assert (request.traceparent, request.tracestate) == (parent, state)


def test_field_that_stands_twice_goes_on_twice_in_order() -> None:
    assert fields_of(b"X-A: 1", b"X-B: 2", b"X-A: 3") == b"X-A: 1\r\nX-B: 2\r\nX-A: 3\r\n"


def test_fields_named_in_connection_are_removed() -> None:
    lines = (
        b"X-Hop: 1",
        b"Connection: x-hop",
        b"X-Kept: 2",
        b"connection: keep-alive, X-Other",
        b"x-other: 3",
    )
    assert fields_of(*lines) == b"X-Kept: 2\r\n"


@pytest.mark.parametrize("option", [b"content-type", b"content-length", b"host", b"close, content-type"])
def test_connection_cannot_strip_what_makes_the_request(option: bytes) -> None:
    talk = Conversation().says(post(b"{}", b"Content-Type: application/json", b"Connection: " + option))
    assert talk.requests[0].summary == (
        b"POST",
        b"/v1/chat/completions",
        b"Content-Type: application/json\r\n",
        b"{}",
    )


@pytest.mark.parametrize("option", [b"close", b"Close", b"x, close", b" close ", b"keep-alive,\tclose"])
def test_connection_close_is_understood_wherever_it_stands(option: bytes) -> None:
    talk = Conversation().says(post(b"{}", b"Connection: " + option))
    assert talk.heard[0].closes
    assert talk.ended


@pytest.mark.parametrize("option", [b"keep-alive", b"Keep-Alive", b"", b"keep-alive, ", b"foo;close"])
def test_connection_stays_open_without_close(option: bytes) -> None:
    talk = Conversation().says(post(b"{}", b"Connection: " + option))
    assert not talk.heard[0].closes
    assert not talk.ended


def test_too_many_fields_are_431() -> None:
    fits = [b"x-%d: 1" % number for number in range(MAX_FIELDS)]
    assert fields_of(*fits).count(b"\r\n") == MAX_FIELDS
    talk = Conversation().says(post(b"{}", *fits, b"x-one: too many"))
    assert (talk.heard[0].status, talk.heard[0].error["code"]) == (431, "too_many_headers")
    assert talk.requests == []


# -- Host


@pytest.mark.parametrize(
    "host", [b"gw", b"gw:4000", b"127.0.0.1:4000", b"[::1]:4000", b"a.example", b"gw:", b"", b"gw \t"]
)
def test_host_is_valid(host: bytes) -> None:
    talk = Conversation().says(b"GET /v1/models HTTP/1.1\r\nhost: %b\r\n\r\n" % host)
    assert talk.heard[0].status == 200


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        HOST + HOST,
        b"host: gw\r\nhost: other\r\n",
        b"host: gw test\r\n",
        b"host: user@gw\r\n",
        b"host: x/#@y\r\n",
        b"host: gw:port\r\n",
        b"host: [::1\r\n",
        b"host: http://gw\r\n",
        b"host: gw, other\r\n",
        b"host: caf\xe9\r\n",
    ],
)
def test_host_is_invalid(lines: bytes) -> None:
    assert refusal(b"GET /v1/models HTTP/1.1\r\n%b\r\n" % lines) == (400, "invalid_host")


# -- target


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        (b"/v1/models?limit=2&after=%2e%2e", b"/v1/models?limit=2&after=%2e%2e"),
        (b"http://other/v1/models", b"/v1/models"),
        (b"http://other/v1/models?", b"/v1/models?"),
        (b"HTTPS://other:1/v1/models?a=b", b"/v1/models?a=b"),
        (b"/v1/models/.hidden", b"/v1/models/.hidden"),
        (b"/v1/models/a..b/...", b"/v1/models/a..b/..."),
        (b"/v1/models/a%20b", b"/v1/models/a%20b"),
    ],
)
def test_target_goes_on_in_origin_form(target: bytes, sent: bytes) -> None:
    talk = Conversation().says(b"GET %b HTTP/1.1\r\n%b\r\n" % (target, HOST))
    assert talk.requests[0].request.target == sent
    assert talk.requests[0].request.path == sent.partition(b"?")[0]


@pytest.mark.parametrize("target", [b"http://other", b"http://other?v1"])
def test_absolute_target_without_a_path_is_the_root(target: bytes) -> None:
    talk = Conversation().says(b"GET %b HTTP/1.1\r\n%b\r\n" % (target, HOST))
    assert talk.heard[0].error["message"].startswith("Nothing is served at /;")


def test_authority_of_an_absolute_target_replaces_host() -> None:
    talk = Conversation().says(b"GET http://real:1/v1/models HTTP/1.1\r\nhost: pretended\r\n\r\n")
    assert talk.requests[0].request.head.host == b"real:1"


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"GET http:///v1/models", (400, "invalid_target")),
        (b"GET http://user@other/v1/models", (400, "invalid_host")),
        (b"GET ftp://other/v1/models", (400, "invalid_target")),
        (b"GET *", (400, "invalid_target")),
        (b"GET /v1/models#part", (400, "invalid_target")),
        (b"GET http://other/v1/models#part", (400, "invalid_target")),
        (b"GET other:80", (400, "malformed_request")),
        (b"GET v1/models", (400, "malformed_request")),
        (b"GET /v1/\x01", (400, "malformed_request")),
        (b"GET /v1/\x00", (400, "malformed_request")),
        (b"GET /v1/caf\xc3\xa9", (400, "malformed_request")),
        (b"GET /v1/\xff", (400, "malformed_request")),
        (b"GET /v1/a b", (400, "malformed_request")),
        # No way out of the provider's base path while our key is attached.
        (b"GET /v1/../admin", (400, "invalid_target")),
        (b"GET /v1/.", (400, "invalid_target")),
        (b"GET /v1/..", (400, "invalid_target")),
        (b"GET /v1/./models", (400, "invalid_target")),
        (b"GET /v1/%2e%2E/admin", (400, "invalid_target")),
        (b"GET /v1/.%2e/admin", (400, "invalid_target")),
        (b"GET /v1/..%2fadmin", (400, "invalid_target")),
        (b"GET /v1/x%2F..%2Fadmin", (400, "invalid_target")),
        (b"GET /v1/x\\..\\admin", (400, "invalid_target")),
        (b"GET /v1/x%5c..%5Cadmin", (400, "invalid_target")),
        (b"GET /v1/..;x=1/admin", (400, "invalid_target")),
        (b"GET /v1/%2e%2e%3bx/admin", (400, "invalid_target")),
        (b"GET http://other/v1/../admin", (400, "invalid_target")),
        (b"GET /v1/..?x", (400, "invalid_target")),
    ],
)
def test_target_is_refused(request_line: bytes, expected: tuple[int, str]) -> None:
    assert refusal(b"%b HTTP/1.1\r\n%b\r\n" % (request_line, HOST)) == expected


# -- method and version


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        # Known to HTTP, not for a gateway: TRACE would echo the provider's key.
        (b"TRACE /v1/models HTTP/1.1", (405, "method_not_allowed")),
        (b"CONNECT other:443 HTTP/1.1", (405, "method_not_allowed")),
        (b"PROPFIND /v1/models HTTP/1.1", (405, "method_not_allowed")),
        (b"QUERY /v1/models HTTP/1.1", (405, "method_not_allowed")),
        # Not known (RFC 9110 section 15.6.2).
        (b"FOO /v1/models HTTP/1.1", (501, "unsupported_method")),
        (b"GETX /v1/models HTTP/1.1", (501, "unsupported_method")),
        (b"get /v1/models HTTP/1.1", (501, "unsupported_method")),
        (b"\x16\x03\x01\x02\x00", (501, "unsupported_method")),
        (b"GET /v1/models HTTP/2.0", (505, "http_version_not_supported")),
        (b"GET /v1/models HTTP/0.9", (505, "http_version_not_supported")),
        (b"GET /v1/models HTTP/1.2", (400, "malformed_request")),
        (b"GET /v1/models HTTP/1.10", (400, "malformed_request")),
        (b"GET /v1/models http/1.1", (400, "malformed_request")),
        (b"GET /v1/models HTTP/1.1 ", (400, "malformed_request")),
        (b"GET /v1/models\tHTTP/1.1", (400, "malformed_request")),
        (b"GET /v1/models ICE/1.0", (400, "malformed_request")),
        (b"GET", (501, "unsupported_method")),
    ],
)
def test_request_line_is_refused(request_line: bytes, expected: tuple[int, str]) -> None:
    assert refusal(b"%b\r\n%b\r\n" % (request_line, HOST)) == expected


def test_http_0_9_is_refused() -> None:
    assert refusal(b"GET /v1/models\r\n\r\n") == (505, "http_version_not_supported")


def test_http_2_is_refused() -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    assert refusal(preface) == (505, "http_version_not_supported")


@pytest.mark.parametrize("method", [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE"])
def test_method_is_served(method: bytes) -> None:
    talk = Conversation().says(b"%b /v1/files HTTP/1.1\r\n%b\r\n" % (method, HOST))
    assert talk.heard[0].body == method + b" /v1/files"


def test_refused_method_tells_what_is_allowed() -> None:
    talk = Conversation().says(b"TRACE /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n")
    assert talk.heard[0].fields[b"allow"] == b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


# -- framing that the parser leaves to us


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"transfer-encoding: gzip, chunked", (501, "unsupported_transfer_coding")),
        (b"transfer-encoding: gzip\r\ntransfer-encoding: chunked", (501, "unsupported_transfer_coding")),
        (b"transfer-encoding: ,chunked", (501, "unsupported_transfer_coding")),
        (b"transfer-encoding: xchunked", (400, "invalid_framing")),
        (b"transfer-encoding: identity", (400, "invalid_framing")),
        (b"transfer-encoding: gzip", (400, "invalid_framing")),
        (b'transfer-encoding: "chunked"', (400, "invalid_framing")),
        (b"transfer-encoding: chunked;q=1", (400, "invalid_framing")),
        (b"content-length: 000000000000000000001", (400, "invalid_framing")),
        (b"content-length: 18446744073709551615", (413, "request_too_large")),
        (b"content-length: 33554433", (413, "request_too_large")),
        (b"expect: 200-ok", (417, "expectation_failed")),
        (b"expect: 100-continue, more", (417, "expectation_failed")),
        (b"expect: more\r\nexpect: 100-continue", (417, "expectation_failed")),
    ],
)
def test_head_is_refused(lines: bytes, expected: tuple[int, str]) -> None:
    assert refusal(b"POST /v1/embeddings HTTP/1.1\r\n%b%b\r\n\r\n" % (HOST, lines)) == expected


def test_chunked_from_http_1_0_is_refused() -> None:
    request = b"POST /v1/embeddings HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    assert refusal(request) == (400, "invalid_framing")


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"chunked "])
def test_chunked_is_understood(coding: bytes) -> None:
    request = b"POST /v1/embeddings HTTP/1.1\r\n%btransfer-encoding: %b\r\n\r\n1\r\na\r\n0\r\n\r\n"
    talk = Conversation().says(request % (HOST, coding))
    assert talk.requests[0].request.body == b"a"
