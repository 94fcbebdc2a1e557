"""What is read from /proc, on a /proc of our own."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts import proc


def add_process(
    folder: Path, pid: int, parent: int, *, threads_ns: tuple[int, ...] = (), pss_kib: int = 0
) -> None:
    home = folder / str(pid)
    home.mkdir()
    (home / "stat").write_text(f"{pid} (a (odd) name) S {parent} 1 1 0")
    (home / "smaps_rollup").write_text(
        f"0-1 ---p 0 [rollup]\nRss: {2 * pss_kib} kB\nPss: {pss_kib} kB\nPss_Anon: {pss_kib // 2} kB\n"
    )
    for number, ran_ns in enumerate(threads_ns):
        task = home / "task" / str(pid + number)
        task.mkdir(parents=True)
        (task / "schedstat").write_text(f"{ran_ns} 5 6\n")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    add_process(tmp_path, 1, 0, threads_ns=(10**9,), pss_kib=1)
    add_process(tmp_path, 100, 1, threads_ns=(2 * 10**9, 3 * 10**9), pss_kib=10)
    add_process(tmp_path, 300, 100, threads_ns=(500_000_000,), pss_kib=20)
    add_process(tmp_path, 200, 300, threads_ns=(1,), pss_kib=40)
    (tmp_path / "meminfo").write_text("MemTotal: 1 kB")
    return tmp_path


def test_family_is_the_process_and_its_descendants(tree: Path) -> None:
    assert sorted(proc.family(100, tree)) == [100, 200, 300]


def test_cpu_time_is_that_of_all_threads_of_the_family(tree: Path) -> None:
    assert proc.cpu_s(100, tree) == pytest.approx(5.500000001)


def test_memory_is_that_of_the_family(tree: Path) -> None:
    assert proc.memory_kib(100, tree) == 70
    assert proc.heap_kib(100, tree) == 35


def test_a_process_that_is_gone_costs_nothing(tree: Path) -> None:
    assert proc.cpu_s(999, tree) == 0
    assert proc.memory_kib(999, tree) == 0


def test_name_may_hold_brackets_and_spaces() -> None:
    assert proc.parents("7 (x) S 9 (y)) R 8 7") == (7, 8)


def test_missing_field_is_an_error() -> None:
    with pytest.raises(ValueError, match="Pss"):
        proc.field_kib("Rss: 1 kB", "Pss")
