"""Recorded results: one JSON file for each part, with the machine, the versions, the date and the commit."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

BENCH: Final = Path(__file__).parents[1]
RESULTS: Final = BENCH / "results"
CHANGED: Final = "-changed"
MEASURED: Final = ("gateway", "_speedups", "setup.py")
PACKAGES: Final = (
    *("uvloop", "httptools", "orjson", "msgspec", "cython"),
    *("purgatory", "pybreaker", "aiobreaker", "locust"),
)
PROGRAMS: Final = {
    "nginx": ("nginx", "-v"),
    "haproxy": ("haproxy", "-v"),
    "wrk": ("wrk", "-v"),
    "valgrind": ("valgrind", "--version"),
}
"""How the programs tell their versions."""

_VERSION: Final = re.compile(r"\d+(?:\.\d+)+")


def record(
    part: str, options: Mapping[str, object], data: object, *, whole: bool = True, folder: Path = RESULTS
) -> Path:
    """Write what a part has measured, in the place of what it measured before.

    whole: whether nothing of it could not be measured, so that it need not be measured again.
    """
    folder.mkdir(exist_ok=True)
    path = folder / f"{part}.json"
    content = {
        "part": part,
        "whole": whole,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "options": dict(options),
        "data": data,
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def load(part: str, folder: Path = RESULTS) -> dict[str, Any] | None:
    """What a part has recorded, or None."""
    path = folder / f"{part}.json"
    if not path.exists():
        return None
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def is_recorded(part: str, commit: str, folder: Path = RESULTS) -> bool:
    """Whether a part has been measured whole for this commit; changed sources are never the same."""
    recorded = load(part, folder)
    if recorded is None or commit == "unknown" or commit.endswith(CHANGED):
        return False
    return bool(recorded["whole"]) and recorded["commit"] == commit


def commit() -> str:
    """The commit that is measured, followed by `-changed` when the gateway's sources are not those of it."""
    head = _output("git", "-C", str(BENCH), "rev-parse", "--short=12", "HEAD").strip()
    if not re.fullmatch("[0-9a-f]+", head):
        return "unknown"  # not a checkout
    changed = _output("git", "-C", str(BENCH.parent), "status", "--porcelain", "--", *MEASURED)
    return head + CHANGED * bool(changed)


def machine() -> dict[str, str | int]:
    """The processor, how many cores may be used, the memory and the kernel."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30),
        "kernel": platform.release(),
    }


def cpu_model(cpuinfo: str) -> str:
    """The processor's name, from the text of /proc/cpuinfo (proc(5)); not every architecture tells it."""
    found = re.search(r"^model name\s*: (.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """The versions of Python, of the gateway's dependencies and of the programs beside it."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    for name, command in PROGRAMS.items():
        if version := _VERSION.search(_output(*command)):
            found[name] = version[0]
    return found


def _output(*command: str) -> str:
    """What a program prints, or nothing when it is not there."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=os.environ | {"PATH": path},
        )
    except OSError:
        return ""
    return done.stdout
