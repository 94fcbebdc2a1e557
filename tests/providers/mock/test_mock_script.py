"""Scripts and alterations: the steps of each fault, without a connection or a clock."""

from __future__ import annotations

import json
import zlib
from itertools import islice
from typing import Any

import httptools
import pytest

from gateway.providers.mock import alter as alterations
from gateway.providers.mock import script as scripts
from gateway.providers.mock.alter import alter
from gateway.providers.mock.answer import Answer, Call, json_answer, stream_answer
from gateway.providers.mock.faults import KINDS, OK, parse
from gateway.providers.mock.script import MAX_WRITE, Act, Scene, Step, Wait, script

EVENTS = [b'data: {"n":1}\n\n', b'data: {"n":2}\n\n', b"data: [DONE]\n\n"]
STREAM = stream_answer(EVENTS)
PLAIN = json_answer({"a": 1})
CALL = Call("POST", "/v1/chat/completions")


def steps(fault: str = "ok", answer: Answer = STREAM, **scene: Any) -> list[Step]:
    return list(script(Scene(answer, parse(fault), **scene)))


def sent(fault: str = "ok", answer: Answer = STREAM, **scene: Any) -> bytes:
    return b"".join(step for step in steps(fault, answer, **scene) if isinstance(step, bytes))


def end(fault: str, answer: Answer = STREAM, **scene: Any) -> Step:
    return steps(fault, answer, **scene)[-1]


def altered(fault: str, answer: Answer = STREAM, call: Call = CALL, credential: str = "") -> Answer:
    return alter(answer, parse(fault), call, credential)


class Reader:
    """What a strict client makes of the bytes."""

    def __init__(self) -> None:
        self.messages = 0
        self.pieces: list[bytes] = []
        self.parser = httptools.HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        self.messages += 1


def read(data: bytes) -> Reader:
    reader = Reader()
    reader.parser.feed_data(data)
    return reader


def test_every_fault_is_played_by_one_of_the_two() -> None:
    """`early` is both: an error of content, sent at the wrong time."""
    played = [*alterations._ALTERATIONS, *scripts._SCRIPTS, "ok"]
    assert sorted(played) == sorted(KINDS)


@pytest.mark.parametrize("answer", [PLAIN, STREAM], ids=["plain", "stream"])
def test_a_right_answer_is_one_write_and_whole(answer: Answer) -> None:
    [only] = steps("ok", answer)
    assert isinstance(only, bytes)
    reader = read(only)
    assert (reader.messages, b"".join(reader.pieces)) == (1, answer.body)


def test_each_event_is_a_chunk() -> None:
    assert read(sent()).pieces == EVENTS


def test_the_interval_stands_between_events_only() -> None:
    first, *rest = steps(interval=0.5)
    assert isinstance(first, bytes)
    assert first.endswith(b"\r\n%b\r\n" % EVENTS[0])
    assert rest == [
        Wait(0.5),
        b"f\r\n%b\r\n" % EVENTS[1],
        Wait(0.5),
        b"e\r\n%b\r\n0\r\n\r\n" % EVENTS[2],
    ]


def test_the_latency_comes_before_the_first_byte() -> None:
    assert steps(latency=0.2)[0] == Wait(0.2)


def test_head_has_the_length_and_no_body() -> None:
    assert sent("ok", PLAIN, head_only=True).endswith(b"content-length: 7\r\n\r\n")
    assert sent("ok", STREAM, head_only=True).endswith(b"transfer-encoding: chunked\r\n\r\n")


def test_a_connection_that_is_not_kept_says_so_and_closes() -> None:
    assert b"\r\nconnection: close\r\n" in sent("ok", PLAIN, keep_alive=False)
    assert end("ok", PLAIN, keep_alive=False) is Act.CLOSE
    assert end("long", PLAIN, keep_alive=False) is Act.CLOSE


def test_an_http_1_0_client_gets_no_chunks() -> None:
    data = sent(http_1_0=True, keep_alive=False)
    assert b"chunked" not in data
    assert data.endswith(b"\r\n\r\n" + STREAM.body)


@pytest.mark.parametrize("status", [204, 304])
def test_these_statuses_have_no_body_and_no_framing(status: int) -> None:
    data = sent("ok", Answer((b"x",), status=status))
    assert b"content-length" not in data
    assert data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("fault", "only"),
    [("reset", Act.RESET), ("refuse", Act.RESET), ("close", Act.CLOSE), ("stall", Act.HANG)],
)
def test_faults_without_a_byte(fault: str, only: Act) -> None:
    assert steps(fault) == [only]


