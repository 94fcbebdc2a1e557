"""`GET /v1/models`: the names that are configured, and those that the providers list.

A provider's list is asked for at most once in `FRESH_S`, and nobody waits for it but those who come before
its first answer: the others get the list as it was. A provider that does not answer keeps its last list. A
model stands under the name by which a request reaches it: its own where that is routed to its provider, else
`provider/model`; one that no name leads to is left out.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

import msgspec

from gateway.errors import INVALID_REQUEST, ConnectError, Fault, GatewayError, refused
from gateway.observe import log
from gateway.proxy.listing import LIST_TARGETS, Listed, parse
from gateway.routing.model_router import OTHER, model_not_found, shown

if TYPE_CHECKING:
    from gateway.providers.base import Provider
    from gateway.proxy.ports import Client, Connection, Pool, ResponseHead
    from gateway.routing.model_router import ModelRouter

FRESH_S: Final = 30.0
ANSWER_S: Final = 5.0
MAX_LIST: Final = 4 * 1024 * 1024
_FAILED: Final = "The gateway could not make the list of models; its log says why."


class ModelList:
    """The model names of one configuration."""

    def __init__(self, router: ModelRouter, pools: Mapping[str, Pool], clock: Callable[[], float]) -> None:
        self._router = router
        self._pools = pools
        self._clock = clock
        self._lists: dict[str, list[Listed]] = {}
        self._asked_at: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._settled: set[str] = set()

    def __repr__(self) -> str:
        return f"<ModelList of {', '.join(self._lists)}>"

    def answer(self, name: bytes, client: Client, own_fields: Callable[[], bytes]) -> _Answering:
        """Answer with the list, or with the model `name` where that is not empty, and with `own_fields()`."""
        wanted = unquote_to_bytes(name.removeprefix(b"/")).decode("utf-8", "replace")
        return _Answering(asyncio.get_running_loop().create_task(self._answer(wanted, client, own_fields)))

    async def _answer(self, wanted: str, client: Client, own_fields: Callable[[], bytes]) -> None:
        try:
            await self._refresh()
            body = msgspec.json.encode(self._answer_to(wanted))
        except GatewayError as error:
            client.refuse(error, [own_fields()])
        except Exception as error:
            # Nobody awaits this task: what it does not tell the client, the client never learns.
            log.tell(logging.ERROR, "internal_error", error, where="GET /v1/models")
            client.refuse(refused(500, "internal_error", _FAILED), [own_fields()])
        else:
            fields = [own_fields(), b"content-type: application/json\r\n", *client.date_field()]
            client.respond(200, fields, body)

    def _answer_to(self, wanted: str) -> Listed:
        """The list, or the model that is `wanted`. Raises GatewayError (404) where there is no such model."""
        models = self._merged()
        if not wanted:
            return {"object": "list", "data": list(models.values())}
        if wanted in models:
            return models[wanted]
        route = self._router.route(wanted)
        if route is None:
            raise model_not_found(wanted)
        if route.label == OTHER:
            raise _not_listed(wanted)
        # No provider lists it, but a pattern of the configuration says that it is served.
        return _model(wanted, route.chain[0].name)

    async def _refresh(self) -> None:
        """Ask who has not been asked for a while, and wait for those who have never answered."""
        now = self._clock()
        for provider in self._router.providers:
            name = provider.name
            if provider.chain[0].format not in LIST_TARGETS or name in self._asking:
                continue
            if now - self._asked_at.get(name, -FRESH_S) >= FRESH_S and not provider.policy.is_open(now):
                self._asked_at[name] = now
                task = asyncio.get_running_loop().create_task(self._ask(provider.chain[0]))
                self._asking[name] = task
                task.add_done_callback(functools.partial(self._asked, name))
        unknown = [task for name, task in self._asking.items() if name not in self._settled]
        if unknown:
            # Not gathered: a client that leaves must not take the answer from the others.
            await asyncio.wait(unknown)

    def _asked(self, name: str, task: asyncio.Task[None]) -> None:
        del self._asking[name]
        self._settled.add(name)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.tell(logging.ERROR, "internal_error", error, where="GET /v1/models", provider=name)

    async def _ask(self, provider: Provider) -> None:
        fetch = _Fetch(provider, self._pools[provider.name], self._clock)
        try:
            async with asyncio.timeout(ANSWER_S):
                self._lists[provider.name] = parse(await fetch.result())
        except (ConnectError, TimeoutError, ValueError):
            return  # its last list stands
        finally:
            fetch.stop()

    def _merged(self) -> dict[str, Listed]:
        models: dict[str, Listed] = {}
        for name in self._router.names:
            route = self._router.route(name)
            assert route is not None
            models[name] = _model(name, route.chain[0].name)
        for provider in self._router.providers:
            for model in self._lists.get(provider.name, ()):
                public = self._public_name(provider.name, model["id"])
                if public is not None:
                    models.setdefault(public, {**_model(public, provider.name), **model, "id": public})
        return models

    def _public_name(self, provider: str, model: str) -> str | None:
        for name in (model, f"{provider}/{model}"):
            route = self._router.route(name)
            if route is not None and route.leads_to(provider, model):
                return name
        return None


def _model(name: str, provider: str) -> Listed:
    return {"id": name, "object": "model", "created": 0, "owned_by": provider}


def _not_listed(name: str) -> GatewayError:
    message = f"No provider lists the model '{shown(name)}'."
    return GatewayError(404, INVALID_REQUEST, "model_not_found", message, param="model")


class _Answering:
    """The `Active` of a list that is being made."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def gone(self) -> None:
        self._task.cancel()

    def cut_off(self) -> None:
        self._task.cancel()

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


class _ListRequest:
    """The client's request, if a client had sent it."""

    method = b"GET"
    fields: Final[list[bytes]] = [b"accept", b": ", b"application/json", b"\r\n"]

    def __init__(self, target: bytes) -> None:
        self.target = target
        self.sent_as: object = None


class _Fetch:
    """One GET of a provider's list."""

    def __init__(self, provider: Provider, pool: Pool, clock: Callable[[], float]) -> None:
        self._provider = provider
        self._pool = pool
        self._clock = clock
        self._connection: Connection | None = None
        self._done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._body = b""

    async def result(self) -> bytes:
        """The body of the answer. Raises ConnectError or ValueError where there is none."""
        connection = self._pool.acquire(self)
        if connection is not None:
            self.on_connected(connection)
        return await self._done

    def stop(self) -> None:
        """Want no more of it."""
        self._pool.cancel(self)
        if self._connection is not None:
            self._connection.abandon()

    def on_connected(self, connection: Connection) -> None:
        self._connection = connection
        deadline_s = self._clock() + ANSWER_S
        head = self._provider.head(_ListRequest(LIST_TARGETS[self._provider.format]), "", 0)
        connection.send(self, head, b"", bodiless=False, deadline_s=deadline_s, limit_s=deadline_s)

    def on_not_connected(self, fault: Fault, detail: str) -> None:
        self._fail(ConnectError(fault, detail))

    def on_head(self, head: ResponseHead) -> None:
        self._status = head.status

    def on_whole(self, head: ResponseHead, body: bytes) -> None:
        self.on_head(head)
        self.on_body(body, True)

    def on_body(self, data: bytes, complete: bool) -> None:
        self._body += data
        if complete:
            self._connection = None
            if not self._done.done():
                self._done.set_result(self._body if self._status == 200 else b"")
        elif len(self._body) > MAX_LIST:
            self._fail(ValueError("the list is too long"))

    def on_failure(self, fault: Fault, detail: str) -> None:
        self._connection = None
        self._fail(ConnectError(fault, detail))

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)
