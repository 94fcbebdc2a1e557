"""How a connection to a provider is made, and why one could not be: all exceptions become `ConnectError`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from gateway.config.problem import ConfigError, Problem
from gateway.errors import ConnectError, Fault


class Dialler(Protocol):
    """Makes connections to one provider."""

    async def dial(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Connect and attach a new `protocol`. Raises ConnectError."""


class TcpDialler:
    """Connects by TCP, and TLS where there is a context, to `host`:`port`, within `timeout_s`."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"<TcpDialler {self._host}:{self._port} tls={self._tls is not None}>"

    async def dial(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                await loop.create_connection(protocol, self._host, self._port, ssl=self._tls)
        except TimeoutError:
            raise ConnectError(Fault.CONNECT_TIMEOUT, f"no connection within {self._timeout_s:g} s") from None
        except (socket.gaierror, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConnectError(Fault.DNS, f"the name {self._host} does not resolve ({reason})") from None
        except ssl.SSLCertVerificationError as error:
            message = f"its certificate is not trusted ({error.verify_message})"
            raise ConnectError(Fault.TLS, message) from None
        except ssl.SSLError as error:
            raise ConnectError(Fault.TLS, f"TLS failed ({error.reason or error})") from None
        except OSError as error:
            raise ConnectError(Fault.CONNECT, f"no connection ({error.strerror or error})") from None


class LocalDialler:
    """Connects to a server that lives in this process, over a socket pair: no address, and real bytes.

    `server` makes the server's protocol; `refuses` says whether a connection is refused now.
    """

    def __init__(self, server: Callable[[], asyncio.Protocol], refuses: Callable[[], bool]) -> None:
        self._server = server
        self._refuses = refuses

    async def dial(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        if self._refuses():
            raise ConnectError(Fault.CONNECT, "no connection (Connection refused)")
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            undo.callback(theirs.close)
            await loop.connect_accepted_socket(self._server, theirs)
            await loop.create_connection(protocol, sock=ours)
            undo.pop_all()


def tls_context(ca_file: str | None, setting: str = "ca_file") -> ssl.SSLContext:
    """Client TLS 1.2 and later that trusts the authorities in `ca_file`, or those of the system.

    Raises ConfigError for a file that cannot be used; `setting` is its path in the configuration.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        reason = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError([Problem(setting, f"{ca_file} cannot be used ({reason})")]) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
