"""The dashboard without a gateway behind it: a server that shows whatever a test says `/stats` would say.

with staged(sample()) as stage:
    page = browser.open(stage.url)
    stage.stats["status"] = "unhealthy"
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

import gateway
from gateway.admin import dashboard
from gateway.config.schema import Limits, ServerTimeouts
from gateway.server.listener import Listener
from gateway.server.site import Page, Site

SAMPLE = Path(gateway.__file__).parents[1] / "tests" / "admin" / "stats_sample.json"
WAIT_S = 10.0
_TIME = re.compile(r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"')


def sample() -> dict[str, Any]:
    """The sample of the documentation."""
    stats: dict[str, Any] = json.loads(SAMPLE.read_text(encoding="utf-8"))
    return stats


class Stage:
    """A server that shows `stats`, its times moved so that it was generated when it is asked for."""

    def __init__(self, stats: dict[str, Any]) -> None:
        self.stats = stats
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}/dashboard"
        self._wait(self._start(sock))

    async def _start(self, sock: socket.socket) -> None:
        feed = dashboard.Feed(self._snapshot, self._loop.call_later)
        site = Site(
            data=None,
            pages={path: Page(handler) for path, handler in dashboard.handlers(feed).items()},
            limits=Limits(),
            max_connections=100,
            timeouts=ServerTimeouts(),
        )
        self._listener = Listener(site, [sock])
        await self._listener.start()

    def _snapshot(self) -> bytes:
        moved = datetime.now(UTC) - datetime.fromisoformat(self.stats["generated_at"])

        def move(match: re.Match[str]) -> str:
            at = datetime.fromisoformat(match[1]) + moved
            return f'"{at.strftime("%Y-%m-%dT%H:%M:%S")}.{at.microsecond // 1000:03}Z"'

        return _TIME.sub(move, json.dumps(self.stats)).encode()

    def close_connections(self) -> None:
        """Send every viewer away, and let no new one in."""

        async def close() -> None:
            self._listener.close()

        self._wait(close())

    def close(self) -> None:
        async def close() -> None:
            self._listener.close()
            await asyncio.sleep(0)

        self._wait(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()

    def _wait(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WAIT_S)


@contextmanager
def staged(stats: dict[str, Any]) -> Iterator[Stage]:
    """A stage, until the block ends."""
    stage = Stage(stats)
    try:
        yield stage
    finally:
        stage.close()
