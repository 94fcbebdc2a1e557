"""What a call of each accelerated method costs, interpreted and compiled, and what other breakers cost.

    python bench/micro.py [--quick]

Run it on a checkout that is installed with its extensions; the line beside each compiled module comes from
here. A figure is the best of several rounds, in nanoseconds, less an empty loop's. The other breakers are
those of `pip install -e '.[bench]'`, and left out where they are missing.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import platform
import sys
import timeit
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, NamedTuple

from parts import results

from gateway import __version__
from gateway._speedups import codes
from gateway.resilience.breaker import CircuitBreaker
from gateway.resilience.outcome import Outcome

CALLS: Final = 100_000
ROUNDS: Final = 15


class Case(NamedTuple):
    """A call to time; `prepare` runs once before and sees the module as `build`."""

    module: str
    name: str
    prepare: str
    call: str


CLOSED: Final = "core = build.BreakerCore(10**9, 30.0, 1); permit = core.acquire(0.0)"
OPEN: Final = "core = build.BreakerCore(1, 30.0, 1); core.record(core.acquire(0.0), FAILURE, 0.0)"
BACKOFF: Final = "core = build.BackoffCore(1.0, 2.0, 30.0, 0.5)"
HEADS: Final = (
    "head = b'POST /v1/chat/completions HTTP/1.1\\r\\nHost: gateway\\r\\nContent-Length: 512\\r\\n\\r\\n';"
    "message = head + b'x' * 512; known = build.known_head(message, 512)"
)
TALLY: Final = (
    "from array import array;"
    "bounds = tuple(0.001 * 2**step for step in range(12));"
    "core = build.TallyCore(array('d', bytes(8 * 44)), bounds, bounds, 30, 0)"
)
CASES: Final = (
    Case("breaker", "acquire, closed", CLOSED, "core.acquire(1.0)"),
    Case("breaker", "acquire, open", OPEN, "core.acquire(1.0)"),
    Case("breaker", "record success", CLOSED, "core.record(permit, SUCCESS, 1.0)"),
    Case("breaker", "record failure", CLOSED, "core.record(permit, FAILURE, 1.0)"),
    Case("backoff", "delay, 1st retry", BACKOFF, "core.delay(0, 0.5)"),
    Case("backoff", "delay, 4th retry", BACKOFF, "core.delay(3, 0.5)"),
    Case("heads", "known head", HEADS, "known.body_of(message)"),
    Case("tally", "request", TALLY, "core.finished((1, 2, 24, 3), 0.02, 0.01, 0.0001)"),
)


def nanoseconds(case: Case, suffix: str, rounds: int = ROUNDS) -> float:
    """Return what a call costs in the build whose modules have this suffix."""
    names = {
        "build": importlib.import_module(f"gateway._speedups.{case.module}{suffix}"),
        "SUCCESS": codes.SUCCESS,
        "FAILURE": codes.FAILURE,
    }

    def best(statement: str) -> float:
        return min(timeit.repeat(statement, case.prepare, repeat=rounds, number=CALLS, globals=names))

    return (best(case.call) - best("pass")) / CALLS * 1e9


class Guard(NamedTuple):
    """A breaker around an operation that does nothing: `run(calls)` guards so many of them, one by one."""

    name: str
    run: Callable[[int], Awaitable[None]]


async def _nothing() -> None:
    pass


async def _unguarded(calls: int) -> None:
    for _ in range(calls):
        pass


def ours() -> Guard:
    """This project's breaker, in the build that is active."""
    breaker = CircuitBreaker()
    success = Outcome.SUCCESS

    async def run(calls: int) -> None:
        for _ in range(calls):
            breaker.record(breaker.acquire(1.0), success, 1.0)

    return Guard("gateway: acquire, record", run)


def _purgatory() -> Guard:
    from purgatory import AsyncCircuitBreakerFactory

    async def run(calls: int) -> None:
        breaker = await AsyncCircuitBreakerFactory().get_breaker("bench")
        for _ in range(calls):
            async with breaker:
                pass

    return Guard("purgatory: async with", run)


def _aiobreaker() -> Guard:
    from aiobreaker import CircuitBreaker  # type: ignore[import-untyped]

    async def run(calls: int) -> None:
        breaker = CircuitBreaker()
        for _ in range(calls):
            await breaker.call_async(_nothing)

    return Guard("aiobreaker: call_async", run)


def _pybreaker() -> Guard:
    from pybreaker import CircuitBreaker

    def nothing() -> None:
        pass

    async def run(calls: int) -> None:
        breaker = CircuitBreaker()
        for _ in range(calls):
            breaker.call(nothing)  # its call_async needs tornado

    return Guard("pybreaker: call", run)


def guards() -> Iterator[Guard]:
    """Our breaker and those of others that are installed."""
    yield ours()
    for other in (_purgatory, _aiobreaker, _pybreaker):
        try:
            yield other()
        except ImportError as error:
            print(f"left out: {error}", file=sys.stderr)


def guarded_ns(guard: Guard, rounds: int = ROUNDS, calls: int = CALLS // 10) -> list[float]:
    """What guarding one call costs, in each round, in nanoseconds and less an empty loop's."""

    def once(run: Callable[[int], Awaitable[None]]) -> float:
        return timeit.timeit(lambda: loop.run_until_complete(run(calls)), number=1)

    loop: Any = asyncio.new_event_loop()
    try:
        once(guard.run)  # what is made on first use
        loop_s = min(once(_unguarded) for _ in range(ROUNDS))
        return [(once(guard.run) - loop_s) / calls * 1e9 for _ in range(rounds)]
    finally:
        loop.close()


def measure(rounds: int) -> dict[str, list[dict[str, Any]]]:
    """All figures, in nanoseconds a call."""
    modules = [
        {
            "module": case.module,
            "call": case.name,
            "pure_ns": round(nanoseconds(case, "", rounds), 1),
            "compiled_ns": round(nanoseconds(case, "_c", rounds), 1),
        }
        for case in CASES
    ]
    breakers = [{"breaker": guard.name, "ns": round(min(guarded_ns(guard, rounds)), 1)} for guard in guards()]
    return {"modules": modules, "breakers": breakers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds; records nothing")
    options = parser.parse_args()
    figures = measure(2 if options.quick else ROUNDS)
    print(f"gateway {__version__}, Python {platform.python_version()}, {platform.machine()}; ns a call")
    print(f"{'module':9}{'call':18}{'pure':>8}{'compiled':>10}")
    for row in figures["modules"]:
        print(f"{row['module']:9}{row['call']:18}{row['pure_ns']:8.0f}{row['compiled_ns']:10.0f}")
    for row in figures["breakers"]:
        print(f"{row['breaker']:27}{row['ns']:18.0f}")
    if not options.quick:
        results.record("micro", {"rounds": ROUNDS}, figures)


if __name__ == "__main__":
    try:
        main()
    except ModuleNotFoundError as error:
        sys.exit(f"bench/micro.py: {error}: install the checkout with a C compiler: pip install -e .")
