"""`workers: auto` sees the limits of containers: quotas of control groups, however these are mounted."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gateway.config import cpus, units

V2 = "29 23 0:26 {root} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "33 23 0:30 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
OTHER = "36 23 0:33 / /sys/fs/cgroup/cpuset rw - cgroup c rw,cpuset\n22 1 8:1 / / rw - ext4 /dev/vda rw\n"


class System:
    """A root folder with what the kernel tells about control groups."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/self/mountinfo", "")
        self.write("proc/self/cgroup", "")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def mount(self, line: str, root: str = "/") -> None:
        self.write("proc/self/mountinfo", OTHER + line.format(root=root))

    def group(self, line: str) -> None:
        self.write("proc/self/cgroup", f"{line}\n")


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_without_control_groups_the_mask_counts(tmp_path: Path) -> None:
    assert cpus.usable(6, tmp_path) == 6


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("900000 100000", 8),
    ],
)
def test_version_2_in_a_container(system: System, limit: str, cores: int) -> None:
    system.mount(V2)
    system.group("0::/")
    system.write("sys/fs/cgroup/cpu.max", f"{limit}\n")
    assert cpus.usable(8, system.root) == cores


def test_version_2_on_a_host_takes_the_smallest_limit_on_the_way_down(system: System) -> None:
    system.mount(V2)
    system.group("0::/system.slice/gateway.service")
    system.write("sys/fs/cgroup/system.slice/cpu.max", "300000 100000\n")
    system.write("sys/fs/cgroup/system.slice/gateway.service/cpu.max", "max 100000\n")
    system.write("sys/fs/cgroup/system.slice/other.service/cpu.max", "100000 100000\n")
    assert cpus.usable(8, system.root) == 3


@pytest.mark.parametrize(("quota", "cores"), [(-1, 8), (100000, 1), (250000, 3)])
def test_version_1(system: System, quota: int, cores: int) -> None:
    system.mount(V1)
    system.group("4:cpu,cpuacct:/")
    system.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", f"{quota}\n")
    system.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert cpus.usable(8, system.root) == cores


def test_version_1_whose_path_is_that_of_the_host(system: System) -> None:
    system.mount(V1, root="/docker/0123abcd")
    system.group("4:cpu,cpuacct:/docker/0123abcd")
    system.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n")
    system.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert cpus.usable(8, system.root) == 2


def test_hybrid_takes_the_limit_of_either_version(system: System) -> None:
    system.write("proc/self/mountinfo", V2.format(root="/") + V1.format(root="/"))
    system.write("proc/self/cgroup", "4:cpu,cpuacct:/\n0::/\n")
    system.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n")
    system.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert cpus.usable(8, system.root) == 2


@pytest.mark.parametrize("text", ["", "max", "x y", "100000", "0 100000", "100000 0", "-5 100000"])
def test_what_is_no_limit_is_none(system: System, text: str) -> None:
    system.mount(V2)
    system.group("0::/")
    system.write("sys/fs/cgroup/cpu.max", text)
    assert cpus.quota(system.root) == math.inf


def test_lines_that_are_no_mounts_are_passed_over(system: System) -> None:
    system.write("proc/self/mountinfo", "\nnonsense\n1 2 3 - cgroup2\n")
    assert cpus.quota(system.root) == math.inf


def test_auto_is_what_this_machine_allows() -> None:
    assert units.workers("auto") == cpus.usable()
