"""Builds the container image without registry and daemon: debootstrap makes the base, buildah the rest.

Needs root and Debian's packages `buildah` and `debootstrap`. Everything lies in one temporary folder and is
gone with the block:

    with Workshop() as workshop:
        image = workshop.build(checkout)
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

SUITE = "bookworm"
BASE = "localhost/debian"
TAG = "localhost/llm-gateway"
# How pip reaches its index from here. Paths of this machine mean nothing in a container and are left out.
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")


def run(*command: str | Path, **options: Any) -> str:
    """Run a command to its end; the result is its standard output. What it says is shown where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        sys.stderr.write(done.stdout[-10_000:] + done.stderr[-10_000:])
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {done.returncode}")
    return done.stdout


@dataclass(frozen=True)
class Image:
    """A built image: its size and that of its base in bytes, and what it says how it is to be run."""

    size: int
    base_size: int
    settings: dict[str, Any]

    @property
    def command(self) -> list[str]:
        """What it runs by itself."""
        return [*self.settings["Entrypoint"], *self.settings["Cmd"]]

    @property
    def environ(self) -> dict[str, str]:
        return dict(variable.split("=", 1) for variable in self.settings["Env"])


class Workshop:
    """A folder with a container storage of its own. `suite` is the Debian of the base image."""

    def __init__(self, suite: str = SUITE) -> None:
        for tool in ("buildah", "debootstrap"):
            if shutil.which(tool) is None:
                raise SystemExit(f"{tool} is missing: apt-get install {tool}")
        self._suite = suite
        self._has_base = False
        self.folder = Path(tempfile.mkdtemp(prefix="gateway-image-"))
        storage = (
            "--storage-driver",
            "vfs",
            "--root",
            self.folder / "storage",
            "--runroot",
            self.folder / "run",
        )
        self._buildah = ("buildah", *storage)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.buildah("rm", "--all")
        self.buildah("rmi", "--all", "--force")
        shutil.rmtree(self.folder)

    def command(self, *arguments: str) -> list[str]:
        """A command line of buildah on this storage."""
        return [str(word) for word in (*self._buildah, *arguments)]

    def buildah(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Run buildah; the result is what it prints."""
        return run(*self._buildah, *arguments, cwd=cwd).strip()

    def build(self, checkout: Path, *arguments: str) -> Image:
        """Build the Dockerfile of a checkout on a plain Debian. `arguments` are further `NAME=VALUE`."""
        self.make_base()
        given = [word for argument in arguments for word in ("--build-arg", argument)]
        # In the format of OCI an image has no health check.
        self.buildah(
            *("build", "--isolation", "chroot", "--format", "docker", "--tag", TAG),
            *("--build-arg", f"BASE_IMAGE={BASE}", *given, "."),
            cwd=checkout,
        )
        told = json.loads(self.buildah("inspect", "--type", "image", TAG))
        return Image(self._size(TAG), self._size(BASE), told["Docker"]["config"])

    def container(self) -> tuple[str, Path]:
        """A new container of the image: its name, and its root folder."""
        name = self.buildah("from", "--pull-never", TAG)
        return name, Path(self.buildah("mount", name))

    def _size(self, reference: str) -> int:
        (listed,) = json.loads(self.buildah("images", "--json", reference))
        number, unit = listed["size"].split()
        return round(float(number) * {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3}[unit])

    def make_base(self) -> None:
        """Make the base image, unless it is there: a Debian with its essential packages and nothing else."""
        if self._has_base:
            return
        root = self.folder / "base"
        run("debootstrap", "--variant=minbase", self._suite, root, *_mirrors(self._suite))
        run("chroot", root, "apt-get", "clean")
        _let_pip_reach_its_index(root)
        name = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", name, root, "/")
        self.buildah("commit", "--quiet", "--rm", name, BASE)
        shutil.rmtree(root)
        self._has_base = True


def _mirrors(suite: str) -> list[str]:
    """Where this machine gets the suite's packages; none = debootstrap's own default."""
    listed = run(
        "apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {suite}", "Created-By: Packages"
    )
    return listed.split()[:1]


def _let_pip_reach_its_index(root: Path) -> None:
    """Give the base image this machine's way to the package index, as an organisation's base image has it."""
    settings = {}
    for line in run(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = value.strip("'\"")
    lines = [f"{name} = {settings[name]}" for name in PIP_SETTINGS if _is_remote(settings.get(name, ""))]
    if "cert" in settings:
        shutil.copy(settings["cert"], root / "etc/pip-authorities.pem")
        lines.append("cert = /etc/pip-authorities.pem")
    (root / "etc/pip.conf").write_text("\n".join(["[global]", *lines, ""]))


def _is_remote(value: str) -> bool:
    return value != "" and "file:" not in value
