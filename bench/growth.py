"""How cost grows with the size of bodies, with connections, streams, providers, model names and workers.

    python bench/growth.py [--only request-body,…] [--starts 2] [--seconds 1] [--quick]

Nothing may grow faster than the work: for each curve the exponent b of cost = a * size**b is fitted to its
larger sizes. Where a request does not get larger with the size, b has to be 0; where work or state do, at
most 1. A measured b may be higher by the tolerance. nginx is measured beside where it does the same work,
and not judged: what it shows too is the kernel's. Ends with 1 when a curve of the gateway is too steep.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from statistics import median
from typing import Any, Final, NamedTuple

from parts import results, services
from parts.figures import growth_exponent
from parts.processes import CORES, BenchError, Program, end_on_sigterm
from parts.streams import Held
from parts.wrk import Load, chat_body

TOLERANCE: Final = 0.15
BODY_CONNECTIONS: Final = 8
CONNECTIONS: Final = 64
ACTIVE: Final = 16  # of the many connections
EVENTS_PER_S: Final = 5000  # over all streams, where there are enough of them
SETTLE_S: Final = 0.5
BODY_BYTES: Final = 512

Shown = Sequence[float]
"""What one point has shown, a figure for each curve of its dimension."""


class Curve(NamedTuple):
    """One figure over the sizes."""

    who: str
    unit: str
    allowed: float | None
    """The exponent that it may have; None = it is not judged."""
    floor: float = 0.0
    """What is less than this cannot be told from nothing, and is not fitted."""


class Dimension(NamedTuple):
    """One thing that grows."""

    name: str
    title: str
    axis: str
    sizes: Sequence[int]
    curves: Sequence[Curve]
    point: Callable[[int, float], Shown]
    """From the size, and the seconds of one round."""


CPU: Final = "CPU us a request"
EVENT_CPU: Final = "CPU us an event"
MEMORY: Final = "added memory, KiB"
MEMORY_FLOOR_KIB: Final = 1024.0  # below, allocators serve what is new from what was there before


def _cpu_us(program: Program, load: Load, seconds: float) -> float:
    """CPU time a request, after a second to warm up."""
    load.run(program, 1)
    return load.run(program, seconds).cpu_us


def _proxies(upstream: Program) -> list[AbstractContextManager[Program]]:
    config = services.resilient(upstream)
    config["server"]["limits"] = {"max_connections": 9500}
    return [services.gateway(config), services.nginx(upstream)]


def request_body(size: int, seconds: float) -> Shown:
    """Requests of that many bytes."""
    with services.provider() as upstream, chat_body(size) as body:
        return _each(_proxies(upstream), Load(BODY_CONNECTIONS, body), seconds)


def answer_body(size: int, seconds: float) -> Shown:
    """Answers of that many bytes."""
    with services.provider(size) as upstream, chat_body(BODY_BYTES) as body:
        return _each(_proxies(upstream), Load(BODY_CONNECTIONS, body), seconds)


def _each(proxies: Sequence[AbstractContextManager[Program]], load: Load, seconds: float) -> Shown:
    shown = []
    for proxy in proxies:
        with proxy as program:
            shown.append(_cpu_us(program, load, seconds))
    return shown


def connections(size: int, seconds: float) -> Shown:
    """That many connections, of which 16 are busy and the others have been used once."""
    active = min(size, ACTIVE)
    shown: list[float] = []
    with services.provider() as upstream, chat_body(BODY_BYTES) as body:
        for proxy in _proxies(upstream):
            with proxy as program:
                load = Load(active, body)
                load.run(program, 1)
                before_kib = program.heap_kib()
                with Held(program, size - active, stream=False):
                    shown += [load.run(program, seconds).cpu_us, program.heap_kib() - before_kib]
    return shown


def streams(size: int, seconds: float) -> Shown:
    """That many streams, which together bring 5,000 events a second, or 100 each where there are few."""
    shown: list[float] = []
    with services.paced_provider(min(100.0, EVENTS_PER_S / size)) as upstream:
        for proxy in _proxies(upstream):
            with proxy as program:
                with Held(program, 1, stream=True):
                    before_kib = program.heap_kib()
                with Held(program, size, stream=True) as held:
                    time.sleep(SETTLE_S)
                    shown += [held.measure(seconds).cpu_us, program.heap_kib() - before_kib]
    return shown


def providers(size: int, seconds: float) -> Shown:
    """That many providers in the configuration, each with a model name; the last one is asked."""
    with services.provider() as upstream, chat_body(BODY_BYTES, model=f"model-{size - 1}") as body:
        config = services.resilient(upstream)
        main, backup = config["providers"]["main"], config["providers"]["backup"]
        config["providers"] = {f"p{number}": main for number in range(size)} | {"backup": backup}
        config["models"] = {f"model-{number}": {"provider": f"p{number}"} for number in range(size)}
        return _configured(config, Load(CONNECTIONS, body), seconds)


def models(size: int, seconds: float) -> Shown:
    """That many model names in the configuration; the last one is asked for."""
    with services.provider() as upstream, chat_body(BODY_BYTES, model=f"model-{size - 1}") as body:
        config = services.resilient(upstream)
        config["models"] = {f"model-{number}": {"provider": "main"} for number in range(size)}
        return _configured(config, Load(CONNECTIONS, body), seconds)


def _configured(config: dict[str, Any], load: Load, seconds: float) -> Shown:
    began_s = time.monotonic()
    with services.gateway(config) as program:
        started_s = time.monotonic() - began_s
        return [_cpu_us(program, load, seconds), started_s * 1000]


def workers(size: int, seconds: float) -> Shown:
    """That many workers, on all cores."""
    everywhere = frozenset(CORES)
    with (
        services.provider() as upstream,
        chat_body(BODY_BYTES) as body,
        services.gateway(services.resilient(upstream), workers=size, cores=everywhere) as program,
    ):
        return [_cpu_us(program, Load(CONNECTIONS, body), seconds)]


BODY_SIZES: Final = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
BODY_CURVES: Final = (Curve("gateway", CPU, 1), Curve("nginx", CPU, None))
STATE_CURVES: Final = (Curve("gateway", CPU, 0), Curve("gateway", "time to start, ms", 1))

DIMENSIONS: Final = (
    Dimension("request-body", "Request body", "bytes", BODY_SIZES, BODY_CURVES, request_body),
    Dimension("answer-body", "Answer", "bytes", BODY_SIZES, BODY_CURVES, answer_body),
    Dimension(
        "connections",
        "Connections, most of them idle",
        "connections",
        (1, 10, 100, 1000, 9000),
        (
            Curve("gateway", CPU, 0),
            Curve("gateway", MEMORY, 1, MEMORY_FLOOR_KIB),
            Curve("nginx", CPU, None),
            Curve("nginx", MEMORY, None, MEMORY_FLOOR_KIB),
        ),
        connections,
    ),
    Dimension(
        "streams",
        "Streams at the same time",
        "streams",
        (1, 10, 100, 1000, 5000),
        (
            Curve("gateway", EVENT_CPU, 0),
            Curve("gateway", MEMORY, 1, MEMORY_FLOOR_KIB),
            Curve("nginx", EVENT_CPU, None),
            Curve("nginx", MEMORY, None, MEMORY_FLOOR_KIB),
        ),
        streams,
    ),
    Dimension(
        "providers",
        "Providers in the configuration",
        "providers",
        (1, 3, 10, 30, 100),
        STATE_CURVES,
        providers,
    ),
    Dimension(
        "models",
        "Model names in the configuration",
        "names",
        (1, 10, 100, 1000, 10_000),
        STATE_CURVES,
        models,
    ),
    Dimension("workers", "Workers", "workers", (1, 2), (Curve("gateway", CPU, 0),), workers),
)


def measured(dimension: Dimension, starts: int, seconds: float) -> dict[str, Any]:
    """The medians of a dimension's curves over the starts, and how steep they are."""
    shown = [[dimension.point(size, seconds) for size in dimension.sizes] for _ in range(starts)]
    columns = [
        [round(median(start[at][number] for start in shown), 2) for at in range(len(dimension.sizes))]
        for number in range(len(dimension.curves))
    ]
    curves = [
        judged(curve, dimension.sizes, column)
        for curve, column in zip(dimension.curves, columns, strict=True)
    ]
    return {
        "name": dimension.name,
        "title": dimension.title,
        "axis": dimension.axis,
        "sizes": list(dimension.sizes),
        "curves": curves,
    }


