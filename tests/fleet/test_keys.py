"""Several keys of one provider: in turn, one that is refused rests by itself, and none is ever shown."""

from __future__ import annotations

import io
import json
import logging
import time
import urllib.request
import zlib
from collections import Counter

import pytest
from harness import WAIT_S, running
from logs import logging_to

from .members import Asker, Member, ask, break_down, breaker_of, chat, counted, has_all_permits, response

KEYS = ["sk-the-first-key", "sk-the-second-key", "sk-the-third-key"]
CONFIG = """
logging: {access: true}
providers:
  a:
    format: openai
    base_url: "{a}"
    api_keys: KEYS
    max_retries: 1
    retry: {base_delay: 1ms}
    circuit_breaker: {max_failures: 1, timeout: 1ms}
""".replace("KEYS", json.dumps(KEYS))
QUOTA = "429;code=insufficient_quota;type=insufficient_quota"


def test_they_take_turns() -> None:
    a = Member("a")
    with running(CONFIG, a=a) as gateway, Asker(gateway.port) as asker:
        for _ in range(9):
            asker.ask()
    assert Counter(a.keys) == dict.fromkeys(KEYS, 3)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["401", "402", "403", QUOTA, "429;retry_after=60"])
def test_one_that_is_refused_rests_and_nobody_notices(fault: str, stream: bool) -> None:
    a = Member("a", by_key={KEYS[0]: fault})
    with running(CONFIG, a=a) as gateway, Asker(gateway.port) as asker:
        answers = [asker.ask(chat(stream=stream)) for _ in range(6)]
        breaker = breaker_of(gateway, "a")
        assert (breaker.failures, breaker.generation) == (0, 0)
        told = counted(gateway, "gateway_upstream_attempts_total")
    assert [(answer.status, answer.attempts) for answer in answers] == [(200, 2)] + [(200, 1)] * 5
    assert a.keys == [KEYS[0], KEYS[1], KEYS[2], KEYS[1], KEYS[2], KEYS[1], KEYS[2]]
    assert told == {"outcome=neutral,provider=a": 1.0, "outcome=success,provider=a": 6.0}


def test_a_quota_that_is_told_in_gzip() -> None:
    squeezed = zlib.compress(b'{"error": {"message": "m", "code": "insufficient_quota"}}')
    a = Member("a", by_model={"dear": response(429, squeezed, "content-encoding: deflate")})
    with running(CONFIG, a=a) as gateway:
        answer = ask(gateway, chat("dear"))
    assert (answer.status, answer.body) == (429, squeezed)
    assert a.keys[:3] == KEYS


def test_a_moment_of_too_many_requests_is_no_rest() -> None:
    a = Member("a", faults=["429"])
    with running(CONFIG, a=a) as gateway:
        assert ask(gateway).attempts == 2
        for _ in range(2):
            ask(gateway)
    assert a.keys == [KEYS[0], KEYS[1], KEYS[2], KEYS[0]]


@pytest.mark.parametrize("at", [0, 1])
def test_a_probe_goes_on_with_the_other_key(at: int) -> None:
    a = Member("a", by_key={KEYS[at]: "401"})
    with running(CONFIG, a=a) as gateway:
        break_down(gateway, "a")
        time.sleep(0.002)
        assert ask(gateway).status == 200
        assert breaker_of(gateway, "a").failures == 0


def test_where_all_are_refused_the_last_answer_is_passed_on() -> None:
    a = Member("a", by_key={KEYS[0]: "401", KEYS[1]: "402", KEYS[2]: "403;code=last"})
    with running(CONFIG, a=a) as gateway:
        break_down(gateway, "a")
        time.sleep(0.002)
        first, second = ask(gateway), ask(gateway)
        assert has_all_permits(gateway, "a")
    assert (first.status, first.attempts, first.error["code"]) == (403, 3, "last")
    # All rest: the one is asked whose rest ends first, and only that one.
    assert (second.status, second.attempts) == (401, 1)
    assert a.keys == [*KEYS, KEYS[0]]


def test_each_provider_has_its_own_keys_to_try() -> None:
    a, b = Member("a", by_key={KEYS[0]: "401", KEYS[1]: "500"}), Member("b", by_key={KEYS[0]: "401"})
    both = """
providers:
  a: {format: openai, base_url: "{a}", api_keys: KEYS, max_retries: 0, fallback_provider: b}
  b: {format: openai, base_url: "{b}", api_keys: KEYS}
""".replace("KEYS", json.dumps(KEYS[:2]))
    with running(both, a=a, b=b) as gateway:
        answer = ask(gateway)
    assert (answer.status, answer.provider, answer.attempts) == (200, "b", 4)
    assert (a.keys, b.keys) == (KEYS[:2], KEYS[:2])


def test_the_other_key_carries_the_same_request() -> None:
    a = Member("a", by_key={KEYS[0]: "401"})
    body = chat("m", user="x" * 100_000) + b"  "
    with running(CONFIG, a=a) as gateway:
        assert ask(gateway, body).status == 200
    assert [request.body for request in a.requests] == [body, body]


def test_no_key_is_told_to_anybody() -> None:
    a = Member("a", by_key=dict.fromkeys(KEYS, "401;echo_key=1"))
    stream = io.StringIO()
    with logging_to(stream, "debug"), running(CONFIG, a=a) as gateway:
        answers = [ask(gateway).body for _ in range(4)]
        for page in ("/health", "/stats", "/metrics", "/dashboard"):
            with urllib.request.urlopen(gateway.url + page, timeout=WAIT_S) as opened:
                answers.append(opened.read())
        ring = gateway.app.providers["a"].chain[0].ring
        told = [repr(ring), repr(gateway.app.providers["a"].chain[0]), repr(gateway.app.config)]
        logging.getLogger("gateway").info("%s", told)
    out = b"".join(answers).decode() + "".join(told) + stream.getvalue()
    assert "*****" in out
    assert [key for key in KEYS if key in out] == []
