"""One request's life: sent, watched, perhaps sent again or elsewhere, answered exactly once.

A chain of plain callbacks; the plan decides, the exchange performs. The states:

    waiting      for a delay (`_timer`), or for the pool, which owes a connection
    sent         `_connection` is busy with the request
    holding      `_response` has begun, but nothing of it has gone out: it may still be retried
    committed    bytes have gone out; whatever happens now ends in `end` or `cut`
    ended        the client has its answer, or has left
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.errors import ConnectError, Fault, GatewayError
from gateway.observe import usage
from gateway.proxy import answers, inject
from gateway.proxy.masking import MaskingClient, masked
from gateway.proxy.response import Look, Outline, Response
from gateway.resilience.outcome import CALLERS_FAULT, OUTCOMES, Result, of_fault, of_status
from gateway.resilience.plan import SEND_FIRST, Plan, Refuse, Send, Step
from gateway.resilience.retry import parse_retry_after

if TYPE_CHECKING:
    from gateway.observe.tracing import Trace
    from gateway.observe.usage import Tokens
    from gateway.proxy.ports import Client, Connection, Request, ResponseHead
    from gateway.proxy.service import Service
    from gateway.routing.model_router import Route


class Exchange:
    """A request of `client` on its way along `route`; `body` is what is sent."""

    __slots__ = (
        # request
        "_body",
        "_client",
        "_committed",
        "_plan",
        "_pools",
        "_request_id",
        "_service",
        "_tokens",
        "attempts",
        "first_byte_s",
        "request",
        "route",
        "status",
        "trace",
        "upstream_s",
        "waited_s",
        # attempt
        "_connection",
        "_fresh",
        "_head",
        "_response",
        "_sent_s",
        "_timer",
        "_told",
        "provider",
    )

    def __init__(
        self,
        service: Service,
        request: Request,
        client: Client,
        route: Route,
        body: bytes,
        trace: Trace | None = None,
    ) -> None:
        self._service = service
        self._pools = service.pools
        self._client = client
        self._body = body
        self._request_id: bytes | None = None
        self._plan = Plan(route.policies, route.model)
        self._committed = False
        self._tokens: Tokens | None = None
        self.request = request
        self.route = route
        self.attempts = 0
        self.status = 0
        self.upstream_s = 0.0
        self.waited_s = 0.0
        self.first_byte_s = 0.0
        self.trace = trace
        self.provider = route.chain[0]
        self._told = True
        self._timer: asyncio.TimerHandle | None = None
        self._connection: Connection | None = None
        self._head: ResponseHead | None = None
        self._response: Response | None = None

    def __repr__(self) -> str:
        return f"<Exchange {self.request!r} at {self.provider.name}, attempt {self.attempts}>"

    @property
    def request_id(self) -> bytes:
        """The client's own id of the request, or one of ours."""
        if self._request_id is None:
            self._request_id = self.request.head.request_id or self._service.new_request_id()
        return self._request_id

    @property
    def outcome(self) -> str | None:
        """How the last attempt ended: success or neutral; None where its failure was told already."""
        if self._told:
            return None
        return "neutral" if self.status == 499 else OUTCOMES[self._plan.outcome]

    @property
    def provider_request_id(self) -> bytes | None:
        """The id that the provider gave the request, where it gave one; with no key of ours in it."""
        given = None if self._head is None else self._head.request_id
        return given and masked(given, self.provider.secrets)

    @property
    def tokens(self) -> Tokens | None:
        """The usage that the provider told."""
        return self._tokens if self._response is None else self._response.tokens

    # -- deciding and performing

    def start(self) -> None:
        """Make the first attempt, or refuse."""
        now = self._service.clock()
        plan = self._plan
        plan.deadline_s = now + self.provider.total_s
        step = plan.first(now)
        if step is SEND_FIRST:
            self._attempt(now)
        else:
            self._perform(step, now)

    def _perform(self, step: Step, now: float) -> None:
        if type(step) is Send:
            if step.reason:
                after = self.route.chain[step.index].name
                self._service.observer.tried_again(
                    self.request_id, self.provider.name, after, step.reason, step.delay_s
                )
            if step.delay_s > 0.0:
                self.waited_s += step.delay_s
                self._timer = self._service.call_later(step.delay_s, self._due)
            else:
                self.provider = self.route.chain[step.index]
                self._attempt(now)
        else:
            assert type(step) is Refuse
            self._refuse(step.error, now)

    def _due(self) -> None:
        self._timer = None
        now = self._service.clock()
        self._perform(self._plan.due(now), now)

    def _attempt(self, now: float) -> None:
        self.attempts += 1
        self._told = False
        if self.trace is not None:
            self.trace.attempt(self.provider, now)
        self._send(now, False)

    def _send(self, now: float, fresh: bool) -> None:
        self._sent_s = now
        self._fresh = fresh
        self._head = None
        self._response = None
        try:
            connection = self._pools[self.provider.name].acquire(self, fresh)
        except ConnectError as error:
            self._failed(error.fault, str(error))
            return
        if connection is None:
            self._timer = self._service.call_later(max(0.0, self._plan.deadline_s - now), self._total_over)
        else:
            self._transmit(connection, now)

    def _transmit(self, connection: Connection, now: float) -> None:
        self._connection = connection
        provider = self.provider
        request = self.request.head
        body = self._body
        if provider.inject_usage and request.path in inject.PATHS:
            body = inject.with_usage_asked(body) or body
        lines = b"" if self.trace is None else self.trace.lines
        connection.send(
            self,
            provider.head(request, self.route.model, len(body), lines),
            body,
            request.method == b"HEAD",
            now + provider.first_byte_s,
            self._plan.deadline_s,
        )

    def _total_over(self) -> None:
        self._timer = None
        self._pools[self.provider.name].cancel(self)
        self._failed(Fault.TIMEOUT, "total")

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

    def on_head(self, head: ResponseHead) -> None:
        """The response begins."""
        self._head = head

    def on_body(self, data: bytes, complete: bool) -> None:
        """Body bytes of one read, and whether they are the last."""
        response = self._response
        if complete:
            self._connection = None
        if response is None:
            head = self._head
            assert head is not None
            outline = head.passed_as
            if type(outline) is not Outline:
                outline = Outline.of(head, self.provider.secrets)
            bodiless = self.request.head.method == b"HEAD"
            if complete and outline.is_plain and not bodiless:
                self._pass_on(head, outline, data)
                return
            response = self._response = Response(head, self.provider.secrets, bodiless=bodiless)
        if not self._committed:
            self._hold(response, data, complete)
            return
        if response.is_watched:
            response.watch(data)
        if complete:
            self._end(response, data)
        elif data:
            self._client.write(data)

    def _pass_on(self, head: ResponseHead, outline: Outline, data: bytes) -> None:
        """Deliver a whole success of which nothing had come before: what nearly every request comes to."""
        now = self._service.clock()
        self.upstream_s += now - self._sent_s
        self.status = head.status
        self.first_byte_s = now
        if outline.is_json:
            self._tokens = usage.of_body(data)
        fields = [outline.fields, self._own_fields(now, outline.has_id)]
        if not outline.has_date:
            fields += self._client.date_field()
        self._plan.succeed(now)
        self._service.observer.finished(self, now)
        self._client.respond(head.status, fields, data)

    def _hold(self, response: Response, data: bytes, complete: bool) -> None:
        look = response.hold(data, complete, self.provider.secrets)
        if look is Look.READY:
            self._settle(response, complete, self._result(response.head))
        elif look is Look.CALLERS_ERROR_FIRST:
            self._settle(response, complete, CALLERS_FAULT)
        elif look is Look.EMPTY_STREAM:
            self._failed(Fault.EMPTY_STREAM, "its event stream ended without any event")
        elif look is Look.ERROR_FIRST:
            self._give_up_connection()
            error = answers.stream_error(response.error)
            self._decide_failure(of_fault(Fault.STREAM_ERROR, error), error.message)

    def _result(self, head: ResponseHead) -> Result:
        if head.status not in (429, 503):
            return of_status(head.status)
        service = self._service
        retry_after_s = parse_retry_after(head.retry_after, head.retry_after_ms, service.wall_clock())
        return of_status(head.status, retry_after_s)

    def _settle(self, response: Response, complete: bool, result: Result) -> None:
        """Deliver the response that has come so far, or give it up for another attempt."""
        service = self._service
        now = service.clock()
        self.upstream_s += now - self._sent_s
        if result.verdict.retry:
            self._tell_failure(result, f"status {response.head.status}")
        step = self._plan.after(result, now, service.sample())
        if type(step) is Send:
            self._give_up_connection()
            self._perform(step, now)
        else:
            self._deliver(response, complete, now)

    def _deliver(self, response: Response, complete: bool, now: float) -> None:
        head = response.head
        self.status = head.status
        self.first_byte_s = now
        fields, data = response.release(self.provider.secrets, complete)
        fields.append(self._own_fields(now, head.request_id is not None))
        if not head.date:
            fields += self._client.date_field()
        if self.provider.inject_usage and response.is_stream and inject.with_usage_asked(self._body):
            self._client = inject.UsageRemover(self._client)
        if complete and response.is_whole():
            self._finish(True, now)
            self._client.respond(head.status, fields, data, head.content_length)
            return
        self._committed = True
        if self._connection is not None:
            self._connection.commit()
        if self.provider.secrets and response.needs_masking:
            self._client = MaskingClient(self._client, self.provider.secrets)
        self._client.start(head.status, fields, None if response.is_stream else head.content_length, data)
        if complete:
            self._end(response, b"")

    def _end(self, response: Response, data: bytes) -> None:
        if response.is_whole():
            self._finish(True, self._service.clock())
            self._client.end(data)
            return
        if data:
            self._client.write(data)
        self._break(Fault.CLOSED, "it closed the connection before the last event of its stream")

    # -- failures

    def on_failure(self, fault: Fault, detail: str) -> None:
        """The connection is gone, and with it the rest of the response."""
        connection, self._connection = self._connection, None
        if self._committed:
            self._break(fault, detail)
            return
        stale = connection is not None and connection.reused and not connection.received
        if stale and not self._fresh and fault in (Fault.RESET, Fault.CLOSED):
            self._send(self._sent_s, True)  # the race that every pool loses now and then
            return
        self._failed(fault, detail)

    def _failed(self, fault: Fault, detail: str) -> None:
        error = answers.fault_error(fault, detail, self.provider, self.route.chain[0])
        self._decide_failure(of_fault(fault, error), detail)

    def _decide_failure(self, result: Result, detail: str) -> None:
        now = self._service.clock()
        self.upstream_s += now - self._sent_s
        self._tell_failure(result, detail)
        step = self._plan.after(result, now, self._service.sample())
        if type(step) is Send:
            self._perform(step, now)
        else:
            assert result.error is not None
            self._refuse(result.error, now)

    def _break(self, fault: Fault, detail: str) -> None:
        """A response breaks off that the client has seen the beginning of: it must be able to tell."""
        response = self._response
        assert response is not None
        now = self._service.clock()
        self._told = True
        if self.trace is not None:
            self.trace.failed("failure", fault.value, now)
        self._service.observer.stream_broken(self.request_id, self.provider.name, fault.value, detail)
        self._finish(False, now, fault.value)
        error = answers.fault_error(fault, detail, self.provider, self.route.chain[0])
        self._client.cut(response.error_event(error, self.request.head.path))

    def _refuse(self, error: GatewayError, now: float) -> None:
        self.status = error.status
        self._finish(True, now)
        self._client.refuse(error, [self._own_fields(now, False)])

    # -- the client

    def gone(self) -> None:
        """The client has left: nothing of this request goes on."""
        now = self._service.clock()
        self._stop_timer()
        if self._connection is not None:
            self._give_up_connection()
            if not self._committed:
                self.upstream_s += now - self._sent_s
        else:
            self._pools[self.provider.name].cancel(self)
        self.status = 499
        self._plan.release(now)
        self._service.observer.finished(self, now)

    def cut_off(self) -> None:
        """The gateway ends before the answer does: the client is told, and nothing is held against anyone."""
        now = self._service.clock()
        self._stop_timer()
        if self._connection is not None:
            self._give_up_connection()
        else:
            self._pools[self.provider.name].cancel(self)
        self._plan.release(now)
        self._told = True
        error = answers.shutting_down()
        if not self._committed:
            self._refuse(error, now)
            return
        assert self._response is not None
        self._service.observer.finished(self, now)
        self._client.cut(self._response.error_event(error, self.request.head.path))

    def pause(self) -> None:
        """The client does not keep up: the provider must wait."""
        if self._connection is not None and self._committed:
            self._connection.pause()

    def resume(self) -> None:
        """The client has caught up."""
        if self._connection is not None:
            self._connection.resume()

    # -- inside

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()

    def _tell_failure(self, result: Result, detail: str) -> None:
        self._told = True
        verdict = result.verdict
        outcome = verdict.outcome.name.lower()
        if self.trace is not None:
            self.trace.failed(outcome, verdict.reason, self._service.clock())
        self._service.observer.attempt_failed(
            self.request_id, self.provider.name, self.attempts, verdict.reason, outcome, detail
        )

    def _finish(self, whole: bool, now: float, reason: str = "") -> None:
        self._plan.finish(whole, now, reason)
        self._service.observer.finished(self, now)

    def _own_fields(self, now: float, has_id: bool) -> bytes:
        upstream_s = self.upstream_s
        gateway_s = now - self.request.received_s - upstream_s - self.waited_s
        request_id = None if has_id else self.request_id
        provider = self.provider
        return answers.own_fields(
            provider.name_field, self.attempts, gateway_s, upstream_s, self.waited_s, request_id
        )
