"""Who is told of everything that happens, and tells the log, the counters and the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gateway.observe import events
from gateway.observe.journal import LastErrors, Transitions
from gateway.observe.metrics import UNROUTED, Metrics, Observed
from gateway.observe.tracing import Answered, Attempted, Trace, Traced, Tracer
from gateway.observe.usage import Price


class Finished(events.Finished, Answered, Observed, Protocol):
    """A request that is over. `outcome` is that of its last attempt, None where that was told already."""

    @property
    def request(self) -> Traced: ...
    @property
    def provider(self) -> Attempted: ...
    @property
    def model(self) -> str: ...
    @property
    def trace(self) -> Trace | None: ...


class Observer:
    """The facts' only way out of the data plane. `wall_clock` is in seconds since the epoch.

    `prices` are by model name; they and the `tracer` may be exchanged.
    """

    def __init__(
        self,
        log: events.Events,
        metrics: Metrics,
        transitions: Transitions,
        last_errors: LastErrors,
        wall_clock: Callable[[], float],
    ) -> None:
        self.log = log
        self.prices: Mapping[str, Price] = {}
        self.tracer = Tracer()
        self._metrics = metrics
        self._transitions = transitions
        self._last_errors = last_errors
        self._wall_clock = wall_clock

    def started(self, request: Traced) -> Trace | None:
        """A request begins to be answered; the result is the trace that it belongs to."""
        self._metrics.request_started()
        if not self.tracer.exports and request.traceparent is None:
            return None
        return self.tracer.begin(request)

    def finished(self, exchange: Finished, now: float) -> None:
        """A request has its answer, or its client has left."""
        provider = exchange.provider.name
        label = exchange.route.label
        metrics = self._metrics
        metrics.request_finished(
            provider, label, exchange, exchange.request.received_s, now, exchange.outcome
        )
        tokens = exchange.tokens
        if tokens is not None:
            prices = self.prices
            price = (prices.get(exchange.model) or prices.get(label)) if prices else None
            metrics.tokens(provider, label, tokens, price)
        if exchange.trace is not None:
            exchange.trace.answered(exchange, now)
        if self.log.access or exchange.status == events.CLIENT_LEFT:
            self.log.finished(exchange, now)

    def turned_away(self, status: int, code: str) -> None:
        """A connection got an answer before anything of a request was known."""
        self.log.turned_away(status, code)

    def refused(self, request: Traced, request_id: bytes, status: int, code: str, now: float) -> None:
        """A request was refused before a provider was chosen."""
        self._metrics.count("gateway_requests", UNROUTED, "other", str(status))
        trace = self.tracer.begin(request)
        if trace is not None:
            trace.refused(request, status, code, now)
        self.log.refused(request, request_id, status, code, now)

    def attempt_failed(
        self, request_id: bytes, provider: str, attempt: int, reason: str, outcome: str, detail: str
    ) -> None:
        """An attempt failed or was turned away."""
        self._metrics.attempt(provider, outcome)
        self._note_error(provider, reason, detail)
        self.log.attempt_failed(request_id, provider, attempt, reason, outcome, detail)

    def stream_broken(self, request_id: bytes, provider: str, reason: str, detail: str) -> None:
        """A response broke off before the client's eyes."""
        self._metrics.attempt(provider, "failure")
        self._metrics.count("gateway_broken_responses", provider, reason)
        self._note_error(provider, reason, detail)
        self.log.stream_broken(request_id, provider, reason, detail)

    def tried_again(self, request_id: bytes, before: str, after: str, reason: str, delay_s: float) -> None:
        """A retry at the same provider, or a fallback to another."""
        if before == after:
            self._metrics.count("gateway_retries", before, reason)
        else:
            self._metrics.count("gateway_fallbacks", before, after, reason)
        self.log.tried_again(request_id, before, after, reason, delay_s)

    def circuit_changed(
        self, provider: str, before: str, after: str, reason: str, failures: int, open_for_s: float
    ) -> None:
        """A circuit opened, became half-open or closed."""
        self._metrics.count("gateway_circuit_transitions", provider, before, after)
        entry = {"provider": provider, "from": before, "to": after, "reason": reason, "failures": failures}
        self._transitions.add({"at": self._wall_clock(), **entry, "open_for_s": open_for_s})
        self.log.circuit_changed(provider, before, after, reason, failures, open_for_s)

    def last_errors(self) -> Mapping[str, Mapping[str, Any]]:
        """By provider: `message`, and `at` in seconds since the epoch."""
        return self._last_errors.all()

    def transitions(self) -> Sequence[Mapping[str, Any]]:
        """Changes of circuits, oldest first: what `circuit_changed` said, `at` in seconds since the epoch."""
        return self._transitions.all()

    def _note_error(self, provider: str, reason: str, detail: str) -> None:
        self._last_errors.put(provider, {"message": f"{reason}: {detail}", "at": self._wall_clock()})
