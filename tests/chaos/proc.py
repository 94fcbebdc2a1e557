"""What Linux knows of a process: memory, descriptors, who is connected to it. And how fast a figure grows."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

_PAGE_KIB: Final = resource.getpagesize() // 1024
_ESTABLISHED: Final = "01"


class Usage(NamedTuple):
    """Resident memory in KiB, and open descriptors, of a process."""

    rss_kib: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Raises OSError when there is no such process."""
        resident = Path(f"/proc/{pid}/statm").read_text().split()[1]
        return cls(int(resident) * _PAGE_KIB, len(os.listdir(f"/proc/{pid}/fd")))


def is_alive(pid: int) -> bool:
    """The process exists, and is not a corpse that nobody has looked at yet; its last thread counts."""
    try:
        return _state(pid) != "Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def stop(pid: int) -> None:
    """Send SIGSTOP, and wait the microseconds until the process has stopped."""
    os.kill(pid, signal.SIGSTOP)
    while _state(pid) != "T":
        time.sleep(0.0002)


def kill(pid: int) -> None:
    """Send SIGKILL, and wait the milliseconds until all that the process had is closed."""
    os.kill(pid, signal.SIGKILL)
    while is_alive(pid):
        time.sleep(0.0002)


def clients_of(pid: int, port: int) -> set[int]:
    """The ports of the clients whose connections to `port` the process holds, or nobody has accepted yet."""
    inodes = {"0"}
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    clients = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_, inode = line.split()[:10]
        if state == _ESTABLISHED and inode in inodes and int(local.partition(":")[2], 16) == port:
            clients.add(int(remote.partition(":")[2], 16))
    return clients


def tcp_memory_kib() -> int:
    """What the buffers of all TCP sockets of the machine take."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.rpartition("mem ")[2]) * _PAGE_KIB
    raise RuntimeError("/proc/net/sockstat has no line for TCP")


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How much y grows for each x, by least squares. It takes two different x."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def prepare_command() -> None:
    """Allow this process as many descriptors as it may have, and let SIGTERM end it as Ctrl-C does.

    So whatever it has started is ended too.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it may be ignored
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
