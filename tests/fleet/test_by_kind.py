"""A model refuses a request for what is in it, and another one that the configuration names answers it."""

from __future__ import annotations

import json
import time
import zlib

import pytest
from doubles import anthropic
from doubles.running import listening
from harness import running

from .members import Member, ask, break_down, breaker_of, chat, counted, has_all_permits, inflight, response

CONFIG = """
providers:
  a: {format: openai, base_url: "{a}", max_retries: 2, circuit_breaker: {max_failures: 1, timeout: 1ms}}
  b: {format: openai, base_url: "{b}", max_retries: 0, circuit_breaker: {max_failures: 1}}
models:
  short:
    provider: a
    model: short-of-a
    fallbacks: {context_window: long, content_policy: "b/lenient"}
  long:
    targets: [{provider: b, model: long-of-b}]
    fallbacks: {content_policy: "b/lenient"}
"""
CONTEXT = "400;code=context_length_exceeded;type=invalid_request_error"
POLICY = "400;code=content_filter"
SGLANG = (
    b'data: {"error": {"message": "The input is longer than the model\'s context length (8 tokens).",'
    b' "type": "BadRequestError", "code": 400}}\n\n'
)
LONG_TEXT = "x" * 200_000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "model", "kind"),
    [(CONTEXT, "long-of-b", "context_window"), (POLICY, "lenient", "content_policy")],
)
def test_the_other_model_answers_and_it_is_told_once(fault: str, model: str, kind: str, stream: bool) -> None:
    a, b = Member("a", faults=[fault]), Member("b")
    with running(CONFIG, a=a, b=b) as gateway:
        break_down(gateway, "a")
        time.sleep(0.002)
        answer = ask(gateway, chat("short", stream=stream, user=LONG_TEXT))
        assert counted(gateway, "gateway_fallbacks_total") == {f"from=a,reason={kind},to=b": 1.0}
        assert counted(gateway, "gateway_retries_total") == {}
        assert counted(gateway, "gateway_upstream_attempts_total") == {
            "outcome=neutral,provider=a": 1.0,
            "outcome=success,provider=b": 1.0,
        }
        assert sum(counted(gateway, "gateway_requests_total").values()) == 1.0
        assert has_all_permits(gateway, "a")
        assert inflight(gateway, "long") == [0]
    assert (answer.status, answer.provider, answer.attempts) == (200, "b", 2)
    assert (a.models, b.models) == (["short-of-a"], [model])
    assert json.loads(b.requests[0].body) == json.loads(chat(model, stream=stream, user=LONG_TEXT))
    if stream:
        assert answer.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("fault", ["400", "401", "404", "422"])
def test_any_other_refusal_is_the_answer(fault: str) -> None:
    a, b = Member("a", fault=fault), Member("b")
    with running(CONFIG, a=a, b=b) as gateway:
        answer = ask(gateway, chat("short"))
    assert (answer.status, answer.provider, b.requests_seen) == (int(fault), "a", 0)


def test_a_chain_of_them_ends_with_the_last_refusal() -> None:
    a, b = Member("a", fault=CONTEXT), Member("b", fault=POLICY)
    with running(CONFIG, a=a, b=b) as gateway:
        answer = ask(gateway, chat("short"))
        hops = counted(gateway, "gateway_fallbacks_total")
        assert (breaker_of(gateway, "a").failures, breaker_of(gateway, "b").failures) == (0, 0)
    assert (answer.status, answer.error["code"], answer.attempts) == (400, "content_filter", 3)
    assert b.models == ["long-of-b", "lenient"]
    assert hops["from=a,reason=context_window,to=b"] == 1.0


def test_where_the_other_model_may_not_be_asked_it_is_told_so() -> None:
    a, b = Member("a", fault=CONTEXT), Member("b")
    with running(CONFIG, a=a, b=b) as gateway:
        break_down(gateway, "b")
        answer = ask(gateway, chat("short"))
    assert (answer.status, answer.error["code"], answer.provider) == (503, "circuit_open", "b")
    assert 1 <= int(answer.headers["retry-after"]) <= 30


