"""What users see, by locust, and whether a closed breaker costs anything: starts all it needs and ends it.

    python bench/users.py [--seconds 10] [--users 50] [--starts 2] [--rounds 4] [--only …] [--quick]

Scenarios: `plain` and `streamed` answers, `mixed`, and `failing`, where the first provider of the gateway
refuses every connection, so that retries, the breaker and the fallback do the work and no user may see a
failure.

Then the verdict on the closed state: a gateway with breaker, retries and fallback, and one of the same
build without, by turns, all well. Locust says what users see of that; it costs many times what the gateway
does, so where it is the bottleneck that is said, and the ratio that is judged is the gateway's CPU time a
request under wrk. Ends with 1 when a user has seen a failure, or the ratio misses its bound.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import ratio
from parts import figures, results, services
from parts.processes import LOAD_CORES, BenchError, Program, end_on_sigterm, free_port, on_load_cores
from parts.rounds import Effort, alternate, running

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
SCENARIOS: Final[Mapping[str, Sequence[str]]] = {
    "plain": ["PlainUser"],
    "streamed": ["StreamedUser"],
    "mixed": ["PlainUser", "StreamedUser"],
    "failing": ["PlainUser", "StreamedUser"],
}
"""Which users of locustfile.py take part."""

EARLY_S: Final = 1.0  # how long before its first user locust begins to count the time
BUSY: Final = 0.9  # of a core; above, a generator is its own bottleneck
WITHOUT_REQUESTS_S: Final = 60.0  # locust's start and end
_SHARE: Final = re.compile(r"the generator used ([0-9.]+) of a core")

MOCK: Final = {
    "providers": {"mock": {"format": "mock", "mock": {"event_interval": 0.005}}},
    "logging": {"level": "error"},
}


class Seen(NamedTuple):
    """What a run of locust has shown."""

    requests: list[dict[str, Any]]
    """Of each kind of request: name, count, failures, and times in milliseconds."""
    generator_share: float
    """How much of a core locust itself used."""
    cpu_us: float
    """CPU time of the gateway for a request, in microseconds."""

    @property
    def failures(self) -> int:
        """Requests that failed, of all kinds."""
        return sum(one["failures"] for one in self.requests)


def locust(gateway: Program, kinds: Sequence[str], users: int, seconds: float) -> Seen:
    """Let users ask a gateway for so long.

    Raises:
        BenchError: locust is not installed or did not run.
    """
    command = [sys.executable, "-m", "locust", f"--locustfile={LOCUSTFILE}", f"--host={gateway.url}"]
    command += [f"--users={users}", f"--spawn-rate={users}", f"--run-time={round(seconds + EARLY_S)}s"]
    command += ["--headless", "--json", "--loglevel=WARNING", "--exit-code-on-error=0", *kinds]
    before_s = gateway.cpu_s()
    with on_load_cores():
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds + WITHOUT_REQUESTS_S
        )
    spent_s = gateway.cpu_s() - before_s
    share = _SHARE.search(done.stderr)
    if done.returncode or share is None:
        raise BenchError(
            f"locust failed:\n{done.stderr[-2000:]}\n(is it installed? pip install -e '.[bench]')"
        )
    requests = [summary(one) for one in json.loads(done.stdout)]
    answers = sum(one["count"] for one in requests if one["name"] != "whole stream")  # told twice otherwise
    if not answers:
        raise BenchError(f"locust sent no request:\n{done.stderr[-2000:]}")
    return Seen(requests, float(share[1]), spent_s / answers * 1e6)


def summary(stats: Mapping[str, Any]) -> dict[str, Any]:
    """A line of locust's JSON in short; `response_times` there is a histogram of milliseconds."""
    times = sorted((float(time), count) for time, count in stats["response_times"].items())
    span_s = stats["last_request_timestamp"] - stats["start_time"]
    return {
        "name": stats["name"],
        "count": stats["num_requests"],
        "failures": stats["num_failures"],
        "per_s": round(stats["num_requests"] / span_s, 1) if span_s > 0 else 0.0,
        "mean_ms": round(stats["total_response_time"] / max(1, stats["num_requests"]), 3),
        "p50_ms": of_histogram(times, 0.5),
        "p99_ms": of_histogram(times, 0.99),
    }


def of_histogram(times: Sequence[tuple[float, int]], share: float) -> float:
    """The smallest of ascending (value, count) by which a share (0 to 1) of the counts is reached."""
    missing = share * sum(count for _, count in times)
    for value, count in times:
        missing -= count
        if missing <= 0:
            return value
    return 0.0


