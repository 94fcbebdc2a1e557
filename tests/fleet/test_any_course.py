"""Any course that a request may take, through targets, keys, kinds and formats: nothing of it stays behind.

At any time the request holds one thing at most: a timer, a place in a pool's queue, a busy connection. When
it is over, whatever the end, it has had one answer, every permit is back, no target has an attempt under way,
and every attempt was told of once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from conversation import post
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Fault
from gateway.resilience.outcome import Outcome

from .stage import AT_ONCE, FULL, LATER, Stage

CONFIG = """
providers:
  a:
    format: openai
    base_url: "http://a.example"
    api_keys: [first-key-of-a, second-key-of-a]
    max_retries: 2
    retry: {base_delay: 1s}
    circuit_breaker: {max_failures: 2}
    timeouts: {total: 60s}
    fallback_provider: c
  b:
    format: anthropic
    base_url: "http://b.example"
    api_key: the-key-of-b
    max_retries: 1
    retry: {base_delay: 0s}
    circuit_breaker: {max_failures: 1}
  c: {format: openai, base_url: "http://c.example", usage: {inject: true}}
  d: {format: openai, base_url: "http://d.example", max_retries: 1, circuit_breaker: {max_failures: 1}}
models:
  m:
    targets: [{provider: a}, {provider: b, model: claude-sonnet-4-5}]
    fallbacks: {context_window: long, content_policy: "d/lenient"}
  long:
    targets: [{provider: b, model: claude-sonnet-4-6}, {provider: c, model: long-of-c}]
    fallbacks: {content_policy: "c/lenient"}
