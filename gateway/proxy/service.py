"""The data endpoints: every `/v1/` request becomes an exchange along its model's route."""

from __future__ import annotations

import functools
import random
import re
import secrets
import time
from asyncio import TimerHandle
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from gateway.errors import GatewayError
from gateway.observe.metrics import UNROUTED
from gateway.providers.base import name_field
from gateway.proxy import answers
from gateway.proxy.exchange import Exchange
from gateway.proxy.models import ModelList
from gateway.proxy.peek import STRICT_PATHS, model_of, user_of
from gateway.routing.model_router import model_not_found

if TYPE_CHECKING:
    from gateway.proxy.ports import Client, Observer, Pool, Request
    from gateway.routing.group import Group
    from gateway.routing.model_router import ModelRouter, Route


_MODELS: Final = re.compile(rb"/v1/models(?:/.*)?", re.DOTALL).fullmatch
_NO_PROVIDER: Final = name_field(UNROUTED)
_IDS: Final = tuple(b"%03x" % number for number in range(4096))


class Active(Protocol):
    """Whoever is answering a request, told what happens to the client."""

    def gone(self) -> None: ...
    def cut_off(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Service:
    """Answers data requests by `router` over `pools`, one for each provider.

    `call_later` is the event loop's. Time and chance are arguments: `clock` is monotonic, `wall_clock` counts
    from the epoch, `sample` draws from [0, 1).
    """

    def __init__(
        self,
        router: ModelRouter,
        pools: Mapping[str, Pool],
        observer: Observer,
        call_later: Callable[[float, Callable[[], None]], TimerHandle],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sample: Callable[[], float] = random.random,
    ) -> None:
        self.observer = observer
        self.call_later = call_later
        self.clock = clock
        self.wall_clock = wall_clock
        self.sample = sample
        self._id_prefix = b""
        self._next_id = 0
        self.use(router, pools)

    def __repr__(self) -> str:
        return f"<Service {self.router!r}>"

    def use(self, router: ModelRouter, pools: Mapping[str, Pool]) -> None:
        """Route new requests by `router` over `pools`; those under way keep what they began with."""
        self.router = router
        self.pools = pools
        self._models = ModelList(router, pools, self.clock)

    def new_request_id(self) -> bytes:
        """An id of our own: unique by its prefix, which is random and new for every 4096."""
        number = self._next_id
        if number == 0:
            self._id_prefix = f"req_{secrets.token_hex(9)}".encode()
        self._next_id = (number + 1) & 4095
        return self._id_prefix + _IDS[number]

    def handle(self, request: Request, client: Client) -> Active | None:
        """Answer `request`, at once or later."""
        head = request.head
        path = head.path
        if path not in STRICT_PATHS and head.method in (b"GET", b"HEAD") and _MODELS(path):
            fields = functools.partial(self.own_fields, request.request_id, request.received_s)
            return self._models.answer(path[11:], client, fields)
        observer = self.observer
        try:
            model = None
            if request.body or (path in STRICT_PATHS and head.method == b"POST"):
                model = model_of(path, head.content_type, request.body)
            route = self.router.nameless() if model is None else self.router.route(model)
            if route is None:
                raise model_not_found(model or "")
        except GatewayError as error:
            request_id = request.request_id or self.new_request_id()
            observer.refused(request, request_id, error.status, error.code or error.kind, self.clock())
            client.refuse(error, [self.own_fields(request_id, request.received_s)])
            return None
        if route.group is not None:
            route = self.chosen(route.group, request, self.clock())
        exchange = Exchange(self, request, client, route, model or "", observer.started(request))
        exchange.start()
        return exchange

    def refused(self, request: Request | None, error: GatewayError, read_s: float) -> bytes:
        """Note a request that was refused at the door, and return the header lines of its answer.

        `request` is None where nothing of it is known; only those for data count as requests.
        """
        if request is None:
            self.observer.turned_away(error.status, error.code or error.kind)
            return self.own_fields(None, read_s)
        request_id = request.request_id or self.new_request_id()
        if request.path.startswith(b"/v1/"):
            self.observer.refused(request, request_id, error.status, error.code or error.kind, self.clock())
        return self.own_fields(request_id, read_s)

    def own_fields(self, request_id: bytes | None, received_s: float) -> bytes:
        """The header lines of an answer for which no provider was asked, to a request of `received_s`."""
        gateway_s = self.clock() - received_s
        return answers.own_fields(_NO_PROVIDER, 0, gateway_s, 0.0, 0.0, request_id or self.new_request_id())

    def chosen(self, group: Group, request: Request, now: float) -> Route:
        """The way of `request` to one of the targets of a model."""
        session = group.session(request.head.fields, lambda: user_of(request.body))
        return group.choose(now, self.sample(), session)
