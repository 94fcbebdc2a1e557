"""What a family of processes costs, read from /proc: CPU time and memory.

CPU time is what the scheduler has counted for each thread, in nanoseconds (`schedstat`, first field: see
Documentation/scheduler/sched-stats.rst of Linux), user and system together. The ticks in `stat` are a
hundred thousand times coarser. Memory is the proportional set size: what is shared counts once, divided by
its users.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
_GONE = (FileNotFoundError, ProcessLookupError)  # a thread or process that ended while it was being read


def family(pid: int, proc: Path = PROC) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for stat in proc.glob("[0-9]*/stat"):
        with suppress(*_GONE):
            child, parent = parents(stat.read_text())
            children.setdefault(parent, []).append(child)
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def parents(stat: str) -> tuple[int, int]:
    """The id of a process and of its parent, from the text of its `stat` (proc(5))."""
    # The name stands in brackets and may itself hold brackets and spaces: only the last one ends it.
    head, _, tail = stat.rpartition(")")
    return int(head.partition(" ")[0]), int(tail.split()[1])


def cpu_s(pid: int, proc: Path = PROC) -> float:
    """Seconds of CPU time that a process and its descendants have used: their threads that still run."""
    total_ns = 0
    for member in family(pid, proc):
        for schedstat in (proc / str(member) / "task").glob("*/schedstat"):
            with suppress(*_GONE):
                total_ns += int(schedstat.read_text().split()[0])
    return total_ns / 1e9


def memory_kib(pid: int, proc: Path = PROC) -> int:
    """The proportional set size of a process and its descendants, in KiB."""
    return _rolled_up_kib(pid, "Pss", proc)


def heap_kib(pid: int, proc: Path = PROC) -> int:
    """The part of it that is no file's, in KiB: it does not change when others map the same libraries."""
    return _rolled_up_kib(pid, "Pss_Anon", proc)


def _rolled_up_kib(pid: int, field: str, proc: Path) -> int:
    total = 0
    for member in family(pid, proc):
        with suppress(*_GONE):
            total += field_kib((proc / str(member) / "smaps_rollup").read_text(), field)
    return total


def field_kib(text: str, name: str) -> int:
    """A field of `smaps_rollup` or `status`, in KiB.

    Raises:
        ValueError: There is none of that name.
    """
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ValueError(f"no field {name} in {text[:80]!r}")