"""
JSON = {b"content-type": b"application/json"}
STREAM = {b"content-type": b"text/event-stream", b"transfer-encoding": b"chunked"}


def refusal(message: str = "no", code: str | None = None, kind: str = "invalid_request_error") -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "code": code}}).encode()


TOO_LONG = refusal("prompt is too long: 9 tokens > 8 maximum")
FILTERED = refusal(code="content_filter")
ERRORS: list[tuple[int, bytes, Mapping[bytes, bytes]]] = [
    (400, refusal(), {}),
    (400, TOO_LONG, {}),
    (400, FILTERED, {}),
    (400, TOO_LONG + b" " * 70_000, {}),
    (401, refusal("bad key"), {}),
    (401, refusal("bad key") + b" " * 70_000, {}),
    (402, refusal("no credit"), {}),
    (429, refusal(code="insufficient_quota"), {}),
    (429, refusal(), {b"retry-after": b"2"}),
    (429, refusal(), {b"retry-after": b"90"}),
    (429, b"not JSON", {}),
    (500, b"", {}),
    (503, refusal(), {b"retry-after": b"1"}),
]
ANSWER = b'{"id":"x","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
MESSAGE = json.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
).encode()
STARTED = b'event: message_start\ndata: {"type":"message_start","message":%b}\n\n' % MESSAGE
DONE = b"data: [DONE]\n\n"
NONSENSE = b"data: nonsense\n\n"
PIECES = [
    b": comment\n\n",
    b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n',
    DONE,
    b'data: {"error":{"message":"no","type":"server_error"}}\n\n',
    b'data: {"error":{"message":"no","type":"invalid_request_error"}}\n\n',
    STARTED,
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"no"}}\n\n',
    NONSENSE,
    b"data: unfinished",
]
POOLS = [AT_ONCE, AT_ONCE, LATER, FULL]
MESSAGES: Any = [{"role": "user", "content": "hi"}]


class Course:
    """A request, and what may happen next to it. A move that cannot be made at the time does nothing."""

    def __init__(self, body: Mapping[str, Any], pool: str) -> None:
        self.stage = Stage(CONFIG)
        self.stage.pool = pool
        self.left = False
        self.cut_off = False
        self.stage.ask(post(json.dumps(body).encode(), b"content-type: application/json"))
        assert self.stage.exchange is not None
        self.exchange = self.stage.exchange

    @property
    def over(self) -> bool:
        return self.left or self.stage.client.ended

    @property
    def under_way(self) -> bool:
        return self.stage.busy is not None or self.stage.waiting is not None

    @property
    def unanswered(self) -> bool:
        return self.stage.busy is not None and not self.stage.busy.received

    # -- moves

    def pool_says(self, pool: str) -> None:
        self.stage.pool = pool

    def time_comes(self) -> None:
        if self.stage.pending:
            self.stage.fire()

    def pool_decides(self, is_there: bool) -> None:
        if self.stage.waiting:
            if is_there:
                self.stage.give()
            else:
                self.stage.withhold()

    def provider_refuses(self, status: int, body: bytes, fields: Mapping[bytes, bytes], reads: int) -> None:
        if not self.unanswered:
            return
        self.stage.begin(status, {**JSON, b"content-length": b"%d" % len(body), **fields})
        connection = self.stage.busy
        if reads == 2:
            self.stage.go_on(body[:-1], complete=False)
            body = body[-1:]
        if self.stage.busy is connection:
            self.stage.go_on(body, complete=True)

    def provider_answers(self, body: bytes) -> None:
        if self.unanswered:
            self.stage.begin(200, {**JSON, b"content-length": b"%d" % len(body)})
            self.stage.go_on(body, complete=True)

    def provider_streams(self, piece: bytes, complete: bool) -> None:
        if self.unanswered:
            self.stage.begin(200, STREAM)
        if self.stage.busy:
            self.stage.go_on(piece, complete=complete)

    def connection_breaks(self, fault: Fault) -> None:
        if self.stage.busy:
            self.stage.fail(fault)

    def client_is_slow(self) -> None:
        if not self.over:
            self.exchange.pause()
            self.exchange.resume()

    def client_leaves(self) -> None:
        if not self.over:
            self.left = True
            self.exchange.gone()

    def gateway_ends(self) -> None:
        if not self.over:
            self.cut_off = self.under_way
            self.exchange.cut_off()
            assert self.over

    # -- what always holds

    def check(self) -> None:
        stage = self.stage
        held = (self.under_way, len(stage.pending), stage.permits_out, sum(stage.inflight))
        assert min(stage.inflight) >= 0
        if self.over:
            assert held == (False, 0, 0, 0)
        else:
            # While it waits for a pool a timer guards the total; a connection has its own deadlines.
            assert len(stage.pending) == (stage.busy is None)
            assert stage.permits_out <= 1
            assert sum(stage.inflight) <= self.under_way
        attempts = self.exchange.attempts
        assert attempts == stage.acquired
        assert stage.observer.finished_requests == self.over
        # What the gateway cuts off itself says nothing of anybody.
        assert stage.observer.attempts_told == attempts - (self.under_way or self.cut_off)
        if stage.client.told:
            counted = re.search(rb"x-gateway-attempts: (\d+)\r\n", stage.client.fields)
            assert counted is not None
            assert int(counted[1]) == attempts


Move = Callable[[Course], None]


def moves() -> st.SearchStrategy[Move]:
    """What may happen next; what ends a request for certain is rare."""
    errors = st.builds(
        lambda error, reads: lambda course: course.provider_refuses(*error, reads=reads),
        st.sampled_from(ERRORS),
        st.sampled_from([1, 1, 2]),
    )
    streams = st.builds(
        lambda piece, complete: lambda course: course.provider_streams(piece, complete),
        st.sampled_from(PIECES),
        st.sampled_from([False, False, True]),
    )
    answers = st.sampled_from([ANSWER, MESSAGE, b"not JSON"]).map(
        lambda body: lambda course: course.provider_answers(body)
    )
    faults = st.sampled_from([Fault.RESET, Fault.CLOSED, Fault.PROTOCOL, Fault.TIMEOUT]).map(
        lambda fault: lambda course: course.connection_breaks(fault)
    )
    pools = st.sampled_from(POOLS).map(lambda pool: lambda course: course.pool_says(pool))
    decisions = st.sampled_from([True, True, False]).map(
        lambda is_there: lambda course: course.pool_decides(is_there)
    )
    rare: list[Move] = [Course.client_leaves, Course.gateway_ends]
    common: list[Move] = [Course.time_comes, Course.client_is_slow]
    usual = st.one_of(errors, errors, errors, streams, streams, decisions, pools, st.sampled_from(common))
    return st.one_of(usual, usual, usual, usual, answers, faults, st.sampled_from(rare))


@settings(max_examples=500)
@given(
    model=st.sampled_from(["m", "m", "m", "m", "long", "b/claude-sonnet-4-5"]),
    stream=st.booleans(),
    expressible=st.sampled_from([True, True, True, True, False]),
    pool=st.sampled_from(POOLS),
    course=st.lists(moves(), min_size=12, max_size=30),
)
def test_nothing_stays_behind(
    model: str, stream: bool, expressible: bool, pool: str, course: list[Move]
) -> None:
    more = {} if expressible else {"logit_bias": {"1": 1}}  # which Anthropic has not
    request = Course({"model": model, "messages": MESSAGES, "stream": stream, **more}, pool)
    request.check()
    for move in course:
        move(request)
        request.check()
    request.client_leaves()
    request.check()


def course(*steps: Move, model: str = "m", stream: bool = False) -> list[str]:
    """What the client is told in a course of these steps."""
    request = Course({"model": model, "messages": MESSAGES, "stream": stream}, AT_ONCE)
    for step in steps:
        assert not request.over
        step(request)
        request.check()
    assert request.over
    return request.stage.client.told


def refuses(status: int, body: bytes, reads: int = 1) -> Move:
    return lambda request: request.provider_refuses(status, body, {}, reads)


def answers(body: bytes) -> Move:
    return lambda request: request.provider_answers(body)


def streams(piece: bytes, *, complete: bool = False) -> Move:
    return lambda request: request.provider_streams(piece, complete)


AT_B = "b/claude-sonnet-4-5"


def test_an_answer_that_cannot_be_translated_leaves_nothing_of_its_translator() -> None:
    by_b = answers(b"not JSON")
    assert course(refuses(400, TOO_LONG), by_b, answers(ANSWER)) == ["respond 200"]


def test_a_stream_that_cannot_be_translated_any_further_is_cut_and_its_connection_with_it() -> None:
    assert course(streams(STARTED), streams(NONSENSE), model=AT_B, stream=True) == ["start", "cut"]


def test_of_an_error_without_end_a_part_is_translated_and_the_rest_given_up() -> None:
    endless = TOO_LONG + b" " * 70_000
    assert course(refuses(400, endless, reads=2), model=AT_B) == ["respond 400"]


def test_a_refusal_without_end_is_given_up_with_its_connection() -> None:
    endless = TOO_LONG + b" " * 70_000
    assert course(refuses(400, endless, reads=2), answers(MESSAGE)) == ["respond 200"]


def test_another_model_that_may_not_be_asked_behind_a_longer_way() -> None:
    def opens(request: Course) -> None:
        policy = request.stage.policies["d"]
        policy.record(policy.acquire(request.stage.now), Outcome.FAILURE, "test", request.stage.now)

    to_b = (refuses(500, b""), Course.time_comes, refuses(500, b""))
    assert course(opens, *to_b, refuses(400, FILTERED)) == ["refuse 503"]


def test_a_refused_key_whose_error_has_no_end_is_given_up_with_its_connection() -> None:
    endless = refusal("bad key") + b" " * 70_000
    assert course(refuses(401, endless, reads=2), answers(ANSWER)) == ["respond 200"]
