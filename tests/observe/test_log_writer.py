"""The writing of log lines: nobody waits for it, nothing is lost in silence, no thread is leaked."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import resource
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from logs import entries, logging_to

from gateway.observe import log, writer
from gateway.observe.writer import LineWriter, StreamSink

WAIT_S = 10.0


class GatedSink:
    """A sink whose reader can stop reading: writes then wait, or fail while `error` is set."""

    def __init__(self) -> None:
        self.text = ""
        self.open = threading.Event()
        self.open.set()
        self.error: OSError | None = None

    def ready(self) -> bool:
        return self.open.is_set()

    def write(self, data: bytes) -> None:
        assert self.open.wait(WAIT_S)
        if self.error is not None:
            raise self.error
        self.text += data.decode()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


@contextmanager
def started(sink: GatedSink, reports: list[int]) -> Iterator[LineWriter]:
    lines = LineWriter(sink, reports.append)
    lines.start()
    try:
        yield lines
    finally:
        sink.open.set()
        lines.stop(WAIT_S)


def test_lines_are_written_in_order_and_all_of_them_at_the_end() -> None:
    sink, reports = GatedSink(), list[int]()
    with started(sink, reports) as lines:
        for number in range(2000):
            lines.put(f"{number}\n")
    assert sink.text.splitlines() == [str(number) for number in range(2000)]
    assert sum(reports) == 0


def test_a_stuck_sink_holds_nobody_up_and_what_is_dropped_is_counted_once() -> None:
    sink, reports = GatedSink(), list[int]()
    with started(sink, reports) as lines:
        sink.open.clear()
        for number in range(2 * writer.MAX_LINES):
            lines.put(f"{number}\n")  # would not return if it waited
        lost = lines.lost
        assert writer.MAX_LINES - writer.MAX_BATCH <= lost <= writer.MAX_LINES
        sink.open.set()
        until(lambda: sum(reports) == lost)
        lines.put("after\n")
    assert sum(reports) == lost
    assert len(sink.text.splitlines()) == 2 * writer.MAX_LINES - lost + 1


def test_lines_that_a_sink_refused_are_counted_and_reported_when_it_takes_lines_again() -> None:
    sink, reports = GatedSink(), list[int]()
    with started(sink, reports) as lines:
        sink.error = OSError(28, "No space left on device")
        lines.put("lost\n")
        until(lambda: lines.lost == 1)
        assert sum(reports) == 0
        sink.error = None
        lines.put("kept\n")
        until(lambda: sum(reports) == 1)
    assert sink.text == "kept\n"


def test_a_sink_that_stays_stuck_does_not_keep_the_end_waiting() -> None:
    sink, reports = GatedSink(), list[int]()
    with started(sink, reports) as lines:
        sink.open.clear()
        lines.put("first\n")
        lines.stop(0.01)
        assert sink.text == ""


def test_without_a_thread_a_line_is_written_at_once_or_dropped() -> None:
    sink, reports = GatedSink(), list[int]()
    lines = LineWriter(sink, reports.append)
    lines.put("first\n")
    sink.open.clear()
    lines.put("dropped\n")
    sink.open.set()
    lines.put("last\n")
    assert sink.text == "first\nlast\n"
    assert reports == [0, 1]


def fill(pipe: int) -> None:
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x" * 4096)


def test_a_full_pipe_is_not_ready_and_an_empty_one_is() -> None:
    reader, target = os.pipe()
    with os.fdopen(reader, "rb"), os.fdopen(target, "w") as stream:
        sink = StreamSink(stream)
        assert sink.ready()
        os.set_blocking(target, False)
        fill(target)
        assert not sink.ready()


@pytest.mark.parametrize("least", [0, 1100])
def test_a_non_blocking_pipe_takes_long_lines_whole(least: int) -> None:
    """Also on a descriptor that select() does not take."""
    reader, low = os.pipe()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2048)), hard))
    target = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, least)
    os.close(low)
    os.set_blocking(target, False)
    data = b"x" * 300_000
    with os.fdopen(reader, "rb") as source, os.fdopen(target, "w") as stream:
        writing = threading.Thread(target=StreamSink(stream).write, args=(data,), daemon=True)
        writing.start()
        taken = b""
        while len(taken) < len(data) and select.select([source], [], [], WAIT_S)[0]:
            taken += os.read(source.fileno(), 65536)
        assert taken == data
        writing.join(WAIT_S)


# Through the logging module.


def log_threads() -> int:
    return sum(thread.name == "log" for thread in threading.enumerate())


def test_a_reload_changes_level_and_style_and_keeps_the_one_thread() -> None:
    stream = io.StringIO()
    with logging_to(stream) as handler, log.in_background():
        for level in ("warning", "info", "error"):
            log.set_up(level, "json", stream)
            log.tell(logging.INFO, "said", at=level)
        log.set_up("info", "console", stream)
        log.tell(logging.INFO, "said", at="console")
        assert logging.getLogger().handlers == [handler]
        assert log_threads() == 1
    assert log_threads() == 0
    first, second = stream.getvalue().splitlines()
    assert json.loads(first)["at"] == "info"
    assert second.endswith("said               at=console")


def test_everything_is_written_when_the_background_ends() -> None:
    stream = io.StringIO()
    with logging_to(stream), log.in_background():
        for number in range(1000):
            log.tell(logging.INFO, "access", number=number)
    assert [entry["number"] for entry in entries(stream)] == list(range(1000))


def test_a_loss_is_told_as_an_event() -> None:
    stream = io.StringIO()
    with logging_to(stream) as handler:
        handler.writer._refused = 7
        log.tell(logging.INFO, "started")
    assert [(entry["event"], entry.get("count")) for entry in entries(stream)] == [
        ("started", None),
        ("log_dropped", 7),
    ]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_child_of_a_process_that_logs_in_the_background_logs_too() -> None:
    reader, target = os.pipe()
    with os.fdopen(reader) as source, os.fdopen(target, "w") as stream:
        with logging_to(stream), log.in_background():
            child = os.fork()
            if child == 0:
                try:
                    log.tell(logging.INFO, "from_the_child")
                finally:
                    os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        assert json.loads(source.readline())["event"] == "from_the_child"
