"""Writes the locks beside this file out of pyproject.toml: `python deploy/locks/lock.py`, with uv installed.

Each lists what the container image installs, with the exact version and the hashes of every file that the
index has of it, for all platforms: `runtime.txt` for the gateway, `tracing.txt` for the gateway with the
extra `otel`, `build.txt` for what compiles it. What is locked stays as it is until `--upgrade` is given, or
until pyproject.toml no longer allows it.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
PYTHON = "3.11"
COMMAND = "python deploy/locks/lock.py"


def requirements() -> dict[str, list[str]]:
    """What pyproject.toml asks for, by the name of the lock."""
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    runtime = settings["project"]["dependencies"]
    return {
        "runtime.txt": runtime,
        "tracing.txt": [*runtime, *settings["project"]["optional-dependencies"]["otel"]],
        "build.txt": settings["build-system"]["requires"],
    }


def lock(name: str, wanted: list[str], *options: str) -> None:
    """Write one lock. Raises CalledProcessError where the requirements cannot be met together."""
    subprocess.run(
        [
            *("uv", "pip", "compile", "-", "--output-file", HERE / name, "--quiet"),
            *("--universal", "--python-version", PYTHON, "--generate-hashes"),
            *("--no-annotate", "--custom-compile-command", COMMAND, "--no-emit-index-url"),
            *options,
        ],
        input="\n".join(wanted),
        text=True,
        check=True,
    )


if __name__ == "__main__":
    for name, wanted in requirements().items():
        lock(name, wanted, *sys.argv[1:])
