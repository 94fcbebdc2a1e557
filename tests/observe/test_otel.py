"""Spans through OpenTelemetry's own SDK, and over its protocol to a collector. Needs the extra `otel`."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest
from harness import Running, running
from traces import SPAN_ID, TRACE_ID, VALID

from gateway.config import Tracing
from gateway.observe.tracing import Tracer
from gateway.providers.mock import MockServer

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gateway.observe.otel import OtlpExport

CONFIG = """
providers:
  a: {format: openai, base_url: "{a}", max_retries: 0, fallback_provider: b}
  b: {format: openai, base_url: "{b}"}
"""


def ask(gateway: Running, body: str, **fields: str) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)) as connection:
        connection.request("POST", "/v1/chat/completions", body, fields)
        connection.getresponse().read()


def exported(body: str, **fields: str) -> list[ReadableSpan]:
    """What the SDK's exporter gets of one request, whose first provider is down: the request's span first."""
    memory = InMemorySpanExporter()
    export = OtlpExport("http://unused", "edge", "1.2.3", SimpleSpanProcessor(memory))
    with running(CONFIG, a=MockServer(fault="503"), b=MockServer()) as gateway:
        gateway.app.observer.tracer = Tracer(export)
        ask(gateway, body, **fields)
    return list(memory.get_finished_spans())


def test_a_request_is_one_span_with_one_for_each_attempt() -> None:
    before_ns = time.time_ns()
    root, failed, answered = exported(
        '{"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}', traceparent=VALID.decode()
    )
    for span in (root, failed, answered):
        assert span.context is not None
        assert span.context.trace_id == TRACE_ID
        assert span.start_time is not None
        assert span.end_time is not None
        assert before_ns - 10**7 <= span.start_time <= span.end_time <= time.time_ns() + 10**7
    assert root.parent is not None
    assert root.context is not None
    assert (root.name, root.kind, root.parent.span_id) == ("chat gpt-4o", SpanKind.SERVER, SPAN_ID)
    assert root.status.status_code is StatusCode.UNSET
    assert root.attributes is not None
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["gen_ai.usage.output_tokens"] > 0
    assert root.resource.attributes["service.name"] == "edge"
    assert root.resource.attributes["service.version"] == "1.2.3"
    for number, span in enumerate((failed, answered), 1):
        assert span.parent is not None
        assert span.attributes is not None
        assert (span.kind, span.parent.span_id) == (SpanKind.CLIENT, root.context.span_id)
        assert span.attributes["gateway.attempt"] == number
    assert (failed.name, failed.status.status_code) == ("attempt a", StatusCode.ERROR)
    assert failed.status.description == "status_503"
    assert (answered.name, answered.status.status_code) == ("attempt b", StatusCode.UNSET)


def test_a_trace_that_begins_here_has_no_parent() -> None:
    root, *attempts = exported('{"model": "m", "messages": []}')
    assert root.parent is None
    assert root.context is not None
    assert {span.context.trace_id for span in attempts if span.context} == {root.context.trace_id}


def test_a_refused_request_is_a_span_too() -> None:
    (root,) = exported("no JSON")
    assert root.attributes is not None
    assert (root.name, root.attributes["http.response.status_code"]) == ("chat", 400)


# Over the protocol.


@contextmanager
def collector(delay_s: float = 0.0) -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A collector's URL, and what has come there."""
    received: list[ExportTraceServiceRequest] = []
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            done.wait(delay_s)
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
        finally:
            done.set()
            server.shutdown()
            thread.join()


def traced(url: str) -> str:
    return f"tracing: {{enabled: true, endpoint: '{url}', service_name: edge}}\n{CONFIG}"


def test_a_reload_turns_it_on_and_off() -> None:
    with collector() as (url, received), running(CONFIG, a=MockServer(), b=MockServer()) as gateway:
        app = gateway.app
        for enabled in (True, False):
            tracing = Tracing(enabled=enabled, endpoint=url)
            config = msgspec.structs.replace(app.config, tracing=tracing)
            app._load = lambda config=config: config
            gateway.call(app.reload)
            assert app.observer.tracer.exports is enabled
            ask(gateway, '{"model": "m", "messages": []}')
        gateway.until(lambda: bool(received))
        assert len(received) == 1


def test_the_end_of_the_gateway_sends_what_is_left_to_the_collector() -> None:
    with collector() as (url, received):
        with running(traced(url), a=MockServer(), b=MockServer()) as gateway:
            ask(gateway, '{"model": "m", "messages": []}')
        spans = [
            span
            for request in received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
    assert [span.name for span in spans] == ["chat m", "attempt a"]


def test_a_collector_that_hangs_does_not_keep_the_end_waiting() -> None:
    with collector(delay_s=30.0) as (url, _):
        export = OtlpExport(url, "edge", "1.2.3")
        with running(CONFIG, a=MockServer(), b=MockServer()) as gateway:
            gateway.app.observer.tracer = Tracer(export)
            ask(gateway, '{"model": "m", "messages": []}')
            began_s = time.monotonic()
            export.close(0.2)
            assert time.monotonic() - began_s < 5.0
