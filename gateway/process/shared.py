"""Memory that all workers of a process family share: the state of the circuit breakers.

A breaker finds its cells by a key, so that workers which start at different times, or read a changed
configuration at different moments, meet in the same ones. One anonymous file holds it all; record locks on it
keep writers apart, and the kernel releases them when a process dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import threading
from types import TracebackType
from typing import Final

MAX_ENTRIES: Final = 1024
MAX_CELLS: Final = 133
_KEY: Final = 32
_CELL: Final = 8
_ENTRY: Final = _KEY + MAX_CELLS * _CELL


class SharedCells:
    """Zeroed float64 cells by key. Make it before the workers are forked; they inherit it.

    Raises OSError where the system gives no shared memory.
    """

    def __init__(self) -> None:
        self._fd = os.memfd_create("gateway-shared")
        os.ftruncate(self._fd, MAX_ENTRIES * _ENTRY)
        self._memory = mmap.mmap(self._fd, MAX_ENTRIES * _ENTRY)
        self._directory_lock = SharedLock(self._fd, MAX_ENTRIES)

    def attach(self, key: str, count: int) -> tuple[memoryview[float], SharedLock]:
        """The `count` cells of `key`, the same for everybody who asks, and the lock of those who write them.

        Raises MemoryError when there are more keys than `MAX_ENTRIES`; keys are never forgotten.
        """
        if not 0 < count <= MAX_CELLS:
            raise ValueError(f"count must be from 1 to {MAX_CELLS}, not {count}")
        digest = hashlib.sha256(key.encode()).digest()
        with self._directory_lock:
            for index in range(MAX_ENTRIES):
                start = index * _ENTRY
                found = self._memory[start : start + _KEY]
                if found == bytes(_KEY):
                    self._memory[start : start + _KEY] = digest
                elif found != digest:
                    continue
                cells = memoryview(self._memory)[start + _KEY : start + _KEY + count * _CELL].cast("d")
                return cells, SharedLock(self._fd, index)
        raise MemoryError(f"more than {MAX_ENTRIES} different breakers since the start; restart the gateway")


class SharedLock:
    """Keeps threads and processes apart: a thread lock, then a record lock on byte `index` of the file."""

    __slots__ = ("_fd", "_index", "_threads")

    def __init__(self, fd: int, index: int) -> None:
        self._fd = fd
        self._index = index
        self._threads = threading.Lock()

    def __enter__(self) -> None:
        self._threads.acquire()
        fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, self._index)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, self._index)
        self._threads.release()
