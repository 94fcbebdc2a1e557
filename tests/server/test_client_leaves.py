"""FIN and reset: who is answering learns it at once, once, and nothing more is written."""

from __future__ import annotations

import pytest
from conversation import TIMEOUTS, Conversation, post

GET = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n"


RESET = ConnectionResetError()


@pytest.mark.parametrize("error", [None, RESET], ids=["FIN", "RST"])
@pytest.mark.parametrize("behind", [b"", GET, GET[:10], b"BAD\r\n"])
def test_client_that_leaves_before_its_answer_is_made_known_once(
    error: Exception | None, behind: bytes
) -> None:
    for pieces in ([post(b"1") + behind], [post(b"1"), behind]):
        talk = Conversation(held=True).says(*pieces)
        talk.leaves(error)
        assert talk.requests[0].told == ["gone"]
        assert len(talk.requests) == 1
        assert talk.wire == b""
        assert talk.site.buffered == 0
        assert not talk.site.connections


@pytest.mark.parametrize("error", [None, RESET], ids=["FIN", "RST"])
def test_client_that_leaves_in_a_stream_is_made_known_once(error: Exception | None) -> None:
    talk = Conversation(held=True).says(post(b"1") + GET)
    talk.requests[0].client.start(200, [], None, b"a")
    before = talk.wire
    talk.leaves(error)
    assert talk.requests[0].told == ["gone"]
    assert talk.wire == before
    assert len(talk.requests) == 1


def test_fin_is_made_known_before_the_connection_is_lost() -> None:
    talk = Conversation(held=True).says(GET)
    assert not talk.connection.eof_received()
    assert talk.requests[0].told == ["gone"]


@pytest.mark.parametrize("error", [None, RESET], ids=["FIN", "RST"])
def test_client_that_leaves_with_its_answer_is_not_missed(error: Exception | None) -> None:
    talk = Conversation(held=True).says(GET)
    talk.requests[0].respond()
    talk.leaves(error)
    assert talk.requests[0].told == []
    assert not talk.site.connections


def test_nothing_is_begun_for_a_client_that_has_left() -> None:
    talk = Conversation(held=True).says(GET + GET)
    talk.connection.pause_writing()
    talk.requests[0].respond()
    talk.connection.eof_received()
    talk.transport.closed = True
    talk.connection.resume_writing()  # the transport still writes what was answered
    assert len(talk.requests) == 1


def test_client_that_leaves_without_reading_is_cut_off() -> None:
    talk = Conversation(held=True).says(GET)
    talk.transport.unsent = 100
    talk.connection.eof_received()
    talk.transport.closed = True
    talk.waits(TIMEOUTS.keepalive)
    assert talk.transport.aborted


def test_client_that_leaves_in_the_middle_of_a_request_is_not_answered() -> None:
    talk = Conversation().says(post(b"12345")[:-1])
    talk.leaves()
    assert talk.requests == []
    assert talk.wire == b""
    assert talk.site.buffered == 0
