"""Distributed tracing: which trace a request belongs to, and what goes on to the providers of it.

A request has a trace where its client sent one, or where spans are exported. Each attempt then carries the
trace id on, with a span id of its own; `tracestate` goes with it untouched. What is not a valid `traceparent`
is as if it had not been sent, and a `tracestate` without a valid one is dropped.
Source: W3C Trace Context, https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from gateway.observe.usage import Tokens

_TRACEPARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
).fullmatch
_SAMPLED: Final = 0x01
_RANDOM_BITS: Final = 56  # the low bits of a trace id, by which the sampling is decided


class TraceContext(NamedTuple):
    """A place in a trace: ids as integers that are not 0 (128 and 64 bits), and whether it is recorded."""

    trace_id: int
    span_id: int
    sampled: bool

    def traceparent(self) -> bytes:
        """The value of the header field, in version 00; flags other than `sampled` are 0 as it demands."""
        return b"00-%032x-%016x-%02x" % (self.trace_id, self.span_id, self.sampled)


def parse_traceparent(value: bytes) -> TraceContext | None:
    """What a `traceparent` field says (section 3.2); None where it is not valid.

    Of a version that is not known yet the part is read that version 00 has too.
    """
    match = _TRACEPARENT(value.strip(b" \t"))
    if match is None or (match[1] == b"00" and match[5] is not None):
        return None
    return TraceContext(int(match[2], 16), int(match[3], 16), bool(int(match[4], 16) & _SAMPLED))


class Attempted(Protocol):
    """A provider that is asked."""

    @property
    def name(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


class Traced(Protocol):
    """The header fields of a request that tracing reads; an empty `traceparent` is one that is not valid."""

    @property
    def method(self) -> bytes: ...
    @property
    def path(self) -> bytes: ...
    @property
    def received_s(self) -> float: ...
    @property
    def traceparent(self) -> bytes | None: ...
    @property
    def tracestate(self) -> bytes | None: ...


class _Routed(Protocol):
    @property
    def label(self) -> str: ...
    @property
    def model(self) -> str: ...


class Answered(Protocol):
    """A request that has its answer, or whose client has left (status 499)."""

    @property
    def request(self) -> Traced: ...
    @property
    def route(self) -> _Routed: ...
    @property
    def provider(self) -> Attempted: ...
    @property
    def request_id(self) -> bytes: ...
    @property
    def status(self) -> int: ...
    @property
    def outcome(self) -> str | None: ...
    @property
    def tokens(self) -> Tokens | None: ...


class Export(Protocol):
    """Where the traces of finished requests go."""

    def answered(self, trace: Trace, request: Answered, now: float) -> None:
        """`request` went through its attempts."""

    def refused(self, trace: Trace, request: Traced, status: int, code: str, now: float) -> None:
        """`request` was refused with `status` and the error `code` before a provider was chosen."""

    def close(self, within_s: float) -> None:
        """Send what is left, for `within_s` seconds at most."""


class Attempt:
    """One attempt of a traced request; times in seconds of the monotonic clock.

    `outcome` is success, failure or neutral, `reason` says why where it failed.
    """

    __slots__ = ("began_s", "ended_s", "outcome", "provider", "reason", "span_id")

    def __init__(self, provider: Attempted, span_id: int, began_s: float) -> None:
        self.provider = provider
        self.span_id = span_id
        self.began_s = began_s
        self.ended_s = began_s
        self.outcome = ""
        self.reason = ""

    def __repr__(self) -> str:
        return f"<Attempt at {self.provider.name} {self.span_id:016x} {self.outcome} {self.reason}>"


class Trace:
    """The part of a trace that one request is.

    `parent` is the client's span, `context` the request's own; `attempts` are those made so far, and `lines`
    the header lines that the last of them takes to its provider.
    """

    __slots__ = ("_export", "_new_id", "_tracestate", "attempts", "context", "lines", "parent")

    def __init__(
        self,
        context: TraceContext,
        parent: TraceContext | None,
        tracestate: bytes | None,
        export: Export | None,
        new_id: Callable[[int], int],
    ) -> None:
        self.context = context
        self.parent = parent
        self.attempts: list[Attempt] = []
        self.lines = b""
        self._tracestate = tracestate
        self._export = export if context.sampled else None
        self._new_id = new_id

    def __repr__(self) -> str:
        return f"<Trace {self.context.trace_id:032x} {self.attempts}>"

    def attempt(self, provider: Attempted, now: float) -> None:
        """Another attempt begins."""
        attempt = Attempt(provider, self._new_id(64), now)
        self.attempts.append(attempt)
        self.lines = b"traceparent: %b\r\n" % self.context._replace(span_id=attempt.span_id).traceparent()
        if self._tracestate is not None:
            self.lines += b"tracestate: %b\r\n" % self._tracestate

    def failed(self, outcome: str, reason: str, now: float) -> None:
        """The last attempt brought nothing, or broke off."""
        attempt = self.attempts[-1]
        attempt.ended_s, attempt.outcome, attempt.reason = now, outcome, reason

    def answered(self, request: Answered, now: float) -> None:
        """The request is over."""
        if self._export is not None:
            if request.outcome is not None:
                self.failed(request.outcome, "", now)
            self._export.answered(self, request, now)

    def refused(self, request: Traced, status: int, code: str, now: float) -> None:
        """The request was refused before a provider was chosen."""
        if self._export is not None:
            self._export.refused(self, request, status, code, now)


class Tracer:
    """Begins traces; without an `export` only what clients sent goes on.

    `sample` is the share, 0 to 1, of the traces begun here that are recorded; a client's own word is kept.
    `random_bits(n)` draws an integer of n bits. `exports` says that every request has a trace.
    """

    def __init__(
        self,
        export: Export | None = None,
        sample: float = 1.0,
        *,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self.exports = export is not None
        self._export = export
        self._sampled_below = int(sample * (1 << _RANDOM_BITS))
        self._random_bits = random_bits

    def __repr__(self) -> str:
        return f"<Tracer {self._export!r}>"

    def begin(self, request: Traced) -> Trace | None:
        """The trace that `request` belongs to; None where it has none."""
        parent = tracestate = None
        if request.traceparent is not None:
            parent = parse_traceparent(request.traceparent)
            tracestate = None if parent is None else request.tracestate
        if parent is None:
            if self._export is None:
                return None
            trace_id = self._new_id(128)
            sampled = trace_id & ((1 << _RANDOM_BITS) - 1) < self._sampled_below
        else:
            trace_id, _, sampled = parent
        context = TraceContext(trace_id, self._new_id(64), sampled)
        return Trace(context, parent, tracestate, self._export, self._new_id)

    def close(self, within_s: float) -> None:
        """Send the spans that are left, for `within_s` seconds at most."""
        if self._export is not None:
            self._export.close(within_s)

    def _new_id(self, bits: int) -> int:
        return self._random_bits(bits) or 1  # 0 is no id
