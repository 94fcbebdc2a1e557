"""SIGHUP with other targets and other keys: new requests follow them, and none is lost."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from family import served

from .members import Asker, chat

CONFIG = """
server: {port: 0, workers: 2}
providers: {a: {format: mock}, b: {format: mock}, c: {format: mock, api_keys: [KEYS]}}
models:
  m: {targets: [TARGETS], strategy: STRATEGY}
"""


def config(targets: str, strategy: str = "weighted", keys: str = "key-number-1, key-number-2") -> str:
    places = ", ".join(f"{{provider: {name}}}" for name in targets)
    return CONFIG.replace("TARGETS", places).replace("STRATEGY", strategy).replace("KEYS", keys)


def test_new_targets_are_used_in_every_worker_and_no_request_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(config("ab"))
    with served(path) as gateway:
        gateway.wait_for("started", 2)
        port = int(gateway.url.rpartition(":")[2])

        def places(times: int = 12) -> set[str]:
            """Who answers, each time on a connection of its own."""
            answers = []
            for _ in range(times):
                with Asker(port) as asker:
                    answers.append(asker.ask(chat()))
            assert {answer.status for answer in answers} == {200}
            return {answer.provider for answer in answers}

        assert places(40) == {"a", "b"}
        rounds = [config("c"), config("bc", "session"), config("ca", "least_inflight", "key-number-3")]
        statuses: list[int] = []
        ending = threading.Event()

        def go_on() -> None:
            with Asker(port) as asker:
                while not ending.is_set():
                    statuses.append(asker.ask(chat(user="one")).status)

        askers = [threading.Thread(target=go_on) for _ in range(2)]
        for asker in askers:
            asker.start()
        for number, text in enumerate(rounds, 1):
            path.write_text(text)
            gateway.signal(signal.SIGHUP)
            gateway.wait_for("reload", 2 * number)
            if number == 1:
                assert places() == {"c"}
        assert places(40) == {"a", "c"}
        path.write_text(config("d"))
        gateway.signal(signal.SIGHUP)
        reason = gateway.wait_for("reload_failed")[0]["reason"]
        assert "models.m.targets[0].provider" in reason
        assert places(40) == {"a", "c"}
        ending.set()
        for asker in askers:
            asker.join()
    assert len(statuses) > 20
    assert set(statuses) == {200}
