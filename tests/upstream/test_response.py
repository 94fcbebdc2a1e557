"""The head of a response: which fields are passed on, byte for byte, and what is read out of them."""

from __future__ import annotations

import gzip

import pytest

from gateway.upstream.response import MalformedResponseError, ResponseHead

from .fakes import Wire, splits


def answer(*lines: bytes, body: bytes = b"hi") -> bytes:
    fields = b"".join(line + b"\r\n" for line in lines)
    return b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (fields, len(body), body)


def received(sent: bytes) -> Wire:
    wire = Wire()
    wire.send()
    wire.receives(sent)
    return wire


def head_of(*lines: bytes) -> ResponseHead:
    head = received(answer(*lines)).user.head
    assert head is not None
    return head


def passed_on(*lines: bytes) -> list[bytes]:
    """The header lines that go on, whatever reads they came in."""
    sent = answer(*lines)
    found = {received(sent).user.fields}
    for reads in splits(sent):
        wire = Wire()
        wire.send()
        wire.receives(*reads)
        found.add(wire.user.fields)
    assert len(found) == 1
    return found.pop().splitlines()


END_TO_END = [
    b"Content-Type: application/json; charset=utf-8",
    b"Date: Sun, 06 Nov 1994 08:49:37 GMT",
    b"X-Request-ID: req_1",
    b"openai-processing-ms: 12",
    b"x-ratelimit-remaining-requests: 9",
    b"Retry-After: 3",
    b"retry-after-ms: 2500",
    b"Content-Encoding: gzip",
    b"Set-Cookie: a=1",
    b"Set-Cookie: b=2",
    b"x-empty: ",
    b"x-latin: caf\xe9",
    b"Server: a b",
]
HOP_BY_HOP = [
    b"Connection: close",
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
    b"Proxy-Authenticate: Basic",
    b"TE: trailers",
    b"Trailer: x-checksum",
    b"Upgrade: h2c",
]


def test_end_to_end_fields_pass_in_their_order_and_spelling() -> None:
    assert passed_on(*END_TO_END) == END_TO_END


@pytest.mark.parametrize("line", HOP_BY_HOP)
def test_hop_by_hop_fields_end_here(line: bytes) -> None:
    assert passed_on(b"a: 1", line, b"b: 2") == [b"a: 1", b"b: 2"]


def test_the_framing_of_the_provider_ends_here() -> None:
    assert received(answer(b"a: 1")).user.fields == b"a: 1\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\na: 1\r\n\r\n0\r\n\r\n"
    assert received(chunked).user.fields == b"a: 1\r\n"


def test_a_provider_cannot_speak_for_the_gateway() -> None:
    assert passed_on(b"X-Gateway-Provider: me", b"x-gateway-attempts: 0", b"a: 1") == [b"a: 1"]


@pytest.mark.parametrize(
    "connection",
    [b"X-One, close", b"close,x-one", b" keep-alive ,X-ONE,, ", b"x-one"],
)
def test_fields_that_connection_names_end_here(connection: bytes) -> None:
    assert passed_on(b"x-one: 1", b"Connection: " + connection, b"X-One: 2", b"x-two: 3") == [b"x-two: 3"]


def test_connection_in_several_lines_is_one_list() -> None:
    assert passed_on(b"Connection: x-one", b"x-one: 1", b"Connection: x-two", b"x-two: 2") == []


def test_connection_cannot_take_away_what_is_meant_for_all_recipients() -> None:
    # RFC 9110 section 7.6.1: a field for all recipients must not be named there.
    lines = [b"content-type: a/b", b"content-encoding: gzip", b"date: now", b"x-request-id: r"]
    named = b"connection: content-type, content-encoding, date, x-request-id, content-length"
    assert passed_on(named, *lines) == lines
    assert received(answer(named)).user.body == b"hi"


def test_trailers_are_not_merged() -> None:
    sent = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\na: 1\r\n\r\n0\r\nb: 2\r\nretry-after: 1\r\n\r\n"
    wire = received(sent)
    assert wire.user.fields == b"a: 1\r\n"
    assert wire.user.head is not None
    assert wire.user.head.retry_after is None


def test_fields_of_informational_responses_are_not_merged() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\ndate: then\r\n\r\n"
    wire = received(hints + answer(b"a: 1"))
    assert wire.user.fields == b"a: 1\r\n"
    assert wire.user.head is not None
    assert not wire.user.head.date


def test_a_coded_body_is_passed_on_as_it_is() -> None:
    body = gzip.compress(b"hello" * 100)
    wire = received(answer(b"Content-Encoding: gzip", body=body))
    assert wire.user.body == body
    assert wire.user.fields == b"Content-Encoding: gzip\r\n"


# -- what is read out of a head


def test_what_is_read_out_of_a_head() -> None:
    head = head_of(*END_TO_END)
    assert head.status == 200
    assert head.content_type == b"application/json; charset=utf-8"
    assert head.content_length == 2
    assert head.content_encoding == b"gzip"
    assert head.retry_after == b"3"
    assert head.retry_after_ms == b"2500"
    assert head.request_id == b"req_1"
    assert head.date
    assert head.coding is None
    assert not head.ends_with_connection
    assert repr(head) == "<ResponseHead 200 application/json; charset=utf-8>"


def test_what_is_not_in_a_head() -> None:
    head = head_of()
    assert head.content_type == b""
    assert (head.retry_after, head.retry_after_ms, head.request_id) == (None, None, None)
    assert (head.content_encoding, head.date) == (None, False)


def test_identity_is_no_coding() -> None:
    assert head_of(b"content-encoding: Identity").content_encoding is None


@pytest.mark.parametrize(
    ("head", "ends_with_connection"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", False),
    ],
)
def test_whether_a_body_ends_with_the_connection(head: bytes, ends_with_connection: bool) -> None:
    found = received(head).user.head
    assert found is not None
    assert found.ends_with_connection == ends_with_connection


@pytest.mark.parametrize(
    ("status", "version", "message"),
    [
        (200, "2.0", "its response is HTTP/2.0"),
        (200, "0.9", "its response is HTTP/0.9"),
        (101, "1.1", "its response has status 101"),
        (99, "1.1", "its response has status 099"),
        (1000, "1.1", "its response has status 1000"),
    ],
)
def test_a_refusal_names_the_reason_and_settles_nothing(status: int, version: str, message: str) -> None:
    head = ResponseHead()
    with pytest.raises(MalformedResponseError, match=f"^{message}$"):
        head.complete(status, version)
    assert head.status == 0
