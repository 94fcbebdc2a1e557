"""Keys are masked wherever a provider echoes them, however its answer is coded and divided."""

from __future__ import annotations

import gzip
import itertools
import zlib

import pytest
from heads import head
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError, bad_request
from gateway.proxy.masking import MaskingClient, masked, reveals, without_secrets

KEY = b"sk-0123456789"
STARS = b"*" * len(KEY)
ECHO = b'{"error": {"message": "Incorrect API key provided: sk-0123456789."}}'


class Client:
    """A client that remembers what it was given."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.length: int | None = None
        self.ended = ""

    @property
    def body(self) -> bytes:
        return b"".join(self.writes)

    def respond(self, status: int, fields: list[bytes], body: bytes, length: int | None = None) -> None:
        self.writes.append(body)
        self.ended = "respond"

    def refuse(self, error: GatewayError, fields: list[bytes]) -> None:
        self.ended = f"refuse {error.status}"

    def start(self, status: int, fields: list[bytes], length: int | None, data: bytes) -> None:
        self.length = length
        self.writes.append(data)

    def write(self, data: bytes) -> None:
        assert data, "an empty write would end a chunked body"
        self.writes.append(data)

    def end(self, data: bytes) -> None:
        self.writes.append(data)
        self.ended = "end"

    def cut(self, data: bytes = b"") -> None:
        self.writes.append(data)
        self.ended = "cut"

    def date_field(self) -> tuple[bytes, ...]:
        return (b"date", b": ", b"today", b"\r\n")


# Bytes.


@pytest.mark.parametrize(
    ("data", "secrets", "expected"),
    [
        (b"key sk-1 and sk-1", (b"sk-1",), b"key **** and ****"),
        (b"sk-1sk-1", (b"sk-1",), b"********"),
        (b"sk-2 or sk-1", (b"sk-1", b"sk-2"), b"**** or ****"),
        (b"sk-long and sk", (b"sk-long", b"sk"), b"******* and **"),
        (b"nothing", (b"sk-1",), b"nothing"),
        (b"sk-1", (), b"sk-1"),
        (b"", (b"sk-1",), b""),
    ],
)
def test_every_secret_becomes_as_many_stars(data: bytes, secrets: tuple[bytes, ...], expected: bytes) -> None:
    assert masked(data, secrets) == expected
    assert reveals(data, secrets) == (data != expected)


# Whole responses.


def test_header_fields_and_body_are_masked() -> None:
    echo = head(401, x_echo=f"Bearer {KEY.decode()}", content_type="application/json")
    fields, data = without_secrets(echo, ECHO, (KEY,), True)
    assert b"Bearer " + STARS in fields
    assert data == ECHO.replace(KEY, STARS)
    assert len(data) == len(ECHO)


def test_nothing_changes_without_a_secret_in_it() -> None:
    clean = head(401, x_other="value", content_encoding="gzip")
    body = gzip.compress(b"no key")
    fields, data = without_secrets(clean, body, (KEY,), True)
    assert fields is clean.fields
    assert data is body


RAW_DEFLATE = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(ECHO)),
        ("GZIP", gzip.compress(ECHO)),
        ("x-gzip", gzip.compress(ECHO)),
        ("deflate", zlib.compress(ECHO)),
        ("deflate", RAW_DEFLATE.compress(ECHO) + RAW_DEFLATE.flush()),
    ],
    ids=["gzip", "GZIP", "x-gzip", "deflate", "raw deflate"],
)
def test_a_coded_error_that_shows_a_secret_goes_out_decoded(coding: str, body: bytes) -> None:
    error = head(400, content_type="application/json", content_encoding=coding, x_other="1")
    fields, data = without_secrets(error, body, (KEY,), True)
    assert data == ECHO.replace(KEY, STARS)
    assert b"".join(fields) == b"content-type: application/json\r\nx-other: 1\r\n"


@pytest.mark.parametrize(
    ("status", "coding", "body", "complete"),
    [
        (200, "gzip", gzip.compress(ECHO), True),  # answers are not decoded, for their cost
        (401, "gzip", gzip.compress(ECHO)[:20], False),
        (401, "br", b"\x0b\x02\x80", True),
        (401, "gzip", b"this is not gzip", True),
        (401, "gzip", b"", True),
        (401, "gzip", gzip.compress(ECHO + b" " * 1024 * 1024), True),
    ],
    ids=["no error", "not whole", "other coding", "not gzip", "empty", "bomb"],
)
def test_what_cannot_be_looked_into_stays_as_it_is(
    status: int, coding: str, body: bytes, complete: bool
) -> None:
    coded = head(status, content_encoding=coding)
    assert without_secrets(coded, body, (KEY,), complete) == (coded.fields, body)


# Divided responses.

TEXT = b"a sk-0123456789 b sk-0123456789sk-0123456789 c sk-01234"
CLEAN = TEXT.replace(KEY, STARS)


def passed(pieces: list[bytes], secrets: tuple[bytes, ...] = (KEY,)) -> Client:
    client = Client()
    masking = MaskingClient(client, secrets)
    first, *middle, last = pieces
    masking.start(500, [], 99, first)
    for piece in middle:
        masking.write(piece)
    masking.end(last)
    return client


def test_a_secret_is_masked_however_one_read_divides_it() -> None:
    for cut in range(len(TEXT) + 1):
        client = passed([TEXT[:cut], TEXT[cut:]])
        assert client.body == CLEAN
        assert (client.length, client.ended) == (99, "end")


def test_a_secret_is_masked_however_two_reads_divide_it() -> None:
    for first, second in itertools.combinations(range(len(TEXT)), 2):
        assert passed([TEXT[:first], TEXT[first:second], TEXT[second:]]).body == CLEAN


def test_a_secret_is_masked_byte_by_byte() -> None:
    assert passed([TEXT[at : at + 1] for at in range(len(TEXT))]).body == CLEAN


SECRETS = st.lists(st.text("ab", min_size=1, max_size=4).map(str.encode), min_size=1, max_size=3)


@settings(deadline=None)
@given(pieces=st.lists(st.text("abc", max_size=6).map(str.encode), min_size=2, max_size=6), secrets=SECRETS)
def test_no_part_of_a_secret_slips_through(pieces: list[bytes], secrets: list[bytes]) -> None:
    body = passed(pieces, tuple(sorted(secrets, key=len, reverse=True))).body
    assert len(body) == sum(map(len, pieces))
    assert not reveals(body, tuple(secrets))


def test_only_what_may_be_a_secret_s_beginning_is_kept_back() -> None:
    client = Client()
    masking = MaskingClient(client, (KEY,))
    masking.start(500, [], None, b"text s")
    masking.write(b"k-0")
    masking.write(b"ther sk-0123")
    masking.write(b"45678")
    masking.write(b"x")
    assert client.writes == [b"text ", b"sk-0ther ", b"sk-012345678x"]


def test_what_is_kept_back_of_a_response_that_breaks_off_is_not_sent() -> None:
    client = Client()
    masking = MaskingClient(client, (KEY,))
    masking.start(500, [], None, b"text sk-012345678")
    masking.cut()
    assert (client.body, client.ended) == (b"text ", "cut")


def test_other_answers_go_through() -> None:
    client = Client()
    masking = MaskingClient(client, (KEY,))
    masking.refuse(bad_request("no"), [])
    assert client.ended == "refuse 400"
    masking.respond(200, [], b"body")
    assert client.body == b"body"
    assert masking.date_field() == client.date_field()
