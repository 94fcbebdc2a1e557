"""The listening sockets of one server: bound all together or not at all, shared by its workers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from socket import socket

import msgspec

from gateway.config import schema
from gateway.server.activation import NOTHING, Inherited
from gateway.server.listener import bind_tcp, bind_unix


class Sockets:
    """The bound sockets of a server: `public` for the data endpoints, `admin` where its pages are apart.

    inherited: those of them that a service manager opened; its addresses go before those of the settings.
    """

    def __init__(
        self,
        public: Sequence[socket],
        admin: Sequence[socket],
        unix: str | None = None,
        inherited: Inherited = NOTHING,
    ) -> None:
        self.public = public
        self.admin = admin
        self._unix = unix
        self._inherited = inherited

    @classmethod
    def bind(
        cls, server: schema.Server, *, reuse_port: bool = False, inherited: Inherited = NOTHING
    ) -> Sockets:
        """Bind what `server` says, unless it is inherited. Raises ListenError."""
        if inherited.public:
            admin = inherited.admin or _bind_admin(server, reuse_port)
            return cls(inherited.public, admin, inherited=inherited)
        if server.unix is not None:
            return cls([bind_unix(server.unix)], _bind_admin(server, reuse_port), server.unix)
        return cls(
            bind_tcp(server.host, server.port, reuse_port=reuse_port),
            _bind_admin(server, reuse_port),
        )

    @property
    def shared(self) -> bool:
        """Whether the workers of a family accept on the same sockets, and not each on its own ones."""
        return self._unix is not None or bool(self._inherited.public)

    def with_real_ports(self, config: schema.Config) -> schema.Config:
        """`config` with the ports that these sockets have, where it says 0."""
        server = config.server
        if server.port == 0 and not self.shared:
            server = msgspec.structs.replace(server, port=self.public[0].getsockname()[1])
        if self.admin and server.admin is not None and not server.admin.port:
            admin = msgspec.structs.replace(server.admin, port=self.admin[0].getsockname()[1])
            server = msgspec.structs.replace(server, admin=admin)
        return msgspec.structs.replace(config, server=server)

    def for_worker(self, server: schema.Server) -> Sockets:
        """The sockets of one worker: on TCP its own ones at the same address, unless they are shared."""
        if not self.shared:
            return Sockets.bind(server, reuse_port=True)
        return Sockets(self.public, self._inherited.admin or _bind_admin(server, reuse_port=True))

    def close(self) -> None:
        """Close them all, and remove a Unix socket's file."""
        for sock in (*self.public, *self.admin):
            sock.close()
        if self._unix is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._unix)


def _bind_admin(server: schema.Server, reuse_port: bool) -> Sequence[socket]:
    admin = server.admin
    if admin is None or (admin.host is None and admin.port is None):
        return ()
    port = server.port if admin.port is None else admin.port
    return bind_tcp(admin.host or server.host, port, reuse_port=reuse_port)
