"""A running container of the image, in two ways: `buildah run`, and runc with what a container platform adds.

Both share this machine's network, so that nothing has to be set up: the gateway is at a port of the
loopback. `Chrooted` (buildah) shares its process numbers too. `Contained` (runc) has process numbers of its
own, where the gateway is number 1, a root that cannot be written, no capabilities, and a limit of cores where
one is given.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from image import Image, Workshop

WAIT_S = 30.0
SECRETS = "/run/secrets"


class Container(ABC):
    """A container that runs for as long as the block; `events` are the lines of its log."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.stray: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)

    @abstractmethod
    def start_command(self) -> list[str]:
        """The command line that starts it and stays as long as it runs."""

    @abstractmethod
    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside, to its end."""

    @abstractmethod
    def signal(self, number: signal.Signals) -> None:
        """Send the first process a signal."""

    @abstractmethod
    def remove(self) -> None:
        """Take it away, whatever it is doing."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self.start_command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
        process = self._running()
        if process.poll() is None:
            process.kill()
        process.wait()
        self._reader.join(WAIT_S)

    def named(self, event: str) -> list[dict[str, Any]]:
        """The log events of that name so far."""
        return [one for one in self.events if one["event"] == event]

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until the condition holds. Raises SystemExit with the log where it does not come to."""
        deadline_s = time.monotonic() + WAIT_S
        while not condition():
            ended = self._running().poll()
            if ended is not None or time.monotonic() > deadline_s:
                raise SystemExit(f"{what}: not so (exit code {ended}): {self.events} {self.stray}")
            time.sleep(0.02)

    def wait(self) -> int:
        """Wait for its end; the result is the exit code."""
        return self._running().wait(WAIT_S)

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def _read(self) -> None:
        stdout = self._running().stdout
        assert stdout is not None
        for line in stdout:
            try:
                self.events.append(json.loads(line))
            except json.JSONDecodeError:
                self.stray.append(line)
        stdout.close()


class Chrooted(Container):
    """`buildah run` with the isolation `chroot`."""

    def __init__(self, workshop: Workshop, image: Image, environ: dict[str, str]) -> None:
        super().__init__()
        self._workshop = workshop
        self._image = image
        self._given = [f"--env={name}={value}" for name, value in environ.items()]
        self._name, self.root = workshop.container()

    def start_command(self) -> list[str]:
        return self._run(*self._image.command)

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._run(*command), capture_output=True, text=True, timeout=WAIT_S)

    def signal(self, number: signal.Signals) -> None:
        workers = [event["pid"] for event in self.named("started")]
        os.kill(_parent(workers[0]) if len(workers) > 1 else workers[0], number)

    def remove(self) -> None:
        for event in (*self.named("started"), *self.named("worker_started")):
            try:
                os.kill(event["pid"], signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._workshop.buildah("rm", self._name)

    def _run(self, *command: str) -> list[str]:
        given = ("run", "--isolation", "chroot", *self._given)
        return self._workshop.command(*given, self._name, "--", *command)


class Contained(Container):
    """An OCI container by runc. `cores` limits it by a control group; `secrets` are files below `SECRETS`."""

    def __init__(
        self,
        workshop: Workshop,
        image: Image,
        environ: dict[str, str],
        *,
        cores: float | None = None,
        secrets: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._workshop = workshop
        self._name = f"gateway-{uuid.uuid4().hex[:8]}"
        self._container, self.root = workshop.container()
        self._bundle = workshop.folder / self._name
        folder = self._bundle / "secrets"
        folder.mkdir(parents=True)
        for name, value in (secrets or {}).items():
            (folder / name).write_text(value)
        settings = _specification(self._bundle)
        _restrict(settings, image, {**image.environ, **environ}, self.root, folder, cores)
        (self._bundle / "config.json").write_text(json.dumps(settings))

    def start_command(self) -> list[str]:
        return self._runc("run", "--bundle", str(self._bundle), self._name)

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._runc("exec", self._name, *command), capture_output=True, text=True, timeout=WAIT_S
        )

    def signal(self, number: signal.Signals) -> None:
        subprocess.run(self._runc("kill", self._name, number.name), check=True)

    def remove(self) -> None:
        subprocess.run(self._runc("delete", "--force", self._name), capture_output=True)
        self._workshop.buildah("rm", self._container)

    def _runc(self, *arguments: str) -> list[str]:
        return ["runc", "--root", str(self._workshop.folder / "runc"), *arguments]


def _specification(bundle: Path) -> dict[str, Any]:
    """What runc proposes: namespaces, masked paths, mounts."""
    subprocess.run(["runc", "spec", "--bundle", str(bundle)], check=True)
    settings: dict[str, Any] = json.loads((bundle / "config.json").read_text())
    return settings


def _restrict(
    settings: dict[str, Any],
    image: Image,
    environ: dict[str, str],
    root: Path,
    secrets: Path,
    cores: float | None,
) -> None:
    """Make it what the image says, as tightly as a platform would."""
    user, _, group = image.settings["User"].partition(":")
    process = settings["process"]
    process.update(
        terminal=False,
        args=image.command,
        env=[f"{name}={value}" for name, value in environ.items()],
        cwd=image.settings["WorkingDir"],
        user={"uid": int(user), "gid": int(group)},
        capabilities={},
        rlimits=[],
        noNewPrivileges=True,
    )
    settings["root"] = {"path": str(root), "readonly": True}
    linux = settings["linux"]
    linux["namespaces"] = [one for one in linux["namespaces"] if one["type"] != "network"]
    if cores is not None:
        linux["resources"]["cpu"] = {"period": 100_000, "quota": int(cores * 100_000)}
    settings["mounts"].append(
        {"destination": SECRETS, "type": "bind", "source": str(secrets), "options": ["rbind", "ro"]}
    )


def _parent(pid: int) -> int:
    """The parent of a process (proc_pid_stat(5))."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    return int(after_name.split()[1])


def commands_in(root: Path, names: Sequence[str]) -> list[str]:
    """Which of these programs an image has."""
    folders = ("usr/local/bin", "usr/bin", "bin", "usr/local/sbin", "usr/sbin", "sbin", "opt/gateway/bin")
    return [f"/{folder}/{name}" for folder in folders for name in names if (root / folder / name).exists()]
