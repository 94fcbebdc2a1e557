"""How much of a request is taken in: heads, bodies, framing, and all connections together."""

from __future__ import annotations

import tracemalloc

import pytest
from conversation import HEAD, post
from reading import CHUNKED, GET, in_pieces, read, site_of

from gateway.config.schema import Limits
from gateway.server.reader import MAX_PIPELINED, RequestReader


def statuses(reader: RequestReader) -> tuple[int, str | None]:
    assert reader.refusal is not None
    assert not reader.ready
    return reader.refusal.status, reader.refusal.code


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_head_of_just_the_limit_fits(size: int) -> None:
    head = HEAD + b"x: " + b"a" * (200 - len(HEAD) - 7) + b"\r\n\r\n"
    assert len(head) == 200
    for behind in (b"", GET, GET * 10):
        reader = read(*in_pieces(head + behind, size), site=site_of(max_header=200))
        assert reader.refusal is None
        assert len(reader.ready) == 1 + behind.count(b"GET")


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET /v1/" + b"a" * 300, (414, "uri_too_long")),
        (b"GET /v1/" + b"a" * 300 + b" HTTP/1.1\r\nhost: gw\r\n\r\n", (414, "uri_too_long")),
        (HEAD + b"x: " + b"a" * 300, (431, "header_too_large")),
        (HEAD + b"cookie: " + b"a" * 300 + b"\r\n\r\n", (431, "header_too_large")),
        (HEAD + b"x: 1\r\n" * 50, (431, "header_too_large")),
        (b"x" * 300, (501, "unsupported_method")),
        (b"\r\n" * 200, (400, "malformed_request")),
    ],
)
def test_longer_head_is_refused(size: int, data: bytes, expected: tuple[int, str]) -> None:
    assert statuses(read(*in_pieces(data, size), site=site_of(max_header=200))) == expected


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_head_behind_another_request_is_limited_too(size: int) -> None:
    reader = read(*in_pieces(GET + HEAD + b"x: " + b"a" * 400, size), site=site_of(max_header=200))
    assert len(reader.ready) == 1
    assert reader.refusal is not None
    assert reader.refusal.status == 431


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_heads_are_limited_one_by_one_and_bodies_not_with_them(size: int) -> None:
    data = (GET + post(b"x" * 1000) + CHUNKED + b"5;e\r\nabcde\r\n" * 30 + b"0\r\n\r\n") * 20
    site = site_of(max_header=200)
    reader = read(*in_pieces(data, size), site=site)
    assert reader.refusal is None
    assert [len(request.body) for request in reader.ready] == [0, 1000, 150] * 20


def test_limit_that_a_reload_lowers_holds_for_the_head_being_read() -> None:
    site = site_of()
    reader = read(HEAD + b"x: " + b"a" * 300, site=site)
    site.limits = Limits(max_header=200)
    reader.feed(b"a")
    assert statuses(reader) == (431, "header_too_large")


@pytest.mark.parametrize("size", [1, 50, 10_000])
@pytest.mark.parametrize(
    "data",
    [
        post(b"x" * 101),
        CHUNKED + b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n",
        CHUNKED + b"1\r\nx\r\n" * 101 + b"0\r\n\r\n",
    ],
)
def test_body_over_the_limit_is_413(size: int, data: bytes) -> None:
    site = site_of(max_body=100)
    assert statuses(read(*in_pieces(data, size), site=site)) == (413, "request_too_large")
    assert site.buffered == 0


def test_length_over_the_limit_is_413_before_the_body() -> None:
    assert statuses(read(HEAD + b"content-length: 101\r\n\r\n", site=site_of(max_body=100)))[0] == 413


@pytest.mark.parametrize("data", [post(b"x" * 100), CHUNKED + b"1\r\nx\r\n" * 100 + b"0\r\n\r\n"])
def test_body_of_just_the_limit_fits(data: bytes) -> None:
    assert read(data, site=site_of(max_body=100)).ready[0].body == b"x" * 100


def test_bodies_of_all_connections_together_are_limited() -> None:
    site = site_of(max_buffered=100)
    first, second = read(post(b"x" * 60), site=site), read(site=site)
    second.feed(post(b"x" * 50))
    assert statuses(second) == (503, "overloaded")
    assert site.buffered == 60
    assert read(post(b"x" * 40), site=site).ready[0].body == b"x" * 40  # just as many as there may be
    site.buffered -= len(first.ready.popleft().body)  # it has its answer
    assert read(post(b"x" * 60), site=site).ready[0].body == b"x" * 60


@pytest.mark.parametrize("size", [1, 50, 10_000])
@pytest.mark.parametrize(
    "rest",
    [
        b"1;" + b"a" * 2000,
        b'1;a="' + b"a" * 2000,
        b"1;" + b"a" * 100 + b"\r\nx\r\n" + b"1;a" * 10_000,
        b"0\r\nx: " + b"a" * 2000,
        b"0\r\n" + b"x: 1\r\n" * 400,
    ],
)
def test_endless_framing_is_431(size: int, rest: bytes) -> None:
    site = site_of(max_header=200)
    assert statuses(read(CHUNKED, *in_pieces(rest, size), site=site)) == (431, "header_too_large")
    assert site.buffered == 0


def test_small_chunks_with_small_extensions_are_no_abuse() -> None:
    data = CHUNKED + b"1;ext=1\r\nx\r\n" * 2000 + b"0\r\n\r\n"
    assert read(*in_pieces(data, 100), site=site_of(max_header=200)).ready[0].body == b"x" * 2000


def test_framing_is_limited_for_each_request() -> None:
    data = CHUNKED + b"1;" + b"a" * 150 + b"\r\nx\r\n0\r\n\r\n"
    reader = read(*in_pieces(data * 3, 10), site=site_of(max_header=200))
    assert len(reader.ready) == 3


def test_read_that_ends_one_body_and_begins_another_is_counted_for_neither() -> None:
    first, second = post(b"x" * 5000), post(b"y" * 100)
    reader = read(first[:4000], first[4000:] + second[:-50], second[-50:], site=site_of(max_header=200))
    assert [request.body for request in reader.ready] == [b"x" * 5000, b"y" * 100]


def test_tiny_chunks_take_little_memory() -> None:
    chunks = b"2\r\nxy\r\n" * 1000
    reader = read(CHUNKED)
    tracemalloc.start()
    for _ in range(50):
        reader.feed(chunks)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reader.feed(b"0\r\n\r\n")
    assert reader.ready[0].body == b"xy" * 50_000
    assert held < 300_000


def test_many_pipelined_requests_are_cut_off() -> None:
    reader = read(GET * (MAX_PIPELINED + 50))
    assert len(reader.ready) == MAX_PIPELINED + 1
    assert [request.head.keep_alive for request in reader.ready] == [True] * MAX_PIPELINED + [False]
    assert reader.refusal is None
    assert reader.ended


def test_many_pipelined_upgrades_are_no_deeper_than_one() -> None:
    upgrade = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
    assert len(read(upgrade * 500).ready) == MAX_PIPELINED + 1