@pytest.mark.parametrize(
    ("fault", "ending"),
    [("cut", Act.CLOSE), ("reset_body", Act.RESET), ("stall_body", Act.HANG), ("malformed_chunk", Act.CLOSE)],
)
def test_a_body_that_breaks_off(fault: str, ending: Act) -> None:
    assert end(fault) is ending
    head, _, body = sent(f"{fault};after=2;part=1").partition(b"\r\n\r\n")
    assert head.endswith(b"transfer-encoding: chunked")
    whole = b"".join(b"f\r\n%b\r\n" % event for event in EVENTS[:2])
    assert body.startswith(whole + b"e\r\ndata: ")
    assert not body.endswith(b"0\r\n\r\n")
    assert sent("cut;after=0").endswith(b"chunked\r\n\r\n")


def test_a_plain_answer_can_break_off_too() -> None:
    assert read(sent("cut;after=0;part=1", PLAIN)).pieces == [PLAIN.body[:3]]


@pytest.mark.parametrize("fault", ["garbage", "malformed_chunk", "cl_te", "two_cl", "nul_header"])
def test_what_a_strict_client_refuses(fault: str) -> None:
    with pytest.raises(httptools.HttpParserError):
        read(sent(fault))


def test_two_lengths_differ() -> None:
    head = sent("two_cl", PLAIN)
    assert b"content-length: 7\r\n" in head
    assert b"content-length: 8\r\n" in head


def test_a_body_shorter_than_its_length() -> None:
    reader = read(sent("short", PLAIN))
    assert (reader.messages, b"".join(reader.pieces)) == (0, PLAIN.body[:3])
    assert end("short", PLAIN) is Act.CLOSE


def test_a_body_longer_than_its_length() -> None:
    head, _, body = sent("long", PLAIN).partition(b"\r\n\r\n")
    assert head.endswith(b"content-length: 7")
    assert body == PLAIN.body + b"surplus"


def test_a_second_response() -> None:
    assert read(sent("unasked")).messages == 2
    assert Wait(0.1) in steps("unasked;delay=100ms")


def test_informational_responses_come_first() -> None:
    data = sent("informational;n=2")
    assert data.count(b"HTTP/1.1 100 Continue\r\n\r\n") == data.count(b"HTTP/1.1 103 Early Hints\r\n") == 2
    assert data.index(b"HTTP/1.1 200 OK") > data.rindex(b"HTTP/1.1 103")


def test_switching_protocols_is_followed_by_silence() -> None:
    assert sent("switching").startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert end("switching") is Act.HANG


@pytest.mark.parametrize(("fault", "version"), [("close_delimited", b"1.1"), ("http10", b"1.0")])
def test_a_body_ended_by_the_connection(fault: str, version: bytes) -> None:
    data = sent(fault)
    assert data.startswith(b"HTTP/%b 200 OK\r\n" % version)
    assert b"content-length" not in data
    assert b"chunked" not in data
    assert data.endswith(EVENTS[-1])
    assert sent(f"{fault};terminal=0").endswith(EVENTS[-2])
    assert end(fault) is Act.CLOSE


def test_a_stale_connection_answers_once() -> None:
    assert end("stale") is Act.CLOSE_ON_NEXT
    assert end("stale;reset=1") is Act.RESET_ON_NEXT
    assert read(sent("stale")).messages == 1


def test_half_a_head() -> None:
    data = sent("reset_in_head")
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\n" not in data
    assert end("reset_in_head") is Act.RESET


def test_a_drip_is_one_byte_after_each_interval() -> None:
    _, *drip = steps("slow_drip;interval=1ms", PLAIN)
    assert drip[::2] == [Wait(0.001)] * len(PLAIN.body)
    assert b"".join(piece for piece in drip[1::2] if isinstance(piece, bytes)) == PLAIN.body


@pytest.mark.parametrize("fault", ["endless", "endless_head"])
def test_what_has_no_end_comes_in_bounded_writes(fault: str) -> None:
    for step in islice(script(Scene(PLAIN, parse(fault))), 10):
        assert isinstance(step, bytes)
        assert len(step) < MAX_WRITE + 2000


def test_an_endless_stream_is_an_event_stream_that_keeps_its_pace() -> None:
    first, pause, second = islice(script(Scene(PLAIN, parse("endless"), interval=0.1)), 3)
    assert isinstance(first, bytes)
    assert isinstance(second, bytes)
    assert b"content-type: text/event-stream" in first
    assert pause == Wait(0.1)
    assert second.count(b"data: ") == 1


