"""How the guard reads what strace and callgrind write, and its bounds."""

from __future__ import annotations

import tomllib

import guard
import pytest

STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 52.10    0.003215           8       400           recvfrom
 47.90    0.002956           7       400        12 sendto
------ ----------- ----------- --------- --------- ----------------
100.00    0.006171           7       800        12 total
"""


@pytest.mark.parametrize(
    "summary",
    [
        STRACE,
        STRACE.replace("800        12 total", "800           total"),  # nothing failed
        STRACE.replace("           7       800", "                   800"),  # an older strace
    ],
)
def test_total_of_strace_is_found(summary: str) -> None:
    assert guard.total_calls(summary) == 800


def test_a_single_kind_of_call_is_not_the_total() -> None:
    table = STRACE.replace(" 52.10", "100.00")
    assert guard.total_calls(table) == 800


def test_strace_without_a_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no total"):
        guard.total_calls("")


def test_count_of_callgrind_is_found() -> None:
    assert guard.instructions("==7== Events    : Ir\n==7== Collected : 1937786928\n==7==\n") == 1937786928


def test_callgrind_that_died_is_an_error() -> None:
    with pytest.raises(ValueError, match="valgrind: no such tool"):
        guard.instructions("valgrind: no such tool")


@pytest.mark.parametrize(("counted", "exceeded"), [(6.0, False), (7.0, False), (7.01, True)])
def test_bound_itself_is_allowed(counted: float, exceeded: bool) -> None:
    count = guard.Count("system calls", counted, 7.0)
    assert count.exceeded is exceeded
    assert ("bounds.toml" in str(count)) is exceeded


def test_every_count_has_a_bound_and_a_reason() -> None:
    bounds = tomllib.loads((guard.BENCH / "bounds.toml").read_text())
    assert set(bounds) == set(guard.COUNTS)
    assert all(bound["reason"] for bound in bounds.values())
    assert bounds["syscalls"]["bound"] > 4  # two reads and two writes, and some waiting
    assert 0 < bounds["instructions"]["tolerance"] <= 0.1
    assert all(instructions > 0 for instructions in bounds["instructions"]["bounds"].values())


def test_a_python_without_a_bound_is_skipped_with_a_word() -> None:
    with pytest.raises(guard.SkippedError, match="no bound for Python"):
        guard.count_instructions({"bounds": {}, "tolerance": 0.05})
