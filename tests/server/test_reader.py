"""Framing: where a request ends, what is refused because that is in doubt, how much is taken in at all."""

from __future__ import annotations

from typing import Any

import pytest
from conversation import HEAD, TIMEOUTS, Clock, post, splits
from reading import CHUNKED, GET, in_pieces, read, site_of

from gateway.server.reader import RequestReader
from gateway.server.site import Site

# -- what is a request

WHOLE = {
    "no body": (GET, [b""]),
    "content-length": (post(b'{"a": 1}'), [b'{"a": 1}']),
    "content-length: 0": (post(b""), [b""]),
    "padded content-length": (HEAD + b"content-length: \t 0003 \r\n\r\nabc", [b"abc"]),
    "chunked": (CHUNKED + b"3\r\nabc\r\n02\r\nde\r\n0\r\n\r\n", [b"abcde"]),
    "chunked, empty": (CHUNKED + b"0\r\n\r\n", [b""]),
    "chunked, upper and lower hex": (
        CHUNKED + b"A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n",
        [b"0123456789" * 2],
    ),
    "chunk extensions": (CHUNKED + b'1;a\r\nx\r\n1;b=c;d="e\tf"\r\ny\r\n0;z\r\n\r\n', [b"xy"]),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\nx-checksum: 1\r\nhost: other\r\n\r\n", [b"a"]),
    "empty lines before": (b"\r\n\r\n" + GET + b"\r\n" + GET, [b"", b""]),
    "pipelined": (post(b"1") + GET + CHUNKED + b"1\r\n2\r\n0\r\n\r\n" + GET, [b"1", b"", b"2", b""]),
    "surplus behind close": (post(b"1", b"connection: close") + b"garbage", [b"1"]),
    "request behind close": (post(b"1", b"connection: close") + GET, [b"1"]),
    "upgrade with a length": (
        post(b"1", b"connection: Upgrade", b"upgrade: websocket") + post(b"2"),
        [b"1", b"2"],
    ),
    "upgrade with chunks": (
        HEAD
        + b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
        + b"transfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n"
        + GET,
        [b"1", b""],
    ),
    "upgrade without a body": (
        b"GET /v1/models HTTP/1.1\r\nhost: gw\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n" * 2,
        [b"", b""],
    ),
    "upgrade and close": (post(b"1", b"connection: upgrade, close", b"upgrade: x") + GET, [b"1"]),
    "upgrade from HTTP/1.0": (
        b"POST /v1/x HTTP/1.0\r\nconnection: upgrade\r\nupgrade: x\r\ncontent-length: 1\r\n\r\n1" + GET,
        [b"1"],
    ),
    "upgrade in a trailer": (
        CHUNKED + b"1\r\na\r\n0\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n" + GET,
        [b"a", b""],
    ),
    "HTTP/1.0": (b"GET /v1/models HTTP/1.0\r\n\r\n", [b""]),
}


@pytest.mark.parametrize(("data", "bodies"), WHOLE.values(), ids=WHOLE)
def test_request_ends_where_it_says(data: bytes, bodies: list[bytes]) -> None:
    whole = read(data)
    assert [request.body for request in whole.ready] == bodies
    assert whole.refusal is None
    assert whole.request is None
    for pieces in splits(data):
        assert answered(read(), pieces) == answered(read(), [data]), pieces


def answered(reader: RequestReader, pieces: list[bytes]) -> object:
    """Everything that came of these reads, where each request is answered before the next read."""
    requests: list[Any] = []
    for piece in pieces:
        reader.feed(piece)
        for one in reader.ready:
            requests.append((one.method, one.target, one.fields, one.body, one.head.keep_alive))
            reader.ended |= not one.head.keep_alive
        reader.ready.clear()
    return requests, repr(reader.refusal), reader.ended, reader.request is None


