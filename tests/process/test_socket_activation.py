"""A whole gateway on a socket that somebody else opened, as systemd does: its restart refuses nobody."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

WAIT_S = 15.0
# What systemd does between fork and exec: arguments are the descriptor and the command.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"}
os.execv(sys.argv[2], sys.argv[2:])
"""
CONFIG = "server: {{workers: {workers}}}\nproviders: {{m: {{format: mock}}}}\n"
ASK = b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@contextmanager
def activated(sock: socket.socket, config: Path) -> Iterator[subprocess.Popen[str]]:
    """A gateway that is given `sock`, until the block ends."""
    descriptor = sock.fileno()
    gateway = [sys.executable, "-m", "gateway", "serve", "--config", str(config)]
    process = subprocess.Popen(
        [sys.executable, "-c", ACTIVATE, str(descriptor), *gateway],
        pass_fds=[descriptor],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_CONFIG")},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(WAIT_S)
        assert process.stdout is not None
        process.stdout.close()


def asked(sock: socket.socket) -> socket.socket:
    """A connection on which a request was sent; the system accepts it, whoever serves."""
    client = socket.socket(sock.family)
    client.settimeout(WAIT_S)
    client.connect(sock.getsockname())
    client.sendall(ASK)
    return client


def status(client: socket.socket) -> bytes:
    with client:
        return client.recv(65536).split(b" ")[1]


@pytest.fixture(params=["tcp", "unix"])
def sock(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    if request.param == "tcp":
        sock = socket.create_server(("127.0.0.1", 0))
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(tmp_path / "s"))
        sock.listen()
    with sock:
        yield sock


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_on_the_socket_it_is_given(tmp_path: Path, sock: socket.socket, workers: int) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(CONFIG.format(workers=workers))
    with activated(sock, config) as process:
        assert status(asked(sock)) == b"200"
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
        waiting = asked(sock)
        with activated(sock, config):
            assert status(waiting) == b"200"


def test_what_is_no_socket_is_refused_with_its_descriptor(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(CONFIG.format(workers=1))
    with socket.socket() as silent, activated(silent, config) as process:
        assert process.wait(WAIT_S) == 1
        assert process.stdout is not None
        assert "cannot listen on descriptor 3 (LISTEN_FDS)" in process.stdout.read()
