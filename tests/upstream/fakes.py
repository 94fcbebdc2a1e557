"""A connection to a provider of which a test is the other end: what comes in is bytes, what goes out is seen.

wire = Wire()
wire.send()
wire.receives(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nhi")
assert wire.user.seen == Seen(200, b"hi", "whole")
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, cast

from gateway._speedups import known_head
from gateway.config.schema import Pool as PoolSettings
from gateway.config.schema import UpstreamTimeouts
from gateway.errors import ConnectError, Fault
from gateway.upstream.pool import Known, Pool
from gateway.upstream.protocol import NEVER, Connection
from gateway.upstream.response import ResponseHead

REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: fake\r\n\r\n"
MAX_HEADER = 4096
WHOLE = "whole"
OPEN = "open"


class Seen(NamedTuple):
    """What a user saw of one response; `end` is WHOLE, a fault's text, or OPEN where neither came."""

    status: int
    body: bytes
    end: str


class FakeUser:
    """Notes what it is told. `told` has every call; more than one end of a response fails at once."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.head: ResponseHead | None = None
        self.body = b""
        self.end = OPEN
        self.detail = ""
        self.connection: Connection | None = None

    @property
    def seen(self) -> Seen:
        return Seen(0 if self.head is None else self.head.status, self.body, self.end)

    @property
    def fields(self) -> bytes:
        """The header lines that would be passed on."""
        assert self.head is not None
        return b"".join(self.head.fields)

    def on_head(self, head: ResponseHead) -> None:
        assert self.head is None
        assert self.end == OPEN
        self.told.append("head")
        self.head = head

    def on_whole(self, head: ResponseHead, body: bytes) -> None:
        self.on_head(head)
        self.on_body(body, True)

    def on_body(self, data: bytes, complete: bool) -> None:
        assert self.head is not None
        assert data or complete
        self.told.append("last body" if complete else "body")
        self.body += data
        if complete:
            self._ends(WHOLE)

    def on_failure(self, fault: Fault, detail: str) -> None:
        self.told.append("failure")
        self.detail = detail
        self._ends(fault.value)

    def on_connected(self, connection: Connection) -> None:
        self.told.append("connected")
        self.connection = connection

    def on_not_connected(self, fault: Fault, detail: str) -> None:
        self.told.append("not connected")
        self.detail = detail
        self._ends(fault.value)

    def _ends(self, end: str) -> None:
        assert self.end == OPEN, f"a second end: {end} after {self.end}"
        self.end = end


class FakeTransport(asyncio.Transport):
    """A transport that keeps what is written. `unsent` bytes of it have not been taken by the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.closed = False
        self.reading = True

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written += data

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        assert not self.closed
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.closed
        self.reading = True


class FakePool:
    """A pool that notes what comes back to it, and hands a released connection to `next_user`, if any."""

    name = "fake"

    def __init__(self, max_header: int) -> None:
        self.max_header = max_header
        self.released = 0
        self.lost_connections = 0
        self.next_user: FakeUser | None = None
        self.known: tuple[Known, ResponseHead] | None = None

    def remember(self, message: bytes, length: int, head: ResponseHead) -> None:
        known = known_head(message, length)
        self.known = None if known is None else (known, head)

    def release(self, connection: Connection) -> None:
        assert connection.alive
        self.released += 1
        if self.next_user is not None:
            ask(connection, self.next_user)

    def lost(self, connection: Connection) -> None:
        self.lost_connections += 1


class Wire:
    """An open connection with a request on it, as soon as `send` was called."""

    def __init__(self, max_header: int = MAX_HEADER) -> None:
        self.pool = FakePool(max_header)
        self.transport = FakeTransport()
        self.connection = Connection(cast(Pool, self.pool))
        self.connection.connection_made(self.transport)
        self.user = FakeUser()

    @property
    def kept(self) -> bool:
        """The connection was given back for the next request; otherwise it is still used, or closed."""
        return self.pool.released == 1 and not self.transport.closed

    def send(self, *, bodiless: bool = False, body: bytes = b"") -> FakeUser:
        """Send a request for a new user."""
        self.user = FakeUser()
        ask(self.connection, self.user, bodiless=bodiless, body=body)
        return self.user

    def receives(self, *reads: bytes) -> None:
        for data in reads:
            if not self.transport.closed:
                self.connection.data_received(data)

    def fin(self) -> None:
        """The provider closes its side."""
        if not self.transport.closed:
            assert self.connection.eof_received() is False
        self.lose(None)

    def rst(self) -> None:
        """The provider resets the connection."""
        self.lose(ConnectionResetError())

    def lose(self, error: Exception | None) -> None:
        self.transport.closed = True
        self.connection.connection_lost(error)


def ask(connection: Connection, user: FakeUser, *, bodiless: bool = False, body: bytes = b"") -> None:
    """Send a request that has all the time in the world."""
    connection.send(user, REQUEST, body, bodiless=bodiless, deadline_s=NEVER, limit_s=NEVER)


