"""The health check of the container image: where it asks, and what it makes of the answer."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import make

from gateway.admin import probe

PROVIDERS = "providers: {a: {format: mock}}\n"
Answers = Callable[[socket.socket, bytes], list[bytes]]


@pytest.fixture
def answers() -> Iterator[Answers]:
    """Answers each connection of a socket with the same bytes; the result collects the heads that came."""
    threads: list[tuple[socket.socket, threading.Thread]] = []

    def start(sock: socket.socket, answer: bytes) -> list[bytes]:
        heads: list[bytes] = []

        def serve() -> None:
            while True:
                try:
                    client, _ = sock.accept()
                except ssl.SSLError:
                    continue
                except OSError:
                    return
                with client:
                    heads.append(client.recv(4096))
                    client.sendall(answer)

        sock.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        threads.append((sock, thread))
        return heads

    yield start
    for sock, thread in threads:
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
        thread.join()


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a configuration with these settings of the server the one that the environment names."""

    def configure(server: str) -> None:
        path = tmp_path / "gateway.yaml"
        path.write_text(f"server: {{{server}}}\n{PROVIDERS}")
        monkeypatch.setenv("GATEWAY_CONFIG", str(path))

    return configure


def status(code: int) -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % code


def loopback() -> tuple[socket.socket, int]:
    sock = socket.create_server(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


@pytest.mark.parametrize(("code", "result"), [(200, 0), (503, 1), (404, 1)])
def test_status_decides(answers: Answers, configured: Callable[[str], None], code: int, result: int) -> None:
    sock, port = loopback()
    heads = answers(sock, status(code))
    configured(f"port: {port}")
    assert probe.main([]) == result
    assert heads[0].startswith(b"GET /health/live HTTP/1.1\r\n")


def test_another_page_may_be_asked_for(answers: Answers, configured: Callable[[str], None]) -> None:
    sock, port = loopback()
    heads = answers(sock, status(200))
    configured(f"port: {port}")
    assert probe.main(["/health/ready"]) == 0
    assert heads[0].startswith(b"GET /health/ready HTTP/1.1\r\n")


def test_all_addresses_are_asked_on_the_loopback(answers: Answers, configured: Callable[[str], None]) -> None:
    sock, port = loopback()
    answers(sock, status(200))
    configured(f'host: "0.0.0.0", port: {port}')
    assert probe.main([]) == 0


def test_unix_socket(answers: Answers, configured: Callable[[str], None], tmp_path: Path) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "gateway.sock"))
    answers(sock, status(200))
    configured(f"unix: {tmp_path}/gateway.sock")
    assert probe.main([]) == 0


def test_tls_by_any_name(answers: Answers, configured: Callable[[str], None], tmp_path: Path) -> None:
    certificates = make(tmp_path)
    sock, port = loopback()
    context = certificates.server("other")
    answers(context.wrap_socket(sock, server_side=True), status(200))
    configured(f"port: {port}, tls: {{cert: {tmp_path}/other.pem, key: {tmp_path}/other.key}}")
    assert probe.main([]) == 0


def test_nobody_there(configured: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    sock, port = loopback()
    sock.close()
    configured(f"port: {port}")
    assert probe.main([]) == 1
    assert "Connection refused" in capsys.readouterr().out


def test_no_http(answers: Answers, configured: Callable[[str], None]) -> None:
    sock, port = loopback()
    answers(sock, b"SSH-2.0\r\n")
    configured(f"port: {port}")
    assert probe.main([]) == 1


def test_bad_configuration_is_told(
    configured: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configured("port: 99999")
    assert probe.main([]) == 1
    assert "server.port" in capsys.readouterr().out
