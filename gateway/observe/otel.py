"""Exports spans by OTLP over HTTP. Needs the extra `otel`: `pip install '.[otel]'`.

A request's spans are made when it is over, from what its trace has noted, and handed to the SDK's batch
processor, whose thread sends them. Headers, certificates and batch sizes are read from OpenTelemetry's own
environment variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_…).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from gateway.observe import spans
from gateway.observe.tracing import Answered, Trace, Traced

TIMEOUT_S: Final = 5.0
"""One request to the collector."""


class OtlpExport:
    """Sends spans to the collector at `endpoint`, a URL with its path; `version` is the gateway's.

    `processor` takes the finished spans in place of that collector. `clock` is that of the times in spans,
    `wall_clock` counts seconds from the epoch.
    """

    def __init__(
        self,
        endpoint: str,
        service_name: str,
        version: str,
        processor: SpanProcessor | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._wall_clock = wall_clock
        self._ids = _GivenIds()
        resource = Resource.create({"service.name": service_name, "service.version": version})
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, id_generator=self._ids, shutdown_on_exit=False
        )
        if processor is None:
            processor = BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=TIMEOUT_S))
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("gateway", version)

    def __repr__(self) -> str:
        return f"<OtlpExport to {self._endpoint}>"

    def answered(self, trace: Trace, request: Answered, now: float) -> None:
        self._end(spans.of_request(trace, request, now), trace)

    def refused(self, trace: Trace, request: Traced, status: int, code: str, now: float) -> None:
        self._end([spans.of_refusal(trace, request, status, code, now)], trace)

    def close(self, within_s: float) -> None:
        # The SDK waits for a silent collector far longer than a restart may take.
        thread = threading.Thread(target=self._provider.shutdown, name="spans-end", daemon=True)
        thread.start()
        thread.join(within_s)

    def _end(self, finished: Iterable[spans.Span], trace: Trace) -> None:
        epoch_s = self._wall_clock() - self._clock()
        for span in finished:
            self._end_one(span, trace, epoch_s)

    def _end_one(self, span: spans.Span, trace: Trace, epoch_s: float) -> None:
        self._ids.trace_id, self._ids.span_id = trace.context.trace_id, span.span_id
        parent = SpanContext(trace.context.trace_id, span.parent_id, True, TraceFlags(TraceFlags.SAMPLED))
        made = self._tracer.start_span(
            span.name,
            set_span_in_context(NonRecordingSpan(parent)),  # not valid without an id: then it is a root
            SpanKind.CLIENT if span.is_client else SpanKind.SERVER,
            span.attributes,
            start_time=_nanoseconds(epoch_s + span.began_s),
        )
        if span.error:
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(_nanoseconds(epoch_s + span.ended_s))


class _GivenIds(IdGenerator):
    """The ids of the next span, as they went to the provider."""

    def __init__(self) -> None:
        self.trace_id = 0
        self.span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
