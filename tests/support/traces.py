"""Traces in tests: the example of the specification, and an export that keeps the spans."""

from __future__ import annotations

from typing import Any

from gateway.observe import spans
from gateway.observe.spans import Span
from gateway.observe.tracing import Trace, Traced

# https://www.w3.org/TR/trace-context/#examples-of-http-traceparent-headers
TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
SPAN_ID = 0x00F067AA0BA902B7
VALID = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Kept:
    """An export that keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def answered(self, trace: Trace, request: Any, now: float) -> None:
        self.spans += spans.of_request(trace, request, now)

    def refused(self, trace: Trace, request: Traced, status: int, code: str, now: float) -> None:
        self.spans.append(spans.of_refusal(trace, request, status, code, now))

    def close(self, within_s: float) -> None:
        self.spans.clear()
