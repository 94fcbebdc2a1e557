"""Load by wrk, and what the program under it spent for that.

wrk (https://github.com/wg/wrk) keeps a fixed number of connections busy: each sends its next request when
it has the answer to the last one. It costs a tenth of what a Python client does, so it is not what is
measured.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from parts.processes import BenchError, Program, on_load_cores

SCRIPT: Final = Path(__file__).with_name("wrk.lua")
TIMEOUT_S: Final = 30


class Round(NamedTuple):
    """What one round of load has shown."""

    requests_per_s: float
    cpu_us: float
    """CPU time of the program for a request, in microseconds."""
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Load:
    """A load that can be put on any program: one request, again and again.

    connections: How many are kept busy.
    body: A file with the request's body; none makes it a GET.
    """

    connections: int
    body: Path | None
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)

    def run(self, target: Program, seconds: float) -> Round:
        """Put the load on a program for so long.

        Raises:
            BenchError: wrk is not installed, it failed, or a request did.
        """
        before_s = target.cpu_s()
        result = self._wrk(target, seconds)
        spent_s = target.cpu_s() - before_s
        requests = result["requests"]
        if result["failed"] or result["refused"] or not requests:
            raise BenchError(
                f"{target.name}: of {requests} requests {result['failed']} failed and {result['refused']}"
                f" were answered with an error:\n{target.output()}"
            )
        return Round(
            requests / result["duration_us"] * 1e6,
            spent_s / requests * 1e6,
            result["p50_us"],
            result["p99_us"],
        )

    def _wrk(self, target: Program, seconds: float) -> dict[str, float]:
        if not shutil.which("wrk"):
            raise BenchError("wrk is not installed: apt-get install wrk")
        headers = {"Content-Type": "application/json"} | dict(self.headers)
        command = ["wrk", "--threads", "1", "--connections", str(self.connections)]
        command += ["--duration", f"{max(1, round(seconds))}s", "--timeout", f"{TIMEOUT_S}s"]
        command += ["--script", str(SCRIPT), f"{target.url}{self.path}", "--", str(self.body or "")]
        command += [f"{name}: {value}" for name, value in headers.items()]
        with on_load_cores():
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"wrk failed on {target.name}: {done.stderr or done.stdout}")
        figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return figures


@contextmanager
def chat_body(size: int, *, stream: bool = False, model: str = "gpt-4o") -> Iterator[Path]:
    """A file with a chat completion's request body of exactly so many bytes, at least 128."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(chat_request(size, stream=stream, model=model))
        file.flush()
        yield Path(file.name)


def chat_request(size: int, *, stream: bool = False, model: str = "gpt-4o") -> bytes:
    """A chat completion's request body of exactly so many bytes, filled up by the user's words.

    Raises:
        ValueError: It is too short for that.
    """
    message = {"role": "user", "content": ""}
    whole: dict[str, object] = {"model": model, "stream": stream, "messages": [message]}
    missing = size - len(json.dumps(whole))
    if missing < 0:
        raise ValueError(f"a chat completion has at least {size - missing} bytes, not {size}")
    message["content"] = "x" * missing
    return json.dumps(whole).encode()
