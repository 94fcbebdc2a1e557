"""Several workers as one gateway: one port, one breaker, nobody missed for long, nothing lost in a reload."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from certificates import make
from family import Served, served

CONFIG = """
server: {port: 0, workers: 2, timeouts: {drain: 5s}}
providers:
  a:
    format: mock
    mock: {%s}
    max_retries: 0
    fallback_provider: b
    circuit_breaker: {max_failures: 5, timeout: 60s}
  b: {format: mock}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG % 'fault: "503"')
    return path


def both_workers(gateway: Served) -> None:
    gateway.wait_for("started", 2)


def test_breaker_that_opens_in_one_worker_is_open_in_all(config: Path) -> None:
    with served(config) as gateway:
        both_workers(gateway)
        for _ in range(20):
            assert gateway.chat()[0] == 200
        # 20 requests over two workers: five reached the broken provider in all, not five in each.
        assert len(gateway.named("upstream_error")) == 5
        assert len(gateway.named("circuit")) == 1
        answers = [gateway.get("/health")["provider_health"][0] for _ in range(8)]
        assert {answer["circuit_state"] for answer in answers} == {"open"}
        assert {answer["failures"] for answer in answers} == {5}


def test_dead_worker_is_replaced_and_finds_the_breaker_as_it_was(config: Path) -> None:
    with served(config) as gateway:
        both_workers(gateway)
        for _ in range(6):
            gateway.chat()
        gateway.wait_for("upstream_error", 5)  # a killed worker takes what its log has not written yet along
        os.kill(gateway.worker_pids[0], signal.SIGKILL)
        gateway.wait_for("started", 3)
        assert gateway.named("worker_died")[0]["reason"] == "signal SIGKILL"
        for _ in range(10):
            assert gateway.chat()[0] == 200
        assert len(gateway.named("upstream_error")) == 5


def test_reload_takes_a_good_file_and_keeps_the_breaker_of_what_did_not_change(config: Path) -> None:
    with served(config) as gateway:
        both_workers(gateway)
        for _ in range(6):
            gateway.chat()
        config.write_text(config.read_text() + "  c: {format: mock}\ndefault_provider: a\n")
        gateway.signal(signal.SIGHUP)
        for event in gateway.wait_for("reload", 2):
            assert event["changed"] == ["c"]
        health = gateway.get("/health")["provider_health"]
        assert [one["name"] for one in health] == ["a", "b", "c"]
        assert health[0]["circuit_state"] == "open"


def test_reload_refuses_a_bad_file_and_goes_on(config: Path) -> None:
    with served(config) as gateway:
        both_workers(gateway)
        good = config.read_text()
        config.write_text(good.replace("max_failures: 5", "max_failures: 0"))
        gateway.signal(signal.SIGHUP)
        reason = gateway.wait_for("reload_failed")[0]["reason"]
        assert "providers.a.circuit_breaker.max_failures" in reason
        assert gateway.chat()[0] == 200
        assert not gateway.named("reload")


def test_no_request_is_lost_while_reloading(config: Path) -> None:
    config.write_text(CONFIG % "latency: 20ms")
    with served(config) as gateway:
        both_workers(gateway)
        statuses: list[int] = []
        ending = threading.Event()

        def ask() -> None:
            while not ending.is_set():
                statuses.append(gateway.chat()[0])

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        for round_ in range(25):
            config.write_text(CONFIG % f"latency: {10 + round_}ms")
            gateway.signal(signal.SIGHUP)
            gateway.wait_for("reload", 2 * (round_ + 1))
        ending.set()
        for asker in askers:
            asker.join()
        assert len(statuses) > 20
        assert set(statuses) == {200}


def test_sigterm_lets_a_stream_end_and_exits_0(config: Path) -> None:
    config.write_text(CONFIG % "event_interval: 30ms")
    with served(config) as gateway:
        both_workers(gateway)
        port = int(gateway.url.rpartition(":")[2])
        body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"one two three four"}]}'
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
            client.sendall(head + body)
            data = client.recv(65536)
            gateway.signal(signal.SIGTERM)
            while more := client.recv(65536):
                data += more
        assert b"[DONE]" in data
        assert data.endswith(b"0\r\n\r\n")
        assert gateway.process.wait(10) == 0


