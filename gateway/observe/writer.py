"""Lines on their way to a sink that may be slow, stuck or gone: whoever hands one over never waits for it.

While it is started, a thread writes, and at most MAX_LINES wait for it. Otherwise a line is written at once,
or not at all where the sink cannot take it now. What is lost is counted, and reported when a write succeeds
again.

A thread does not outlive a fork: in the child the writer is as if it had not been started. The process that
forks must not start it; its workers do.
"""

from __future__ import annotations

import os
import queue
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, TextIO

MAX_LINES: Final = 8192
MAX_BATCH: Final = 512
REPORT_S: Final = 1.0


class Sink(Protocol):
    """Where lines go."""

    def ready(self) -> bool:
        """Whether a line can be written without waiting."""

    def write(self, data: bytes) -> None:
        """Write all of `data`, however long it takes. Raises OSError."""


class LineWriter:
    """Writes lines to `sink` in the order of `put`.

    `report` is called with the number of lines lost since the last time: after each write that succeeded and,
    while the writer is started, at least once every REPORT_S seconds. It may log.
    """

    def __init__(self, sink: Sink, report: Callable[[int], None]) -> None:
        self._sink = sink
        self._report = report
        self._thread: threading.Thread | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # Each is written by one side only, so that no lock is needed: who puts, who writes, who reports.
        self._refused = 0
        self._failed = 0
        self._reported = 0

    def __repr__(self) -> str:
        how = "by a thread" if self._runs() else "at once"
        return f"<LineWriter {how}, {self._lines.qsize()} lines wait, {self.lost} lost>"

    @property
    def lost(self) -> int:
        """Lines that were not written, since the beginning."""
        return self._refused + self._failed

    def put(self, line: str) -> None:
        """Write `line`, which ends with a line break, sooner or later or never. One thread at a time."""
        if not self._runs():
            if self._sink.ready():
                self._write([line])
            else:
                self._refused += 1
        elif self._lines.qsize() < MAX_LINES:
            self._lines.put(line)
        else:
            self._refused += 1

    def start(self) -> None:
        """Write by a thread from now on."""
        self._lines = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, args=(self._lines,), name="log", daemon=True)
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """End the thread once it has written what waits, or leave it behind after `within_s` seconds."""
        thread, self._thread = self._thread, None
        if thread is not None and thread.is_alive():
            self._lines.put(None)
            thread.join(within_s)

    def _runs(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self, lines: queue.SimpleQueue[str | None]) -> None:
        batch: list[str | None] = []
        while None not in batch:
            batch = []
            with suppress(queue.Empty):
                batch.append(lines.get(timeout=REPORT_S))
                while len(batch) < MAX_BATCH:
                    batch.append(lines.get_nowait())
            self._write([line for line in batch if line is not None])

    def _write(self, lines: list[str]) -> None:
        lost = 0
        if lines:
            try:
                self._sink.write("".join(lines).encode())
            except OSError:
                self._failed += len(lines)
                return
            lost = self.lost - self._reported
            self._reported += lost
        self._report(lost)


class StreamSink:
    """A text stream; past its buffer where it has a descriptor.

    A thread that hangs in `stream.write` would hold the stream's lock, and the process could not end.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._fd: int | None = None
        with suppress(OSError, ValueError):  # it is in memory
            self._fd = stream.fileno()

    def ready(self) -> bool:
        if self._fd is None:
            return True
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(0))

    def write(self, data: bytes) -> None:
        if self._fd is None:
            self.stream.write(data.decode())
            return
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # somebody who shares the descriptor has made it non-blocking
                poll = select.poll()  # select() takes no descriptor above 1023
                poll.register(self._fd, select.POLLOUT)
                poll.poll()
