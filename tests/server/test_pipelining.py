"""Several requests on one connection: their order, their bounds, and which of them is the last."""

from __future__ import annotations

import pytest
from conversation import CONTINUE, HEAD, Conversation, post, splits

from gateway.config.schema import Limits

GET = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n"
GET_1_0 = b"GET /v1/models HTTP/1.0\r\n\r\n"
SMALL = Limits(max_header=1000)


# -- pipelining


def test_answers_stand_in_the_order_of_the_requests() -> None:
    talk = Conversation(held=True).says(post(b"1") + post(b"2"), post(b"3")[:-1], b"3" + post(b"4"))
    for number in range(4):
        assert len(talk.requests) == number + 1, "one at a time"
        assert talk.requests[number].request.body == b"%d" % (number + 1)
        talk.requests[number].respond(b"answer %d" % (number + 1))
    assert [answer.body for answer in talk.heard] == [b"answer %d" % n for n in range(1, 5)]
    assert talk.site.buffered == 0


TRANSCRIPTS = {
    "pipelined": post(b"1") + GET + post(b"22") + GET,
    "bad behind good": post(b"1") + HEAD + b"content-length: x\r\n\r\n" + GET,
    "unknown method behind good": post(b"1") + b"FOO / HTTP/1.1\r\n\r\n" + GET,
    "close, then more": post(b"1", b"connection: close") + post(b"2"),
    "HTTP/1.0, then more": GET_1_0 + GET,
    "refused by its head": HEAD + b"content-length: 99999999999\r\n\r\n" + GET,
    "upgrade": post(b"1", b"connection: upgrade", b"upgrade: h2c") + post(b"2"),
    "chunks and trailers": HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\n\r\n" + GET,
    "expects": post(b"1", b"expect: 100-continue") + post(b"2", b"expect: 100-continue"),
    "HEAD, OPTIONS": GET.replace(b"GET", b"HEAD") + GET.replace(b"GET", b"OPTIONS") + GET,
    "unfinished": post(b"1") + post(b"22")[:-1],
}


@pytest.mark.parametrize("data", TRANSCRIPTS.values(), ids=TRANSCRIPTS)
def test_split_of_the_bytes_makes_no_difference(data: bytes) -> None:
    whole = Conversation().says(data).outcome
    for pieces in splits(data):
        assert Conversation().says(*pieces).outcome == whole, pieces


def test_bad_request_behind_a_good_one_waits_for_its_answer() -> None:
    talk = Conversation(held=True).says(post(b"1") + b"GET /v1/models HTTP/1.1\r\n\r\n" + GET)
    assert talk.wire == b""
    talk.requests[0].respond()
    assert [answer.status for answer in talk.heard] == [200, 400]
    assert [answer.closes for answer in talk.heard] == [False, True]
    assert talk.ended
    assert len(talk.requests) == 1


def test_nothing_is_said_behind_an_answer_that_closes() -> None:
    talk = Conversation(held=True).says(
        GET_1_0.replace(b"\r\n\r\n", b"\r\nconnection: keep-alive\r\n\r\n") + b"BAD "
    )
    talk.requests[0].respond()
    assert [answer.status for answer in talk.heard] == [200]
    assert talk.ended


def test_more_pipelined_bytes_than_a_head_may_have_close_behind_the_answer() -> None:
    talk = Conversation(held=True, limits=SMALL).says(post(b"1"))
    for _ in range(30):
        talk.says(post(b"x" * 10))
    talk.requests[0].respond()
    assert [answer.closes for answer in talk.heard] == [True]
    assert talk.ended
    assert len(talk.requests) == 1
    assert talk.site.buffered == 0


def test_parsed_requests_are_still_answered_when_more_bytes_are_pipelined() -> None:
    talk = Conversation(held=True, limits=SMALL).says(post(b"1") + post(b"2"))
    talk.says(*([post(b"x" * 10)] * 30))
    talk.requests[0].respond()
    talk.requests[1].respond()
    assert [answer.closes for answer in talk.heard] == [False, True]
    assert talk.ended


def test_pipelined_bytes_up_to_the_limit_are_answered() -> None:
    talk = Conversation(limits=SMALL, held=True).says(post(b"1"))
    for _ in range(8):
        talk.says(post(b"2"))
    talk.requests[0].respond()
    for number in range(1, 9):
        talk.requests[number].respond()
    assert len(talk.heard) == 9
    assert not talk.ended


def test_bytes_that_were_answered_are_not_held_against_those_that_come_later() -> None:
    talk = Conversation(limits=SMALL, held=True).says(post(b"1"))
    for number in range(30):
        talk.says(post(b"x" * 100))
        talk.requests[number].respond()
    talk.requests[30].respond()
    assert len(talk.heard) == 31
    assert not talk.ended


