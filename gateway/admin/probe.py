"""Asks the gateway of this machine whether it lives: `python -m gateway.admin.probe [PATH]`.

The health check of the container image, which has no curl. It finds the address as the gateway does: in the
configuration that the environment or the working directory names. PATH is /health/live unless given;
/health/ready also fails while the gateway drains or has no provider to ask.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import sys
from collections.abc import Sequence
from typing import Final

from gateway.config import ConfigError, Server, find_config

__all__ = ["ask", "main"]

DEFAULT_PATH: Final = "/health/live"
TIMEOUT_S: Final = 2.0
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not listened on, but replaced


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(server: Server, path: str, timeout_s: float = TIMEOUT_S) -> int:
    """GET `path` of the gateway that serves by these settings; the result is the status.

    Raises OSError where nobody answers within `timeout_s` seconds, HTTPException where it is no HTTP.
    """
    connection = _connection(server, timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def main(arguments: Sequence[str]) -> int:
    """Ask, and tell in one line; the result is the exit code: 0 for a 2xx, 1 for anything else."""
    path = arguments[0] if arguments else DEFAULT_PATH
    try:
        status = ask(find_config(None, os.environ, os.getcwd()).config.server, path)
    except (ConfigError, OSError, http.client.HTTPException) as error:
        print(f"{path}: {error}")
        return 1
    print(f"{path}: {status}")
    return 0 if 200 <= status < 300 else 1


def _connection(server: Server, timeout_s: float) -> http.client.HTTPConnection:
    if server.unix is not None:
        return _UnixConnection(server.unix, timeout_s)
    host = _WILDCARDS.get(server.host, server.host)
    if server.tls is None:
        return http.client.HTTPConnection(host, server.port, timeout=timeout_s)
    context = ssl.create_default_context()
    # The certificate is for the clients' name of the gateway; here it asks itself.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, server.port, timeout=timeout_s, context=context)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
