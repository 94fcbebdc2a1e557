"""Programs that a measurement starts, pins to cores and ends again, each by its process group."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from parts import proc

START_S: Final = 20.0
STOP_S: Final = 10.0

PYTHON: Final = {"PYTHONPATH": str(Path(__file__).parents[1])}
"""The environment in which `python -m parts.…` finds its module."""

CORES: Final = sorted(os.sched_getaffinity(0))
SUBJECT_CORES: Final = frozenset(CORES[:1])
"""What is measured runs here, alone where there are two cores."""
LOAD_CORES: Final = frozenset(CORES[1:] or CORES)
"""What makes the load, and the provider, run here."""


class BenchError(Exception):
    """A measurement cannot be made, or says nothing; the message says why."""


class Program:
    """A running program with a port, ended on leaving the context.

    command: what is run. `port` must be one that it will listen on.
    environment: variables beside those of this process, apart from the gateway's own.
    cores: those it may use.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        *,
        environment: Mapping[str, str] | None = None,
        cores: frozenset[int] = SUBJECT_CORES,
        start_s: float = START_S,
    ) -> None:
        self.name = name
        self.port = port
        self._start_s = start_s
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        with _pinned(cores):  # inherited, so that no thread is born elsewhere
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                env=_environment() | dict(environment or {}),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process that was started; its family is what is measured."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """Seconds of CPU time that it has used, children included."""
        return proc.cpu_s(self.pid)

    def memory_kib(self) -> int:
        """Its proportional set size in KiB, children included."""
        return proc.memory_kib(self.pid)

    def heap_kib(self) -> int:
        """The part of that which is no file's: what its own work adds to."""
        return proc.heap_kib(self.pid)

    def __enter__(self) -> Self:
        try:
            self._until_it_listens()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _until_it_listens(self) -> None:
        deadline = time.monotonic() + self._start_s
        while not _listens(self.port):
            if self._process.poll() is not None:
                raise BenchError(f"{self.name} ended at its start:\n{self.output()}")
            if time.monotonic() > deadline:
                raise BenchError(
                    f"{self.name} does not listen on port {self.port} after {self._start_s:g} s:"
                    f"\n{self.output()}"
                )
            time.sleep(0.02)

    def output(self, characters: int = 2000) -> str:
        """The end of what it has printed."""
        self._output.seek(0)
        return self._output.read().decode(errors="replace")[-characters:]

    def stop(self) -> None:
        """End it and all that it has started: SIGTERM, and SIGKILL for what is left."""
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._output.close()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


@contextmanager
def _pinned(cores: frozenset[int]) -> Iterator[None]:
    """Let this process, and so what it starts, run on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def on_load_cores() -> Iterator[None]:
    """For what generates load from here, and for children that are started directly."""
    with _pinned(LOAD_CORES):
        yield


def _environment() -> dict[str, str]:
    """This process's, without what would change how a gateway behaves."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "OPENAI_"))}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(command: Sequence[str]) -> int:
    """Run another measurement; when this one is ended, that one has time to end what it started."""
    with subprocess.Popen(command) as process:
        try:
            return process.wait()
        finally:
            process.terminate()


def end_on_sigterm() -> None:
    """Make SIGTERM unwind the stack, so that every program that was started is ended too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
