"""A gateway as an operator runs it, a process whose outputs are kept, and providers in a thread beside it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvloop
from harness import Raw

WAIT_S = 15.0
_LIMIT = 300_000
_MAIN = "import sys\nfrom gateway.cli import main\nsys.exit(main())\n"


class Gateway:
    """`gateway serve` with this configuration; what it writes goes to files in `folder`.

    `prelude` is Python that runs first in its process, for what cannot be brought about from outside.
    """

    def __init__(self, folder: Path, config: str, environ: Mapping[str, str], prelude: str) -> None:
        self._config = folder / "gateway.yaml"
        self._config.write_text(config)
        self._outputs = {name: folder / name for name in ("stdout", "stderr")}
        with self._outputs["stdout"].open("wb") as stdout, self._outputs["stderr"].open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-c", prelude + _MAIN, "serve", "--config", str(self._config)],
                stdout=stdout,
                stderr=stderr,
                env={**os.environ, **environ},
            )

    @property
    def port(self) -> int:
        return int(self.until(r"http://127\.0\.0\.1:(\d+)")[1])

    def until(self, pattern: str, count: int = 1) -> re.Match[str]:
        """Wait until the log has so many matches; the result is the last of them."""
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            found = list(re.finditer(pattern, self._outputs["stdout"].read_text()))
            if len(found) >= count:
                return found[count - 1]
            time.sleep(0.01)
        raise AssertionError(f"{count} x {pattern} did not come: {self.outputs()}")

    def reload(self, config: str) -> None:
        """Another configuration, and SIGHUP."""
        self._config.write_text(config)
        self._process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        """SIGTERM, or SIGKILL where that does not help."""
        self._process.terminate()
        try:
            self._process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def outputs(self) -> dict[str, bytes]:
        """All that it has written, by the name of the stream."""
        return {name: path.read_bytes() for name, path in self._outputs.items()}


@contextmanager
def serving(folder: Path, config: str, environ: Mapping[str, str], prelude: str = "") -> Iterator[Gateway]:
    """A gateway process, ended with the block; its outputs can still be read then."""
    gateway = Gateway(folder, config, environ, prelude)
    try:
        yield gateway
    finally:
        gateway.end()


@contextmanager
def listening(**protocols: Callable[[], asyncio.BaseProtocol]) -> Iterator[dict[str, str]]:
    """Servers by name, each on a port of its own, in the event loop of a thread; the URLs by name."""
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    servers: list[asyncio.Server] = []

    async def listen() -> dict[str, str]:
        servers.extend([await loop.create_server(one, "127.0.0.1", 0) for one in protocols.values()])
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        return {name: f"http://127.0.0.1:{port}" for name, port in zip(protocols, ports, strict=True)}

    async def close() -> None:
        for server in servers:
            server.close()

    yield asyncio.run_coroutine_threadsafe(listen(), loop).result(WAIT_S)
    asyncio.run_coroutine_threadsafe(close(), loop).result(WAIT_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(WAIT_S)
    loop.close()


def with_urls(config: str, urls: Mapping[str, str]) -> str:
    """The configuration with the URL of each server in the place of its name in braces."""
    for name, url in urls.items():
        config = config.replace(f"{{{name}}}", url)
    return config


def ask(
    port: int, request: str, fields: Mapping[str, str], body: bytes = b"", pause_s: float = WAIT_S
) -> bytes:
    """The bytes that answer a request such as `GET /health`: up to 300 kB, until none come for `pause_s`."""
    lines = [f"{request} HTTP/1.1", "host: gateway", "connection: close"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    lines += [f"content-length: {len(body)}"] if body else []
    answer = b""
    with Raw(port) as connection:
        connection.sock.settimeout(pause_s)
        connection.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        try:
            while len(answer) < _LIMIT and (data := connection.receive()):
                answer += data
        except (ConnectionResetError, TimeoutError):
            pass
    return answer
