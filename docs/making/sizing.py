"""What a load needs, computed from the measurements in docs/sizing.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from making.markdown import table

MEASURED: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[1] / "sizing.toml").read_text(encoding="utf-8")
)
TARGET_UTILISATION = 0.6  # of a core: above that, waiting for it shows in the latency


def sizing() -> str:
    """The measurements, and what follows from them for some loads."""
    cost, memory = MEASURED["cpu_us"], MEASURED["memory"]
    measured = [
        ("a plain request, compiled", f"{cost['request']:g} µs of CPU"),
        ("a plain request, pure Python", f"{cost['request_pure']:g} µs of CPU"),
        ("an event of a stream, compiled", f"{cost['event']:g} µs of CPU"),
        ("a worker at rest", f"{memory['worker_mib']:g} MiB"),
        ("an open stream whose client keeps up", f"{memory['stream_kib']:g} KiB"),
        ("an open stream whose client does not read", f"{memory['slow_reader_kib']:g} KiB"),
    ]
    source = f"Measured on {MEASURED['machine']}; {MEASURED['date']}.\n"
    head = ("Load", "Workers", "Memory")
    return "\n".join(
        (source, table(("What", "Costs"), measured), table(head, map(_needed, MEASURED["loads"])))
    )


def _needed(load: dict[str, float]) -> tuple[str, str, str]:
    requests, streams, events = load["requests_per_s"], load["streams"], load["events_per_s"]
    cost, memory = MEASURED["cpu_us"], MEASURED["memory"]
    busy = (requests * cost["request"] + streams * events * cost["event"]) / 1e6
    workers = max(1, -int(-busy // TARGET_UTILISATION))
    mib = workers * memory["worker_mib"] + streams * memory["stream_kib"] / 1024
    said = [f"{requests:,} plain requests a second"] if requests else []
    said += [f"{streams:,} open streams of {events} events a second"] if streams else []
    return " and ".join(said), str(workers), f"{mib:,.0f} MiB"