def test_requests_that_come_at_once_are_answered_however_deep() -> None:
    assert len(Conversation().says(GET * 250).heard) == 250


# -- Connection: close and draining


def test_close_is_announced_and_done() -> None:
    talk = Conversation().says(post(b"1", b"connection: close"))
    assert talk.heard[0].closes
    assert talk.transport.closed
    assert not talk.transport.aborted


def test_stream_tells_that_it_is_the_last_answer() -> None:
    talk = Conversation(held=True).says(post(b"1", b"connection: close"))
    talk.requests[0].client.start(200, [], None, b"a")
    talk.requests[0].client.end(b"")
    assert talk.heard[0].closes
    assert talk.ended


def test_surplus_behind_close_is_ignored() -> None:
    talk = Conversation(held=True).says(post(b"1", b"connection: close") + post(b"2"), b"garbage")
    talk.requests[0].respond()
    assert len(talk.heard) == 1
    assert len(talk.requests) == 1
    assert talk.ended


def test_draining_ends_a_connection_behind_the_answer_that_is_due() -> None:
    talk = Conversation(held=True).says(GET + GET)
    talk.site.draining = True
    talk.requests[0].respond()
    assert len(talk.heard) == 1
    assert talk.ended


def test_request_that_comes_while_draining_is_the_last() -> None:
    talk = Conversation()
    talk.site.draining = True
    talk.says(GET + GET)
    assert [answer.closes for answer in talk.heard] == [True]
    assert talk.ended


def test_connection_is_busy_while_anything_is_under_way() -> None:
    talk = Conversation(held=True)
    busy = [talk.connection.busy, talk.says(GET[:5]).connection.busy, talk.says(GET[5:]).connection.busy]
    assert busy == [False, True, True]
    talk.requests[0].respond()
    talk.transport.unsent = 1
    busy = [talk.connection.busy]
    talk.transport.unsent = 0
    refused = b"BAD / HTTP/1.1\r\n\r\n"
    busy += [talk.connection.busy, talk.says(refused).connection.busy]
    assert busy == [True, False, True]  # an answer is to be written, nothing is, a refusal is to be read


def test_idle_connection_is_finished_at_once() -> None:
    for talk in (Conversation(), Conversation().says(GET)):
        talk.connection.finish()
        assert talk.transport.closed


def test_busy_connection_is_finished_behind_its_answer_which_says_so() -> None:
    talk = Conversation(held=True).says(GET + GET)
    talk.connection.finish()
    assert not talk.ended
    talk.requests[0].respond()
    assert [answer.closes for answer in talk.heard] == [True]
    assert talk.ended


def test_request_that_has_begun_to_come_is_answered() -> None:
    talk = Conversation().says(GET[:5])
    talk.site.draining = True
    talk.connection.finish()
    talk.says(GET[5:])
    assert [answer.closes for answer in talk.heard] == [True]


def test_refusal_can_be_read_though_the_connection_is_to_finish() -> None:
    talk = Conversation().says(b"nonsense\r\n\r\n")
    talk.connection.finish()
    assert not talk.transport.closed


# -- Expect: 100-continue (RFC 9110 section 10.1.1)

EXPECTS = HEAD + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n"


def test_client_that_waits_is_told_to_go_on_once() -> None:
    talk = Conversation().says(EXPECTS)
    assert talk.wire == CONTINUE
    talk.says(b"a")
    assert talk.wire == CONTINUE
    talk.says(b"b")
    assert talk.requests[0].request.body == b"ab"
    assert talk.wire.count(CONTINUE) == 1


def test_client_that_does_not_wait_is_not_told() -> None:
    assert CONTINUE not in Conversation().says(EXPECTS + b"ab").wire
    assert CONTINUE not in Conversation().says(EXPECTS + b"a", b"b").wire


def test_pipelined_client_is_told_when_its_turn_comes() -> None:
    talk = Conversation(held=True).says(GET + EXPECTS)
    assert talk.wire == b""
    talk.requests[0].respond()
    assert talk.wire.endswith(CONTINUE)
    talk.says(b"ab")
    assert talk.requests[1].request.body == b"ab"


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"content-length: 99999999999\r\n", 413),
        (b"content-length: 2\r\nhost: two\r\n", 400),
        (b"content-length: 2\r\ntransfer-encoding: chunked\r\n", 400),
    ],
)
def test_refused_client_is_not_told_to_go_on(lines: bytes, status: int) -> None:
    talk = Conversation().says(HEAD + b"expect: 100-continue\r\n" + lines + b"\r\n")
    assert CONTINUE not in talk.wire
    assert [answer.status for answer in talk.heard] == [status]
