"""The last events of every worker in memory that they share: circuit transitions, the last errors of providers.

A ring of fixed entries under one lock; written when something happens to a circuit or an attempt fails, read by
the operator's pages. The newest `ENTRIES` are kept.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
from typing import Any, Final

import orjson

ENTRIES: Final = 512
_ENTRY: Final = 512
_COUNT: Final = struct.Struct("=Q")
_LENGTH: Final = struct.Struct("=H")


class Journal:
    """A ring of JSON objects. Make it before the workers are forked."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("gateway-journal")
        size = _COUNT.size + ENTRIES * _ENTRY
        os.ftruncate(self._fd, size)
        self._memory = mmap.mmap(self._fd, size)
        self._lock = threading.Lock()

    def add(self, entry: dict[str, Any]) -> None:
        """Write `entry`; one that is too long loses its `detail`, or is left out."""
        text = orjson.dumps(entry)
        room = _ENTRY - _LENGTH.size
        if len(text) > room:
            text = orjson.dumps({**entry, "detail": str(entry.get("detail", ""))[:64]})
            if len(text) > room:
                return
        with self._lock:
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
            try:
                (count,) = _COUNT.unpack_from(self._memory)
                at = _COUNT.size + count % ENTRIES * _ENTRY
                _LENGTH.pack_into(self._memory, at, len(text))
                self._memory[at + _LENGTH.size : at + _LENGTH.size + len(text)] = text
                _COUNT.pack_into(self._memory, 0, count + 1)
            finally:
                fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def entries(self) -> list[dict[str, Any]]:
        """What is there, oldest first."""
        with self._lock:
            fcntl.lockf(self._fd, fcntl.LOCK_SH)
            try:
                (count,) = _COUNT.unpack_from(self._memory)
                return [self._entry(number) for number in range(max(0, count - ENTRIES), count)]
            finally:
                fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def _entry(self, number: int) -> dict[str, Any]:
        at = _COUNT.size + number % ENTRIES * _ENTRY
        (length,) = _LENGTH.unpack_from(self._memory, at)
        entry: dict[str, Any] = orjson.loads(self._memory[at + _LENGTH.size : at + _LENGTH.size + length])
        return entry
