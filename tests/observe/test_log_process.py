"""A real gateway whose log nobody reads: it serves, restarts its workers, and ends as ever."""

from __future__ import annotations

import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

CONFIG = """
providers:
  a: {format: mock}
logging: {access: true}
"""
BODY = '{"model": "m", "messages": []}'
WAIT_S = 15.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def answered(port: int, requests: int = 1) -> bool:
    """Whether so many requests on one connection are answered."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)) as connection:
        for _ in range(requests):
            try:
                connection.request("POST", "/v1/chat/completions", BODY)
                status = connection.getresponse()
            except OSError:
                return False
            status.read()
            assert status.status == 200
    return True


@contextmanager
def unread(config: Path, workers: int) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """A gateway with the smallest pipe for its log: the process, its port, and the pipe's end for reading."""
    reader, target = os.pipe()
    fcntl.fcntl(target, fcntl.F_SETPIPE_SZ, 4096)
    port = free_port()
    command = ["serve", "--config", str(config), "--port", str(port), "--workers", str(workers)]
    with subprocess.Popen([sys.executable, "-m", "gateway", *command], stdout=target) as process:
        os.close(target)
        try:
            deadline = time.monotonic() + WAIT_S
            while not answered(port):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield process, port, reader
        finally:
            os.close(reader)
            process.terminate()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize("workers", [1, 2])
def test_nobody_waits_for_a_log_that_is_not_read_nor_does_the_end(config: Path, workers: int) -> None:
    with unread(config, workers) as (process, port, _):
        assert answered(port, 300)  # twenty times what the pipe holds
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0


def test_what_was_kept_back_is_written_once_somebody_reads(config: Path) -> None:
    with unread(config, 1) as (process, port, reader):
        assert answered(port, 300)
        process.send_signal(signal.SIGTERM)
        with os.fdopen(os.dup(reader), "rb") as pipe:
            lines = pipe.read().splitlines()
        assert sum(b'"access"' in line for line in lines) > 300
        assert b'"stopped"' in lines[-1]


def test_a_worker_that_dies_is_replaced_although_the_log_is_full(config: Path) -> None:
    with unread(config, 2) as (process, port, _):
        assert answered(port, 100)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        for pid in (before := children.read_text().split()):
            os.kill(int(pid), signal.SIGKILL)
        deadline = time.monotonic() + WAIT_S
        while not answered(port):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not set(children.read_text().split()) & set(before)
