"""A connection to a provider of which a test is the other end: what comes in is bytes, what goes out is seen.

wire = Wire()
wire.send()
wire.receives(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nhi")
assert wire.user.seen == Seen(200, b"hi", "whole")
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

from gateway.errors import Fault
from gateway.upstream.pool import Pool
from gateway.upstream.protocol import NEVER, Connection
from gateway.upstream.response import ResponseHead

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
    """A pool that notes what comes back to it; it hands a released connection to `next_user`, if there is one."""

    name = "fake"

    def __init__(self, max_header: int) -> None:
        self.max_header = max_header
        self.released = 0
        self.lost_connections = 0
        self.next_user: FakeUser | None = None

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
    connection.send(user, b"HEAD ", body, bodiless=bodiless, deadline_s=NEVER, limit_s=NEVER)


def splits(data: bytes) -> Iterator[list[bytes]]:
    """The same bytes in one read, in two divided at every place, and one by one."""
    yield [data]
    for place in range(1, len(data)):
        yield [data[:place], data[place:]]
    yield [data[place : place + 1] for place in range(len(data))]