def test_the_time_of_the_first_one_bounds_both() -> None:
    a, b = Member("a", fault=CONTEXT, latency=0.04), Member("b", fault="stall")
    config = CONFIG.replace("max_retries: 2", "timeouts: {total: 80ms}")
    with running(config, a=a, b=b) as gateway:
        started = time.monotonic()
        answer = ask(gateway, chat("short"))
        assert time.monotonic() - started < 1.0
    assert (answer.status, answer.provider) == (504, "b")
    assert "0.08 s (providers.a.timeouts.total)" in answer.error["message"]


def test_a_failure_is_tried_again_before_and_its_retries_are_not_those_of_the_other() -> None:
    a, b = Member("a", faults=["429", CONTEXT]), Member("b")
    config = CONFIG.replace("max_retries: 2", "max_retries: 1, retry: {base_delay: 1ms}")
    with running(config, a=a, b=b) as gateway:
        answer = ask(gateway, chat("short"))
    assert (answer.status, answer.provider, answer.attempts) == (200, "b", 3)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"error": {"message": "m", "code": "context_length_exceeded"}}', "x-plain: yes"),
        (zlib.compress(b'{"error": {"message": "prompt is too long"}}'), "content-encoding: deflate"),
        (b'{"error": {"message": "prompt is too long"}}' + b" " * 70_000, "content-type: application/json"),
    ],
)
def test_however_it_is_told(body: bytes, field: str) -> None:
    a, b = Member("a", by_model={"short-of-a": response(400, body, field)}), Member("b")
    with running(CONFIG, a=a, b=b) as gateway:
        assert ask(gateway, chat("short")).provider == "b"
        assert ask(gateway, chat("a/short-of-a")).body == body


def test_a_stream_that_begins_with_it() -> None:
    said = response(200, SGLANG, "content-type: text/event-stream")
    a, b = Member("a", by_model={"short-of-a": said}), Member("b")
    with running(CONFIG, a=a, b=b) as gateway:
        answer = ask(gateway, chat("short", stream=True))
        assert breaker_of(gateway, "a").failures == 0
        assert ask(gateway, chat("a/short-of-a", stream=True)).body == SGLANG
    assert (answer.provider, answer.attempts) == ("b", 2)
    assert answer.body.endswith(b"data: [DONE]\n\n")


TRANSLATED = """
providers:
  claude: {format: anthropic, base_url: "{claude}", api_key: KEY}
  b: {format: openai, base_url: "{b}"}
models:
  short: {provider: claude, model: claude-sonnet-4-5, fallbacks: {context_window: "b/long-of-b"}}
  long: {provider: b, fallbacks: {context_window: "claude/claude-sonnet-4-6"}}
"""


@pytest.mark.parametrize("stream", [False, True])
def test_from_a_format_that_is_translated_and_into_it(stream: bool) -> None:
    claude, b = anthropic.AnthropicDouble(), Member("b")
    too_long = anthropic.Failure(400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")
    claude.script += [too_long, anthropic.Answer([anthropic.text("from claude")])]
    with listening(claude):
        config = TRANSLATED.replace("{claude}", claude.url).replace("KEY", anthropic.KEY)
        with running(config, b=b) as gateway:
            from_it = ask(gateway, chat("short", stream=stream))
            b.fault = CONTEXT
            into_it = ask(gateway, chat("long", stream=stream))
    assert (from_it.status, from_it.provider, from_it.attempts) == (200, "b", 2)
    assert b.models == ["long-of-b", "long"]
    assert (into_it.status, into_it.provider, into_it.attempts) == (200, "claude", 2)
    assert [request.body["model"] for request in claude.requests] == [
        "claude-sonnet-4-5",
        "claude-sonnet-4-6",
    ]
    for answer in (from_it, into_it):
        assert answer.body.endswith(b"data: [DONE]\n\n") is stream
    assert b"claude" in into_it.body
