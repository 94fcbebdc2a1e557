"""How many cores this process may keep busy: what `workers: auto` means.

Three things can say fewer than the machine has: the affinity mask (taskset, cpusets), the quota of control
group version 2 (`cpu.max`) and that of version 1 (`cpu.cfs_quota_us`). A container's limit is such a quota;
neither `os.cpu_count()` nor the mask knows it. A quota also binds the groups below it, so the smallest of all
groups from the root of the mount down to that of this process holds.

https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/scheduler/sched-bwc.html.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["quota", "usable"]


def usable(allowed: int | None = None, root: Path = Path("/")) -> int:
    """Count the cores, at least 1. A quota of one and a half counts as 2, so that all of it can be used.

    allowed: cores in the affinity mask; None = ask the system.
    root: where the `proc` and `sys` are that are read.
    """
    if allowed is None:
        # Not every system has affinity masks.
        allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, quota(root))))


def quota(root: Path = Path("/")) -> float:
    """Cores that the control groups of this process grant it; infinity where they set no limit."""
    return min((_granted(folder) for folder in _folders(root)), default=math.inf)


def _folders(root: Path) -> Iterator[Path]:
    """The folders of this process's groups that may hold a quota, and of those above them."""
    groups = _groups(root)
    for line in _lines(root / "proc/self/mountinfo"):
        # 36 35 0:30 ROOT MOUNT_POINT options … - TYPE SOURCE SUPER_OPTIONS (proc_pid_mountinfo(5))
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        controller = "" if kind[0] == "cgroup2" else "cpu"
        if kind[0] not in ("cgroup", "cgroup2") or (controller and controller not in kind[2].split(",")):
            continue
        mounted, top = fields[3], root / fields[4].lstrip("/")
        # Without a namespace of its own a container reads the host's path, of which it sees only the end.
        path = groups.get(controller, "/")
        inside = path.removeprefix(mounted) if path.startswith(mounted) else ""
        folder = top / inside.strip("/")
        yield folder
        yield from (parent for parent in folder.parents if parent.is_relative_to(top))


def _groups(root: Path) -> dict[str, str]:
    """The path of this process's group by controller; that of version 2 has the controller ""."""
    groups = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _granted(folder: Path) -> float:
    """The quota that one group sets, in cores."""
    words = [word for line in _lines(folder / "cpu.max") for word in line.split()]
    if not words:
        words = [*_lines(folder / "cpu.cfs_quota_us"), *_lines(folder / "cpu.cfs_period_us")]
    try:
        microseconds, period = (int(word) for word in words)
    except ValueError:
        return math.inf  # no such files, or "max"
    return microseconds / period if microseconds > 0 and period > 0 else math.inf


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
