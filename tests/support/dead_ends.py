"""Addresses at which a client gets nowhere. Each gives a port of 127.0.0.1."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def full_backlog() -> Iterator[int]:
    """A listener that takes no further connection: a SYN to it is never answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        try:
            yield _port(listener)
        finally:
            for one in waiting:
                one.close()


@contextmanager
def mute() -> Iterator[int]:
    """A listener at which connections are made by the kernel, and nobody ever speaks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield _port(listener)


@contextmanager
def plain_text() -> Iterator[int]:
    """A server that answers everything, a TLS handshake too, in plain text."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                        connection.recv(65536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield _port(listener)
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # ends accept()
            thread.join()


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port