def splits(data: bytes) -> Iterator[list[bytes]]:
    """The same bytes in one read, in two divided at every place, and one by one."""
    yield [data]
    for place in range(1, len(data)):
        yield [data[:place], data[place:]]
    yield [data[place : place + 1] for place in range(len(data))]


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when it is told so: nothing in a test is waited for.

    `errors` are the exceptions that callbacks raised.
    """

    def __init__(self) -> None:
        self._now = 1000.0
        super().__init__()
        self.errors: list[object] = []
        self.set_exception_handler(lambda loop, context: self.errors.append(context))

    def time(self) -> float:
        return self._now

    def settle(self) -> None:
        """Run whatever is due now, and what follows from it."""

        async def turns() -> None:
            for _ in range(6):
                await asyncio.sleep(0)

        self.run_until_complete(turns())

    def advance(self, seconds: float) -> None:
        """Let time pass in small steps, and run what becomes due."""
        end = self._now + seconds
        while self._now < end:
            self._now = min(self._now + 0.1, end)
            self.settle()


class FakeDial:
    """A connection that is being made: a test decides what comes of it."""

    def __init__(self, factory: Callable[[], asyncio.Protocol]) -> None:
        self.transport = FakeTransport()
        self.decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.protocol: asyncio.Protocol | None = None
        self._factory = factory

    @property
    def is_over(self) -> bool:
        """There is no socket of it any more."""
        return self.transport.closed or self.decided.cancelled() or self.decided.exception() is not None

    def succeed(self) -> None:
        self._attach()
        self.decided.set_result(None)

    def succeed_and_die(self) -> None:
        """The provider accepts, and closes before anything is sent."""
        self._attach()
        self.lose()
        self.decided.set_result(None)

    def succeed_with(self, data: bytes) -> None:
        """The provider accepts, and talks before it is asked."""
        self._attach().data_received(data)
        self.decided.set_result(None)

    def fail(self, fault: Fault = Fault.CONNECT) -> None:
        self.decided.set_exception(ConnectError(fault, "no connection (Connection refused)"))

    def lose(self) -> None:
        """The provider closes the connection."""
        assert self.protocol is not None
        self.transport.closed = True
        self.protocol.connection_lost(None)

    def _attach(self) -> asyncio.Protocol:
        self.protocol = self._factory()
        self.protocol.connection_made(self.transport)
        return self.protocol


class FakeDialler:
    """Makes no connection until the test says so; `dials` are all that were ever begun, oldest first."""

    def __init__(self) -> None:
        self.dials: list[FakeDial] = []

    @property
    def pending(self) -> list[FakeDial]:
        return [dial for dial in self.dials if not dial.decided.done()]

    async def dial(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        dial = FakeDial(protocol)
        self.dials.append(dial)
        await dial.decided


class Asker(FakeUser):
    """A user who sends its request as soon as it has a connection, and notes whether that was a used one."""

    was_reused = False

    def on_connected(self, connection: Connection) -> None:
        super().on_connected(connection)
        self.was_reused = connection.reused
        ask(connection, self)


class PoolBench:
    """A pool over a fake dialler in virtual time."""

    def __init__(self, **settings: Any) -> None:
        self.loop = VirtualLoop()
        self.dialler = FakeDialler()
        timeouts = UpstreamTimeouts()
        self.pool = Pool(
            "fake", self.dialler, PoolSettings(**settings), timeouts, MAX_HEADER, clock=self.loop.time
        )

    def ask(self, *, fresh: bool = False) -> Asker:
        """A new request: sent where a connection is free, else waiting."""
        user = Asker()
        self.run(lambda: self._acquire(user, fresh))
        return user

    def _acquire(self, user: Asker, fresh: bool) -> None:
        connection = self.pool.acquire(user, fresh=fresh)
        if connection is not None:
            user.on_connected(connection)

    def run(self, function: Callable[[], None]) -> None:
        """Call something inside the loop, and let it settle."""

        async def call() -> None:
            function()

        self.loop.run_until_complete(call())
        self.loop.settle()

    def connected(self) -> Asker:
        """A new request whose connection was made."""
        user = self.ask()
        if user.connection is None:
            self.decide(FakeDial.succeed)
        return user

    def decide(self, what: Callable[[FakeDial], None]) -> None:
        """Let the oldest dial come to something."""
        self.run(lambda: what(self.dialler.pending[0]))

    def answer(self, user: FakeUser) -> None:
        """A whole response comes for `user`, who then needs its connection no more."""
        connection = user.connection
        assert connection is not None
        self.run(lambda: connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"))
        assert user.end == WHOLE

    def lose(self, user: FakeUser) -> None:
        """The provider closes the connection that `user` has, or had."""
        self.run(next(dial.lose for dial in self.dialler.dials if dial.protocol is user.connection))

    def close(self) -> None:
        """Close the pool: of what it had, nothing may be left."""
        try:
            self.run(self.pool.close)
            assert repr(self.pool) == "<Pool fake connections=0 unused=0 dialling=0 queued=0>"
            assert not asyncio.all_tasks(self.loop)
            assert self.loop.errors == []
            assert all(dial.is_over for dial in self.dialler.dials)
        finally:
            self.loop.close()
