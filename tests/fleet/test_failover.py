"""A target fails, or may not be asked: the others are, each for the model by the name that it has there."""

from __future__ import annotations

import json

import pytest

from .members import Member, ask, break_down, breaker_of, chat, counted, fleet, inflight

CONFIG = """
providers:
  a:
    format: openai
    base_url: "{a}"
    max_retries: 0
    circuit_breaker: {max_failures: 9}
    fallback_provider: c
  b: {format: openai, base_url: "{b}", max_retries: 0, circuit_breaker: {max_failures: 9}}
  c: {format: openai, base_url: "{c}", max_retries: 0}
models:
  m: {targets: [{provider: a, model: m-of-a}, {provider: b, model: m-of-b}]}
  n: {targets: [{provider: a}, {provider: b}]}
"""
FORM = (
    b'--X\r\ncontent-disposition: form-data; name="file"; filename="f.mp3"\r\n\r\nsound\r\n'
    b'--X\r\ncontent-disposition: form-data; name="model"\r\n\r\n%b\r\n--X--\r\n'
)


def members(**faults: str) -> dict[str, Member]:
    return {name: Member(name, fault=faults.get(name)) for name in "abc"}


PLAIN = ["500", "429", "reset", "close", "garbage"]
STREAMED = [*PLAIN, "error_event", "empty_stream"]


@pytest.mark.parametrize(
    ("fault", "stream"), [*((fault, False) for fault in PLAIN), *((fault, True) for fault in STREAMED)]
)
def test_the_next_target_answers_for_its_own_model(fault: str, stream: bool) -> None:
    all_ = members(a=fault)
    with fleet(CONFIG, **all_) as gateway:
        answer = ask(gateway, chat(stream=stream, seed=12345678901234567890))
        assert inflight(gateway) == [0, 0]
        assert breaker_of(gateway, "b").failures == 0
    assert (answer.status, answer.provider, answer.attempts) == (200, "b", 2)
    assert [member.models for member in all_.values()] == [["m-of-a"], ["m-of-b"], []]
    sent = json.loads(all_["b"].requests[0].body)
    assert sent == json.loads(chat("m-of-b", stream=stream, seed=12345678901234567890))


def test_then_their_fallbacks_and_the_last_answer_of_all_is_the_one() -> None:
    all_ = members(a="500", b="502", c="503")
    with fleet(CONFIG, **all_) as gateway:
        answer = ask(gateway)
        assert inflight(gateway) == [0, 0]
        hops = counted(gateway, "gateway_fallbacks_total")
        told = counted(gateway, "gateway_upstream_attempts_total")
    assert (answer.status, answer.provider, answer.attempts) == (503, "c", 3)
    assert [member.models for member in all_.values()] == [["m-of-a"], ["m-of-b"], ["m-of-a"]]
    assert hops == {"from=a,reason=status_500,to=b": 1.0, "from=b,reason=status_502,to=c": 1.0}
    assert told == {f"outcome=failure,provider={name}": 1.0 for name in "abc"}


def test_a_name_that_all_know_goes_as_it_came() -> None:
    all_ = members(a="500")
    body = chat("n") + b"\n "
    with fleet(CONFIG, **all_) as gateway:
        assert ask(gateway, body).provider == "b"
    assert all_["a"].requests[0].body == all_["b"].requests[0].body == body


def test_a_form_is_renamed_for_each() -> None:
    all_ = members(a="500")
    fields = {"content-type": "multipart/form-data; boundary=X"}
    with fleet(CONFIG, **all_) as gateway:
        answer = ask(gateway, FORM % b"m", "/v1/audio/transcriptions", fields)
    assert (answer.status, answer.provider) == (200, "b")
    assert all_["a"].requests[0].body == FORM % b"m-of-a"
    assert all_["b"].requests[0].body == FORM % b"m-of-b"


def test_an_open_circuit_is_passed_over_by_every_request() -> None:
    all_ = members()
    with fleet(CONFIG, **all_) as gateway:
        break_down(gateway, "a")
        answers = [ask(gateway) for _ in range(5)]
        assert counted(gateway, "gateway_fallbacks_total") == {}
    assert {(answer.provider, answer.attempts) for answer in answers} == {("b", 1)}
    assert all_["a"].requests_seen == 0


def test_where_all_circuits_are_open_the_fallback_of_one_answers() -> None:
    with fleet(CONFIG, **members()) as gateway:
        break_down(gateway, "a")
        break_down(gateway, "b")
        answer = ask(gateway)
    assert (answer.status, answer.provider, answer.attempts) == (200, "c", 1)


def test_a_cooldown_is_one_of_a_model_at_a_target() -> None:
    a = Member("a", by_model={"m-of-a": "429;retry_after=9"})
    all_ = {"a": a, "b": Member("b"), "c": Member("c")}
    with fleet(CONFIG, **all_) as gateway:
        first, second = ask(gateway), ask(gateway)
        other = ask(gateway, chat("n"))
        assert inflight(gateway) == [0, 0]
    assert [(one.provider, one.attempts) for one in (first, second)] == [("b", 2), ("b", 1)]
    assert (other.provider, a.models) == ("a", ["m-of-a", "n"])


def test_a_cooldown_of_one_that_was_asked_behind_another_holds_too() -> None:
    a, c = Member("a", fault="500"), Member("c")
    b = Member("b", by_model={"m-of-b": "429;retry_after=9"})
    with fleet(CONFIG, a=a, b=b, c=c) as gateway:
        answers = [ask(gateway), ask(gateway), ask(gateway, chat("n"))]
    assert [(one.provider, one.attempts) for one in answers] == [("c", 3), ("c", 2), ("b", 2)]


@pytest.mark.parametrize("fault", ["reset_body;after=2", "cut;after=2", "malformed_chunk;after=2"])
def test_what_has_begun_is_not_begun_again_elsewhere(fault: str) -> None:
    all_ = members(a=fault)
    with fleet(CONFIG, **all_) as gateway, gateway.connect() as client:
        body = chat(stream=True)
        client.send(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        client.send(body)
        got = client.receive_all()
        gateway.until(lambda: inflight(gateway) == [0, 0])
        assert breaker_of(gateway, "a").failures == 1
    assert b'"error"' in got
    assert b"[DONE]" not in got
    assert all_["b"].requests_seen == 0
