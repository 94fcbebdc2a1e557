"""Who is asked next, with what: the plan decides, and here its steps are performed.

Everything is a plain callback; what comes back is for exchange.py.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from gateway.errors import ConnectError, Fault, GatewayError
from gateway.providers import keys
from gateway.proxy.account import Account
from gateway.proxy.masking import inflated
from gateway.proxy.sending import Sending, sending
from gateway.resilience.outcome import KEY_REFUSED, Result
from gateway.resilience.plan import SEND_FIRST, Plan, Refuse, Send, Step
from gateway.routing.kinds import kind_of, kind_of_error

if TYPE_CHECKING:
    from gateway.observe.tracing import Trace
    from gateway.providers.base import Inbound
    from gateway.proxy.ports import Client, Connection, Request, ResponseHead
    from gateway.proxy.response import Response
    from gateway.proxy.service import Service
    from gateway.routing.model_router import Route
    from gateway.routing.target import Target

_MAX_READ: Final = 1024 * 1024


class Attempts(Account, ABC):
    """The attempts of a request of `client` along `route`; `asked` is what the client calls the model."""

    __slots__ = (
        # request
        "_asked",
        "_client",
        "_committed",
        "_first",
        "_keys_tried",
        "_pools",
        # attempt
        "_connection",
        "_fresh",
        "_sending",
        "_sent_s",
        "_target",
        "_timer",
    )

    def __init__(
        self,
        service: Service,
        request: Request,
        client: Client,
        route: Route,
        asked: str,
        trace: Trace | None = None,
    ) -> None:
        # All of the account too, and in one place: this runs for every request.
        self._service = service
        self._plan = Plan(route.policies, route.models)
        self._at = 0
        self._request_id = None
        self._told = True
        self._tokens = None
        self._head = None
        self._response = None
        self.request = request
        self.route = route
        self.provider = route.chain[0]
        self.attempts = 0
        self.status = 0
        self.upstream_s = 0.0
        self.waited_s = 0.0
        self.first_byte_s = 0.0
        self.trace = trace
        self._pools = service.pools
        self._client = client
        self._asked = asked
        self._committed = False
        self._first = self.provider  # whose `total` bounds everything, whatever route is taken later
        self._keys_tried = 0
        self._sending: Sending | None = None
        self._target: Target | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._connection: Connection | None = None

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
                self._at = step.index
                self.provider = self.route.chain[step.index]
                self._keys_tried = 0
                self._attempt(now)
        else:
            assert type(step) is Refuse
            self._refuse(step.error, now)

    def _due(self) -> None:
        self._timer = None
        now = self._service.clock()
        self._perform(self._plan.due(now), now)

    def _attempt(self, now: float) -> None:
        provider = self.provider
        model = self.route.models[self._at]
        if model == self._asked and self.request.head.path in provider.plain_paths:
            self._sending = None  # it goes as it came
        else:
            try:
                self._sending = sending(
                    self.request, self._asked, provider, model, now, self._service.wall_clock()
                )
            except GatewayError as error:
                self._plan.release(now)
                self._refuse(error, now)
                return
        self.attempts += 1
        self._told = False
        if self.trace is not None:
            self.trace.attempt(provider, now)
        target = self.route.targets[self._at]
        if target is not None:
            self._target = target
            target.began()
        self._send(now, False)

    def _send(self, now: float, fresh: bool) -> None:
        self._sent_s = now
        self._fresh = fresh
        self._head = None
        self._response = None
        provider = self.provider
        try:
            connection = self._pools[provider.name].acquire(self, fresh)
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
        sending = self._sending
        head: Inbound
        if sending is None:
            head, body, lines = self.request.head, self.request.body, b""
        else:
            head, body, lines = sending.head, sending.body, sending.lines
        if self.trace is not None:
            lines += self.trace.lines
        connection.send(
            self,
            provider.head(head, self.route.models[self._at], len(body), lines),
            body,
            head.method == b"HEAD",
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

    # -- what else may be tried than what the plan knows of

    def _tries_another_key(self, response: Response, result: Result, now: float) -> bool:
        """The provider refuses the key and not the request: it rests, and another one is tried at once."""
        ring, sent = self.provider.ring, self._sending
        if ring is None or sent is None:
            return False
        rest_s = keys.rest_s(response.head.status, _read(response), result.retry_after_s)
        if rest_s is None:
            return False
        ring.rest(sent.key, now, rest_s)
        self._keys_tried += 1
        if self._keys_tried >= len(ring.lines) or not ring.has_rested(now):
            return False
        self._tell_failure(KEY_REFUSED, f"status {response.head.status}, another key is tried")
        self._give_up_connection()
        self._leave_target(False, now)
        self._attempt(now)
        return True

    def _tries_another_model(self, response: Response, result: Result, now: float) -> bool:
        """The model refuses what another one takes, and the configuration names that one."""
        if not self.route.fallbacks:
            return False
        error = response.error
        kind = kind_of_error(error) if error else kind_of(response.head.status, _read(response))
        other = None if kind is None else self.route.fallbacks.get(kind)
        if kind is None or other is None:
            return False
        if other.group is not None:
            other = self._service.chosen(other.group, self.request, now)
        self._tell_failure(result, kind)
        self._give_up_connection()
        self._leave_target(False, now)
        before, self.route = self.provider, other
        self._plan.release(now)
        self._plan = Plan(other.policies, other.models, self._plan.deadline_s)
        self._at = 0
        self.provider = other.chain[0]
        self._service.observer.tried_again(self.request_id, before.name, self.provider.name, kind, 0.0)
        self._perform(self._plan.first(now), now)
        return True

    # -- what the exchange does

    @abstractmethod
    def on_head(self, head: ResponseHead) -> None:
        """The response begins."""

    @abstractmethod
    def on_whole(self, head: ResponseHead, body: bytes) -> None:
        """The whole response at once."""

    @abstractmethod
    def on_body(self, data: bytes, complete: bool) -> None:
        """Body bytes of one read, and whether they are the last."""

    @abstractmethod
    def on_failure(self, fault: Fault, detail: str) -> None:
        """The connection is gone, and with it the rest of the response."""

    @abstractmethod
    def _failed(self, fault: Fault, detail: str) -> None:
        """The attempt brought no response."""

    @abstractmethod
    def _refuse(self, error: GatewayError, now: float) -> None:
        """Nobody is asked any more; the client gets `error`."""

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

    def _leave_target(self, failed: bool, now: float) -> None:
        target, self._target = self._target, None
        if target is not None:
            target.ended(failed, now)


def _read(response: Response) -> bytes:
    """What is held of an error, out of gzip or deflate: most SDKs ask for either."""
    coding = response.head.content_encoding
    plain = None if coding is None else inflated(response.held, coding, _MAX_READ)
    return response.held if plain is None else plain
