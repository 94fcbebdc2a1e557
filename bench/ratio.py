"""What the gateway costs beside nginx: each line of the promise, measured and judged by one command.

    python bench/ratio.py [--only chat,stream,…] [--starts 3] [--rounds 5] [--seconds 2] [--quick]

A cost is CPU time, user and system, of the whole process family, divided by the requests or events of the
round. Every ratio is between programs that were measured by turns in one run, with a 95 % bootstrap
confidence interval, and is judged by the estimate. Ends with 1 when a line is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from statistics import median
from typing import Final, NamedTuple

import micro
from parts import results, services
from parts.figures import Interval, ratio
from parts.processes import CORES, BenchError, Program, end_on_sigterm
from parts.rounds import Effort, alternate, blocks, pairs, running
from parts.streams import Held
from parts.wrk import Load, Round, chat_body

CHAT_BYTES: Final = 512
LARGE_BYTES: Final = 100_000
CONNECTIONS: Final = 64
STREAMS: Final = 200
EVENTS_PER_S: Final = 100
OPEN_STREAMS: Final = 2000
SETTLE_S: Final = 0.5
DELIVERED: Final = 0.95  # of the events that were sent; with less, a program was not fast enough

CPU: Final = attrgetter("cpu_us")


class Line(NamedTuple):
    """A line of the promise."""

    work: str
    unit: str
    must: float
    aim: float
    neutral: bool = False
    """Whether the interval must reach down to 1.00: it may not be told from no difference."""


class Measured(NamedTuple):
    """What a line has come to: the figure, and the median costs that it is made of."""

    figure: Interval
    costs: dict[str, float]


LINES: Final = {
    "chat": Line("chat completion, 0.5 KB in, 0.6 KB out, 64 connections", "x nginx", 1.6, 1.25),
    "pure": Line("the same in the pure build", "x nginx", 2.0, 1.6),
    "stream": Line("streamed event, 200 streams, 100 events/s each", "x nginx", 1.3, 1.1),
    "body": Line("100 KB request body", "x nginx", 1.6, 1.2),
    "resilience": Line("resilience on against off", "x", 1.02, 1.0, neutral=True),
    "memory": Line("memory for an open stream", "KiB", 16, 8),
    "breaker": Line("breaker acquire + record against purgatory's async with", "x", 0.25, 0.125),
    "workers": Line("CPU time a request, two workers against one", "x", 1.1, 1.0),
    "latency": Line("latency added at one connection (p50) against what nginx adds", "x nginx", 1.6, 1.2),
}


def costs(measured: Iterable[Sequence[Sequence[Round]]], **programs: int) -> dict[str, float]:
    """The median CPU time a request of programs, by name, in microseconds."""
    starts = list(measured)
    return {
        f"{name}_us": round(median(CPU(one) for start in starts for one in start[index]), 2)
        for name, index in programs.items()
    }


def chat(effort: Effort) -> dict[str, Measured]:
    """The two builds and nginx in the same rounds."""
    with services.provider() as upstream, chat_body(CHAT_BYTES) as body:
        config = services.resilient(upstream)
        measured = blocks(
            lambda: running(
                services.gateway(config),
                services.gateway(config, name="pure gateway", pure=True),
                services.nginx(upstream),
            ),
            Load(CONNECTIONS, body),
            effort,
        )
    return {
        "chat": Measured(ratio(pairs(measured, 0, 2, CPU)), costs(measured, gateway=0, nginx=2)),
        "pure": Measured(ratio(pairs(measured, 1, 2, CPU)), costs(measured, gateway=1, nginx=2)),
    }


def large_body(effort: Effort) -> dict[str, Measured]:
    """A request that does not fit into one read."""
    with services.provider() as upstream, chat_body(LARGE_BYTES) as body:
        measured = blocks(
            lambda: running(services.gateway(services.resilient(upstream)), services.nginx(upstream)),
            Load(CONNECTIONS, body),
            effort,
        )
    return {"body": Measured(ratio(pairs(measured, 0, 1, CPU)), costs(measured, gateway=0, nginx=1))}


def resilience(effort: Effort) -> dict[str, Measured]:
    """The same build with breaker, retries and fallback, and without any of them, all well.

    More starts than the others: the difference is smaller than that between two starts of one program.
    """
    with services.provider() as upstream, chat_body(CHAT_BYTES) as body:
        measured = blocks(
            lambda: running(
                services.gateway(services.resilient(upstream), name="gateway, resilient"),
                services.gateway(services.plain(upstream), name="gateway, plain"),
            ),
            Load(CONNECTIONS, body),
            effort.scaled(starts=2),
        )
    return {"resilience": Measured(ratio(pairs(measured, 0, 1, CPU)), costs(measured, on=0, off=1))}


def workers(effort: Effort) -> dict[str, Measured]:
    """One worker and two, each on all cores."""
    everywhere = frozenset(CORES)
    with services.provider() as upstream, chat_body(CHAT_BYTES) as body:
        config = services.resilient(upstream)
        measured = blocks(
            lambda: running(
                services.gateway(config, name="gateway, 2 workers", workers=2, cores=everywhere),
                services.gateway(config, cores=everywhere),
            ),
            Load(CONNECTIONS, body),
            effort,
        )
    return {"workers": Measured(ratio(pairs(measured, 0, 1, CPU)), costs(measured, two=0, one=1))}


def latency(effort: Effort) -> dict[str, Measured]:
    """One connection: what the client waits longer for than without a proxy between."""
    with services.provider() as upstream, chat_body(CHAT_BYTES) as body:
        measured = blocks(
            lambda: running(
                services.gateway(services.resilient(upstream)), services.nginx(upstream), services.provider()
            ),
            Load(1, body),
            effort,
        )
    added = [
        [
            (mine.p50_us - direct.p50_us, theirs.p50_us - direct.p50_us)
            for mine, theirs, direct in zip(*start, strict=True)
        ]
        for start in measured
    ]
    ours, nginx = (median(pair[side] for start in added for pair in start) for side in (0, 1))
    return {"latency": Measured(ratio(added), {"gateway_us": ours, "nginx_us": nginx})}


def streamed_event(effort: Effort) -> dict[str, Measured]:
    """200 streams at once, each with an event in every 10 ms."""

    def event_us(target: Program) -> float:
        with Held(target, STREAMS, stream=True) as streams:
            time.sleep(SETTLE_S)
            flow = streams.measure(effort.seconds)
        sent = STREAMS * EVENTS_PER_S
        if flow.events_per_s < DELIVERED * sent:
            raise BenchError(f"{target.name} delivered {flow.events_per_s:.0f} of {sent} events a second")
        return flow.cpu_us

    measured = []
    with services.paced_provider(EVENTS_PER_S) as upstream:
        config = services.resilient(upstream)
        for _ in range(effort.starts):
            with running(services.gateway(config), services.nginx(upstream)) as programs:
                measured.append(alternate(programs, effort.rounds, event_us))
    ours, nginx = (round(median(one for start in measured for one in start[side]), 2) for side in (0, 1))
    figure = ratio([list(zip(*start, strict=True)) for start in measured])
    return {"stream": Measured(figure, {"gateway_us": ours, "nginx_us": nginx})}


def memory(effort: Effort) -> dict[str, Measured]:
    """What 2,000 streams add to a gateway that has served a few before, for each."""
    grown = []
    with services.paced_provider(1) as upstream:
        for _ in range(effort.starts):
            with services.gateway(services.resilient(upstream)) as gateway:
                with Held(gateway, 10, stream=True):
                    pass
                before_kib = gateway.heap_kib()
                with Held(gateway, OPEN_STREAMS, stream=True):
                    time.sleep(SETTLE_S)
                    grown.append([(float(gateway.heap_kib() - before_kib), float(OPEN_STREAMS))])
    return {"memory": Measured(ratio(grown), {"streams": OPEN_STREAMS})}


def breaker(effort: Effort) -> dict[str, Measured]:
    """Without processes: one call after the other in this one."""
    guards = {guard.name.partition(":")[0]: guard for guard in micro.guards()}
    if "purgatory" not in guards:
        raise BenchError("purgatory is not installed: pip install -e '.[bench]'")
    rounds = [
        (micro.guarded_ns(guards["gateway"], 1)[0], micro.guarded_ns(guards["purgatory"], 1)[0])
        for _ in range(effort.starts * effort.rounds)
    ]
    ours, theirs = (round(median(pair[side] for pair in rounds), 1) for side in (0, 1))
    return {"breaker": Measured(ratio([rounds]), {"gateway_ns": ours, "purgatory_ns": theirs})}


PARTS: Final[dict[str, Callable[[Effort], dict[str, Measured]]]] = {
    "chat": chat,
    "stream": streamed_event,
    "body": large_body,
    "resilience": resilience,
    "memory": memory,
    "breaker": breaker,
    "workers": workers,
    "latency": latency,
}


def verdict(line: Line, figure: Interval) -> str:
    """`aim`, `met` or `missed`."""
    if figure.value > line.must or (line.neutral and figure.low > 1.0):
        return "missed"
    return "aim" if figure.value <= line.aim else "met"


def told(name: str, measured: Measured) -> str:
    """A line of the table as it is printed."""
    line, figure = LINES[name], measured.figure
    costs = ", ".join(f"{name} {cost:g}" for name, cost in measured.costs.items())
    return (
        f"{line.work}: {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}) {line.unit},"
        f" must be <= {line.must:g}: {verdict(line, figure)} [{costs}]"
    )


def row(name: str, measured: Measured) -> dict[str, object]:
    """A line of the table as it is recorded."""
    line, figure = LINES[name], measured.figure
    return {
        "name": name,
        **line._asdict(),
        **{bound: round(number, 4) for bound, number in figure._asdict().items()},
        "verdict": verdict(line, figure),
        "costs": measured.costs,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAMES", help=f"of {','.join(PARTS)}; records nothing")
    parser.add_argument("--starts", type=int, default=Effort().starts)
    parser.add_argument("--rounds", type=int, default=Effort().rounds)
    parser.add_argument(
        "--seconds", type=int, default=round(Effort().seconds), help="of one round, at least 1"
    )
    parser.add_argument(
        "--quick", action="store_true", help="1 start, 2 rounds of 1 s: to see that it works; records nothing"
    )
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(PARTS)
    if unknown := set(names) - set(PARTS):
        parser.error(f"--only: {', '.join(sorted(unknown))} is not one of {', '.join(PARTS)}")
    effort = Effort(1, 2, 1) if options.quick else Effort(options.starts, options.rounds, options.seconds)
    end_on_sigterm()
    rows: list[dict[str, object]] = []
    failed = False
    for name in names:
        try:
            lines = PARTS[name](effort)
        except BenchError as error:  # the others are still worth their time
            print(f"bench/ratio.py: {name}: {error}", file=sys.stderr)
            failed = True
            continue
        for line, measured in lines.items():
            rows.append(row(line, measured))
            print(told(line, measured), flush=True)
    if not (options.only or options.quick):
        results.record("ratio", effort._asdict(), rows, whole=not failed)
    return int(failed or any(one["verdict"] == "missed" for one in rows))


if __name__ == "__main__":
    sys.exit(main())
