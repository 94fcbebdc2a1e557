"""Traces over sockets: what providers get of a client's trace, and the spans of real requests."""

from __future__ import annotations

import http.client
import itertools
from collections.abc import Iterator
from contextlib import closing

import pytest
from harness import Running, running
from traces import SPAN_ID, TRACE_ID, VALID, Kept

from gateway.observe.tracing import Tracer, parse_traceparent
from gateway.providers.mock import MockServer

CONFIG = """
providers:
  a:
    format: openai
    base_url: "{a}"
    max_retries: 1
    retry: {base_delay: 0s}
    fallback_provider: b
  b: {format: openai, base_url: "{b}"}
"""
BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'


def ask(gateway: Running, *fields: tuple[str, str], path: str = "/v1/chat/completions") -> int:
    """Send a request with these header fields, which may repeat; the result is its status."""
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)) as connection:
        connection.putrequest("POST", path)
        for name, value in (
            *fields,
            ("content-type", "application/json"),
            ("content-length", str(len(BODY))),
        ):
            connection.putheader(name, value)
        connection.endheaders(BODY)
        return connection.getresponse().status


def seen(server: MockServer, name: str) -> list[str]:
    """The values of a header field in the requests that came, in their order."""
    return [
        value.decode()
        for request in server.requests
        for key, value in request.headers
        if key.lower() == name.encode()
    ]


@pytest.fixture
def gateway() -> Iterator[Running]:
    with running(CONFIG, a=MockServer("a", fault="503"), b=MockServer("b")) as gateway:
        yield gateway


def test_every_attempt_at_a_provider_is_in_the_clients_trace(gateway: Running) -> None:
    assert ask(gateway, ("TraceParent", VALID.decode()), ("tracestate", "x=1"), ("tracestate", "y=2")) == 200
    a, b = gateway.providers["a"], gateway.providers["b"]
    sent = seen(a, "traceparent") + seen(b, "traceparent")
    contexts = [parse_traceparent(value.encode()) for value in sent]
    assert [context and context.trace_id for context in contexts] == [TRACE_ID] * 3
    assert [context and context.sampled for context in contexts] == [True] * 3
    ids = {context.span_id for context in contexts if context is not None}
    assert len(ids) == 3
    assert SPAN_ID not in ids
    assert seen(a, "tracestate") + seen(b, "tracestate") == ["x=1,y=2"] * 3


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("traceparent", "00-nonsense"), ("tracestate", "x=1")],
        [("traceparent", VALID.decode()), ("traceparent", VALID.decode()), ("tracestate", "x=1")],
        [("tracestate", "x=1")],
        [("connection", "traceparent"), ("traceparent", VALID.decode()), ("tracestate", "x=1")],
    ],
    ids=["none", "invalid", "two", "tracestate alone", "for this connection only"],
)
def test_without_a_valid_traceparent_nothing_is_added_or_passed_on(
    gateway: Running, fields: list[tuple[str, str]]
) -> None:
    assert ask(gateway, *fields) == 200
    for server in gateway.providers.values():
        assert server.requests
        assert seen(server, "traceparent") == seen(server, "tracestate") == []


def test_an_upgrade_that_is_not_spoken_does_not_lose_the_trace(gateway: Running) -> None:
    upgrade = [("connection", "upgrade"), ("upgrade", "h2c")]
    assert ask(gateway, *upgrade, ("traceparent", VALID.decode()), ("tracestate", "x=1")) == 200
    assert seen(gateway.providers["b"], "traceparent")[0][3:35] == VALID[3:35].decode()
    assert seen(gateway.providers["b"], "tracestate") == ["x=1"]


def test_a_request_through_the_gateway_as_spans(gateway: Running) -> None:
    kept = Kept()
    gateway.app.observer.tracer = Tracer(kept)
    assert ask(gateway, ("traceparent", VALID.decode())) == 200
    gateway.until(lambda: len(kept.spans) == 4)
    root, *attempts = kept.spans
    assert (root.name, root.parent_id, root.error) == ("chat m", SPAN_ID, "")
    assert [(one.attributes["gateway.provider"], one.error) for one in attempts] == [
        ("a", "status_503"),
        ("a", "status_503"),
        ("b", ""),
    ]
    sent = seen(gateway.providers["a"], "traceparent") + seen(gateway.providers["b"], "traceparent")
    assert [f"{one.span_id:016x}" for one in attempts] == [value[36:52] for value in sent]
    for before, after in itertools.pairwise([root.began_s, *(one.ended_s for one in attempts), root.ended_s]):
        assert before <= after


def test_a_stream_that_breaks_off_is_an_error_in_its_trace(gateway: Running) -> None:
    kept = Kept()
    gateway.app.observer.tracer = Tracer(kept)
    gateway.providers["a"].fault = "short"
    ask(gateway)
    gateway.until(lambda: bool(kept.spans))
    assert kept.spans[1].error
