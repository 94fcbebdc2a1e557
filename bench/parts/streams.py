"""Load by many connections that stay open: streams at a pace, or connections that do nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import TracebackType
from typing import NamedTuple, Self

from parts.processes import PYTHON, BenchError, Program, on_load_cores


class Flow(NamedTuple):
    """What a while of streaming has shown."""

    events_per_s: float
    cpu_us: float
    """CPU time of the program for an event, in microseconds."""
    cpu_share: float
    """CPU time of the program for each second: 1 is one core."""


class Held:
    """Connections to a program that another process holds open, each after one answer (see holder.py).

    Raises:
        BenchError: They could not all be opened and answered.
    """

    def __init__(self, target: Program, connections: int, *, stream: bool) -> None:
        self._target = target
        command = [sys.executable, "-m", "parts.holder", target.url, str(connections)]
        with on_load_cores():
            self._process = subprocess.Popen(
                command + ["--stream"] * stream,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | PYTHON,
            )
        if self._line() != "ready":
            self._stop()
            raise BenchError(
                f"{connections} connections to {target.name} could not be held:\n{target.output()}"
            )

    def measure(self, seconds: float) -> Flow:
        """What comes for so long, and what the program spends for it.

        Raises:
            BenchError: A connection was lost, or nothing came.
        """
        began_s, cpu_s, events = time.monotonic(), self._target.cpu_s(), self._events()
        time.sleep(seconds)
        spent_s, came = self._target.cpu_s() - cpu_s, self._events() - events
        took_s = time.monotonic() - began_s
        if not came:
            raise BenchError(f"no event came through {self._target.name}:\n{self._target.output()}")
        return Flow(came / took_s, spent_s / came * 1e6, spent_s / took_s)

    def _events(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        events, lost = map(int, self._line().split())
        if lost:
            raise BenchError(f"{self._target.name} closed {lost} connections:\n{self._target.output()}")
        return events

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _stop(self) -> None:
        """End the process, and with it the connections."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
