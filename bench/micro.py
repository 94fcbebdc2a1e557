"""What one call of each accelerated method costs, interpreted and compiled.

Run `python bench/micro.py` on a checkout that is installed with its extensions. The line beside each compiled
module comes from here. A figure is the best of several rounds, in nanoseconds, less an empty loop's.
"""

from __future__ import annotations

import importlib
import platform
import sys
import timeit
from typing import NamedTuple

from gateway import __version__
from gateway._speedups import codes

CALLS = 100_000
ROUNDS = 15


class Case(NamedTuple):
    """A call to time; `prepare` runs once before and sees the module as `build`."""

    module: str
    name: str
    prepare: str
    call: str


CLOSED = "core = build.BreakerCore(10**9, 30.0, 1); permit = core.acquire(0.0)"
OPEN = "core = build.BreakerCore(1, 30.0, 1); core.record(core.acquire(0.0), FAILURE, 0.0)"
BACKOFF = "core = build.BackoffCore(1.0, 2.0, 30.0, 0.5)"
CASES = (
    Case("breaker", "acquire, closed", CLOSED, "core.acquire(1.0)"),
    Case("breaker", "acquire, open", OPEN, "core.acquire(1.0)"),
    Case("breaker", "record success", CLOSED, "core.record(permit, SUCCESS, 1.0)"),
    Case("breaker", "record failure", CLOSED, "core.record(permit, FAILURE, 1.0)"),
    Case("backoff", "delay, 1st retry", BACKOFF, "core.delay(0, 0.5)"),
    Case("backoff", "delay, 4th retry", BACKOFF, "core.delay(3, 0.5)"),
)


def nanoseconds(case: Case, suffix: str) -> float:
    """Return what a call costs in the build whose modules have this suffix."""
    names = {
        "build": importlib.import_module(f"gateway._speedups.{case.module}{suffix}"),
        "SUCCESS": codes.SUCCESS,
        "FAILURE": codes.FAILURE,
    }

    def best(statement: str) -> float:
        return min(timeit.repeat(statement, case.prepare, repeat=ROUNDS, number=CALLS, globals=names))

    return (best(case.call) - best("pass")) / CALLS * 1e9


def main() -> None:
    """Print the table."""
    print(f"gateway {__version__}, Python {platform.python_version()}, {platform.machine()}; ns a call")
    print(f"{'module':9}{'call':18}{'pure':>8}{'compiled':>10}")
    for case in CASES:
        pure, compiled = (nanoseconds(case, suffix) for suffix in ("", "_c"))
        print(f"{case.module:9}{case.name:18}{pure:8.0f}{compiled:10.0f}")


if __name__ == "__main__":
    try:
        main()
    except ModuleNotFoundError as error:
        sys.exit(f"bench/micro.py: {error}: install the checkout with a C compiler: pip install -e .")