REFUSED = {
    # Content-Length (RFC 9112 section 6.3)
    "length and coding": HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "two equal lengths": HEAD + b"content-length: 1\r\ncontent-length: 1\r\n\r\na",
    "list of lengths": HEAD + b"content-length: 1, 1\r\n\r\na",
    "empty length": HEAD + b"content-length:\r\n\r\n",
    "plus sign": HEAD + b"content-length: +1\r\n\r\na",
    "minus sign": HEAD + b"content-length: -1\r\n\r\na",
    "hex length": HEAD + b"content-length: 0x1\r\n\r\na",
    "underscore in length": HEAD + b"content-length: 1_0\r\n\r\n0123456789",
    "fraction": HEAD + b"content-length: 1.0\r\n\r\na",
    "length over 64 bits": HEAD + b"content-length: 18446744073709551617\r\n\r\na",
    # Transfer-Encoding
    "chunked is not last": HEAD + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked on two lines": HEAD
    + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "vertical tab": HEAD + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "empty coding": HEAD + b"transfer-encoding:\r\ncontent-length: 1\r\n\r\na",
    "coding in a trailer": CHUNKED + b"0\r\ntransfer-encoding: chunked\r\n\r\n",
    "length in a trailer": CHUNKED + b"0\r\ncontent-length: 5\r\n\r\n",
    # chunks (RFC 9112 section 7.1)
    "no chunk size": CHUNKED + b"\r\n",
    "0x in chunk size": CHUNKED + b"0x1\r\na\r\n0\r\n\r\n",
    "sign in chunk size": CHUNKED + b"+1\r\na\r\n0\r\n\r\n",
    "underscore in chunk size": CHUNKED + b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "blank before chunk size": CHUNKED + b" 1\r\na\r\n0\r\n\r\n",
    "blank behind chunk size": CHUNKED + b"1 \r\na\r\n0\r\n\r\n",
    "chunk size over 64 bits": CHUNKED + b"10000000000000001\r\na\r\n0\r\n\r\n",
    "LF behind chunk size": CHUNKED + b"1\na\r\n0\r\n\r\n",
    "CR behind chunk size": CHUNKED + b"1\ra\r\n0\r\n\r\n",
    "LF in an extension": CHUNKED + b"1;a\nb\r\na\r\n0\r\n\r\n",
    "CR in an extension": CHUNKED + b"1;a\rb\r\na\r\n0\r\n\r\n",
    "LF in a quoted extension": CHUNKED + b'1;a="\n"\r\na\r\n0\r\n\r\n',
    "NUL in an extension": CHUNKED + b"1;a\x00\r\na\r\n0\r\n\r\n",
    "two bytes behind chunk data": CHUNKED + b"1\r\naXX0\r\n\r\n",
    "LF behind chunk data": CHUNKED + b"1\r\na\n0\r\n\r\n",
    "chunk longer than it says": CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
    "chunk shorter than it says": CHUNKED + b"3\r\nab\r\n0\r\n\r\n",
    "NUL in a trailer": CHUNKED + b"0\r\nx: \x00\r\n\r\n",
    # fields (RFC 9112 section 5)
    "folded line": HEAD + b"x: a\r\n b\r\n\r\n",
    "folded with a tab": HEAD + b"x: a\r\n\tb\r\n\r\n",
    "blank before the first field": b"GET /v1/models HTTP/1.1\r\n host: gw\r\n\r\n",
    "blank before the colon": HEAD + b"x : a\r\n\r\n",
    "tab before the colon": HEAD + b"x\t: a\r\n\r\n",
    "no name": HEAD + b": a\r\n\r\n",
    "no colon": HEAD + b"x\r\n\r\n",
    "NUL in a name": HEAD + b"x\x00y: a\r\n\r\n",
    "NUL in a value": HEAD + b"x: a\x00b\r\n\r\n",
    "control byte in a value": HEAD + b"x: a\x01b\r\n\r\n",
    "DEL in a value": HEAD + b"x: a\x7fb\r\n\r\n",
    "byte over 127 in a name": HEAD + b"x\xe9: a\r\n\r\n",
    "bare CR in a value": HEAD + b"x: a\rb\r\n\r\n",
    "CR CR LF": HEAD + b"x: a\r\r\n\r\n",
    "bare LF behind a field": HEAD + b"x: a\ny: b\r\n\r\n",
    "bare LF at the end": HEAD + b"x: a\r\n\n",
    "bare LF everywhere": b"GET /v1/models HTTP/1.1\nhost: gw\n\n",
    "bare LF behind the request line": b"GET /v1/models HTTP/1.1\nhost: gw\r\n\r\n",
    "bare CR behind the request line": b"GET /v1/models HTTP/1.1\rhost: gw\r\n\r\n",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_doubtful_framing_is_400_and_hands_nothing_on(data: bytes) -> None:
    for pieces in ([data + GET], *splits(data + GET)):
        reader = read(*pieces)
        assert reader.refusal is not None, pieces
        assert (reader.refusal.status, reader.refusal.code) == (400, "malformed_request")
        assert not reader.ready, pieces
        assert reader.ended


@pytest.mark.parametrize("data", [*(data for data, _ in WHOLE.values()), *REFUSED.values()])
def test_bytes_are_given_back(data: bytes) -> None:
    for pieces in ([data], *splits(data)):
        site = site_of()
        reader = read(*pieces, site=site)
        reader.drop()
        assert site.buffered == sum(len(request.body) for request in reader.ready)


def test_refusal_belongs_behind_the_requests_before_it() -> None:
    reader = read(post(b"1") + GET + b"nonsense\r\n\r\n" + GET)
    assert [request.body for request in reader.ready] == [b"1", b""]
    assert reader.refusal is not None


def test_cut_request_is_none() -> None:
    for data in (post(b"12345"), CHUNKED + b"1\r\na\r\n0\r\n\r\n"):
        for end in range(1, len(data)):
            reader = read(data[:end])
            assert not reader.ready
            assert reader.request is not None


def test_defect_of_ours_is_not_the_clients_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr(Site, "admit", fail)
    with pytest.raises(Exception, match="callback"):
        read(GET)


# -- deadlines


def deadlines(*pieces: bytes) -> list[float]:
    """The deadline after each read, a second apart; the first head may take until 1009."""
    clock = Clock()
    site = site_of()
    site.clock = clock
    reader = RequestReader(site)
    reader.deadline_s = 1009.0
    found = []
    for piece in pieces:
        reader.feed(piece)
        found.append(reader.deadline_s)
        clock.now += 1.0
    return found


def test_bytes_do_not_move_a_deadline() -> None:
    first, *rest = in_pieces(post(b"x" * 10), 1)
    body_at = len(HEAD) + len("content-length: 10\r\n\r\n")
    found = deadlines(first, *rest[:-1])
    assert set(found[: body_at - 1]) == {1009.0}
    assert set(found[body_at - 1 :]) == {1000.0 + body_at - 1 + TIMEOUTS.body}


def test_later_head_has_its_time_from_its_first_byte() -> None:
    first, *rest = in_pieces(GET, 1)
    assert set(deadlines(GET, first, *rest[:-1])[1:]) == {1001.0 + TIMEOUTS.header}
    assert set(deadlines(GET + first, *rest[:-1])) == {1000.0 + TIMEOUTS.header}


def test_request_tells_when_it_was_whole() -> None:
    site = site_of()
    clock = Clock()
    site.clock = clock
    reader = RequestReader(site)
    reader.feed(GET[:-1])
    clock.now += 5.0
    reader.feed(GET[-1:])
    assert reader.ready[0].received_s == clock.now


def test_clock_begins_anew_where_reading_had_to_wait() -> None:
    reader = read(GET[:-1])
    reader.restart_clock(5000.0)
    assert reader.deadline_s == 5000.0 + TIMEOUTS.header
    reader = read(post(b"xx")[:-1])
    reader.restart_clock(5000.0)
    assert reader.deadline_s == 5000.0 + TIMEOUTS.body


# -- 100 Continue

EXPECTS = HEAD + b"expect: 100-Continue\r\n"


@pytest.mark.parametrize(
    ("data", "due"),
    [
        (EXPECTS + b"content-length: 3\r\n\r\n", True),
        (EXPECTS + b"transfer-encoding: chunked\r\n\r\n", True),
        (EXPECTS + b"content-length: 3\r\n\r\na", False),
        (EXPECTS + b"content-length: 3\r\n\r\nabc", False),
        (EXPECTS + b"content-length: 0\r\n\r\n", False),
        (EXPECTS + b"content-length: 3\r\n\r", False),
        (EXPECTS.replace(b"1.1", b"1.0") + b"content-length: 3\r\n\r\n", False),
        (HEAD + b"content-length: 3\r\n\r\n", False),
    ],
)
def test_client_is_told_to_go_on_when_it_waits_for_that(data: bytes, due: bool) -> None:
    reader = read(data)
    assert reader.take_continue() is due
    assert reader.take_continue() is False


def test_repr_tells_the_state() -> None:
    assert repr(read(GET + b"FOO\r\n")) == (
        "<RequestReader ready=1 reading=None refusal=GatewayError(501, 'unsupported_method', "
        "'The request does not begin with a method that is known here "
        "(DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT).')>"
    )
