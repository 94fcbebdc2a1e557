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
import weakref
from collections.abc import Iterable, Iterator
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
        weakref.finalize(self, os.close, self._fd)
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
        # Empty until it is whole: a worker that is killed meanwhile leaves no half an entry.
        _LENGTH.pack_into(self._memory, at, 0)
        self._memory[at + _LENGTH.size : at + _LENGTH.size + len(text)] = text
        _LENGTH.pack_into(self._memory, at, len(text))

    def _read(self, numbers: Iterable[int]) -> list[tuple[int, Entry]]:
        """The entries at `numbers` that are whole."""
        found = []
        for number in numbers:
            at = _COUNT.size + number % self._entries * _ENTRY
            (length,) = _LENGTH.unpack_from(self._memory, at)
            if length:
                text = self._memory[at + _LENGTH.size : at + _LENGTH.size + length]
                found.append((number, orjson.loads(text)))
        return found


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
            found = self._read(range(max(0, count - self._entries), count))
        return [entry for _, entry in found]


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
            self._write(place, text)
            self._set_count(max(count, place + 1))

    def all(self) -> dict[str, Entry]:
        """The entries by provider."""
        with self._locked() as count:
            found = self._read(range(count))
        return {entry["provider"]: entry for _, entry in found}

    def _learn(self, count: int) -> None:
        for number, entry in self._read(range(len(self._places), count)):
            self._places[entry["provider"]] = number


def _fitting(entry: Entry) -> bytes:
    """The JSON of `entry`, its longest text shortened until all has room in one place."""
    entry = dict(entry)
    while len(text := orjson.dumps(entry)) > _ENTRY - _LENGTH.size:
        texts = {name: value for name, value in entry.items() if isinstance(value, str)}
        longest = max(texts, key=lambda name: len(texts[name]))
        entry[longest] = texts[longest][: len(texts[longest]) * 3 // 4]
    return text
