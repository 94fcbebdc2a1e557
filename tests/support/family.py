"""Starts a real `gateway serve` as a process, with several workers, and reads its log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

WAIT_S = 15.0


class Served:
    """A running `gateway serve --config FILE`."""

    def __init__(self, config: Path, *arguments: str) -> None:
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_C", "OPENAI"))
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--config", str(config), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )
        self.events: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def named(self, event: str) -> list[dict[str, Any]]:
        """The log events of that name so far."""
        return [one for one in self.events if one["event"] == event]

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen: {self.events[-5:]}"
            time.sleep(0.01)

    def wait_for(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until there are `count` events of that name."""
        self.until(lambda: len(self.named(event)) >= count, f"{count} x {event}")
        return self.named(event)

    @property
    def url(self) -> str:
        url: str = self.wait_for("started")[0]["listening"][0]
        return url

    @property
    def worker_pids(self) -> list[int]:
        return [one["pid"] for one in self.named("started")]

    def get(self, path: str, **headers: str) -> dict[str, Any]:
        """GET a JSON page, over a connection of its own."""
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=WAIT_S) as response:
            answer: dict[str, Any] = json.loads(response.read())
            return answer

    def chat(self, **headers: str) -> tuple[int, dict[str, str]]:
        """One chat completion over a connection of its own: status and headers."""
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
        headers = {"content-type": "application/json", **headers}
        request = urllib.request.Request(f"{self.url}/v1/chat/completions", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as response:
                response.read()
                return response.status, dict(response.headers)
        except urllib.error.HTTPError as error:
            error.read()
            return error.code, dict(error.headers)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def close(self) -> None:
        self._reader.join(WAIT_S)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)


@contextmanager
def served(config: Path, *arguments: str) -> Iterator[Served]:
    """A gateway process, ended with the block."""
    gateway = Served(config, *arguments)
    try:
        yield gateway
    finally:
        if gateway.process.poll() is None:
            gateway.process.terminate()
            try:
                gateway.process.wait(3)
            except subprocess.TimeoutExpired:
                gateway.process.kill()
                gateway.process.wait()
        for pid in gateway.worker_pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        gateway.close()
