"""A translated answer that is not whole never looks so, and what did not begin is tried again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from apis import CHAT, MESSAGES, SPEECHES, TEXT, Api, Speech, ask, begins, id_of, pairs
from clients import health_of
from doubles.running import over
from doubles.wire import Wire, WireDouble, stream, whole
from harness import Running

PAIRS = list(pairs())
WRAPPED = (
    "max_retries: 1, retry: {base_delay: 1ms}, circuit_breaker: {max_failures: 9}, timeouts: {idle: 60ms}"
)
MALFORMED = b"data: {not json\n\n"

translated = pytest.mark.parametrize(("api", "speech"), PAIRS, ids=id_of)
both_ways = pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])


def config(speech: Speech) -> str:
    return speech.backend.config(WRAPPED)


def failures(gateway: Running) -> Any:
    return health_of(gateway, "p")["failures"]


# -- broken in the middle


BREAKS: dict[str, Callable[[Speech, Sequence[bytes]], Wire]] = {
    "cut": lambda _, begun: stream(begun, "close"),
    "cut in an event": lambda speech, begun: stream([*begun, speech.events[-1][:-9]], "close"),
    "stalled": lambda _, begun: stream(begun, "hang"),
    "malformed": lambda speech, begun: stream([*begun, MALFORMED, *speech.events[len(begun) :]]),
    "error": lambda speech, begun: stream([*begun, speech.error]),
    "error, then cut": lambda speech, begun: stream([*begun, speech.error], "close"),
    "error, then stalled": lambda speech, begun: stream([*begun, speech.error], "hang"),
    "no last event": lambda _, begun: stream(begun),
    "half an event at the end": lambda speech, begun: stream([*begun, speech.events[-1][:-9]]),
}


@translated
@pytest.mark.parametrize("name", BREAKS)
def test_a_stream_that_breaks_tells_of_one_error(api: Api, speech: Speech, name: str) -> None:
    double = WireDouble(BREAKS[name](speech, speech.events[:5]))
    with over(config(speech), p=double) as gateway:
        heard = api.ask(gateway, speech.backend.model, stream=True)
        assert failures(gateway) == 1
    assert (heard.status, heard.is_whole) == (200, False)
    assert begins(api.text(heard))
    assert len(api.errors(heard)) == 1
    assert api.error_of(*heard.events()[-1]) or heard.events()[-1][0] == "response.failed"
    assert not api.has_end(heard)
    assert len(double.requests) == 1  # what has begun is never sent again


@translated
def test_a_stream_that_breaks_in_its_first_read_is_tried_again(api: Api, speech: Speech) -> None:
    at_once = b"".join([*speech.events[:5], MALFORMED, *speech.events[5:]])
    double = WireDouble(stream([at_once]), stream(speech.events))
    with over(config(speech), p=double) as gateway:
        heard = api.ask(gateway, speech.backend.model, stream=True)
        assert failures(gateway) == 0
    assert heard.is_whole
    assert api.has_end(heard)
    assert heard.fields["x-gateway-attempts"] == "2"


# -- before anything has gone out


FALSE_STARTS: dict[str, Callable[[Speech], Wire]] = {
    "error": lambda speech: stream([speech.error]),
    "error, then stalled": lambda speech: stream([speech.error], "hang"),
    "empty": lambda _: stream([]),
    "a comment": lambda _: stream([b": ping\n\n"]),
    "cut": lambda _: stream([], "close"),
    "cut in the first event": lambda speech: stream([speech.events[0][:-9]], "close"),
    "malformed": lambda _: stream([MALFORMED]),
    "malformed, then stalled": lambda _: stream([MALFORMED], "hang"),
    "not even an object": lambda _: stream([b"data: 7\n\n"]),
}


@translated
@pytest.mark.parametrize("name", FALSE_STARTS)
def test_a_false_start_is_tried_again(api: Api, speech: Speech, name: str) -> None:
    double = WireDouble(FALSE_STARTS[name](speech), stream(speech.events))
    with over(config(speech), p=double) as gateway:
        heard = api.ask(gateway, speech.backend.model, stream=True)
        assert failures(gateway) == 0
    assert (heard.status, heard.is_whole, heard.fields["x-gateway-attempts"]) == (200, True, "2")
    assert api.has_end(heard)
    assert not api.errors(heard)


@translated
@pytest.mark.parametrize("name", FALSE_STARTS)
def test_false_starts_alone_are_an_error(api: Api, speech: Speech, name: str) -> None:
    double = WireDouble(FALSE_STARTS[name](speech))
    with over(config(speech), p=double) as gateway:
        heard = api.ask(gateway, speech.backend.model, stream=True)
        assert failures(gateway) == 2
    assert (heard.status, heard.is_whole) == (502, True)
    assert heard.json()["error"]["message"]
    assert (heard.json().get("type") == "error") is (api is MESSAGES)


@translated
@pytest.mark.parametrize("then", ["end", "close", "hang", "end at once"])
def test_a_first_event_that_blames_the_request_is_passed_on(api: Api, speech: Speech, then: Any) -> None:
    at_once = Wire([b"".join(stream([speech.refusal]).pieces)])
    double = WireDouble(at_once if then == "end at once" else stream([speech.refusal], then))
    with over(config(speech), p=double) as gateway:
        heard = api.ask(gateway, speech.backend.model, stream=True)
        assert failures(gateway) == 0
    assert heard.status == 200
    assert len(api.errors(heard)) == 1
    assert "no: " in api.errors(heard)[0]["message"]
    assert not api.has_end(heard)
    assert len(double.requests) == 1


# -- plain answers


UNTRANSLATABLE: dict[str, Callable[[Speech], Wire]] = {
    "no json": lambda _: whole(200, b"<html>", "text/html"),
    "cut json": lambda speech: whole(200, speech.whole[:-2]),
    "empty": lambda _: whole(200, b""),
    "a list": lambda _: whole(200, b"[]"),
    "another object": lambda _: whole(200, b'{"status": "ok"}'),
    "short": lambda speech: Wire([whole(200, speech.whole).pieces[0][:-9]], "close"),
}


@translated
@pytest.mark.parametrize("name", UNTRANSLATABLE)
def test_what_is_no_answer_is_tried_again(api: Api, speech: Speech, name: str) -> None:
    double = WireDouble(UNTRANSLATABLE[name](speech), whole(200, speech.whole))
    with over(config(speech), p=double) as gateway:
        heard = api.ask(gateway, speech.backend.model, stream=False)
        assert failures(gateway) == 0
    assert (heard.status, heard.fields["x-gateway-attempts"]) == (200, "2")
    assert TEXT.encode() in heard.body


@translated
@pytest.mark.parametrize("name", UNTRANSLATABLE)
def test_no_answer_at_all_is_an_error(api: Api, speech: Speech, name: str) -> None:
    double = WireDouble(UNTRANSLATABLE[name](speech))
    with over(config(speech), p=double) as gateway:
        heard = api.ask(gateway, speech.backend.model, stream=False)
        assert failures(gateway) == 2
    assert heard.status == 502
    assert "'p'" in heard.json()["error"]["message"]


@translated
def test_a_large_answer_comes_whole(api: Api, speech: Speech) -> None:
    large = SPEECHES[speech.name]("word " * 20_000)
    double = WireDouble(whole(200, large.whole))
    with over(config(speech), p=double) as gateway:
        heard = api.ask(gateway, speech.backend.model, stream=False)
    assert (heard.status, heard.is_whole) == (200, True)
    assert b"word " * 20_000 in heard.body


@translated
@both_ways
def test_a_coded_answer_is_decoded(api: Api, speech: Speech, is_stream: bool) -> None:
    if is_stream:
        coded = stream([gzip.compress(b"".join(speech.events))], "end", "content-encoding: gzip")
    else:
        coded = whole(200, gzip.compress(speech.whole), "application/json", "content-encoding: gzip")
    double = WireDouble(coded)
    with over(config(speech), p=double) as gateway:
        heard = api.ask(gateway, speech.backend.model, stream=is_stream)
    assert (api.text(heard) == TEXT) if is_stream else (TEXT.encode() in heard.body)
    assert b"accept-encoding: identity\r\n" in double.requests[0].lower()
    assert "content-encoding" not in heard.fields
    assert heard.status == 200
    assert heard.is_whole


# -- odd requests


@translated
def test_other_methods_are_refused(api: Api, speech: Speech) -> None:
    double = WireDouble(whole(200, speech.whole))
    with over(config(speech), p=double) as gateway:
        for method in ("GET", "HEAD", "DELETE", "PUT"):
            heard = ask(gateway, method, api.path)
            assert (heard.status, heard.fields["allow"]) == (405, "POST")
            assert method == "HEAD" or method in heard.json()["error"]["message"]
    assert not double.requests


@translated
def test_a_client_that_leaves_closes_upstream(api: Api, speech: Speech) -> None:
    double = WireDouble(stream(speech.events[:5], "hang"))
    with over(config(speech).replace("idle: 60ms", "idle: 60s"), p=double) as gateway:
        with gateway.connect() as client:
            body = json.dumps({**api.request, "model": speech.backend.model, "stream": True}).encode()
            client.send(b"POST %b HTTP/1.1\r\nhost: a\r\n" % api.path.encode())
            client.send(b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            client.receive_until(b"One")
        gateway.until(lambda: double.connections_open == 0, within_s=1.0)
        assert failures(gateway) == 0


# -- ends of streams


@translated
def test_a_stream_that_ends_with_its_connection_is_whole(api: Api, speech: Speech) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    for pieces in ([head, *speech.events], [head + b"".join(speech.events)]):
        with over(config(speech), p=WireDouble(Wire(pieces, "close"))) as gateway:
            heard = api.ask(gateway, speech.backend.model, stream=True)
            assert failures(gateway) == 0
        assert heard.is_whole
        assert [api.is_last(*event) for event in heard.events()].count(True) == 1
        assert heard.body.count(b"[DONE]") == (1 if api is CHAT else 0)


@translated
def test_a_stream_cut_with_its_connection_is_not(api: Api, speech: Speech) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    double = WireDouble(Wire([head, *speech.events[:5]], "close"))
    with over(config(speech), p=double) as gateway:
        heard = api.ask(gateway, speech.backend.model, stream=True)
        assert failures(gateway) == 1
    assert not heard.is_whole
    assert len(api.errors(heard)) == 1


@translated
def test_any_reads_give_the_same_events(api: Api, speech: Speech) -> None:
    whole_stream = b"".join(speech.events)
    bytewise = [whole_stream[start : start + 11] for start in range(0, len(whole_stream), 11)]
    texts = []
    for pieces in ([whole_stream], speech.events, [*bytewise[:40], b"".join(bytewise[40:])]):
        with over(config(speech), p=WireDouble(stream(pieces))) as gateway:
            texts.append(api.text(api.ask(gateway, speech.backend.model, stream=True)))
    assert texts == [TEXT] * 3
