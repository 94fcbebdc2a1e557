"""One client connection: how answers stand on the wire, and what happens when they cannot."""

from __future__ import annotations

import pytest
from conversation import TIMEOUTS, Conversation, Exchange, post

from gateway.errors import bad_request

GET = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n"
GET_1_0 = b"GET /v1/models HTTP/1.0\r\n\r\n"


# -- answers


def test_transcript_of_a_plain_exchange() -> None:
    talk = Conversation(held=True).says(post(b"{}", b"user-agent: test"))
    assert talk.requests[0].summary == (b"POST", b"/v1/chat/completions", b"user-agent: test\r\n", b"{}")
    talk.requests[0].client.respond(200, [b"content-type: application/json\r\n"], b'{"a": 1}')
    assert talk.wire == (
        b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 8\r\n\r\n{"a": 1}'
    )
    assert talk.transport.writes == 1
    assert not talk.ended
    assert talk.site.buffered == 0


def test_transcript_of_a_stream() -> None:
    talk = Conversation(held=True).says(GET)
    client = talk.requests[0].client
    client.start(200, [b"content-type: text/event-stream\r\n"], None, b"data: 1\n\n")
    client.write(b"data: 2\n\n")
    client.end(b"data: [DONE]\n\n")
    assert talk.wire == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        b"9\r\ndata: 1\n\n\r\n"
        b"9\r\ndata: 2\n\n\r\n"
        b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
    )
    assert talk.transport.writes == 3
    assert not talk.ended


@pytest.mark.parametrize(("first", "last"), [(b"", b""), (b"ab", b""), (b"", b"ab"), (b"a", b"b")])
@pytest.mark.parametrize("length", [None, 2])
def test_body_may_come_first_or_last_or_not(length: int | None, first: bytes, last: bytes) -> None:
    if length is not None and len(first + last) != length:
        return
    talk = Conversation(held=True).says(GET)
    client = talk.requests[0].client
    client.start(200, [], length, first)
    client.end(last)
    assert talk.heard[0].body == first + last
    talk.says(GET)
    assert len(talk.requests) == 2


def test_each_answer_has_a_framing_of_its_own() -> None:
    talk = Conversation(held=True).says(GET + GET + GET)
    for number, length in enumerate([None, 2, None]):
        talk.requests[number].client.start(200, [], length, b"a")
        talk.requests[number].client.end(b"b")
    assert [answer.body for answer in talk.heard] == [b"ab"] * 3


def test_large_body_is_not_copied_into_the_head() -> None:
    talk = Conversation(held=True).says(GET)
    talk.requests[0].respond(b"x" * 100_000)
    assert talk.heard[0].body == b"x" * 100_000


def test_http_1_0_gets_no_chunks_and_the_end_of_the_connection() -> None:
    talk = Conversation(held=True).says(GET_1_0)
    client = talk.requests[0].client
    client.start(200, [], None, b"one ")
    client.write(b"two ")
    client.end(b"three")
    assert talk.wire == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\none two three"
    assert talk.ended


def test_http_1_0_gets_one_answer() -> None:
    keep_alive = b"GET /v1/models HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"
    talk = Conversation().says(keep_alive + keep_alive + b"nonsense")
    assert [answer.closes for answer in talk.heard] == [True]
    assert talk.ended


def head_request(talk: Conversation) -> Exchange:
    talk.says(GET.replace(b"GET", b"HEAD"))
    return talk.requests[-1]


def test_head_gets_no_body_but_its_length() -> None:
    talk = Conversation(held=True)
    head_request(talk).respond(b"answer")
    head_request(talk).client.respond(200, [], b"", 1234)
    head_request(talk).client.respond(200, [], b"")
    assert talk.wire == (
        b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n"
        b"HTTP/1.1 200 OK\r\n\r\n"
    )
    assert not talk.ended


@pytest.mark.parametrize("status", [204, 304])
def test_answer_that_cannot_have_a_body_has_none(status: int) -> None:
    talk = Conversation(held=True).says(GET, GET)
    talk.requests[0].respond(b"not sent", status)
    talk.requests[1].respond(b"sent")
    assert [answer.body for answer in talk.heard] == [b"", b"sent"]
    assert b"content-length" not in talk.heard[0].fields


def test_error_of_our_own_has_the_shape_of_the_api() -> None:
    talk = Conversation(held=True)
    for path in (b"/v1/chat/completions", b"/v1/messages", b"/v1/messages/batches"):
        talk.says(b"POST %b HTTP/1.1\r\nhost: gw\r\n\r\n" % path)
        talk.requests[-1].client.refuse(bad_request("Bad.", code="bad"), [b"x-request-id: 7\r\n"])
    openai, *anthropic = talk.heard
    assert openai.error == {
        "message": "Bad.",
        "type": "invalid_request_error",
        "param": None,
        "code": "bad",
    }
    assert openai.fields[b"content-type"] == b"application/json"
    assert openai.fields[b"x-request-id"] == b"7"
    assert openai.fields[b"date"]
    for answer in anthropic:
        assert answer.body.startswith(b'{"type":"error",')
        assert answer.error == {"type": "invalid_request_error", "message": "Bad."}
    assert not talk.ended


# -- an answer that breaks off


def test_cut_chunks_have_no_last_one() -> None:
    talk = Conversation(held=True).says(post(b"1") + post(b"2"))
    talk.requests[0].client.start(200, [], None, b"a")
    talk.requests[0].client.cut(b"error")
    assert talk.wire.endswith(b"\r\n\r\n1\r\na\r\n5\r\nerror\r\n")
    assert talk.transport.closed
    assert not talk.transport.aborted
    talk.leaves()
    assert talk.requests[0].told == []
    assert len(talk.requests) == 1
    assert talk.site.buffered == 0


def test_cut_length_is_not_reached() -> None:
    talk = Conversation(held=True).says(GET)
    talk.requests[0].client.start(200, [], 10, b"half")
    talk.requests[0].client.cut()
    assert talk.wire.endswith(b"half")
    assert talk.transport.closed


def test_cut_end_of_connection_is_a_reset() -> None:
    talk = Conversation(held=True).says(GET_1_0)
    talk.requests[0].client.start(200, [], None, b"half")
    talk.requests[0].client.cut()
    assert talk.transport.aborted


def test_client_that_does_not_read_a_cut_answer_is_cut_off() -> None:
    talk = Conversation(held=True).says(GET)
    talk.requests[0].client.start(200, [], None, b"half")
    talk.transport.unsent = 1
    talk.requests[0].client.cut()
    talk.waits(TIMEOUTS.keepalive)
    assert talk.transport.aborted


def test_connection_can_be_ended_at_once() -> None:
    talk = Conversation(held=True).says(GET)
    talk.connection.abort()
    assert talk.transport.aborted


def test_repr_tells_the_state() -> None:
    talk = Conversation(held=True).says(GET + GET)
    assert repr(talk.connection) == (
        "<ClientConnection answering=<Request GET /v1/models> "
        "<RequestReader ready=1 reading=None refusal=None>>"
    )
