"""What can be listened on, how it stops, and what happens without descriptors."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from listening import WAIT_S, connected, listening, port_of, run

from gateway.server.listener import ListenError, bind_tcp, bind_unix, raise_descriptor_limit

GET = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n"


# -- addresses


def test_port_0_is_the_same_for_every_address_of_a_host() -> None:
    sockets = bind_tcp("localhost", 0)
    assert len({sock.getsockname()[1] for sock in sockets}) == 1
    for sock in sockets:
        sock.close()


def test_taken_port_is_named() -> None:
    (first,) = bind_tcp("127.0.0.1", 0)
    port = first.getsockname()[1]
    first.listen()
    with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        bind_tcp("127.0.0.1", port)
    first.close()


def test_port_can_be_shared_by_those_who_agree() -> None:
    (first,) = bind_tcp("127.0.0.1", 0, reuse_port=True)
    (second,) = bind_tcp("127.0.0.1", first.getsockname()[1], reuse_port=True)
    assert first.getsockname() == second.getsockname()
    first.close()
    second.close()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 300, "999.1.1.1"])
def test_unknown_host_is_named(host: str) -> None:
    with pytest.raises(ListenError, match=f"cannot listen on {host}:4000: "):
        bind_tcp(host, 4000)


def test_addresses_are_what_a_client_would_use() -> None:
    async def scenario() -> None:
        async with listening() as (_, listener):
            assert listener.addresses == [f"http://127.0.0.1:{port_of(listener)}"]
            assert repr(listener) == f"<Listener on http://127.0.0.1:{port_of(listener)}>"

    run(scenario())


# -- Unix sockets


def test_unix_socket_is_served(tmp_path: Path) -> None:
    path = str(tmp_path / "gw.sock")

    async def scenario() -> None:
        async with listening([bind_unix(path)]) as (_, listener):
            assert listener.addresses == [f"unix:{path}"]
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(GET)
            assert (await reader.readuntil(b"answer")).startswith(b"HTTP/1.1 200 OK\r\n")
            writer.close()
            await writer.wait_closed()

    run(scenario())


def test_unix_socket_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "gw.sock")
    bind_unix(path).close()
    assert Path(path).exists()
    bind_unix(path).close()


def test_unix_socket_of_a_living_server_is_not_taken(tmp_path: Path) -> None:
    path = str(tmp_path / "gw.sock")
    first = bind_unix(path)
    first.listen()
    with pytest.raises(ListenError, match=r"gw\.sock: another server does"):
        bind_unix(path)
    first.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("file", "it exists and is not a socket"), ("missing/gw.sock", "No such file or directory")],
)
def test_place_that_cannot_be_a_unix_socket_is_named(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ListenError, match=f"{name}: {reason}"):
        bind_unix(str(tmp_path / name))
    assert (tmp_path / "file").read_text() == "precious"


# -- stopping


def test_stopping_lets_end_what_is_under_way_and_answers_on_what_is_open() -> None:
    async def scenario() -> None:
        async with (
            listening(body=None) as (served, listener),
            connected(listener) as (idle, asking),
            connected(listener) as (busy, writer),
        ):
            writer.write(GET)
            await served.until(lambda: len(served.site.connections) == 2 and bool(served.exchanges))
            served.site.draining = True
            listener.stop_accepting()
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", port_of(listener))
            assert sum(connection.busy for connection in served.site.connections) == 1
            asking.write(GET)
            await served.until(lambda: len(served.exchanges) == 2)
            served.exchanges[1].respond()
            assert b"\r\nconnection: close\r\n" in await idle.read()
            served.exchanges[0].respond()
            answer = await busy.read()
            assert b"\r\nconnection: close\r\n" in answer
            assert answer.endswith(b"answer")

    run(scenario())


# -- descriptors


def test_soft_limit_of_descriptors_is_raised() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        assert raise_descriptor_limit() == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


CONFIG = """
server: {port: 0, limits: {max_connections: 1000}}
providers: {mock: {format: mock}}
"""
DESCRIPTORS = 64


def test_gateway_without_descriptors_turns_clients_away_and_recovers(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(CONFIG)
    limited = (
        "import resource, sys; from gateway.cli import main;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS}, {DESCRIPTORS}));"
        "sys.exit(main(['serve', '--config', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", limited, str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as gateway:
        try:
            assert gateway.stdout is not None
            started = msgspec.json.decode(gateway.stdout.readline())
            port = int(started["listening"][0].rpartition(":")[2])
            clients = [socket.create_connection(("127.0.0.1", port), WAIT_S) for _ in range(2 * DESCRIPTORS)]
            served = [client for client in clients if live(client)]
            assert 0 < len(served) < DESCRIPTORS  # the rest were closed, none is left waiting
            before_s = cpu_of(gateway.pid)
            assert all(live(client) for client in served)
            assert cpu_of(gateway.pid) - before_s < 0.5
            for client in clients:
                client.close()
            deadline_s = time.monotonic() + WAIT_S
            while not served_again(port):
                assert time.monotonic() < deadline_s
            assert gateway.poll() is None
        finally:
            gateway.terminate()
            assert gateway.wait(WAIT_S) == 0


def live(client: socket.socket) -> bool:
    """The gateway answers on this connection; False where it has closed it."""
    with suppress(ConnectionError):
        client.sendall(b"GET /health/live HTTP/1.1\r\nhost: gw\r\n\r\n")
        return client.recv(65536).startswith(b"HTTP/1.1 200 ")
    return False


def served_again(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as client:
        return live(client)


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