def test_ready_turns_503_on_a_connection_that_is_open(config: Path) -> None:
    config.write_text((CONFIG % "latency: 500ms").replace("workers: 2", "workers: 1"))
    with served(config) as gateway:
        port = int(gateway.url.rpartition(":")[2])
        asking = b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(asking)
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
            request = threading.Thread(target=gateway.chat)
            request.start()
            gateway.until(lambda: gateway.get("/stats")["inflight_requests"] == 1, "a request in flight")
            gateway.signal(signal.SIGTERM)
            gateway.wait_for("draining")
            client.sendall(asking)
            assert client.recv(65536).startswith(b"HTTP/1.1 503 ")
        request.join()
        assert gateway.process.wait(10) == 0


def test_second_signal_ends_at_once(config: Path) -> None:
    config.write_text(CONFIG % "latency: 20s")
    with served(config) as gateway:
        both_workers(gateway)
        threading.Thread(target=lambda: _ignore_errors(gateway), daemon=True).start()
        time.sleep(0.3)
        gateway.signal(signal.SIGTERM)
        gateway.wait_for("draining", 2)
        before = time.monotonic()
        gateway.signal(signal.SIGTERM)
        gateway.process.wait(5)
        assert time.monotonic() - before < 2.0


def _ignore_errors(gateway: Served) -> None:
    with contextlib.suppress(OSError):
        gateway.chat()


def test_family_gives_up_loudly_when_its_workers_die_at_start(config: Path, tmp_path: Path) -> None:
    make(tmp_path)
    tls = f"workers: 2, tls: {{cert: {tmp_path}/good.pem, key: {tmp_path}/good.key}}"
    config.write_text(config.read_text().replace("workers: 2", tls))
    with served(config) as gateway:
        both_workers(gateway)
        (tmp_path / "good.pem").write_text("no certificate any more")
        for pid in gateway.worker_pids[:2]:
            os.kill(pid, signal.SIGKILL)
        assert gateway.process.wait(15) == 1
        assert gateway.named("giving_up")


def test_second_gateway_on_the_same_port_is_refused(config: Path) -> None:
    with served(config) as gateway:
        both_workers(gateway)
        port = gateway.url.rpartition(":")[2]
        with served(config, "--port", port) as second:
            assert second.process.wait(10) == 1
            assert second.process.stderr is not None
            assert f"cannot listen on 127.0.0.1:{port}" in second.process.stderr.read()


def test_workers_end_when_the_supervisor_is_killed(config: Path) -> None:
    with served(config) as gateway:
        both_workers(gateway)
        pids = gateway.worker_pids
        gateway.process.kill()
        gateway.until(lambda: not any(_alive(pid) for pid in pids), "the end of the workers")


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_unix_socket_is_shared_by_the_workers(config: Path, tmp_path: Path) -> None:
    path = tmp_path / "gw.sock"
    config.write_text(config.read_text().replace("port: 0", f"unix: {path}"))
    with served(config) as gateway:
        both_workers(gateway)
        for _ in range(4):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                assert client.recv(1000).startswith(b"HTTP/1.1 200")
        assert gateway.end() == 0
        assert not path.exists()


def test_what_the_drain_cuts_is_told_so(config: Path) -> None:
    config.write_text((CONFIG % "latency: 20s").replace("drain: 5s", "drain: 200ms"))
    with served(config) as gateway:
        both_workers(gateway)
        answers: list[tuple[int, dict[str, str]]] = []
        asking = threading.Thread(target=lambda: answers.append(gateway.chat()))
        asking.start()
        gateway.until(lambda: gateway.get("/stats")["inflight_requests"] == 1, "a request in flight")
        gateway.signal(signal.SIGTERM)
        asking.join(10)
        assert answers[0][0] == 503
        assert answers[0][1]["retry-after"] == "1"
        assert gateway.process.wait(10) == 0
        assert not gateway.named("client_left")
