"""Listening sockets that a service manager opened before it started the gateway: systemd's `.socket` units.

The manager says in the environment for whom they are (LISTEN_PID), how many (LISTEN_FDS) and by which names
(LISTEN_FDNAMES); their descriptors begin at 3. See sd_listen_fds(3). They stay open in the manager when the
gateway ends, so connections wait for the next start instead of being refused.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from typing import Final, NamedTuple

from gateway.server.listener import ListenError

__all__ = ["NOTHING", "Inherited", "inherited"]

FIRST_DESCRIPTOR: Final = 3
ADMIN: Final = "admin"
"""The name (FileDescriptorName=) of sockets for the operator's pages; all others are for everything else."""
MAX_SOCKETS: Final = 64
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Inherited(NamedTuple):
    """Sockets that listen already; without `public` ones there are none for `admin` either."""

    public: tuple[socket.socket, ...] = ()
    admin: tuple[socket.socket, ...] = ()


NOTHING: Final = Inherited()


def inherited(
    environ: MutableMapping[str, str], pid: int | None = None, first: int = FIRST_DESCRIPTOR
) -> Inherited:
    """Take over the sockets that `environ` promises to the process `pid` (None = this one); usually none.

    The variables are removed, so that no later call and no child takes the same descriptors again. Raises
    ListenError where the promise is not kept, or where clients have no socket but the operator has.
    """
    promised_to, count, names = (environ.pop(name, "") for name in _VARIABLES)
    if promised_to != str(os.getpid() if pid is None else pid):
        return NOTHING
    if not count.isascii() or not count.isdigit() or not 0 <= int(count) <= MAX_SOCKETS:
        raise ListenError(f"LISTEN_FDS is {count!r}, and not a number of sockets from 0 to {MAX_SOCKETS}")
    descriptors = range(first, first + int(count))
    named = list(zip(descriptors, [*names.split(":"), *[""] * int(count)], strict=False))
    public = [descriptor for descriptor, name in named if name != ADMIN]
    admin = [descriptor for descriptor, name in named if name == ADMIN]
    if admin and not public:
        raise ListenError(f"all sockets of LISTEN_FDS are named {ADMIN}, and none is left for the clients")
    return Inherited(tuple(map(_listening, public)), tuple(map(_listening, admin)))


def _listening(descriptor: int) -> socket.socket:
    """The socket behind a descriptor, which is one that accepts streams. Raises ListenError."""
    where = f"cannot listen on descriptor {descriptor} (LISTEN_FDS)"
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ListenError(f"{where}: {error.strerror}") from None
    if sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        problem = "it is neither a TCP nor a Unix socket"
    elif sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        problem = "it does not accept connections (use ListenStream= and Accept=no)"
    else:
        sock.setblocking(False)
        sock.set_inheritable(False)
        return sock
    sock.detach()  # it is not ours to close
    raise ListenError(f"{where}: {problem}")
