"""The connections to one provider: kept, dialled, queued for, and dropped.

A request gets the connection used last (the one least likely to have been closed meanwhile), else a new one,
else it queues. A dial belongs to the request that caused it and ends with it: when the client leaves, so
does the half-open connection. One sweep enforces all deadlines.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from time import monotonic
from typing import Final

from gateway.config.schema import Pool as PoolSettings
from gateway.config.schema import UpstreamTimeouts
from gateway.errors import ConnectError, Fault
from gateway.upstream.dial import Dialler
from gateway.upstream.protocol import Connection, User

_MAX_TICK_S: Final = 0.5
_MIN_TICK_S: Final = 0.005


class Pool:
    """Connections to the provider `name`."""

    def __init__(
        self, name: str, dialler: Dialler, settings: PoolSettings, timeouts: UpstreamTimeouts, max_header: int
    ) -> None:
        self.name = name
        self.max_header = max_header
        self._dialler = dialler
        self._settings = settings
        self._idle_s = timeouts.idle
        self._retired = False
        self._connections: set[Connection] = set()
        self._unused: list[Connection] = []
        self._dials: dict[User, asyncio.Task[None]] = {}
        self._queue: OrderedDict[User, asyncio.TimerHandle] = OrderedDict()
        self._sweep: asyncio.TimerHandle | None = None
        shortest = min(timeouts.first_byte, timeouts.idle, timeouts.total, settings.idle_timeout)
        self._tick_s = min(_MAX_TICK_S, max(_MIN_TICK_S, shortest / 8))

    def __repr__(self) -> str:
        return (
            f"<Pool {self.name} connections={len(self._connections)} unused={len(self._unused)} "
            f"dialling={len(self._dials)} queued={len(self._queue)}>"
        )

    @property
    def connections(self) -> int:
        """Open connections, used and unused."""
        return len(self._connections)

    @property
    def queued(self) -> int:
        """Requests that wait for a connection."""
        return len(self._queue)

    def acquire(self, user: User, *, fresh: bool = False) -> Connection | None:
        """A connection for `user` at once, or None: then `on_connected` or `on_not_connected` comes later.

        `fresh` asks for one that was never used. Raises ConnectError (SATURATED) when the queue is full.
        """
        if not fresh:
            while self._unused:
                connection = self._unused.pop()
                if connection.alive:
                    connection.reused = True
                    return connection
        if len(self._connections) + len(self._dials) < self._settings.max_connections:
            self._dial(user)
        elif fresh and self._unused:
            self._unused[0].close()
            self._dial(user)
        else:
            self._enqueue(user)
        return None

    def cancel(self, user: User) -> None:
        """`user` does not want the connection any more that it waits for."""
        dial = self._dials.pop(user, None)
        if dial is not None:
            dial.cancel()
            self._serve_queue()
        timer = self._queue.pop(user, None)
        if timer is not None:
            timer.cancel()

    def retire(self) -> None:
        """The provider is configured no more: requests under way end as they would, nothing is kept."""
        self._retired = True
        for connection in list(self._unused):
            connection.close()

    def close(self) -> None:
        """Drop everything: used connections fail, waiting requests stay without one."""
        for dial in self._dials.values():
            dial.cancel()
        self._dials.clear()
        for timer in self._queue.values():
            timer.cancel()
        self._queue.clear()
        for connection in list(self._connections):
            connection.close()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    # -- for connections

    def release(self, connection: Connection) -> None:
        """`connection` is free for the next request."""
        if self._queue:
            user, timer = self._queue.popitem(last=False)
            timer.cancel()
            connection.reused = True
            user.on_connected(connection)
            return
        if self._retired:
            connection.close()
            return
        connection.idle_since_s = monotonic()
        self._unused.append(connection)

    def lost(self, connection: Connection) -> None:
        """`connection` is closed."""
        if connection in self._connections:
            self._connections.remove(connection)
            if connection in self._unused:
                self._unused.remove(connection)
            self._serve_queue()

    # -- inside

    def _serve_queue(self) -> None:
        if self._queue and len(self._connections) + len(self._dials) < self._settings.max_connections:
            user, timer = self._queue.popitem(last=False)
            timer.cancel()
            self._dial(user)

    def _dial(self, user: User) -> None:
        self._dials[user] = asyncio.get_running_loop().create_task(self._connect(user))

    async def _connect(self, user: User) -> None:
        made: list[Connection] = []

        def protocol() -> Connection:
            connection = Connection(self)
            made.append(connection)
            return connection

        try:
            await self._dialler.dial(protocol)
        except ConnectError as error:
            if self._dials.pop(user, None) is not None:
                user.on_not_connected(error.fault, str(error))
                self._serve_queue()
            return
        except asyncio.CancelledError:
            for connection in made:
                connection.close()
            raise
        connection = made[-1]
        self._connections.add(connection)
        self._start_sweep()
        if self._dials.pop(user, None) is None or not connection.alive:
            connection.close()
            return
        user.on_connected(connection)

    def _enqueue(self, user: User) -> None:
        settings = self._settings
        if len(self._queue) >= settings.max_queue:
            raise ConnectError(Fault.SATURATED, f"{len(self._queue)} requests wait for a connection already")
        loop = asyncio.get_running_loop()
        self._queue[user] = loop.call_later(settings.queue_timeout, self._overdue, user)

    def _overdue(self, user: User) -> None:
        del self._queue[user]
        message = f"no connection became free within {self._settings.queue_timeout:g} s"
        user.on_not_connected(Fault.SATURATED, message)

    def _start_sweep(self) -> None:
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._tick_s, self._look)

    def _look(self) -> None:
        now = monotonic()
        for connection in list(self._connections):
            connection.look(now, self._idle_s, self._settings.idle_timeout)
        self._sweep = None
        if self._connections:
            self._start_sweep()
