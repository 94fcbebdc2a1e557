"""The mock provider itself: what it says, how it misbehaves, and what it saw of its peers.

A request's fault is its own ``x-mock-fault`` header, else the next of `MockServer.faults`, else the standing
`MockServer.fault`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from gateway.providers.mock import endpoints
from gateway.providers.mock.alter import alter
from gateway.providers.mock.answer import ApiError, Call
from gateway.providers.mock.connection import Header, MockConnection, MockRequest, find_header
from gateway.providers.mock.faults import OK, Fault, parse, parse_seconds
from gateway.providers.mock.script import Scene, Step, script

_KEPT: Final = 1000
_REMAINING: Final = ("x-ratelimit-remaining-requests", "9999")


class MockServer:
    """A mock provider: what it says, how it misbehaves, and what it saw.

    All of it runs in the event loop that serves its protocols; the counters may be read from any thread.
    """

    def __init__(
        self,
        name: str = "mock",
        *,
        reply: str | None = None,
        latency: float = 0.0,
        event_interval: float = 0.0,
        fault: str | None = None,
        faults: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a server without a connection.

        Args:
            name: how it calls itself in its default reply and in the header ``x-mock-server``.
            reply: the text of every answer; None for one that names the server and repeats the prompt.
            latency: seconds before the first byte of an answer.
            event_interval: seconds between two events of a stream.
            fault: the fault of every request.
            faults: the faults of the first requests, one each.
            clock: gives the seconds of ``received_at`` and ``connection_lost_times``.

        Raises:
            ValueError: a fault that `faults.parse` refuses.
        """
        self.name = name
        self.reply = reply
        self.latency = latency
        self.event_interval = event_interval
        self.fault = fault
        self.faults: deque[str] = deque(faults)
        """The faults of the next requests, one each, consumed first; ``ok`` lets one pass."""
        for text in self.faults:
            parse(text)

        self.requests: deque[MockRequest] = deque(maxlen=_KEPT)
        """The last requests, oldest first; one answered before its body came has no body here."""
        self.requests_seen = 0
        self.connections_made = 0
        self.connection_lost_times: deque[float] = deque(maxlen=_KEPT)
        """When connections were lost, in seconds of the clock, oldest first."""

        self._clock = clock
        self._connections: set[MockConnection] = set()
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        counts = f"{self.connections_open} connections open, {self.requests_seen} requests seen"
        return f"<MockServer {self.name}: fault {self.fault or 'ok'}, {counts}>"

    @property
    def fault(self) -> str | None:
        """The fault of every request that has no other; to set an unknown one is a ValueError."""
        return self._fault

    @fault.setter
    def fault(self, text: str | None) -> None:
        if text is not None:
            parse(text)
        self._fault = text

    @property
    def refusing(self) -> bool:
        """Whether the standing fault refuses new connections: who dials asks; a listener resets them."""
        return self._fault is not None and parse(self._fault).name == "refuse"

    @property
    def connections_open(self) -> int:
        """How many connections there are now."""
        return len(self._connections)

    def protocol(self) -> asyncio.Protocol:
        """Make the protocol of one connection; pass this method as protocol factory."""
        return MockConnection(self)

    def close_all(self) -> None:
        """Reset every open connection."""
        for connection in tuple(self._connections):
            connection.reset()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on this server holds, such as ``lambda: server.connections_open == 0``.

        It is looked at now and whenever a connection was made or lost or a request came.
        """
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def on_connection_made(self, connection: MockConnection) -> int:
        """Count a connection and return its number."""
        self.connections_made += 1
        self._connections.add(connection)
        self._changed.set()
        return self.connections_made

    def on_connection_lost(self, connection: MockConnection) -> None:
        """Count a loss."""
        self._connections.discard(connection)
        self.connection_lost_times.append(self.now())
        self._changed.set()

    def now(self) -> float:
        """Seconds of the clock."""
        return self._clock()

    def decide_fault(self, headers: Iterable[Header]) -> Fault:
        """The fault of a request, consumed where it is the next in line.

        Raises:
            ValueError: the fault is none.
        """
        text = find_header(headers, "x-mock-fault")
        if text is None:
            text = self.faults.popleft() if self.faults else self._fault
        return parse(text) if text else OK

    def perform(
        self, request: MockRequest, fault: Fault, *, keep_alive: bool, http_1_0: bool
    ) -> Iterator[Step]:
        """Note a request and return the steps that answer it."""
        self.requests.append(request)
        self.requests_seen += 1
        self._changed.set()
        try:
            latency = self._duration(request, "x-mock-latency", self.latency)
            interval = self._duration(request, "x-mock-event-interval", self.event_interval)
        except ValueError as error:
            return script(Scene(ApiError(400, str(error)).answer(), keep_alive=keep_alive, http_1_0=http_1_0))
        call = self._call(request)
        scheme, _, credential = (request.header("authorization") or "").partition(" ")
        scene = Scene(
            answer=alter(endpoints.answer(call), fault, call, credential or scheme),
            fault=fault,
            fields=self._fields(latency),
            latency=latency,
            interval=interval,
            keep_alive=keep_alive,
            head_only=request.method == "HEAD",
            http_1_0=http_1_0,
        )
        return script(scene)

    def _call(self, request: MockRequest) -> Call:
        reply = request.header("x-mock-reply")
        return Call(
            method=request.method,
            path=request.target.partition("?")[0],
            body=request.body,
            content_type=request.header("content-type") or "",
            serial=self.requests_seen,
            server=self.name,
            reply=self.reply if reply is None else reply,
        )

    def _fields(self, latency: float) -> tuple[tuple[str, str], ...]:
        return (
            ("x-request-id", f"req_mock_{self.requests_seen}"),
            ("openai-processing-ms", str(round(latency * 1000))),
            _REMAINING,
            ("x-mock-server", self.name),
        )

    def _duration(self, request: MockRequest, header: str, default: float) -> float:
        text = request.header(header)
        try:
            return default if text is None else parse_seconds(text)
        except ValueError as error:
            raise ValueError(f"header {header}: {error}") from None
