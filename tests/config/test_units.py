"""How numbers are written."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from gateway.config import units


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (units.duration(), "30s", 30.0),
        (units.duration(), "500ms", 0.5),
        (units.duration(), "2m", 120.0),
        (units.duration(), "1h", 3600.0),
        (units.duration(), "24h", 86400.0),
        (units.duration(), "30", 30.0),
        (units.duration(), "1.5", 1.5),
        (units.duration(), "1.5s", 1.5),
        (units.duration(), "30 s", 30.0),
        (units.duration(), "0", 0.0),
        (units.duration(0.001), "1ms", 0.001),
        (units.size, "10MiB", 10 << 20),
        (units.size, "64KiB", 64 << 10),
        (units.size, "64kib", 64 << 10),
        (units.size, "1GiB", 1 << 30),
        (units.size, "10MB", 10_000_000),
        (units.size, "3kB", 3000),
        (units.size, "7B", 7),
        (units.size, "4096", 4096),
        (units.size, "1.5KiB", 1536),
        (units.boolean, "true", True),
        (units.boolean, "False", False),
        (units.boolean, "yes", True),
        (units.boolean, "off", False),
        (units.whole(1, 64), "1", 1),
        (units.whole(1, 64), "64", 64),
        (units.whole(0, 9), "+007", 7),
        (units.number(0, 1), "0.25", 0.25),
        (units.number(0, 1), "1", 1.0),
        (units.workers, "3", 3),
    ],
)
def test_reads(parse: Callable[[str], object], text: str, value: object) -> None:
    result = parse(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("parse", "text", "rule"),
    [
        (units.duration(), "30x", 'is not a duration (use "30s", "500ms", "2m")'),
        (units.duration(), "", "is not a duration"),
        (units.duration(), "s", "is not a duration"),
        (units.duration(), "30S", "is not a duration"),
        (units.duration(), "1m30s", "is not a duration"),
        (units.duration(), "1e3", "is not a duration"),
        (units.duration(), "nan", "is not a duration"),
        (units.duration(), ".inf", "is not a duration"),
        (units.duration(), "٣s", "is not a duration"),
        (units.duration(), "9" * 5000, "is not a duration"),
        (units.duration(), "-1s", "is out of range (from 0 to 86400 seconds)"),
        (units.duration(), "25h", "is out of range"),
        (units.duration(0.001), "0", "is out of range (from 0.001 to"),
        (units.size, "10MiBs", "is not a size"),
        (units.size, "-1", "is out of range"),
        (units.size, "0", "is out of range"),
        (units.size, "999999999GiB", "is out of range"),
        (units.boolean, "1", "is not a boolean (use true or false)"),
        (units.boolean, "", "is not a boolean"),
        (units.whole(1, 64), "0", "is not a whole number from 1 to 64"),
        (units.whole(1, 64), "65", "is not a whole number"),
        (units.whole(1, 64), "1.0", "is not a whole number"),
        (units.whole(1, 64), "true", "is not a whole number"),
        (units.whole(1, 64), "0x10", "is not a whole number"),
        (units.whole(1, 64), "1_0", "is not a whole number"),
        (units.whole(1, 64), "9" * 5000, "is not a whole number"),
        (units.number(0, 1), "1.01", "is not a number from 0 to 1"),
        (units.number(0, 1), "-0.1", "is not a number"),
        (units.number(0, 1), "1s", "is not a number"),
        (units.number(0, 1), "nan", "is not a number"),
        (units.workers, "0", "is not a whole number from 1 to 1024, nor auto"),
        (units.workers, "many", "nor auto"),
    ],
)
def test_refuses(parse: Callable[[str], object], text: str, rule: str) -> None:
    with pytest.raises(ValueError, match="is ") as caught:
        parse(text)
    assert rule in str(caught.value)


def test_auto_is_the_cores_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {1, 5, 7}, raising=False)
    assert units.workers("auto") == 3


@pytest.mark.parametrize(("cores", "workers"), [(6, 6), (None, 1)])
def test_auto_without_an_affinity_is_all_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, workers: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert units.workers("auto") == workers
