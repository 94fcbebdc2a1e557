"""The five minutes of deploy/README.md: its commands are executed, from a fresh clone on.

    python tests/deploy/five_minutes_proof.py      (two to five minutes)

`docker` is done here by debootstrap, buildah and runc, since there is neither a daemon nor a registry; all
other commands run as they stand. Needs root, a package index, the ports 4000 and 9090, and Debian's packages
`buildah`, `debootstrap`, `runc`, `prometheus`. Exit code 1 and a line for each thing that is wrong. All that
it makes is gone at the end. Not part of the default test run.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from container import Contained
from image import Image, Workshop

CHECKOUT = Path(__file__).parents[2]
WAIT_S = 30.0


def documented() -> list[str]:
    """The commands of the first block of shell."""
    text = (CHECKOUT / "deploy" / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    return block[1].splitlines()


class Walk:
    """Executes one command after the other; what was started ends with `stack`."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-five-minutes-")))
        self._workshop = stack.enter_context(Workshop())
        self._workshop.make_base()
        self._image: Image | None = None
        self._environ = {**os.environ, "REPOSITORY": CHECKOUT.as_uri()}

    def step(self, command: str) -> str:
        """Execute a command; the result is its output. Raises SystemExit where it fails."""
        words = shlex.split(command)
        if words[0] == "cd":
            self._folder /= words[1]
        elif words[:2] == ["docker", "build"]:
            self._image = self._workshop.build(self._folder)
        elif words[:2] == ["docker", "run"]:
            assert self._image is not None
            container = self._stack.enter_context(Contained(self._workshop, self._image, {}))
            container.until(lambda: container.named("started"), "the container starts")
        elif words[-1] == "&":
            process = subprocess.Popen(words[:-1], cwd=self._folder, stderr=subprocess.DEVNULL)
            self._stack.callback(process.wait)
            self._stack.callback(process.terminate)
        else:
            done = subprocess.run(
                ["bash", "-c", command], cwd=self._folder, env=self._environ, capture_output=True, text=True
            )
            if done.returncode:
                raise SystemExit(f"exit code {done.returncode}: {done.stderr}")
            return done.stdout
        return ""

    def until(self, command: str, holds: Callable[[str], bool]) -> bool:
        """Execute a command again and again until its output is right; the result says whether it was."""
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            try:
                if holds(self.step(command)):
                    return True
            except SystemExit:
                pass  # nobody listens yet
            time.sleep(0.5)
        return False


def counted(output: str) -> bool:
    """Whether Prometheus has counted the request."""
    return any(float(one["value"][1]) >= 1 for one in json.loads(output)["data"]["result"])


def main() -> int:
    wrong = []
    with ExitStack() as stack:
        walk = Walk(stack)
        began_s = time.monotonic()
        for command in documented():
            print(f"{time.monotonic() - began_s:5.0f} s  $ {command}", flush=True)
            if "/v1/chat/completions" in command:
                streamed = walk.step(command)
                print(streamed.strip()[:200], "…", flush=True)
                if not streamed.rstrip().endswith("data: [DONE]"):
                    wrong.append("the streamed answer was not whole")
            elif "/api/v1/query" in command:
                if not walk.until(command, counted):
                    wrong.append("Prometheus has not counted the request")
            else:
                walk.step(command)
        print(f"{time.monotonic() - began_s:5.0f} s  done, {len(wrong)} problems")
    for problem in wrong:
        print(problem)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
