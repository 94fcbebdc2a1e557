"""`usage.inject`: who is asked, and that the client's stream is as if nobody had."""

from __future__ import annotations

import msgspec
import pytest

from gateway.errors import GatewayError
from gateway.proxy.inject import UsageRemover, with_usage_asked


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m"}',
        b'{"model":"m","stream":false}',
        b'{"stream":true,"stream_options":{"include_usage":true}}',
        b'{"stream":"true"}',
        b'{"stream":true,"stream_options":3}',
        b"[]",
        b"{",
        b"",
    ],
)
def test_body_that_is_not_changed(body: bytes) -> None:
    assert with_usage_asked(body) is None


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_obfuscation": False}])
def test_stream_is_asked_for_its_usage(options: dict[str, bool] | None) -> None:
    request = {"model": "m", "seed": 12345678901234567890, "stream": True, "stream_options": options}
    asked = with_usage_asked(msgspec.json.encode(request))
    assert asked is not None
    expected = {**request, "stream_options": {**(options or {}), "include_usage": True}}
    assert msgspec.json.decode(asked) == expected


class Client:
    """Notes what reaches it."""

    def __init__(self) -> None:
        self.body = b""
        self.ended = ""

    def start(self, status: int, fields: list[bytes], length: int | None, data: bytes) -> None:
        self.body += data

    def write(self, data: bytes) -> None:
        assert data
        self.body += data

    def end(self, data: bytes) -> None:
        self.body += data
        self.ended = "whole"

    def cut(self, data: bytes = b"") -> None:
        self.body += data
        self.ended = "cut"

    def respond(self, status: int, fields: list[bytes], body: bytes, length: int | None = None) -> None:
        self.body = body
        self.ended = "whole"

    def refuse(self, error: GatewayError, fields: list[bytes]) -> None:
        raise AssertionError

    def date_field(self) -> tuple[bytes, ...]:
        return ()


CHUNK = b'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5}}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("crlf", [False, True])
def test_only_the_usage_event_is_taken_out_in_every_split(crlf: bool) -> None:
    stream, expected = (
        CHUNK + b": comment\n\n" + CHUNK + USAGE + DONE,
        CHUNK + b": comment\n\n" + CHUNK + DONE,
    )
    if crlf:
        stream, expected = stream.replace(b"\n", b"\r\n"), expected.replace(b"\n", b"\r\n")
    for at in range(len(stream) + 1):
        client = Client()
        remover = UsageRemover(client)
        remover.start(200, [], None, stream[:at])
        remover.write(stream[at:])
        remover.end(b"")
        assert (client.body, client.ended) == (expected, "whole"), at


def test_stream_that_came_whole() -> None:
    client = Client()
    UsageRemover(client).respond(200, [], CHUNK + USAGE + DONE)
    assert client.body == CHUNK + DONE


def test_what_cannot_be_read_goes_through() -> None:
    client = Client()
    remover = UsageRemover(client)
    remover.start(200, [], None, b'data: {"usage" broken\n\n' + b'data: "usage"\n\nhalf an ev')
    remover.cut(b"\n\ndata: {}\n\n")
    assert client.body == b'data: {"usage" broken\n\ndata: "usage"\n\nhalf an ev\n\ndata: {}\n\n'
    assert client.ended == "cut"