@contextmanager
def subject(scenario: str, upstream: Program) -> Iterator[Program]:
    """The gateway of a scenario."""
    config = services.resilient(upstream)
    if scenario == "failing":
        config["providers"]["main"] |= {
            "base_url": f"http://127.0.0.1:{free_port()}",  # nobody listens there
            "retry": {"base_delay": "5ms"},
            "circuit_breaker": {"max_failures": 5, "timeout": "1s"},
        }
    with services.gateway(config) as gateway:
        yield gateway


def scenarios(names: Sequence[str], users: int, seconds: float) -> list[dict[str, Any]]:
    """Run scenarios one after the other."""
    rows = []
    with services.gateway(MOCK, name="the provider", cores=LOAD_CORES) as upstream:
        for name in names:
            with subject(name, upstream) as gateway:
                seen = locust(gateway, SCENARIOS[name], users, seconds)
            rows.append({"scenario": name, "users": users, **seen._asdict()})
            print(f"{name}: {bottleneck(seen.generator_share)}; gateway {seen.cpu_us:.0f} us CPU a request")
            for one in seen.requests:
                times = f"{one['p50_ms']:8.0f} ms p50{one['p99_ms']:8.0f} ms p99"
                print(f"  {one['name']:14}{one['per_s']:9.1f} /s{times}{one['failures']:7} failed")
    return rows


def bottleneck(share: float) -> str:
    """What a generator's share of a core means."""
    if share < BUSY:
        return f"the generator used {share:.0%} of a core"
    return f"the generator used {share:.0%} of a core and was the bottleneck: the rates are its own"


def closed_state(effort: Effort, users: int) -> dict[str, Any]:
    """Resilience on against off, all well: as users see it, and as CPU time under locust and under wrk."""
    seen: list[list[list[Seen]]] = []
    with services.provider() as upstream:
        for _ in range(effort.starts):
            with running(
                services.gateway(services.resilient(upstream), name="gateway, resilient"),
                services.gateway(services.plain(upstream), name="gateway, plain"),
            ) as programs:
                seen.append(
                    alternate(
                        programs, effort.rounds, lambda one: locust(one, ["PlainUser"], users, effort.seconds)
                    )
                )
    judged = ratio.row("resilience", ratio.resilience(effort)["resilience"])
    return {
        "response_time": _compared(seen, lambda one: float(one.requests[0]["mean_ms"])),
        "cpu_under_locust": _compared(seen, lambda one: one.cpu_us),
        "cpu_under_wrk": judged,
        "generator_share": median(one.generator_share for start in seen for side in start for one in side),
    }


def _compared(seen: Sequence[Sequence[Sequence[Seen]]], cost: Callable[[Seen], float]) -> dict[str, float]:
    pairs = [[(cost(on), cost(off)) for on, off in zip(*start, strict=True)] for start in seen]
    return {bound: round(value, 4) for bound, value in figures.ratio(pairs)._asdict().items()}


def main() -> int:
    known = [*SCENARIOS, "closed"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAMES", help=f"of {','.join(known)}; records nothing")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=10, help="of a scenario")
    parser.add_argument("--starts", type=int, default=2, help="of the verdict; twice as many under wrk")
    parser.add_argument("--rounds", type=int, default=4, help="of each start")
    parser.add_argument("--round-seconds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="seconds: to see that it works; records nothing")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.starts, options.rounds, options.round_seconds = 1, 1, 2, 1
    end_on_sigterm()
    names = options.only.split(",") if options.only else known
    if unknown := set(names) - set(known):
        parser.error(f"--only: {', '.join(sorted(unknown))} is not one of {', '.join(known)}")
    rows = scenarios([name for name in SCENARIOS if name in names], options.users, options.seconds)
    data: dict[str, Any] = {"scenarios": rows}
    missed = any(one["failures"] for row in rows for one in row["requests"])
    if "closed" in names:
        effort = Effort(options.starts, options.rounds, options.round_seconds)
        data["closed"] = closed_state(effort, options.users)
        missed |= data["closed"]["cpu_under_wrk"]["verdict"] == "missed"
        print(f"resilience on against off, closed: {bottleneck(data['closed']['generator_share'])}")
        for name in ("response_time", "cpu_under_locust", "cpu_under_wrk"):
            one = data["closed"][name]
            print(f"  {name:18}{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})")
        print(f"  verdict: {data['closed']['cpu_under_wrk']['verdict']}")
    if not (options.only or options.quick):
        settings = {name: value for name, value in vars(options).items() if name not in ("only", "quick")}
        results.record("users", settings, data)
    return int(missed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        sys.exit(f"bench/users.py: {error}")
