"""What happened, in memory that all workers share: the last circuit transitions, each provider's last error.

Written when a circuit changes or an attempt fails, never for a request that goes well; read by the operator's
pages. Entries are JSON objects of a bounded size.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import orjson

MAX_TRANSITIONS: Final = 512
MAX_PROVIDERS: Final = 1024
_ENTRY: Final = 512
_COUNT: Final = struct.Struct("=Q")
_LENGTH: Final = struct.Struct("=H")

Entry = dict[str, Any]


class _Entries:
    """Fixed entries behind a count, in one anonymous file. Make it before the workers are forked."""

    def __init__(self, name: str, entries: int) -> None:
        self._entries = entries
        self._fd = os.memfd_create(name)
        size = _COUNT.size + entries * _ENTRY
        os.ftruncate(self._fd, size)
        self._memory = mmap.mmap(self._fd, size)
        self._threads = threading.Lock()

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Alone among threads and processes; the value is the count."""
        with self._threads:
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
            try:
                yield _COUNT.unpack_from(self._memory)[0]
            finally:
                fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def _set_count(self, count: int) -> None:
        _COUNT.pack_into(self._memory, 0, count)

    def _write(self, number: int, text: bytes) -> None:
        at = _COUNT.size + number % self._entries * _ENTRY
        _LENGTH.pack_into(self._memory, at, len(text))
        self._memory[at + _LENGTH.size : at + _LENGTH.size + len(text)] = text

    def _read(self, number: int) -> Entry:
        at = _COUNT.size + number % self._entries * _ENTRY
        (length,) = _LENGTH.unpack_from(self._memory, at)
        entry: Entry = orjson.loads(self._memory[at + _LENGTH.size : at + _LENGTH.size + length])
        return entry


class Transitions(_Entries):
    """The last `MAX_TRANSITIONS` changes of circuits, of all workers."""

    def __init__(self) -> None:
        super().__init__("gateway-transitions", MAX_TRANSITIONS)

    def add(self, entry: Entry) -> None:
        """Write down one more; the oldest makes room."""
        text = _fitting(entry)
        with self._locked() as count:
            self._write(count, text)
            self._set_count(count + 1)

    def all(self) -> list[Entry]:
        """What is there, oldest first."""
        with self._locked() as count:
            return [self._read(number) for number in range(max(0, count - self._entries), count)]


class LastErrors(_Entries):
    """The last failed attempt at each provider, whichever worker made it."""

    def __init__(self) -> None:
        super().__init__("gateway-last-errors", MAX_PROVIDERS)
        self._places: dict[str, int] = {}

    def put(self, provider: str, entry: Entry) -> None:
        """Replace what is there for `provider`; providers beyond `MAX_PROVIDERS` have no place."""
        text = _fitting({"provider": provider, **entry})
        with self._locked() as count:
            self._learn(count)
            place = self._places.get(provider)
            if place is None:
                if count == self._entries:
                    return
                place = self._places[provider] = count
                self._set_count(count + 1)
            self._write(place, text)

    def all(self) -> dict[str, Entry]:
        """The entries by provider."""
        with self._locked() as count:
            entries = [self._read(number) for number in range(count)]
        return {entry["provider"]: entry for entry in entries}

    def _learn(self, count: int) -> None:
        for number in range(len(self._places), count):
            self._places[self._read(number)["provider"]] = number


def _fitting(entry: Entry) -> bytes:
    """The JSON of `entry`, its texts shortened where it is too long for one place."""
    text = orjson.dumps(entry)
    if len(text) > _ENTRY - _LENGTH.size:
        text = orjson.dumps(
            {name: value[:60] if isinstance(value, str) else value for name, value in entry.items()}
        )
    return text
