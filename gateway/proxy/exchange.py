"""One request's life: sent, watched, perhaps sent again or elsewhere, answered exactly once.

A chain of plain callbacks; the plan decides, the exchange performs. The states:

    waiting      for a delay (`_timer`), or for the pool, which owes a connection
    sent         `_connection` is busy with the request
    holding      `_response` has begun, but nothing of it has gone out: it may still be retried
    committed    bytes have gone out; whatever happens now ends in `end` or `cut`
    ended        the client has its answer, or has left
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from gateway.errors import Fault, GatewayError
from gateway.observe import log, usage
from gateway.providers.translation import TranslationError
from gateway.proxy import answers
from gateway.proxy.attempts import Attempts
from gateway.proxy.masking import MaskingClient
from gateway.proxy.response import Look, Outline, Response
from gateway.proxy.sending import TranslatingClient
from gateway.resilience.outcome import CALLERS_FAULT, Result, of_fault, of_status
from gateway.resilience.plan import Send
from gateway.resilience.retry import parse_retry_after

if TYPE_CHECKING:
    from gateway.proxy.ports import ResponseHead


class Exchange(Attempts):
    """A request of `client` on its way along `route`, and the answer on its way back."""

    __slots__ = ()

    # -- the response

    def on_head(self, head: ResponseHead) -> None:
        """The response begins."""
        self._head = head

    def on_whole(self, head: ResponseHead, body: bytes) -> None:
        """The whole response at once."""
        self._head = head
        outline = head.passed_as
        if self._sending is not None or type(outline) is not Outline or not outline.is_plain:
            self.on_body(body, True)
            return
        self._connection = None
        try:
            self._pass_on(head, outline, body)
        except Exception:
            self._crashed()

    def on_body(self, data: bytes, complete: bool) -> None:
        """Body bytes of one read, and whether they are the last."""
        if complete:
            self._connection = None
        try:
            response = self._response or self._begun(data, complete)
            if response is None:
                return
            if not self._committed:
                self._hold(response, data, complete)
                return
            if response.is_watched:
                response.watch(data)
            if complete:
                self._end(response, data)
            elif data:
                self._client.write(data)
        except TranslationError as error:
            self._give_up_connection()
            self._break(Fault.PROTOCOL, str(error))
        except Exception:
            self._crashed()

    def _begun(self, data: bytes, complete: bool) -> Response | None:
        """The response whose first bytes these are; None where they were all there was to do."""
        head = self._head
        assert head is not None
        outline = Outline.of(head, self.provider.secrets)
        bodiless = self.request.head.method == b"HEAD"
        if complete and outline.is_plain and not bodiless and self._sending is None:
            self._pass_on(head, outline, data)
            return None
        translated = self._sending is not None and self._sending.translator is not None
        self._response = Response(head, self.provider.secrets, bodiless=bodiless, translated=translated)
        return self._response

    def _pass_on(self, head: ResponseHead, outline: Outline, data: bytes) -> None:
        """Deliver a whole success of which nothing had come before: what nearly every request comes to."""
        service = self._service
        now = service.clock()
        self.upstream_s += now - self._sent_s
        self.status = head.status
        self.first_byte_s = now
        if outline.is_json:
            self._tokens = usage.of_body(data)
        fields = [outline.fields, self.own_fields(now, outline.has_id)]
        if not outline.has_date:
            fields += self._client.date_field()
        self._plan.succeed(now)
        if self._target is not None:
            self._target.answered(now - self._sent_s, now)
            self._leave_target(False, now)
        service.observer.finished(self, now)
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
        if (response.head.status >= 400 or response.error) and (
            self._tries_another_key(response, result, now) or self._tries_another_model(response, result, now)
        ):
            return
        if result.verdict.retry:
            self._tell_failure(result, f"status {response.head.status}")
            self._leave_target(True, now)
        step = self._plan.after(result, now, service.sample())
        if type(step) is Send:
            self._give_up_connection()
            self._perform(step, now)
        else:
            self._deliver(response, complete, now)

    def _deliver(self, response: Response, complete: bool, now: float) -> None:
        head = response.head
        fields, data = response.release(self.provider.secrets, complete)
        if self._sending is not None:
            self._client = self._sending.client(self._client)
        status = head.status
        translation = self._client if type(self._client) is TranslatingClient else None
        if translation is not None:
            try:
                # An error as the first event is all that there is to come.
                ends = complete and not response.error
                status, fields, data = translation.opened(head, fields, data, ends)
            except TranslationError as error:
                self._give_up_connection()
                self._client = translation.client
                self.upstream_s -= now - self._sent_s  # it is added once more
                self._failed(Fault.PROTOCOL, str(error))
                return
        self.status = status
        self.first_byte_s = now
        if self._target is not None and status < 400:
            self._target.answered(now - self._sent_s, now)
        fields.append(self.own_fields(now, head.request_id is not None))
        if not head.date:
            fields += self._client.date_field()
        if translation is not None and (complete or status >= 400 or response.error):
            self._give_up_connection()  # as much of an error as is held suffices
            self._finish(True, now)
            self._client.respond(status, fields, data)
            return
        if complete and response.is_whole():
            self._finish(True, now)
            self._client.respond(status, fields, data, head.content_length)
            return
        self._committed = True
        if self._connection is not None:
            self._connection.commit()
        if self.provider.secrets and response.needs_masking:
            self._client = MaskingClient(self._client, self.provider.secrets)
        self._client.start(status, fields, None if response.is_stream else head.content_length, data)
        if complete:
            self._end(response, b"")

    def _end(self, response: Response, data: bytes) -> None:
        translation = self._client if type(self._client) is TranslatingClient else None
        if translation is not None:
            data = translation.last(data)  # or it raises: the stream was cut short
        if translation is not None or response.is_whole():
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
        error = answers.fault_error(fault, detail, self.provider, self._first)
        self._decide_failure(of_fault(fault, error), detail)

    def _decide_failure(self, result: Result, detail: str) -> None:
        now = self._service.clock()
        self.upstream_s += now - self._sent_s
        self._tell_failure(result, detail)
        self._leave_target(True, now)
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
        error = answers.fault_error(fault, detail, self.provider, self._first)
        self._client.cut(response.error_event(error, self.request.head.path))

    def _refuse(self, error: GatewayError, now: float) -> None:
        self.status = error.status
        self._finish(True, now)
        self._client.refuse(error, [self.own_fields(now, False)])

    def _crashed(self) -> None:
        """The exception that is being handled is a defect of ours: the client is not left waiting for it."""
        path = self.request.head.path.decode("latin-1")
        log.tell(logging.ERROR, "internal_error", sys.exception(), where="answer", path=path)
        now = self._service.clock()
        self._stop_timer()
        self._give_up_connection()
        self._plan.release(now)
        self._leave_target(False, now)
        if self._committed:
            self._client.cut()
        else:
            self._client.refuse(answers.internal_error(), [self.own_fields(now, False)])

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
        self._leave_target(False, now)
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
        self._leave_target(False, now)
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

    def _finish(self, whole: bool, now: float, reason: str = "") -> None:
        self._leave_target(not whole, now)
        self._plan.finish(whole, now, reason)
        self._service.observer.finished(self, now)
