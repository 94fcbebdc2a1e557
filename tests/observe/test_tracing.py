"""Trace context: what is read of a `traceparent`, what goes on to providers, and what spans say."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces import SPAN_ID, TRACE_ID, VALID, Kept

from gateway.observe.spans import Span
from gateway.observe.tracing import Trace, TraceContext, Tracer, parse_traceparent
from gateway.observe.usage import Tokens

CONTEXT = TraceContext(TRACE_ID, SPAN_ID, True)

# The field.


@pytest.mark.parametrize(
    ("value", "context"),
    [
        (VALID, CONTEXT),
        (VALID[:-2] + b"00", CONTEXT._replace(sampled=False)),
        (VALID[:-2] + b"ff", CONTEXT),  # of the flags only the lowest is known
        (VALID[:-2] + b"fe", CONTEXT._replace(sampled=False)),
        (b" \t" + VALID + b" ", CONTEXT),
        # A version to come: as much is read as version 00 has.
        (b"cc" + VALID[2:], CONTEXT),
        (b"01" + VALID[2:] + b"-what-the-future-will-be-like", CONTEXT),
    ],
)
def test_a_valid_traceparent(value: bytes, context: TraceContext) -> None:
    assert parse_traceparent(value) == context


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        VALID[:-1],
        VALID + b"0",
        VALID + b"-00",  # version 00 has four parts
        b"01" + VALID[2:] + b"0",
        b"ff" + VALID[2:],
        b"0" + VALID[2:],
        VALID.upper(),
        VALID.replace(b"-", b"_"),
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-" + b"0" * 16 + b"-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        VALID.replace(b"a", b"g"),
        b"00 " + VALID[3:],
        VALID + b"\n",
        VALID + b"," + VALID,
    ],
)
def test_an_invalid_traceparent(value: bytes) -> None:
    assert parse_traceparent(value) is None


CONTEXTS = st.builds(TraceContext, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())


@given(CONTEXTS)
def test_what_is_written_is_read_as_the_same(context: TraceContext) -> None:
    text = context.traceparent()
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", text)
    assert parse_traceparent(text) == context


@given(st.binary(max_size=80) | st.from_regex(rb"[0-9a-f-]{50,60}"))
def test_nothing_else_is_read_than_what_is_written(value: bytes) -> None:
    context = parse_traceparent(value)
    if context is not None:
        assert context.traceparent()[3:52] == value.strip(b" \t")[3:52]
        assert context.trace_id
        assert context.span_id


# The tracer.


@dataclass
class Request:
    """A request as tracing sees it."""

    traceparent: bytes | None = None
    tracestate: bytes | None = None
    method: bytes = b"POST"
    path: bytes = b"/v1/chat/completions"
    received_s: float = 10.0


@dataclass
class Provider:
    """A provider as tracing sees it."""

    name: str = "a"
    format: str = "openai"
    host: str = "127.0.0.1"
    port: int = 8000


@dataclass
class Route:
    label: str = "gpt-*"
    model: str = "gpt-4o"


@dataclass
class Answer:
    """A request that is over."""

    request: Request = field(default_factory=Request)
    route: Route = field(default_factory=Route)
    provider: Provider = field(default_factory=Provider)
    request_id: bytes = b"req_1"
    status: int = 200
    outcome: str | None = "success"
    tokens: Tokens | None = None


def counting(start: int = 1) -> Any:
    ids = itertools.count(start)
    return lambda _: next(ids)


def begun(tracer: Tracer, request: Request | None = None) -> Trace:
    trace = tracer.begin(request or Request())
    assert trace is not None
    return trace


def test_without_a_traceparent_and_without_an_export_there_is_no_trace() -> None:
    assert Tracer().begin(Request()) is None
    assert Tracer().begin(Request(tracestate=b"a=1")) is None
    assert Tracer().begin(Request(traceparent=b"00-nonsense", tracestate=b"a=1")) is None


def test_each_attempt_carries_the_clients_trace_and_an_id_of_its_own() -> None:
    trace = begun(Tracer(random_bits=counting()), Request(VALID, b"vendor=1"))
    prefix = b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-"
    for number in (2, 3):
        trace.attempt(Provider(), 0.0)
        assert trace.lines == prefix + b"000000000000000%d-01\r\ntracestate: vendor=1\r\n" % number


@pytest.mark.parametrize("traceparent", [None, b"", b"nonsense"])
def test_with_an_export_a_trace_is_begun_and_a_stray_tracestate_is_not_joined_to_it(
    traceparent: bytes | None,
) -> None:
    trace = begun(Tracer(Kept(), random_bits=counting()), Request(traceparent, b"vendor=1"))
    assert trace.parent is None
    trace.attempt(Provider(), 0.0)
    assert trace.lines == b"traceparent: 00-%032x-%016x-01\r\n" % (1, 3)


def test_an_id_is_never_zero() -> None:
    trace = begun(Tracer(Kept(), random_bits=lambda _: 0))
    assert trace.context == TraceContext(1, 1, True)


@pytest.mark.parametrize(
    ("sample", "low_bits", "sampled"),
    [(1.0, 2**56 - 1, True), (0.0, 1, False), (0.5, 2**55 - 1, True), (0.5, 2**55, False)],
)
def test_a_share_of_the_traces_begun_here_is_recorded(sample: float, low_bits: int, sampled: bool) -> None:
    kept = Kept()
    trace = begun(Tracer(kept, sample, random_bits=lambda _: 7 << 60 | low_bits))
    assert trace.context.sampled is sampled
    trace.attempt(Provider(), 0.0)
    assert trace.lines.endswith(b"-01\r\n" if sampled else b"-00\r\n")
    trace.answered(Answer(outcome=None), 1.0)
    assert bool(kept.spans) is sampled


@pytest.mark.parametrize(("flags", "sampled"), [(b"00", False), (b"01", True)])
def test_the_clients_own_word_on_recording_is_kept(flags: bytes, sampled: bool) -> None:
    kept = Kept()
    trace = begun(Tracer(kept, 1.0 - sampled), Request(VALID[:-2] + flags))
    trace.answered(Answer(outcome=None), 1.0)
    assert bool(kept.spans) is sampled


# Spans.


def recorded(answer: Answer, *failures: tuple[str, str]) -> list[Span]:
    """The spans of a request whose attempts failed so, but for a last one where `answer` has an outcome."""
    kept = Kept()
    trace = begun(Tracer(kept, random_bits=counting(100)), answer.request)
    now = 10.0
    for outcome, reason in failures:
        trace.attempt(Provider("a"), now)
        trace.failed(outcome, reason, now + 1.0)
        now += 2.0
    if answer.outcome is not None:
        trace.attempt(answer.provider, now)
    trace.answered(answer, now + 0.5)
    return kept.spans


def test_a_request_that_went_well() -> None:
    root, attempt = recorded(Answer(tokens=Tokens(input=11, output=22)))
    assert root == Span(
        "chat gpt-4o",
        False,
        101,
        0,
        10.0,
        10.5,
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.provider.name": "openai",
            "gateway.provider": "a",
            "gateway.model": "gpt-*",
            "gateway.attempts": 1,
            "gateway.request_id": "req_1",
            "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 22,
            "http.request.method": "POST",
            "url.path": "/v1/chat/completions",
            "http.response.status_code": 200,
        },
        "",
    )
    assert attempt == Span(
        "attempt a",
        True,
        102,
        101,
        10.0,
        10.5,
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.provider.name": "openai",
            "gateway.provider": "a",
            "server.address": "127.0.0.1",
            "server.port": 8000,
            "gateway.attempt": 1,
            "gateway.outcome": "success",
            "http.response.status_code": 200,
        },
        "",
    )


def test_a_fallback_leaves_its_failed_attempts_in_the_trace() -> None:
    answer = Answer(provider=Provider("b", "azure"))
    root, first, second, third = recorded(answer, ("failure", "status_503"), ("failure", "timeout"))
    assert root.error == ""
    assert root.attributes["gen_ai.provider.name"] == "azure.ai.openai"
    assert [one.parent_id for one in (first, second, third)] == [root.span_id] * 3
    assert [one.attributes["gateway.attempt"] for one in (first, second, third)] == [1, 2, 3]
    assert (first.error, first.attributes["error.type"]) == ("status_503", "status_503")
    assert (second.began_s, second.ended_s, second.attributes["gateway.reason"]) == (12.0, 13.0, "timeout")
    assert (third.name, third.error) == ("attempt b", "")


@pytest.mark.parametrize(
    ("status", "outcome", "failures", "error", "attempt_error"),
    [
        (503, None, [("failure", "status_503")], "status_503", "status_503"),
        (
            200,
            None,
            [("failure", "idle_timeout")],
            "idle_timeout",
            "idle_timeout",
        ),  # broke off while streaming
        (429, None, [("neutral", "status_429")], "", "status_429"),
        (400, "neutral", [], "", "400"),
        (499, "neutral", [], "", ""),  # the client left
        (404, "neutral", [], "", "404"),
    ],
)
def test_what_counts_as_an_error(
    status: int, outcome: str | None, failures: list[tuple[str, str]], error: str, attempt_error: str
) -> None:
    root, attempt = recorded(Answer(status=status, outcome=outcome), *failures)
    assert (root.error, attempt.error) == (error, attempt_error)
    assert root.attributes.get("error.type", "") == error
    assert attempt.attributes.get("error.type", "") == attempt_error


def test_a_request_that_no_provider_was_asked_for() -> None:
    (root,) = recorded(Answer(status=503, outcome=None))
    assert (root.error, root.attributes["gateway.attempts"]) == ("503", 0)


@pytest.mark.parametrize(
    ("status", "code", "error"), [(404, "model_not_found", ""), (503, "overloaded", "overloaded")]
)
def test_a_refused_request(status: int, code: str, error: str) -> None:
    kept = Kept()
    begun(Tracer(kept), Request(VALID)).refused(Request(VALID), status, code, 11.0)
    (span,) = kept.spans
    assert (span.name, span.parent_id, span.began_s, span.ended_s) == ("chat", SPAN_ID, 10.0, 11.0)
    assert (span.attributes["gateway.refused"], span.attributes["http.response.status_code"]) == (
        code,
        status,
    )
    assert span.error == error


@pytest.mark.parametrize(
    ("path", "model", "name"),
    [
        (b"/v1/chat/completions", "gpt-4o", "chat gpt-4o"),
        (b"/v1/responses", "gpt-4o", "chat gpt-4o"),
        (b"/v1/messages", "claude", "chat claude"),
        (b"/v1/completions", "m", "text_completion m"),
        (b"/v1/embeddings", "m", "embeddings m"),
        (b"/v1/chat/completions", "", "chat"),
        (b"/v1/files/file-123", "", "POST"),
        (b"/v1/chat/completions", "m" * 9999, "chat " + "m" * 256),
    ],
)
def test_the_name_of_a_span_holds_no_ids(path: bytes, model: str, name: str) -> None:
    span = recorded(Answer(request=Request(path=path), route=Route(model=model)))[0]
    assert span.name == name
