"""A guard against getting slower that no busy machine can upset: it counts, and measures no time.

    python bench/guard.py [syscalls] [instructions]

- System calls: strace counts those of a gateway during 200 requests.
- Instructions: callgrind counts those of `bench/chain.py` for a few and for more requests; what one costs
  is the difference, so start and warm-up cancel out. The hash seed is fixed, so that two runs count the
  same.

The bounds stand in bounds.toml, each with the reason for it. What cannot be counted here (no strace, ptrace
not permitted, no valgrind, a Python that has no bound) is skipped with a word. Ends with 1 when a bound is
exceeded.
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any, Final, NamedTuple

from parts import services
from parts.processes import BenchError, Program, end_on_sigterm
from parts.wrk import chat_request

BENCH: Final = Path(__file__).parent
REQUESTS: Final = 200
CALLGRIND: Final = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
FEW: Final = 100
MANY: Final = 600
BODY_BYTES: Final = 512
CALLS_COLUMN: Final = 3
ATTACH_S: Final = 10.0


class SkippedError(Exception):
    """It cannot be counted here; the message says why."""


class Count(NamedTuple):
    """What one request costs, and may cost."""

    what: str
    counted: float
    bound: float

    @property
    def exceeded(self) -> bool:
        """Whether it is too much."""
        return self.counted > self.bound

    def __str__(self) -> str:
        verdict = "too many: see bench/bounds.toml" if self.exceeded else "within the bound"
        return f"{self.what} a request: {self.counted:,.1f} of at most {self.bound:,.1f}: {verdict}"


def total_calls(summary: str) -> int:
    """All system calls, from the table that `strace -c` writes (strace(1)).

    It has columns of fixed width, under a rule; some versions leave one of the total empty.

    Raises:
        ValueError: There is no line with the total.
    """
    columns = [span.span() for span in re.finditer("-+", summary.partition("\n")[2].partition("\n")[0])]
    total = re.search(r"^.* total$", summary, re.MULTILINE)
    if total is None:
        raise ValueError(f"no total in what strace has written: {summary[-400:]!r}")
    return int(total[0][slice(*columns[CALLS_COLUMN])])


def instructions(output: str) -> int:
    """The instructions of a run, from what callgrind prints at its end.

    Raises:
        ValueError: They are not there.
    """
    collected = re.search(r"Collected : (\d+)", output)
    if collected is None:
        raise ValueError(f"callgrind has not told its count: {output[-400:]!r}")
    return int(collected[1])


def count_syscalls(bounds: dict[str, Any]) -> Count:
    """Those of a gateway while 200 chat completions come on one connection."""
    if not shutil.which("strace"):
        raise SkippedError("strace is not installed")
    with (
        services.provider() as upstream,
        services.gateway(services.resilient(upstream)) as gateway,
        socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as client,
    ):
        _ask(client, 20)  # what happens once, such as the connection to the provider
        with tempfile.NamedTemporaryFile("r") as table:
            _traced(gateway, Path(table.name), client)
            calls = total_calls(table.read())
    return Count("system calls", calls / REQUESTS, bounds["bound"])


def _traced(gateway: Program, table: Path, client: socket.socket) -> None:
    """Send the requests while strace counts."""
    command = ["strace", "-f", "-c", "-o", str(table), "-p", str(gateway.pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + ATTACH_S
        while not _is_traced(gateway.pid):
            if tracer.poll() is not None or time.monotonic() > deadline:
                tracer.kill()
                raise SkippedError(f"strace cannot trace here: {tracer.communicate()[1].strip()}")
            time.sleep(0.02)
        _ask(client, REQUESTS)
    finally:
        tracer.send_signal(signal.SIGINT)  # detaches and writes the table
        tracer.communicate()


def _is_traced(pid: int) -> bool:
    return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()


def _ask(client: socket.socket, requests: int) -> None:
    """Send requests one by one, each in a single write: two would be two reads, or one, as it happens."""
    body = chat_request(BODY_BYTES)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(requests):
        client.sendall(head.encode() + body)
        with http.client.HTTPResponse(client) as response:
            response.begin()
            said = response.read()
            if response.status != 200:
                raise BenchError(f"the gateway answered {response.status}: {said[:200]!r}")


def count_instructions(bounds: dict[str, Any]) -> Count:
    """Those of one request through the chain of callbacks."""
    version = ".".join(platform.python_version_tuple()[:2])
    if platform.machine() != "x86_64" or version not in bounds["bounds"]:
        raise SkippedError(f"there is no bound for Python {version} on {platform.machine()}")
    if not shutil.which("valgrind"):
        raise SkippedError("valgrind is not installed")
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    runs = [
        subprocess.Popen(
            [*CALLGRIND, sys.executable, str(BENCH / "chain.py"), "--requests", str(requests)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for requests in (FEW, MANY)
    ]
    few, many = map(_counted, runs)
    bound = bounds["bounds"][version] * (1 + bounds["tolerance"])
    return Count("instructions", (many - few) / (MANY - FEW), bound)


def _counted(run: subprocess.Popen[str]) -> int:
    said = run.communicate()[1]
    if run.returncode:  # callgrind counts also what has failed
        raise BenchError(f"bench/chain.py failed under callgrind:\n{said[-2000:]}")
    return instructions(said)


COUNTS: Final = {"syscalls": count_syscalls, "instructions": count_instructions}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"of {', '.join(COUNTS)}; default: all")
    options = parser.parse_args()
    if unknown := set(options.what) - set(COUNTS):
        parser.error(f"{', '.join(sorted(unknown))} is not one of {', '.join(COUNTS)}")
    end_on_sigterm()
    bounds = tomllib.loads((BENCH / "bounds.toml").read_text())
    exceeded = False
    for name in options.what or COUNTS:
        try:
            count = COUNTS[name](bounds[name])
        except SkippedError as reason:
            print(f"{name}: skipped: {reason}")
            continue
        print(count)
        exceeded |= count.exceeded
    return int(exceeded)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        sys.exit(f"bench/guard.py: {error}")
