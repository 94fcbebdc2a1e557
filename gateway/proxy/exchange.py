"""One request's life: sent, watched, perhaps sent again or elsewhere, answered exactly once.

A chain of plain callbacks; the plan decides, the exchange performs. The states:

    waiting      for a delay, or for the pool (`_timer` runs, or the pool owes a connection)
    sent         `_connection` is busy with the request
    holding      the response has begun, but nothing of it has gone to the client: it may still be retried
    committed    bytes have gone out; whatever happens now ends in `end` or `cut`
    ended        the client has its answer, or has left
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.errors import TIMEOUT, UNAVAILABLE, UPSTREAM, ConnectError, Fault, GatewayError
from gateway.proxy import hold, masking, sse
from gateway.resilience.outcome import CALLERS_FAULT, Result, of_fault, of_status
from gateway.resilience.plan import Plan, Refuse, Send, Step
from gateway.resilience.retry import parse_retry_after

if TYPE_CHECKING:
    from gateway.proxy.ports import Client, Connection, Request, ResponseHead
    from gateway.proxy.service import Service
    from gateway.routing.model_router import Route

_TIMED_OUT = {"first_byte": "sent no response", "idle": "fell silent", "total": "was not done"}
_TAIL = 4
_EVENT_KEPT = 64 * 1024


class Exchange:
    """A request of `client` on its way along `route`; `body` is what is sent."""

    __slots__ = (
        # request
        "_body",
        "_client",
        "_plan",
        "_pools",
        "_request_id",
        "_service",
        "attempts",
        "client_gone",
        "request",
        "route",
        "status",
        "upstream_s",
        "waited_s",
        # attempt
        "_connection",
        "_sent_s",
        "_stale",
        "_timer",
        "at",
        # response
        "_committed",
        "_ends_with_connection",
        "_head",
        "_held",
        "_held_size",
        "_is_stream",
        "_rule",
        "_tail",
        "first_byte_s",
    )

    def __init__(self, service: Service, request: Request, client: Client, route: Route, body: bytes) -> None:
        self._service = service
        self._pools = service.pools
        self._client = client
        self._body = body
        self._request_id: bytes | None = None
        self.request = request
        self.route = route
        self._plan = Plan(route.policies, route.model)
        self.attempts = 0
        self.status = 0
        self.client_gone = False
        self.upstream_s = 0.0
        self.waited_s = 0.0
        self.first_byte_s = 0.0
        self.at = 0
        self._sent_s = 0.0
        self._stale = False
        self._timer: asyncio.TimerHandle | None = None
        self._connection: Connection | None = None
        self._begin_response()

    def __repr__(self) -> str:
        return f"<Exchange {self.request!r} at {self.provider_name}, attempt {self.attempts}>"

    @property
    def provider_name(self) -> str:
        """The provider asked last."""
        return self.route.chain[self.at].name

    @property
    def method(self) -> bytes:
        """The request's method."""
        return self.request.method

    @property
    def path(self) -> bytes:
        """The request's path."""
        return self.request.path

    @property
    def label(self) -> str:
        """The model's name for metrics, of a closed set."""
        return self.route.label

    @property
    def received_s(self) -> float:
        """When the request was whole."""
        return self.request.received_s

    @property
    def request_id(self) -> bytes:
        """The client's own id of the request, or one of ours."""
        if self._request_id is None:
            self._request_id = self.request.request_id or self._service.new_request_id()
        return self._request_id

    # -- deciding and performing

    def start(self) -> None:
        """Make the first attempt, or refuse."""
        now = self._service.clock()
        self._plan.deadline_s = now + self.route.chain[0].timeouts.total
        self._perform(self._plan.first(now), now)

    def _perform(self, step: Step, now: float) -> None:
        if type(step) is Send:
            if step.reason:
                after = self.route.chain[step.index].name
                self._service.observer.tried_again(
                    self.request_id, self.provider_name, after, step.reason, step.delay_s
                )
            if step.delay_s > 0.0:
                self.waited_s += step.delay_s
                self._timer = self._service.call_later(step.delay_s, self._due)
            else:
                self._send(step.index, now)
        else:
            assert type(step) is Refuse
            self._refuse(step.error, now)

    def _due(self) -> None:
        self._timer = None
        now = self._service.clock()
        self._perform(self._plan.due(now), now)

    def _send(self, index: int, now: float, *, fresh: bool = False) -> None:
        self.at = index
        self._sent_s = now
        self._stale = fresh
        self._begin_response()
        if not fresh:
            self.attempts += 1
        try:
            connection = self._pools[self.provider_name].acquire(self, fresh=fresh)
        except ConnectError as error:
            self.on_not_connected(error.fault, str(error))
            return
        if connection is None:
            self._timer = self._service.call_later(max(0.0, self._plan.deadline_s - now), self._total_over)
        else:
            self._transmit(connection, now)

    def _transmit(self, connection: Connection, now: float) -> None:
        self._connection = connection
        provider = self.route.chain[self.at]
        connection.send(
            self,
            provider.head(self.request, self.route.model, len(self._body)),
            self._body,
            bodiless=self.request.method == b"HEAD",
            deadline_s=now + provider.timeouts.first_byte,
            limit_s=self._plan.deadline_s,
        )

    def _total_over(self) -> None:
        self._timer = None
        self._pools[self.provider_name].cancel(self)
        self._failed(Fault.TIMEOUT, "total")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- the pool

    def on_connected(self, connection: Connection) -> None:
        """The connection that the pool promised."""
        self._stop_timer()
        self._transmit(connection, self._service.clock())

    def on_not_connected(self, fault: Fault, detail: str) -> None:
        """The pool has none to give."""
        self._stop_timer()
        self._failed(fault, detail)

    # -- the response

    def _begin_response(self) -> None:
        self._committed = False
        self._head: ResponseHead | None = None
        self._rule = hold.FIRST_BYTE
        self._held: list[bytes] = []
        self._held_size = 0
        self._is_stream = False
        self._ends_with_connection = False
        self._tail = b""

    def on_head(self, head: ResponseHead) -> None:
        """The response begins."""
        self._head = head
        self._rule = hold.rule(head.status, head.content_type, head.content_encoding)
        self._is_stream = self._rule == hold.FIRST_EVENT
        self._ends_with_connection = head.content_length is None and head.coding is None

    def on_body(self, data: bytes, complete: bool) -> None:
        """Body bytes of one read, and whether they are the last."""
        if complete:
            self._connection = None
        if self._committed:
            if self._is_stream:
                self._keep_tail(data)
            if complete:
                self._end(data)
            elif data:
                self._client.write(data)
            return
        if self._held:
            self._held.append(data)
            self._held_size += len(data)
            data = b"".join(self._held)
            self._held = [data]
        else:
            self._held.append(data)
            self._held_size = len(data)
        if self._rule == hold.FIRST_EVENT:
            self._hold_stream(data, complete)
        elif complete or self._held_size > hold.MAX_HELD or (data and self._rule == hold.FIRST_BYTE):
            self._settle(data, complete)

    def _hold_stream(self, data: bytes, complete: bool) -> None:
        event = sse.first_event(data)
        if event is None:
            if complete:
                self._drop_response(Fault.EMPTY_STREAM, "the event stream ended without any event")
            elif self._held_size > hold.MAX_HELD:
                self._settle(data, complete)
            return
        secrets = self.route.chain[self.at].secrets
        error = sse.error_of(event._replace(data=masking.masked(event.data, secrets)))
        if error is None:
            self._settle(data, complete)
        elif sse.is_callers_fault(error):
            self._settle(data, complete, CALLERS_FAULT)
        else:
            self._drop_response(Fault.STREAM_ERROR, str(error.get("message") or "an error"), error)

    def _settle(self, data: bytes, complete: bool, result: Result | None = None) -> None:
        """Deliver the response that has come so far, or give it up for another attempt."""
        service = self._service
        now = service.clock()
        head = self._head
        assert head is not None
        if result is None:
            retry_after_s = None
            if head.status in (429, 503):
                retry_after_s = parse_retry_after(head.retry_after, head.retry_after_ms, service.wall_clock())
            result = of_status(head.status, retry_after_s)
        if result.verdict.retry:
            self._tell_failure(result, f"status {head.status}")
        step = self._plan.after(result, now, service.sample())
        if type(step) is Send:
            self._give_up_connection()
            self.upstream_s += now - self._sent_s
            self._perform(step, now)
            return
        self.upstream_s += now - self._sent_s
        self.first_byte_s = now
        self._deliver(head, data, complete, now)

    def _deliver(self, head: ResponseHead, data: bytes, complete: bool, now: float) -> None:
        self.status = head.status
        fields = head.fields
        secrets = self.route.chain[self.at].secrets
        if secrets and self._rule == hold.WHOLE:
            fields, data = masking.without_secrets(head, data, secrets, complete)
            if not complete and head.content_encoding is None:
                self._client = masking.MaskingClient(self._client, secrets)
        if complete and not (self._is_stream and self._ends_with_connection):
            fields.append(self._own_fields(head.request_id is None, head.date, now))
            self._finish(True, now)
            self._client.respond(head.status, fields, data, head.content_length)
            return
        fields.append(self._own_fields(head.request_id is None, head.date, now))
        self._committed = True
        self._held = []
        if self._connection is not None:
            self._connection.commit()
        length = None if self._is_stream else head.content_length
        if self._is_stream:
            self._keep_tail(data)
        self._client.start(head.status, fields, length, data)
        if complete and self._committed:
            self._end(b"")

    def _end(self, data: bytes) -> None:
        if self._is_stream and self._ends_with_connection and not sse.is_terminal(self._tail):
            if data:
                self._client.write(data)
            self._break(Fault.CLOSED, "the provider closed the connection before the stream's last event")
            return
        self._finish(True, self._service.clock())
        self._client.end(data)

    def _keep_tail(self, data: bytes) -> None:
        keep = _EVENT_KEPT if self._ends_with_connection else _TAIL
        self._tail = data[-keep:] if len(data) >= keep else (self._tail + data)[-keep:]

    # -- failures

    def on_failure(self, fault: Fault, detail: str) -> None:
        """The connection is gone, and with it the rest of the response."""
        connection, self._connection = self._connection, None
        if self._committed:
            self._break(fault, detail)
            return
        stale = connection is not None and connection.reused and not connection.received
        if stale and not self._stale and fault in (Fault.RESET, Fault.CLOSED):
            self._send(self.at, self._sent_s, fresh=True)  # the race that every pool loses now and then
            return
        self._failed(fault, detail)

    def _drop_response(self, fault: Fault, detail: str, error: dict[str, object] | None = None) -> None:
        self._give_up_connection()
        self._failed(fault, detail, error)

    def _failed(self, fault: Fault, detail: str, error: dict[str, object] | None = None) -> None:
        now = self._service.clock()
        self.upstream_s += now - self._sent_s
        result = of_fault(fault, self._error(fault, detail, error))
        self._tell_failure(result, detail)
        step = self._plan.after(result, now, self._service.sample())
        if type(step) is Send:
            self._perform(step, now)
        else:
            assert result.error is not None
            self._refuse(result.error, now)

    def _break(self, fault: Fault, detail: str) -> None:
        """A response breaks off that the client has seen the beginning of: it must be able to tell."""
        now = self._service.clock()
        error = self._error(fault, detail, None)
        self._service.observer.stream_broken(self.request_id, self.provider_name, fault.value, detail)
        self._finish(False, now, fault.value)
        if self._is_stream:
            responses = self.request.path == b"/v1/responses"
            self._client.cut(sse.error_event(self._tail, error.object(), responses=responses))
        else:
            self._client.cut()

    def _refuse(self, error: GatewayError, now: float) -> None:
        self.status = error.status
        self._finish(True, now)
        self._client.refuse(error, [self._own_fields(True, True, now)])

    def _error(self, fault: Fault, detail: str, error: dict[str, object] | None) -> GatewayError:
        name = self.provider_name
        if fault is Fault.TIMEOUT:
            provider = self.route.chain[0 if detail == "total" else self.at]
            limit_s = getattr(provider.timeouts, detail)
            setting = f"providers.{provider.name}.timeouts.{detail}"
            message = f"Provider '{name}' {_TIMED_OUT[detail]} within {limit_s:g} s ({setting})."
            return GatewayError(504, TIMEOUT, "upstream_timeout", message)
        if fault is Fault.SATURATED:
            message = f"Provider '{name}' is used to capacity: {detail} (providers.{name}.pool)."
            return GatewayError(503, UNAVAILABLE, "overloaded", message, retry_after_s=1.0)
        if error is not None:
            type_ = str(error.get("type") or UPSTREAM)
            code = error.get("code")
            return GatewayError(502, type_, None if code is None else str(code), detail)
        return GatewayError(502, UPSTREAM, f"upstream_{fault.value}", f"Provider '{name}' failed: {detail}.")

    # -- the client

    def gone(self) -> None:
        """The client has left: nothing of this request goes on."""
        self._stop_timer()
        if self._connection is not None:
            self._give_up_connection()
        else:
            self._pools[self.provider_name].cancel(self)
        self.client_gone = True
        self.status = 499
        now = self._service.clock()
        self._plan.release(now)
        self._service.observer.finished(self, now)

    def pause(self) -> None:
        """The client does not keep up: the provider must wait."""
        if self._connection is not None and self._committed:
            self._connection.pause()

    def resume(self) -> None:
        """The client has caught up."""
        if self._connection is not None:
            self._connection.resume()

    # -- inside

    def _give_up_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()

    def _tell_failure(self, result: Result, detail: str) -> None:
        verdict = result.verdict
        self._service.observer.attempt_failed(
            self.request_id,
            self.provider_name,
            self.attempts,
            verdict.reason,
            verdict.outcome.name.lower(),
            detail,
        )

    def _finish(self, whole: bool, now: float, reason: str = "") -> None:
        self._plan.finish(whole, now, reason)
        self._service.observer.finished(self, now)

    def _own_fields(self, needs_id: bool, has_date: bool, now: float) -> bytes:
        """What the gateway adds to every answer: who gave it, after how many attempts, and what it cost."""
        upstream_ms = self.upstream_s * 1000.0
        gateway_ms = (now - self.request.received_s - self.waited_s) * 1000.0 - upstream_ms
        fields = (
            b"x-gateway-provider: %b\r\nx-gateway-attempts: %d\r\nserver-timing: gateway;dur=%.3f, upstream;dur=%.3f"
            % (
                self.provider_name.encode(),
                self.attempts,
                max(0.0, gateway_ms),
                upstream_ms,
            )
        )
        if self.waited_s:
            fields += b", backoff;dur=%.3f" % (self.waited_s * 1000.0)
        if needs_id:
            fields += b"\r\nx-request-id: " + self.request_id
        if not has_date:
            return fields + b"\r\n" + b"".join(self._client.date_field())
        return fields + b"\r\n"