def test_an_early_answer_says_all_and_half_closes_before_it_waits() -> None:
    answer = altered("early;linger=3s")
    data, *rest = steps("early;linger=3s", answer)
    assert isinstance(data, bytes)
    assert data.startswith(b"HTTP/1.1 413 ")
    assert data.endswith(answer.body)
    assert rest == [Act.SHUT_WRITE, Wait(3.0), Act.CLOSE]


@pytest.mark.parametrize("fault", [name for name in scripts._SCRIPTS if name != "early"])
def test_a_fault_of_the_wire_leaves_the_answer_alone(fault: str) -> None:
    assert altered(fault) is STREAM


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", None),
        (401, "invalid_request_error", "invalid_api_key"),
        (418, "invalid_request_error", None),
        (429, "requests", "rate_limit_exceeded"),
        (500, "server_error", None),
        (599, "server_error", None),
    ],
)
def test_an_error_status_has_a_fitting_body(status: int, kind: str, code: str | None) -> None:
    answer = altered(str(status))
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["type"], error["code"]) == (status, kind, code)
    assert sent("ok", answer).startswith(b"HTTP/1.1 %d " % status)


def test_type_and_code_of_an_error_can_be_chosen() -> None:
    error = json.loads(altered("429;type=insufficient_quota;code=no_credit").body)["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "no_credit")


def test_retry_after_in_each_form() -> None:
    assert altered("429;retry_after=2").fields == (("retry-after", "2"),)
    assert altered("429;retry_after_ms=1500").fields == (("retry-after-ms", "1500"),)
    assert altered("429").fields == ()


def test_the_key_is_echoed_only_on_demand() -> None:
    assert b"sk-secret" in altered("401;echo_key=1", credential="sk-secret").body
    assert b"sk-secret" not in altered("401", credential="sk-secret").body


@pytest.mark.parametrize(("code", "value"), [("overloaded", "overloaded"), ("429", 429), ("", None)])
def test_an_error_event_after_some_events(code: str, value: object) -> None:
    first, error = altered(f"error_event;after=1;type=odd;code={code}").pieces
    assert first == EVENTS[0]
    content = json.loads(error.removeprefix(b"data: "))["error"]
    assert (content["type"], content["code"]) == ("odd", value)


def test_an_error_event_where_no_stream_was_asked_for() -> None:
    answer = altered("error_event;after=1", PLAIN)
    assert answer.is_event_stream
    assert len(answer.pieces) == 1


def test_an_error_event_of_a_response_is_typed() -> None:
    [error] = altered("error_event;code=boom", call=Call("POST", "/v1/responses")).pieces
    assert error.startswith(b"event: error\ndata: ")
    content = json.loads(error.partition(b"data: ")[2])
    assert (content["type"], content["code"]) == ("error", "boom")


def test_streams_with_something_missing_or_odd() -> None:
    assert altered("empty_stream").pieces == ()
    assert altered("no_done").pieces == tuple(EVENTS[:-1])
    assert altered("no_done", PLAIN) is PLAIN
    assert altered("comment_only;n=2").pieces == (b": keep-alive\n\n",) * 2
    odd = altered("bad_json_event;after=1").pieces
    assert (odd[0], *odd[2:]) == tuple(EVENTS)
    with pytest.raises(json.JSONDecodeError):
        json.loads(odd[1].removeprefix(b"data: "))


def test_other_answers() -> None:
    assert (altered("redirect;location=/x").status, altered("redirect;location=/x").fields) == (
        302,
        (("location", "/x"),),
    )
    assert altered("no_content").status == 204
    assert altered("ok") is STREAM
    assert alter(PLAIN, OK, CALL, "") is PLAIN


@pytest.mark.parametrize("answer", [PLAIN, STREAM], ids=["plain", "stream"])
def test_a_compressed_body_can_be_read_piece_by_piece(answer: Answer) -> None:
    compressed = altered("gzip", answer)
    assert ("content-encoding", "gzip") in compressed.fields
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    assert [decompressor.decompress(piece) for piece in compressed.pieces] == list(answer.pieces)
    assert decompressor.eof


@pytest.mark.parametrize("size", [16, 65536, 1_000_000])
def test_a_big_body_has_its_size_and_is_json(size: int) -> None:
    body = altered(f"big;size={size}").body
    assert len(body) == size
    json.loads(body)
