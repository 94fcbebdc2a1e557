"""Hours in minutes: constant mixed load on one worker, whose memory must not keep growing.

    python tests/chaos/soak.py [--minutes 5]

Streams, short answers, clients that leave, clients that read slowly, providers with something wrong half of
the time, and a reload now and then. It prints memory and descriptors every 10 s, and in the end how fast the
memory grew in the second half (least squares). Ends with 1, and says why, when that is more than `MAX_SLOPE`,
or when anything else was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time

import proc
import uvloop
from chaos import CONFIG, PROVIDERS
from havoc import Havoc
from load import Load, Shape
from report import Report
from stand import Stand, stand

MAX_SLOPE = 512.0
"""KiB a minute: a step of the allocator in a short run is less, a leak of 100 bytes a question is more."""
SHAPE = Shape(streams=40, slow=1, plain=20, words=30, slow_words=500, interval_s=0.02, pause_s=0.2)
"""About 100 questions a second."""
SAMPLE_S = 10.0
_PACE_S = 5.0
_SEED = 1


def run(minutes: float) -> Report:
    """Set everything up, keep the load on, judge, clean up."""
    report = Report()
    with stand(CONFIG.replace("workers: 2", "workers: 1"), *PROVIDERS) as place:
        place.gateway.wait_for("started")
        before = proc.Usage.of(place.processes()[0])
        samples = uvloop.run(_soak(place, minutes, report))
        half = samples[len(samples) // 2 :]
        growth = proc.slope(half)
        rule = f"at most {MAX_SLOPE:g} KiB a minute"
        report.note("MiB before", before.rss_kib / 1024)
        report.note("MiB after", samples[-1][1] / 1024)
        report.expect("KiB a minute, second half", growth, rule, holds=growth <= MAX_SLOPE)
        time.sleep(1.0)  # the providers' connections are kept for half a second
        more = proc.Usage.of(place.processes()[0]).descriptors - before.descriptors
        report.expect("descriptors more than before", more, "none", holds=more <= 0)
        defects = place.gateway.named("internal_error")
        report.expect("internal errors", len(defects), f"first: {defects[:1]}", holds=not defects)
        code = place.gateway.end()
        report.expect("exit code", code, "0 after SIGTERM", holds=code == 0)
    return report


async def _soak(place: Stand, minutes: float, report: Report) -> list[tuple[float, float]]:
    """The load; the result is the memory over time, in minutes and KiB."""
    chance = random.Random(_SEED)
    load = Load(place.port, PROVIDERS, SHAPE, chance)
    havoc = Havoc(place, load, _PACE_S, chance)
    samples: list[tuple[float, float]] = []
    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        load.start(group)
        tasks = [group.create_task(havoc.switch_faults()), group.create_task(havoc.reload())]
        while (passed_s := time.monotonic() - began_s) < minutes * 60.0:
            await asyncio.sleep(SAMPLE_S)
            load.judge()
            usage = proc.Usage.of(place.processes()[0])
            samples.append((passed_s / 60.0, usage.rss_kib))
            line = f"{passed_s:6.0f} s  {usage.rss_kib / 1024:6.1f} MiB  {usage.descriptors:4} descriptors"
            print(line, f" {load.kinds.total()} questions", flush=True)
        for task in tasks:
            task.cancel()
        havoc.calm()
        load.over = True
    load.tell(report)
    return samples


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="how long the load stays on")
    options = parser.parse_args()
    proc.prepare_command()
    report = run(options.minutes)
    print(report)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
