"""The life of one serving process: start, serve, reload on SIGHUP, drain on SIGTERM, end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from typing import Final, Protocol

from gateway.observe import log
from gateway.process import memory

_POLL_S: Final = 0.02
_LAST_WORDS_S: Final = 0.05
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Server(Protocol):
    """What is run."""

    async def start(self) -> None:
        """Begin to serve."""

    def reload(self) -> None:
        """Serve by the configuration as it is now; where that is bad, go on as before."""

    def begin_drain(self) -> float:
        """Accept nothing more; the result is how many seconds what is under way may take."""

    @property
    def busy_connections(self) -> int:
        """Client connections on which something is under way."""

    def cut_off(self) -> None:
        """Tell every client whose answer is still under way that it ends here."""

    def close(self) -> None:
        """End everything at once."""


async def serve(server: Server, ready: Callable[[], None] | None = None, lifeline: int | None = None) -> None:
    """Run `server` until SIGTERM or SIGINT, then drain it; a second signal ends it at once.

    `ready` is called once it serves. `lifeline` is a descriptor at whose end of file the draining begins
    too: the supervisor is gone.
    """
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    forced = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            forced.set()
        stopping.set()

    def orphaned() -> None:
        assert lifeline is not None
        loop.remove_reader(lifeline)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, server.reload)
    if os.getpid() == 1:
        # The first process of a container is given its orphans; the kernel buries those of who ignores them.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    loop.set_exception_handler(log.loop_failed)
    if lifeline is not None:
        loop.add_reader(lifeline, orphaned)
    with log.in_background():
        try:
            await server.start()
            memory.settle()
            if ready is not None:
                ready()
            await stopping.wait()
            await _drain(server, forced)
        finally:
            server.close()
            for number in (signal.SIGTERM, signal.SIGINT):
                # It ends already: one more signal must not make a death of it.
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)


async def _drain(server: Server, forced: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    within_s = server.begin_drain()
    log.tell(logging.INFO, "draining", connections=server.busy_connections, within_s=within_s)
    deadline_s = loop.time() + within_s
    while server.busy_connections and loop.time() < deadline_s and not forced.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(forced.wait(), _POLL_S)
    cut = server.busy_connections
    if cut:
        server.cut_off()
        await asyncio.sleep(_LAST_WORDS_S)
    log.tell(logging.INFO, "stopped", cut_connections=cut)
