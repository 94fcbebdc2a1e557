"""The supervisor of several workers: starts them, restarts the dead, passes signals on.

It does nothing else, so that it has nothing to fail with: no event loop, no sockets of its own, no threads.
Signals are blocked and waited for. A worker says through a pipe that it serves, and sees at another one's end
that the supervisor is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.observe.log import tell

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
FIRST_DELAY_S: Final = 0.1
MAX_DELAY_S: Final = 10.0
MAX_FAILED_STARTS: Final = 5
_LONG_LIFE_S: Final = 10.0


@dataclass
class _Worker:
    """One place in the family, whoever fills it now."""

    number: int
    pid: int = 0
    ready: int = -1
    serves: bool = False
    started_s: float = 0.0
    delay_s: float = FIRST_DELAY_S
    due_s: float = 0.0


class Supervisor:
    """Runs `count` workers until SIGTERM or SIGINT.

    `work(number, ready, lifeline)` is what a worker does, in a process of its own. `number` counts the
    workers from 0; a replacement gets that of the dead one. `ready` is to be called once it serves. It ends
    on SIGTERM, and begins to end when the descriptor `lifeline` becomes readable. Its result is the exit
    code. `reload` says whether SIGHUP may be passed on: the new configuration is good.
    """

    def __init__(
        self, count: int, work: Callable[[int, Callable[[], None], int], int], reload: Callable[[], bool]
    ) -> None:
        self._work = work
        self._reload = reload
        self._workers = [_Worker(number) for number in range(count)]
        self._lifeline = os.pipe()
        self._failed_starts = 0
        self._stopping = False
        self._exit_code = 0

    def run(self) -> int:
        """Supervise; the result is the exit code: 0, or 1 when the workers could not be kept alive."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        for worker in self._workers:
            self._start(worker)
        while any(worker.pid or not self._stopping for worker in self._workers):
            received = signal.sigtimedwait(_SIGNALS, self._wait_s())
            if received is not None:
                self._on_signal(received.si_signo)
            self._look_after_starts()
        tell(logging.INFO, "supervisor_stopped", exit_code=self._exit_code)
        return self._exit_code

    # -- signals

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number == signal.SIGHUP:
            if self._reload():
                self._pass_on(signal.SIGHUP)
        elif self._stopping:
            self._pass_on(signal.SIGKILL)
        else:
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        self._pass_on(signal.SIGTERM)

    def _pass_on(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.pid:
                os.kill(worker.pid, number)

    # -- births and deaths

    def _start(self, worker: _Worker) -> None:
        ready, says_ready = os.pipe()
        worker.started_s = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        worker.pid = os.fork()
        if worker.pid == 0:
            os.close(ready)
            os.close(self._lifeline[1])
            self._be_worker(worker.number, says_ready)
        os.close(says_ready)
        os.set_blocking(ready, False)
        worker.ready = ready
        worker.serves = False
        tell(logging.INFO, "worker_started", worker=worker.number, pid=worker.pid)

    def _be_worker(self, number: int, says_ready: int) -> None:
        """Never returns: what the parent is doing must not go on in the child."""
        code = 1

        def ready() -> None:
            os.write(says_ready, b"1")
            os.close(says_ready)

        try:
            # Signals stay blocked until the worker has its handlers: one that comes now is not lost.
            code = self._work(number, ready, self._lifeline[0])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for worker in self._workers:
                if worker.pid == pid:
                    self._mourn(worker, os.waitstatus_to_exitcode(status))

    def _mourn(self, worker: _Worker, code: int) -> None:
        self._read_ready(worker)
        os.close(worker.ready)
        worker.pid = 0
        if self._stopping:
            if code not in (0, -signal.SIGKILL):
                self._exit_code = 1
            return
        now = time.monotonic()
        if not worker.serves:
            self._failed_starts += 1
        if now - worker.started_s >= _LONG_LIFE_S:
            worker.delay_s = FIRST_DELAY_S
        worker.due_s = now + worker.delay_s
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        fields = {"worker": worker.number, "reason": reason, "serving": worker.serves}
        if self._failed_starts >= MAX_FAILED_STARTS:
            tell(logging.CRITICAL, "giving_up", **fields, failed_starts=self._failed_starts)
            self._exit_code = 1
            self._stop()
            return
        tell(logging.ERROR, "worker_died", **fields, restart_in_s=worker.delay_s)
        worker.delay_s = min(MAX_DELAY_S, worker.delay_s * 2)

    def _look_after_starts(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.pid and not worker.serves:
                self._read_ready(worker)
            elif not worker.pid and not self._stopping and worker.due_s <= now:
                self._start(worker)

    def _read_ready(self, worker: _Worker) -> None:
        if not worker.serves:
            try:
                worker.serves = os.read(worker.ready, 1) == b"1"
            except BlockingIOError:
                return
            if worker.serves:
                self._failed_starts = 0

    def _wait_s(self) -> float:
        """Seconds until there is something to do without a signal."""
        now = time.monotonic()
        due = [worker.due_s - now for worker in self._workers if not worker.pid and not self._stopping]
        starting = [0.05 for worker in self._workers if worker.pid and not worker.serves]
        return max(0.0, min([*due, *starting, 60.0]))
