"""What a span says: names and attributes by the OpenTelemetry conventions, and our own under `gateway.`.

One span of kind SERVER for a request, and below it one of kind CLIENT for each attempt.
Sources: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ (v1.37) and
https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.observe.tracing import Answered, Attempt, Attempted, Trace, Traced

Value = str | int
_MAX_TEXT: Final = 256

_OPERATIONS: Final = {
    b"/v1/chat/completions": "chat",
    b"/v1/responses": "chat",
    b"/v1/messages": "chat",
    b"/v1/completions": "text_completion",
    b"/v1/embeddings": "embeddings",
}
# Well-known values of gen_ai.provider.name; what speaks OpenAI's API is called so, as the conventions ask.
_PROVIDERS: Final = {"azure": "azure.ai.openai", "gemini": "gcp.gemini"}


class Span(NamedTuple):
    """A finished span; times in seconds of the monotonic clock, `parent_id` 0 for the first of a trace.

    `error` is what went wrong (`error.type`), empty where nothing did.
    """

    name: str
    is_client: bool
    span_id: int
    parent_id: int
    began_s: float
    ended_s: float
    attributes: dict[str, Value]
    error: str


def of_request(trace: Trace, answered: Answered, now: float) -> Iterator[Span]:
    """The spans of a request that ended at `now`: its own first, then those of its attempts."""
    request, model, status = answered.request, _short(answered.route.model), answered.status
    last = trace.attempts[-1] if trace.attempts else None
    attributes = _of_operation(request, model)
    attributes |= _of_provider(answered.provider)
    attributes["gateway.model"] = answered.route.label
    attributes["gateway.attempts"] = len(trace.attempts)
    attributes["gateway.request_id"] = _short(answered.request_id.decode("latin-1"))
    if answered.tokens is not None:
        attributes["gen_ai.usage.input_tokens"] = answered.tokens.input
        attributes["gen_ai.usage.output_tokens"] = answered.tokens.output
    reason = "" if last is None else last.reason
    error = (reason or str(status)) if status >= 500 else reason if status < 400 else ""
    yield _server(trace, request, _name(request, model), attributes, status, error, now)
    for number, attempt in enumerate(trace.attempts, 1):
        yield _of_attempt(trace, request, model, attempt, number, status if attempt is last else 0)


def of_refusal(trace: Trace, request: Traced, status: int, code: str, now: float) -> Span:
    """The span of a request that was refused with `status` before a provider was chosen."""
    error = code if status >= 500 else ""
    attributes = _of_operation(request, "")
    attributes["gateway.refused"] = code
    return _server(trace, request, _name(request, ""), attributes, status, error, now)


def _server(
    trace: Trace,
    request: Traced,
    name: str,
    attributes: dict[str, Value],
    status: int,
    error: str,
    now: float,
) -> Span:
    attributes["http.request.method"] = request.method.decode()
    attributes["url.path"] = _short(request.path.decode("latin-1"))
    attributes["http.response.status_code"] = status
    if error:
        attributes["error.type"] = error
    parent_id = 0 if trace.parent is None else trace.parent.span_id
    return Span(name, False, trace.context.span_id, parent_id, request.received_s, now, attributes, error)


def _of_attempt(
    trace: Trace, request: Traced, model: str, attempt: Attempt, number: int, status: int
) -> Span:
    provider = attempt.provider
    attributes = _of_operation(request, model) | _of_provider(provider)
    attributes["server.address"] = provider.host
    attributes["server.port"] = provider.port
    attributes["gateway.attempt"] = number
    attributes["gateway.outcome"] = attempt.outcome
    error = attempt.reason or (str(status) if 400 <= status != 499 else "")
    if attempt.reason:
        attributes["gateway.reason"] = attempt.reason
    elif status and status != 499:
        attributes["http.response.status_code"] = status
    if error:
        attributes["error.type"] = error
    times = (attempt.began_s, attempt.ended_s)
    name = f"attempt {provider.name}"
    return Span(name, True, attempt.span_id, trace.context.span_id, *times, attributes, error)


def _of_operation(request: Traced, model: str) -> dict[str, Value]:
    attributes: dict[str, Value] = {}
    operation = _OPERATIONS.get(request.path)
    if operation is not None:
        attributes["gen_ai.operation.name"] = operation
    if model:
        attributes["gen_ai.request.model"] = model
    return attributes


def _of_provider(provider: Attempted) -> dict[str, Value]:
    known = _PROVIDERS.get(provider.format, provider.format)
    return {"gen_ai.provider.name": known, "gateway.provider": provider.name}


def _name(request: Traced, model: str) -> str:
    operation = _OPERATIONS.get(request.path)
    if operation is None:
        return request.method.decode()  # a path may hold ids, which a name must not
    return f"{operation} {model}" if model else operation


def _short(text: str) -> str:
    return text[:_MAX_TEXT]
