"""Making connections over real sockets: why there is none, TLS, and that a dial which ends leaves nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import pytest
import uvloop
from certificates import Certificates, make
from dead_ends import full_backlog, mute

from gateway.config.problem import ConfigError
from gateway.config.schema import Pool as PoolSettings
from gateway.config.schema import UpstreamTimeouts
from gateway.errors import ConnectError, Fault
from gateway.providers.mock import MockServer
from gateway.upstream.dial import Dialler, LocalDialler, TcpDialler, tls_context
from gateway.upstream.pool import Pool

from .fakes import Asker, FakeUser

HI = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhi"
PATIENCE_S = 5.0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make(tmp_path_factory.mktemp("certificates"))


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test in the event loop that the gateway uses."""

    async def timed() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    uvloop.run(timed())


def failure(host: str, port: int, tls: ssl.SSLContext | None = None, timeout_s: float = 2.0) -> ConnectError:
    """Why there is no connection."""

    async def dial() -> None:
        await TcpDialler(host, port, tls, timeout_s).dial(asyncio.Protocol)

    with pytest.raises(ConnectError) as raised:
        run(dial)
    return raised.value


class Provider(asyncio.Protocol):
    """Answers whatever comes with `answer`, then does `then` to its transport."""

    def __init__(self, answer: bytes = HI, then: Callable[[asyncio.Transport], None] | None = None) -> None:
        self._answer = answer
        self._then = then
        self.accepted = asyncio.Event()
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.accepted.set()

    def data_received(self, data: bytes) -> None:
        self.transport.write(self._answer)
        if self._then is not None:
            self._then(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()


class WaitedFor(Asker):
    """A user whose end can be awaited."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()

    def _ends(self, end: str) -> None:
        super()._ends(end)
        self.ended.set()


@asynccontextmanager
async def listening(
    provider: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server on the port that this gives."""
    server = await asyncio.get_running_loop().create_server(provider, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextmanager
def pool_of(dialler: Dialler) -> Iterator[Pool]:
    pool = Pool("a", dialler, PoolSettings(), UpstreamTimeouts(), 65536)
    try:
        yield pool
    finally:
        pool.close()


async def answer_of(dialler: Dialler) -> FakeUser:
    """What becomes of one request."""
    user = WaitedFor()
    with pool_of(dialler) as pool:
        assert pool.acquire(user) is None
        await user.ended.wait()
    return user


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


# -- why there is no connection


def test_nobody_listens() -> None:
    error = failure("127.0.0.1", free_port())
    assert error.fault is Fault.CONNECT
    assert str(error) == "no connection (Connection refused)"


def test_no_way_there() -> None:
    error = failure("255.255.255.255", 80)
    assert error.fault is Fault.CONNECT
    assert str(error) == "no connection (Network is unreachable)"


@pytest.mark.parametrize("host", ["-.invalid", "two..dots", "x" * 70 + ".invalid"])
def test_a_name_that_does_not_resolve(host: str) -> None:
    error = failure(host, 80)
    assert error.fault is Fault.DNS
    assert f"the name {host} does not resolve (" in str(error)


def test_a_host_that_does_not_answer_runs_into_the_timeout() -> None:
    with full_backlog() as port:
        error = failure("127.0.0.1", port, timeout_s=0.05)
    assert error.fault is Fault.CONNECT_TIMEOUT
    assert str(error) == "no connection within 0.05 s"


def test_a_handshake_that_is_not_answered_runs_into_the_timeout() -> None:
    with mute() as port:
        error = failure("127.0.0.1", port, tls_context(None), timeout_s=0.05)
    assert error.fault is Fault.CONNECT_TIMEOUT


# -- TLS


def test_tls_with_an_authority_of_ones_own(certificates: Certificates) -> None:
    async def test() -> None:
        async with listening(Provider, certificates.server("good")) as port:
            for host in ("localhost", "127.0.0.1"):
                user = await answer_of(TcpDialler(host, port, tls_context(certificates.authority), 2.0))
                assert (user.end, user.body) == ("whole", b"hi")

    run(test)


@pytest.mark.parametrize(
    ("certificate", "trusted", "message"),
    [
        ("good", False, "its certificate is not trusted (unable to get local issuer certificate)"),
        ("other", True, "its certificate is not trusted (Hostname mismatch, certificate is not valid for"),
        ("expired", True, "its certificate is not trusted (certificate has expired)"),
    ],
)
def test_a_certificate_that_does_not_prove_who_it_is(
    certificates: Certificates, certificate: str, trusted: bool, message: str
) -> None:
    async def test() -> None:
        tls = tls_context(certificates.authority if trusted else None)
        async with listening(Provider, certificates.server(certificate)) as port:
            user = await answer_of(TcpDialler("localhost", port, tls, 2.0))
        assert user.end == "tls_error"
        assert user.detail.startswith(message)

    run(test)


def test_a_provider_that_does_not_speak_tls() -> None:
    async def test() -> None:
        async with listening(lambda: Provider(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
            user = await answer_of(TcpDialler("localhost", port, tls_context(None), 2.0))
        assert (user.end, user.detail) == ("tls_error", "TLS failed (WRONG_VERSION_NUMBER)")

    run(test)


@pytest.mark.parametrize(
    ("then", "end"),
    [
        (lambda transport: transport.close(), "whole"),
        (lambda transport: transport.abort(), "connection_closed"),
    ],
    ids=["close_notify", "FIN"],
)
def test_over_tls_only_its_own_farewell_ends_a_body(
    certificates: Certificates, then: Callable[[asyncio.Transport], None], end: str
) -> None:
    # A FIN is not authenticated: anybody on the way could cut the body with one (RFC 8446 section 6.1).
    async def test() -> None:
        async with listening(lambda: Provider(UNTIL_CLOSE, then), certificates.server("good")) as port:
            user = await answer_of(TcpDialler("localhost", port, tls_context(certificates.authority), 2.0))
        assert (user.end, user.body) == (end, b"hi")

    run(test)


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: os.PathLike[str], content: bytes | None) -> None:
    path = os.path.join(tmp_path, "ca.pem")
    if content is not None:
        with open(path, "wb") as file:
            file.write(content)
    with pytest.raises(ConfigError, match="ca_file") as raised:
        tls_context(path)
    assert path in str(raised.value)


# -- a dial that is given up


@pytest.mark.parametrize("tls", [False, True])
def test_a_dial_that_is_given_up_closes_its_socket_at_once(tls: bool) -> None:
    async def test() -> None:
        provider = Provider(b"")
        context = tls_context(None) if tls else None
        async with listening(lambda: provider) as port:
            with pool_of(TcpDialler("127.0.0.1", port, context, 2.0)) as pool:
                user = Asker()
                pool.acquire(user)
                await provider.accepted.wait()
                started = time.monotonic()
                pool.cancel(user) if tls else pool.close()
                await provider.gone.wait()
                assert time.monotonic() - started < 0.05
                assert (pool.connections, user.end) == (0, "open")

    run(test)


def test_dials_that_are_given_up_leave_no_descriptor() -> None:
    async def test(port: int) -> None:
        with pool_of(TcpDialler("127.0.0.1", port, None, 2.0)) as pool:
            users = [Asker() for _ in range(20)]
            descriptors = [open_descriptors()]
            for user in users:
                pool.acquire(user)
            await asyncio.sleep(0.005)
            descriptors.append(open_descriptors())
            for user in users:
                pool.cancel(user)
            await asyncio.sleep(0.005)
            descriptors.append(open_descriptors())
            before, meanwhile, after = descriptors
            assert meanwhile >= before + len(users)
            assert meanwhile - after == len(users)
            assert repr(pool) == "<Pool a connections=0 unused=0 dialling=0 queued=0>"

    with full_backlog() as port:
        run(lambda: test(port))


# -- a provider in this process


def test_a_provider_in_this_process_needs_no_address() -> None:
    async def test() -> None:
        server = MockServer("a")
        user = await answer_of(LocalDialler(server.protocol, lambda: False))
        assert user.head is not None
        assert user.seen.end == "whole"
        assert server.connections_made == 1

    run(test)


def test_a_provider_in_this_process_can_refuse() -> None:
    async def test() -> None:
        server = MockServer("a")
        user = await answer_of(LocalDialler(server.protocol, lambda: True))
        assert (user.end, user.detail) == ("connect_error", "no connection (Connection refused)")
        assert server.connections_made == 0

    run(test)
