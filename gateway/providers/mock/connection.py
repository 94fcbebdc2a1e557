"""A connection of the mock provider: an asyncio protocol that reads requests and plays their scripts.

Rules:
* A request's fault is decided when its head is complete.
* Requests are answered one after the other; the next waits until the script of the one before has ended.
* A script's next step is taken only when the kernel has taken all bytes of the one before: the write buffer's
  high mark is 0, so nothing is ever held for a peer that does not read.
* Reading never stops, so a peer that leaves is noticed at once.

Over a Unix socket there is no RST: a reset arrives there as end of file.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import httptools

from gateway.providers.mock.answer import ApiError
from gateway.providers.mock.faults import OK
from gateway.providers.mock.script import Act, Scene, Step, Wait, script

if TYPE_CHECKING:
    from gateway.providers.mock.server import MockServer

Header = tuple[bytes, bytes]

_STEPS_A_TURN: Final = 16
"""Steps that one connection may take before the others have their turn."""

_LINGER_ZERO: Final = struct.pack("ii", 1, 0)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class MockRequest:
    """A request as it was received."""

    method: str
    target: str
    headers: tuple[Header, ...]
    """Names and values, byte for byte and in their order; trailer fields come last."""
    body: bytes
    connection_id: int
    """Counts the connections of the server from 1."""
    received_at: float
    """When it was complete, in seconds of the server's clock."""

    def header(self, name: str) -> str | None:
        """The first value of a header field, its name in any case."""
        return find_header(self.headers, name)


class MockConnection(asyncio.Protocol):
    """One connection: it reads requests with httptools and plays their scripts in turn."""

    _transport: asyncio.Transport
    """Exists from `connection_made` on."""

    def __init__(self, server: MockServer) -> None:
        # For the connection.
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._id = 0
        self._deaf = False
        """Whether what still arrives is thrown away."""
        self._on_next: Act | None = None
        """What the next byte that arrives brings about."""

        # For the request that is being read.
        self._target = b""
        self._headers: list[Header] = []
        self._body: list[bytes] = []
        self._fault = OK

        # For the answers: the scripts of complete requests, the first of them playing.
        self._scripts: deque[Iterator[Step]] = deque()
        self._timer: asyncio.Handle | None = None
        self._paused = False

    # Transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, and reset it at once where the server refuses."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)
        self._id = self._server.on_connection_made(self)
        if self._server.refusing:
            self.reset()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what was not answered."""
        self._fall_silent()
        self._server.on_connection_lost(self)

    def pause_writing(self) -> None:
        """Take no further step: the kernel has not taken all bytes."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on: the kernel has taken all bytes."""
        self._paused = False
        if self._timer is None:
            self._play()

    def data_received(self, data: bytes) -> None:
        """Read requests."""
        if self._on_next is not None:
            self._act(self._on_next)
        if self._deaf:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            raise  # a mistake of ours, not of the peer
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._deaf:
                self._refuse(f"The request is not HTTP/1.1 that this server speaks: {error}")

    def eof_received(self) -> None:
        """Stop answering: the peer has left, and the transport closes itself."""
        self._fall_silent()

    def reset(self) -> None:
        """End the connection with RST."""
        peer = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # a socket that is closed already refuses the option
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._fall_silent()
        self._transport.abort()

    # Parser.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._target = b""
        self._headers = []
        self._body = []
        self._fault = OK

    def on_url(self, url: bytes) -> None:
        """Note a piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header field, or a trailer field."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Decide how the request fares."""
        if self._deaf:
            return
        try:
            self._fault = self._server.decide_fault(self._headers)
        except ValueError as error:
            self._refuse(str(error))
            return
        if self._fault.name == "early":
            self._deaf = True
            self._complete()
        elif (find_header(self._headers, "expect") or "").lower() == "100-continue" and not self._scripts:
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Note a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer the request."""
        # At an Upgrade the parser stops behind the head, says that this was all, and raises.
        if not self._deaf and not self._parser.should_upgrade():
            self._complete()

    def _complete(self) -> None:
        request = MockRequest(
            method=self._parser.get_method().decode("latin-1"),
            target=self._target.decode("latin-1"),
            headers=tuple(self._headers),
            body=b"".join(self._body),
            connection_id=self._id,
            received_at=self._server.now(),
        )
        http_1_0 = self._parser.get_http_version() == "1.0"
        keep_alive = self._parser.should_keep_alive() and not http_1_0
        self._enqueue(self._server.perform(request, self._fault, keep_alive=keep_alive, http_1_0=http_1_0))

    def _refuse(self, message: str) -> None:
        self._deaf = True
        self._enqueue(script(Scene(ApiError(400, message).answer(), keep_alive=False)))

    # Scripts.

    def _enqueue(self, steps: Iterator[Step]) -> None:
        self._scripts.append(steps)
        if len(self._scripts) == 1:
            self._play()

    def _play(self) -> None:
        """Take steps until the scripts end, one waits, or the kernel takes no more bytes."""
        self._timer = None
        for _ in range(_STEPS_A_TURN):
            if self._paused or not self._scripts or self._transport.is_closing():
                return
            step = next(self._scripts[0], None)
            if step is None:
                self._scripts.popleft()
            elif isinstance(step, bytes):
                self._transport.write(step)
            elif isinstance(step, Wait):
                self._timer = self._loop.call_later(step.seconds, self._play)
                return
            else:
                self._act(step)
        if self._scripts and not self._paused:
            self._timer = self._loop.call_soon(self._play)

    def _act(self, act: Act) -> None:
        match act:
            case Act.SHUT_WRITE:
                self._transport.write_eof()
            case Act.CLOSE:
                self._fall_silent()
                self._transport.close()
            case Act.RESET:
                self.reset()
            case Act.HANG:
                self._fall_silent()
            case Act.CLOSE_ON_NEXT:
                self._on_next = Act.CLOSE
            case Act.RESET_ON_NEXT:
                self._on_next = Act.RESET

    def _fall_silent(self) -> None:
        """Answer nothing more and hear nothing more."""
        self._deaf = True
        self._scripts.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def find_header(headers: Iterable[Header], name: str) -> str | None:
    """The first value of a header field, its name in any case."""
    wanted = name.lower().encode()
    for key, value in headers:
        if key.lower() == wanted:
            return value.decode("utf-8", "replace")
    return None
