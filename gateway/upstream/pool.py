"""The connections to one provider: kept, dialled, queued for, and dropped.

A request gets the connection used last (the one least likely to have been closed meanwhile), else a new one,
else it queues. A dial belongs to the request that caused it and ends with it: when the client leaves, so
does the half-open connection. One sweep enforces all deadlines.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple, Protocol

from gateway.config.schema import Pool as PoolSettings
from gateway.config.schema import UpstreamTimeouts
from gateway.errors import ConnectError, Fault
from gateway.upstream.dial import Dialler
from gateway.upstream.protocol import NEVER, Connection, User
from gateway.upstream.response import ResponseHead

_MAX_TICK_S: Final = 0.1
_MIN_TICK_S: Final = 0.005
_KNOWN_FOR_S: Final = 0.02


class _Turn(NamedTuple):
    """A request's place in the queue: what ends its wait, and whether it takes only a new connection."""

    timer: asyncio.TimerHandle
    fresh: bool


class Known(Protocol):
    """A head that came before, but for its length (see `gateway._speedups.heads`)."""

    def body_of(self, message: bytes) -> bytes | None:
        """The body of a message that has this head and comes whole, or None."""


class Pool:
    """Connections to the provider `name`; `max_header` is in bytes, `clock` monotonic, in seconds.

    `recognizer` makes, of a message and the length of its body, what recognizes its head again; None parses
    every head. `known` is the head that responses have at this time.
    """

    def __init__(
        self,
        name: str,
        dialler: Dialler,
        settings: PoolSettings,
        timeouts: UpstreamTimeouts,
        max_header: int,
        *,
        clock: Callable[[], float] = monotonic,
        recognizer: Callable[[bytes, int], Known | None] | None = None,
    ) -> None:
        self.name = name
        self.known: tuple[Known, ResponseHead] | None = None
        self._known_since_s = 0.0
        self._recognizer = recognizer
        self.max_header = max_header
        self._dialler = dialler
        self._settings = settings
        self._clock = clock
        self._idle_s = timeouts.idle
        self._retired = False
        self._connections: set[Connection] = set()
        self._unused: list[Connection] = []
        self._dials: dict[User, asyncio.Task[None]] = {}
        self._queue: OrderedDict[User, _Turn] = OrderedDict()
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
    def used(self) -> int:
        """Connections on which a request is under way."""
        return len(self._connections) - len(self._unused)

    @property
    def queued(self) -> int:
        """Requests that wait for a connection."""
        return len(self._queue)

    def acquire(self, user: User, fresh: bool = False) -> Connection | None:
        """A connection for `user` at once, or None: then `on_connected` or `on_not_connected` comes later.

        `fresh` asks for one that was never used. Raises ConnectError (SATURATED) when the queue is full.
        """
        if not fresh:
            while self._unused:
                connection = self._unused.pop()
                if connection.open and not connection.transport.is_closing():
                    connection.reused = True
                    return connection
        if len(self._connections) + len(self._dials) < self._settings.max_connections:
            self._dial(user)
        elif fresh and self._unused:
            self._unused[0].close()
            self._dial(user)
        else:
            self._enqueue(user, fresh)
        return None

    def cancel(self, user: User) -> None:
        """`user` does not want the connection any more that it waits for."""
        dial = self._dials.pop(user, None)
        if dial is not None:
            dial.cancel()
            self._serve_queue()
        turn = self._queue.pop(user, None)
        if turn is not None:
            turn.timer.cancel()

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
        for turn in self._queue.values():
            turn.timer.cancel()
        self._queue.clear()
        for connection in list(self._connections):
            connection.close()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    # -- for connections

    def remember(self, message: bytes, length: int, head: ResponseHead) -> None:
        """A response came as `message`, with a body of `length` bytes: others may have the same `head`."""
        # Heads hold the date, so they change; those that are all different are not worth more than this.
        now = self._clock()
        if self._recognizer is not None and now - self._known_since_s >= _KNOWN_FOR_S:
            self._known_since_s = now
            known = self._recognizer(message, length)
            self.known = None if known is None else (known, head)

    def release(self, connection: Connection) -> None:
        """`connection` is free for the next request."""
        if self._queue:
            self._hand_over(connection)
        elif self._retired:
            connection.close()
        else:
            connection.idle_since_s = NEVER  # until the sweep sees it: nobody reads a clock for it
            self._unused.append(connection)

    def lost(self, connection: Connection) -> None:
        """`connection` is closed."""
        if connection in self._connections:
            self._connections.remove(connection)
            if connection in self._unused:
                self._unused.remove(connection)
            self._serve_queue()

    # -- inside

    def _hand_over(self, connection: Connection) -> None:
        """Give a used connection to the request that has waited longest, or its place to a new one."""
        if next(iter(self._queue.values())).fresh:
            connection.close()
            return
        connection.reused = True
        self._pop_queue().on_connected(connection)

    def _serve_queue(self) -> None:
        """There may be room for a new connection."""
        if self._queue and len(self._connections) + len(self._dials) < self._settings.max_connections:
            self._dial(self._pop_queue())

    def _pop_queue(self) -> User:
        user, turn = self._queue.popitem(last=False)
        turn.timer.cancel()
        return user

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
            self._not_connected(user, error.fault, str(error))
            return
        except asyncio.CancelledError:
            for connection in made:
                connection.close()
            raise
        connection = made[-1]
        if not connection.alive:
            self._not_connected(user, Fault.CLOSED, "it closed the connection before a request was sent")
            return
        del self._dials[user]
        self._connections.add(connection)
        self._start_sweep()
        user.on_connected(connection)

    def _not_connected(self, user: User, fault: Fault, detail: str) -> None:
        del self._dials[user]
        self._serve_queue()  # first, because `user` may come back, and others have waited longer
        user.on_not_connected(fault, detail)

    def _enqueue(self, user: User, fresh: bool) -> None:
        settings = self._settings
        if len(self._queue) >= settings.max_queue:
            message = f"{settings.max_connections} connections are used and {len(self._queue)} requests wait"
            raise ConnectError(Fault.SATURATED, message)
        timer = asyncio.get_running_loop().call_later(settings.queue_timeout, self._overdue, user)
        self._queue[user] = _Turn(timer, fresh)

    def _overdue(self, user: User) -> None:
        del self._queue[user]
        message = f"no connection became free within {self._settings.queue_timeout:g} s"
        user.on_not_connected(Fault.SATURATED, message)

    def _start_sweep(self) -> None:
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._tick_s, self._look)

    def _look(self) -> None:
        self._sweep = None
        if self._connections:
            self._start_sweep()
        now = self._clock()
        for connection in list(self._connections):
            connection.look(now, self._idle_s, self._settings.idle_timeout)