def judged(curve: Curve, sizes: Sequence[int], column: Sequence[float]) -> dict[str, Any]:
    """A curve as it is recorded, with its exponent, and whether that is more than it may be."""
    seen = [(size, figure) for size, figure in zip(sizes, column, strict=True) if figure > curve.floor]
    row = {"who": curve.who, "unit": curve.unit, "allowed": curve.allowed, "figures": list(column)}
    if len(seen) < 2:
        return {**row, "exponent": None, "too_steep": False}
    exponent = growth_exponent(*zip(*seen, strict=True))
    steep = curve.allowed is not None and exponent > curve.allowed + TOLERANCE
    return {**row, "exponent": round(exponent, 3), "too_steep": steep}


def told(row: dict[str, Any]) -> str:
    """A dimension as it is printed."""
    lines = [f"{row['title']}, by {row['axis']}: {row['sizes']}"]
    for curve in row["curves"]:
        verdict = ", too steep" if curve["too_steep"] else ""
        figures = f"  {curve['who']}, {curve['unit']}: {curve['figures']}"
        lines.append(f"{figures}, exponent {curve['exponent']}{verdict}")
    return "\n".join(lines)


def main() -> int:
    names = [dimension.name for dimension in DIMENSIONS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAMES", help=f"of {','.join(names)}; records nothing")
    parser.add_argument("--starts", type=int, default=2, help="how often each point is measured")
    parser.add_argument("--seconds", type=int, default=1, help="of one round")
    parser.add_argument(
        "--quick", action="store_true", help="once, for 1 s: to see that it works; records nothing"
    )
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else names
    if unknown := set(chosen) - set(names):
        parser.error(f"--only: {', '.join(sorted(unknown))} is not one of {', '.join(names)}")
    if options.quick:
        options.starts = options.seconds = 1
    end_on_sigterm()
    rows = []
    failed = False
    for dimension in DIMENSIONS:
        if dimension.name not in chosen:
            continue
        try:
            rows.append(measured(dimension, options.starts, options.seconds))
        except BenchError as error:  # the others are still worth their time
            print(f"bench/growth.py: {dimension.name}: {error}", file=sys.stderr)
            failed = True
            continue
        print(told(rows[-1]), flush=True)
    if not (options.only or options.quick):
        settings = {"starts": options.starts, "seconds": options.seconds, "tolerance": TOLERANCE}
        results.record("growth", settings, rows, whole=not failed)
    return int(failed or any(curve["too_steep"] for row in rows for curve in row["curves"]))


if __name__ == "__main__":
    sys.exit(main())
