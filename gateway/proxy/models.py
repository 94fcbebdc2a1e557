"""`GET /v1/models`: the names that are configured, and those that the providers list.

A provider's list is asked for at most once in `FRESH_S`; one that does not answer keeps its last list. A
model stands under the name by which a request reaches it: its own where that is routed to its provider,
else `provider/model`; one that no name leads to is left out.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from gateway.errors import INVALID_REQUEST, ConnectError, Fault, GatewayError
from gateway.routing.model_router import OTHER, model_not_found, shown

if TYPE_CHECKING:
    from gateway.providers.base import Provider
    from gateway.proxy.ports import Client, Connection, Pool, ResponseHead
    from gateway.routing.model_router import ModelRouter

FRESH_S: Final = 30.0
ANSWER_S: Final = 5.0
MAX_LIST: Final = 4 * 1024 * 1024

Model = dict[str, Any]


class ModelList:
    """The model names of one configuration."""

    def __init__(self, router: ModelRouter, pools: Mapping[str, Pool], clock: Callable[[], float]) -> None:
        self._router = router
        self._pools = pools
        self._clock = clock
        self._lists: dict[str, list[Model]] = {}
        self._asked_at: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def answer(self, name: bytes, client: Client, own_fields: Callable[[], bytes]) -> _Answering:
        """Answer with the list, or with the model `name` where that is not empty, and with `own_fields()`."""
        wanted = unquote_to_bytes(name.removeprefix(b"/")).decode("utf-8", "replace")
        return _Answering(asyncio.get_running_loop().create_task(self._answer(wanted, client, own_fields)))

    async def _answer(self, wanted: str, client: Client, own_fields: Callable[[], bytes]) -> None:
        await self._refresh()
        fields = [own_fields()]
        models = self._merged()
        answer: Model = {"object": "list", "data": list(models.values())}
        if wanted:
            route = self._router.route(wanted)
            if wanted in models:
                answer = models[wanted]
            elif route is not None and route.label != OTHER:
                # No provider lists it, but a pattern of the configuration says that it is served.
                answer = _model(wanted, route.chain[0].name)
            else:
                client.refuse(model_not_found(wanted) if route is None else _not_listed(wanted), fields)
                return
        fields += (b"content-type: application/json\r\n", *client.date_field())
        client.respond(200, fields, msgspec.json.encode(answer))

    async def _refresh(self) -> None:
        now = self._clock()
        for provider in self._router.providers:
            name = provider.name
            is_due = now - self._asked_at.get(name, -FRESH_S) >= FRESH_S
            if name not in self._asking and is_due and not provider.policy.is_open(now):
                self._asked_at[name] = now
                task = asyncio.get_running_loop().create_task(self._ask(provider.chain[0]))
                self._asking[name] = task
                task.add_done_callback(functools.partial(self._asked, name))
        if self._asking:
            # A shield for each client: one that leaves must not take the answer from the others.
            await asyncio.wait(list(self._asking.values()))

    def _asked(self, name: str, _: asyncio.Task[None]) -> None:
        del self._asking[name]

    async def _ask(self, provider: Provider) -> None:
        fetch = _Fetch(provider, self._pools[provider.name], self._clock)
        try:
            async with asyncio.timeout(ANSWER_S):
                self._lists[provider.name] = _parse(await fetch.result())
        except (ConnectError, TimeoutError, ValueError):
            return  # its last list stands
        finally:
            fetch.stop()

    def _merged(self) -> dict[str, Model]:
        models: dict[str, Model] = {}
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
            if route is not None and route.chain[0].name == provider and route.model == model:
                return name
        return None


def _model(name: str, provider: str) -> Model:
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
    method = b"GET"
    target = b"/v1/models"
    fields: Final[list[bytes]] = [b"accept", b": ", b"application/json", b"\r\n"]


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
        head = self._provider.head(_ListRequest(), "", 0)
        connection.send(self, head, b"", bodiless=False, deadline_s=deadline_s, limit_s=deadline_s)

    def on_not_connected(self, fault: Fault, detail: str) -> None:
        self._fail(ConnectError(fault, detail))

    def on_head(self, head: ResponseHead) -> None:
        self._status = head.status

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


class _List(msgspec.Struct):
    data: list[dict[str, msgspec.Raw]]


_decode_list: Final = msgspec.json.Decoder(_List).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def _parse(body: bytes) -> list[Model]:
    """The models of a list in the OpenAI shape, members as they came. Raises ValueError for anything else."""
    try:
        return [{**members, "id": _decode_text(members["id"])} for members in _decode_list(body).data]
    except (msgspec.DecodeError, KeyError, RecursionError, UnicodeDecodeError):
        raise ValueError("not a list of models") from None
