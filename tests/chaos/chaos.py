"""Chaos: a thousand streams through two workers, while providers, workers and clients die.

    python tests/chaos/chaos.py [--seconds 60] [--streams 1000] [--seed N]

Three providers in processes of their own die, return and misbehave; a worker is killed with SIGKILL again and
again; SIGHUP reloads changed configurations; clients leave at random points or read slowly. Every answer is
checked word by word (see asking.py). When the storm is over, memory, descriptors, the providers' connections
and the circuits must be as before it. Ends with 1, and says why, when anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from dataclasses import dataclass, field

import proc
import uvloop
from havoc import DISTURBANCES, WORKERS, Havoc
from load import Load, Shape
from report import Report
from stand import Stand, stand

_PROVIDER = """
  {name}:
    format: openai
    base_url: "{{{name}}}"
    max_retries: 1
    retry: {{base_delay: 20ms, max_delay: 200ms, jitter: 1}}
    timeouts: {{connect: 1s, first_byte: 1500ms, idle: 1500ms, total: 8s}}
    pool: {{idle_timeout: 500ms}}
    circuit_breaker: {{max_failures: 5, timeout: 500ms}}"""
PROVIDERS = ("a", "b", "c")
CONFIG = f"""
server: {{port: 0, workers: {WORKERS}, timeouts: {{drain: 5s}}}}
models: {{a: {{provider: a}}, b: {{provider: b}}, c: {{provider: c}}}}
providers:\
{_PROVIDER.format(name="a")}
    fallback_provider: b\
{_PROVIDER.format(name="b")}
    fallback_provider: c\
{_PROVIDER.format(name="c")}
"""
RECOVERED_WITHIN_S = 70.0
"""A probe that was lost with its worker keeps the circuit half-open for 60 s."""

MAX_GROWTH_KIB = 48 * 1024
"""How much larger a worker may be after the storm than before: what the allocator keeps of the peak."""
SETTLED_WITHIN_S = 15.0
_POLL_S = 0.1


@dataclass(frozen=True)
class Settings:
    """The storm: what clients there are, what happens to them, for how many seconds.

    disturbances: which of those of `Havoc`. pace_s: seconds between two faults; the others are rarer, by
    factors of their own. seed: of everything that is left to chance.
    """

    seconds: float = 60.0
    shape: Shape = field(default_factory=Shape)
    disturbances: tuple[str, ...] = DISTURBANCES
    pace_s: float = 0.6
    seed: int = 1


async def storm(place: Stand, settings: Settings) -> tuple[Load, Havoc, float | None]:
    """Load and havoc for as long as the settings say; then calm, until all circuits are closed again."""
    chance = random.Random(settings.seed)
    load = Load(place.port, PROVIDERS, settings.shape, chance)
    havoc = Havoc(place, load, settings.pace_s, chance)
    async with asyncio.TaskGroup() as group:
        load.start(group)
        tasks = [group.create_task(getattr(havoc, name)()) for name in settings.disturbances]
        await asyncio.sleep(settings.seconds)
        for task in tasks:
            task.cancel()
        havoc.calm()
        load.over = True
    return load, havoc, await _recover(place, load)


async def _recover(place: Stand, load: Load) -> float | None:
    """Ask every provider until all circuits are closed; the result is how many seconds that took."""
    began_s = time.monotonic()
    while (took_s := time.monotonic() - began_s) < RECOVERED_WITHIN_S:
        for name in PROVIDERS:
            await load.ask_once(name)
        circuits = await asyncio.to_thread(place.circuits)
        if all(state == "closed" for state in circuits.values()):
            return took_s
        await asyncio.sleep(_POLL_S)
    return None


def run(settings: Settings) -> Report:
    """Set everything up, let the storm rage, judge, clean up."""
    report = Report()
    with stand(CONFIG, *PROVIDERS) as place:
        place.gateway.wait_for("started", WORKERS)
        before = [proc.Usage.of(pid) for pid in place.processes()]
        began_s = time.monotonic()
        load, havoc, recovery_s = uvloop.run(storm(place, settings))
        report.note("seconds", time.monotonic() - began_s)
        for name, count in havoc.counts.items():
            report.note(name, count)
        load.tell(report)
        _judge_processes(report, place, before)
        took = "never" if recovery_s is None else f"{recovery_s:.1f}"
        rule = f"within {RECOVERED_WITHIN_S:g} s"
        report.expect("seconds until all circuits were closed", took, rule, holds=recovery_s is not None)
        _judge_log(report, place, havoc.counts["workers killed"])
    return report


def _judge_processes(report: Report, place: Stand, before: list[proc.Usage]) -> None:
    """Everything must be as it was before, within a while."""
    most = max(usage.descriptors for usage in before)
    deadline_s = time.monotonic() + SETTLED_WITHIN_S
    while True:
        connections = sum(provider.count().connections_open for provider in place.providers.values())
        after = [proc.Usage.of(pid) for pid in place.processes()]
        descriptors = max(usage.descriptors for usage in after)
        if (not connections and descriptors <= most) or time.monotonic() > deadline_s:
            break
        time.sleep(_POLL_S)
    report.expect("provider connections left", connections, "none is in use", holds=not connections)
    report.note("descriptors before, at most", most)
    report.expect("descriptors after, at most", descriptors, "no more than before", holds=descriptors <= most)
    memory_before = max(usage.rss_kib for usage in before)
    memory_after = max(usage.rss_kib for usage in after)
    report.note("memory before, MiB, at most", memory_before / 1024)
    report.expect(
        "memory after, MiB, at most",
        memory_after / 1024,
        f"at most {MAX_GROWTH_KIB // 1024} MiB more than before",
        holds=memory_after - memory_before <= MAX_GROWTH_KIB,
    )


def _judge_log(report: Report, place: Stand, killed: int) -> None:
    gateway = place.gateway
    report.note("circuit transitions", len(gateway.named("circuit")))
    died = len(gateway.named("worker_died"))
    report.expect("workers died", died, f"{killed} were killed", holds=died == killed)
    defects = gateway.named("internal_error")
    report.expect("internal errors", len(defects), f"first: {defects[:1]}", holds=not defects)
    code = gateway.end()
    report.expect("exit code", code, "0 after SIGTERM", holds=code == 0)
    stderr = gateway.process.stderr.read() if gateway.process.stderr else ""
    report.expect("bytes on stderr", len(stderr), stderr[:500], holds=not stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=Settings.seconds, help="how long the storm lasts")
    parser.add_argument("--streams", type=int, default=Shape.streams, help="streams at one time")
    parser.add_argument(
        "--seed", type=int, default=Settings.seed, help="of everything that is left to chance"
    )
    options = parser.parse_args()
    proc.prepare_command()
    shape = Shape(streams=options.streams)
    report = run(Settings(seconds=options.seconds, shape=shape, seed=options.seed))
    print(report)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
