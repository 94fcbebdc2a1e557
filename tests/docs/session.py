"""One document, carried out: its files are written, its commands and programs run, against its own gateway.

What differs from a reader's terminal: the gateway listens on any free port, and no provider listens on
localhost:8000, whatever runs on this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from documents import Block
from family import Served, served

from gateway.config import ConfigError, loads

ADDRESS = "127.0.0.1:4000"
DEAD = "localhost:8000"
MOCK = "providers: {mock: {format: mock}}\n"
WAIT_S = 60.0
_VARIABLE = re.compile(r"\$\{([A-Z_]+)\}|os\.environ/([A-Z_]+)")
_TOOLS = ("curl", "jq")


class Session:
    """The folder of one document and what runs in it."""

    def __init__(self, folder: Path, document: Sequence[Block], stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._gateway: Served | None = None
        taken = stack.enter_context(socket.socket())
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        self._dead = f"127.0.0.1:{taken.getsockname()[1]}"
        names = {
            name for block in document for found in _VARIABLE.findall(block.text) for name in found if name
        }
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        self.environ |= dict.fromkeys(names, "https://host.example")
        self.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.write("gateway.yaml", MOCK)
        for block in document:
            if block.kind == "file":
                self.write(block.info[1], block.text)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text.replace(DEAD, self._dead), encoding="utf-8")

    @property
    def gateway(self) -> Served:
        """The gateway, started when it is first needed and after it was ended."""
        if self._gateway is None or self._gateway.process.poll() is not None:
            config = self.folder / "gateway.yaml"
            self._gateway = self._stack.enter_context(served(config, "--port", "0"))
            self._gateway.wait_for("started")  # a signal that comes sooner ends it
        return self._gateway

    def perform(self, block: Block) -> str:
        """Carry out a block; the result is what it prints. Fails where it ends with an error."""
        text = block.text.replace(".venv/bin/", "")
        if block.kind == "configuration":
            check(text, self.environ)
            self.write("gateway.yaml", text)
            return ""
        if block.kind == "program":
            return self.run([sys.executable, "-c", self.here(text)], block)
        for tool in _TOOLS:
            if re.search(rf"\b{tool} ", text) and shutil.which(tool) is None:
                pytest.skip(f"{tool} is not installed")
        if serves := re.search(r"^gateway serve .*$", text, re.MULTILINE):
            assert serves[0] == "gateway serve --config gateway.yaml"
            assert self.gateway.url
            text = text.replace(serves[0], "")
        printed = self.run(["bash", "-euo", "pipefail", "-c", self.here(text)], block)
        self._see_to_signals(text)
        return printed

    def run(self, command: Sequence[str], block: Block) -> str:
        """Run a program of a block to its end; the result is what it prints."""
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environ,
            timeout=WAIT_S,
            check=False,
        )
        assert run.returncode == 0, f"{block} ended with {run.returncode}:\n{run.stdout}\n{run.stderr}"
        return run.stdout

    def here(self, text: str) -> str:
        """A text with the address and the process of the gateway that runs here."""
        if "GATEWAY_PID" in text:
            self.environ["GATEWAY_PID"] = str(self.gateway.process.pid)
        return text.replace(ADDRESS, self.gateway.url.removeprefix("http://")) if ADDRESS in text else text

    def _see_to_signals(self, text: str) -> None:
        if "kill -HUP" in text:
            self.gateway.wait_for("reload")
        if "kill -TERM" in text:
            assert self._gateway is not None
            assert self._gateway.process.wait(WAIT_S) == 0


def check(text: str, environ: dict[str, str]) -> None:
    """Accept a configuration, or a part of one that has no providers."""
    whole = text if re.search(r"^providers:", text, re.MULTILINE) else text + MOCK
    try:
        loads(whole, "block", environ)
    except ConfigError as error:
        if "OpenTelemetry, which is not installed" in str(error):
            pytest.skip("OpenTelemetry is not installed")
        raise


@contextmanager
def session(folder: Path, document: Sequence[Block]) -> Iterator[Session]:
    """A session that ends what it has started."""
    with ExitStack() as stack:
        yield Session(folder, document, stack)
