"""Listening sockets, and the sweep that enforces the deadlines of their connections.

One timer serves all connections of a site: a timer for each request would cost more than the parser.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import ssl
import stat
from collections.abc import Sequence
from typing import Final

from gateway.config.schema import Tls
from gateway.server.protocol import ClientConnection
from gateway.server.site import Site

BACKLOG: Final = 4096
_MAX_TICK_S: Final = 1.0
_MIN_TICK_S: Final = 0.005


class ListenError(Exception):
    """An address cannot be listened on; the message says which and why."""


def bind_tcp(host: str, port: int, *, reuse_port: bool = False) -> list[socket.socket]:
    """Sockets bound to every address of `host`; `port` 0 is any free one, the same for all of them.

    Raises ListenError for an unknown host, a port that is taken or may not be used.
    """
    where = f"{host}:{port}"
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"cannot listen on {where}: {getattr(error, 'strerror', None) or error}") from None
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(infos):
            if sockets and port == 0:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            sock.setblocking(False)
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise ListenError(f"cannot listen on {where}: {error.strerror or error}") from None
    return sockets


def bind_unix(path: str) -> socket.socket:
    """A socket bound to `path`; one that a dead process left behind is replaced.

    Raises ListenError where something else stands there, or a server still answers.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(os.stat(path).st_mode):
                raise ListenError(f"cannot listen on {path}: it exists and is not a socket")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                try:
                    probe.connect(path)
                except ConnectionRefusedError:
                    os.unlink(path)
                else:
                    raise ListenError(f"cannot listen on {path}: another server does")
        sock.bind(path)
    except OSError as error:
        sock.close()
        raise ListenError(f"cannot listen on {path}: {error.strerror or error}") from None
    except ListenError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The server's TLS settings: 1.2 and later, HTTP/1.1 by ALPN. Raises ListenError for unusable files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, tls)
    return context


def load_certificate(context: ssl.SSLContext, tls: Tls) -> None:
    """Use the certificate and key for new connections of `context`. Raises ListenError for unusable files."""
    for path in (tls.cert, tls.key):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise ListenError(f"cannot read {path} (server.tls): {error.strerror}") from None
    try:
        # An empty password: without one OpenSSL would ask on the terminal for that of an encrypted key.
        context.load_cert_chain(tls.cert, tls.key, password="")
    except OSError as error:
        raise ListenError(
            f"cannot use the certificate {tls.cert} with the key {tls.key} (server.tls): "
            f"both must be PEM, the key not encrypted and the certificate's own ({error})"
        ) from None


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open descriptors to the hard one, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Listener:
    """Accepts connections for one site on bound sockets, until it is closed.

    `addresses` are where it listens: URLs that a client would use, or `unix:` and the path of a socket.

    When the process is out of descriptors, libuv accepts with one that it keeps in reserve and closes it at
    once: clients are turned away instead of waiting, and the loop does not spin.
    """

    def __init__(
        self, site: Site, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None = None
    ) -> None:
        self.site = site
        self._sockets = sockets
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._sweep: asyncio.TimerHandle | None = None
        self.addresses = _addresses(sockets, "http" if tls is None else "https")

    def __repr__(self) -> str:
        return f"<Listener on {', '.join(self.addresses)}>"

    async def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        handshake_s = self.site.timeouts.header if self._tls else None
        for sock in self._sockets:
            server = await loop.create_server(
                lambda: ClientConnection(self.site),
                sock=sock,
                backlog=BACKLOG,
                ssl=self._tls,
                ssl_handshake_timeout=handshake_s,
            )
            self._servers.append(server)
        self._schedule(loop)

    def stop_accepting(self) -> None:
        """Close the listening sockets, and connections behind what is under way on them.

        Idle ones stay until the end: a load balancer that asks on one whether the gateway is ready gets an
        answer, and the connection is closed behind it.
        """
        for server in self._servers:
            server.close()
        self._servers.clear()
        for connection in list(self.site.connections):
            if connection.busy:
                connection.finish()

    def cut_off(self) -> None:
        """Tell every client whose answer is still under way that it ends here."""
        for connection in list(self.site.connections):
            connection.cut_off()

    def close(self) -> None:
        """End everything at once."""
        self.stop_accepting()
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self.site.connections):
            connection.abort()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        timeouts = self.site.timeouts  # a reload may have changed them
        shortest_s = min(timeouts.header, timeouts.body, timeouts.keepalive)
        self._sweep = loop.call_later(min(_MAX_TICK_S, max(_MIN_TICK_S, shortest_s / 8)), self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._schedule(loop)
        now = self.site.clock()
        overdue = [connection for connection in self.site.connections if connection.deadline_s <= now]
        for connection in overdue:
            connection.timed_out()


def _addresses(sockets: Sequence[socket.socket], scheme: str) -> list[str]:
    names = []
    for sock in sockets:
        name = sock.getsockname()
        if sock.family == socket.AF_UNIX:
            names.append(f"unix:{name}")
        else:
            host = f"[{name[0]}]" if ":" in name[0] else name[0]
            names.append(f"{scheme}://{host}:{name[1]}")
    return names
