"""What can be told of a request while it is under way and when it is over: for logs, metrics, traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.proxy import answers
from gateway.proxy.masking import masked
from gateway.resilience.outcome import OUTCOMES

if TYPE_CHECKING:
    from gateway.observe.tracing import Trace
    from gateway.observe.usage import Tokens
    from gateway.providers.base import Provider
    from gateway.proxy.ports import Request, ResponseHead
    from gateway.proxy.response import Response
    from gateway.proxy.service import Service
    from gateway.resilience.plan import Plan
    from gateway.routing.model_router import Route


class Account:
    """The account of `request` on its way along `route`; whoever sends it keeps it.

    `provider` is who is asked now or was asked last, `attempts` how often somebody was. `status` is that of
    the answer, 499 where the client left. In seconds: `upstream_s` is the wait for providers, `waited_s` that
    between attempts, `first_byte_s` when the first byte of the answer came, on the monotonic clock.
    """

    __slots__ = (
        "_at",
        "_head",
        "_plan",
        "_request_id",
        "_response",
        "_service",
        "_told",
        "_tokens",
        "attempts",
        "first_byte_s",
        "provider",
        "request",
        "route",
        "status",
        "trace",
        "upstream_s",
        "waited_s",
    )

    _plan: Plan
    _head: ResponseHead | None
    _request_id: bytes | None
    _response: Response | None
    _service: Service
    _tokens: Tokens | None
    _told: bool
    _at: int
    attempts: int
    first_byte_s: float
    provider: Provider
    request: Request
    route: Route
    status: int
    trace: Trace | None
    upstream_s: float
    waited_s: float

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.request!r} at {self.provider.name}, attempt {self.attempts}>"

    @property
    def request_id(self) -> bytes:
        """The client's own id of the request, or one of ours."""
        if self._request_id is None:
            self._request_id = self.request.head.request_id or self._service.new_request_id()
        return self._request_id

    @property
    def model(self) -> str:
        """What the provider calls the model."""
        return self.route.models[self._at]

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

    def own_fields(self, now: float, has_id: bool) -> bytes:
        """The header lines of the gateway's own; `has_id` says that the provider's have a request id."""
        upstream_s = self.upstream_s
        gateway_s = now - self.request.received_s - upstream_s - self.waited_s
        request_id = None if has_id else self._request_id or self.request_id
        return answers.own_fields(
            self.provider.name_field, self.attempts, gateway_s, upstream_s, self.waited_s, request_id
        )
