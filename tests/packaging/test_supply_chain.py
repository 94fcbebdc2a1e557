"""What the image installs is locked, and the locks, the image, the SBOM and the release say the same."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import gateway

CHECKOUT = Path(gateway.__file__).parents[1]
LOCKS = CHECKOUT / "deploy" / "locks"
WANTED: dict[str, list[str]] = runpy.run_path(str(LOCKS / "lock.py"))["requirements"]()
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")


def locked(name: str) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes of each distribution in a lock."""
    text = (LOCKS / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            distribution, _, rest = line.partition("==")
            found[canonicalize_name(distribution)] = (rest.split()[0], re.findall(r"--hash=(\S+)", rest))
    return found


def instructions(stage: int | None = None) -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, or of one of its two stages, joined to a line each."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    every = [(name, " ".join(rest.split())) for name, rest in lines]
    if stage is None:
        return every
    first, second = (index for index, (name, _) in enumerate(every) if name == "FROM")
    return every[second:] if stage else every[first:second]


# -- locks


@pytest.mark.parametrize("name", sorted(WANTED))
def test_lock_meets_what_the_project_asks_for(name: str) -> None:
    have = locked(name)
    for text in WANTED[name]:
        requirement = Requirement(text)
        version, _ = have[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{name}: run python deploy/locks/lock.py"


@pytest.mark.parametrize("name", ["runtime.txt", "build.txt"])
def test_lock_holds_nothing_else(name: str) -> None:
    # None of these needs another distribution, so more would be left over from an earlier one.
    assert set(locked(name)) == {canonicalize_name(Requirement(text).name) for text in WANTED[name]}


@pytest.mark.parametrize("name", sorted(WANTED))
def test_everything_locked_has_hashes(name: str) -> None:
    for distribution, (_, hashes) in locked(name).items():
        assert hashes, distribution
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", one) for one in hashes)


def test_locks_agree_with_each_other() -> None:
    tracing = locked("tracing.txt")
    assert {name: tracing.get(name) for name in locked("runtime.txt")} == locked("runtime.txt")


# -- image


def test_every_stage_is_made_of_the_base_that_comes_first() -> None:
    every = instructions()
    name, default = every[0]
    assert name == "ARG"
    assert re.fullmatch(r"BASE_IMAGE=\S+:\d+\.\d+\.\d+-[a-z-]+(@sha256:[0-9a-f]{64})?", default)
    stages = [rest.split()[0] for name, rest in every if name == "FROM"]
    assert stages == ["${BASE_IMAGE}", "${BASE_IMAGE}"]


def test_what_the_build_installs_is_locked() -> None:
    commands = [part.strip() for name, rest in instructions(0) if name == "RUN" for part in rest.split(";")]
    installs = [command for command in commands if "pip" in command and " install " in command]
    assert len(installs) == 3
    for command in installs:
        assert "--require-hashes" in command or "--no-deps --no-index" in command
    (wheel,) = (command for command in commands if " wheel " in command)
    assert "--no-deps" in wheel
    assert "--no-build-isolation" in wheel
    assert ("ENV", "GATEWAY_REQUIRE_SPEEDUPS=1") in instructions(0)


def test_the_image_runs_as_nobody_and_ends_as_told() -> None:
    last = dict(instructions(1))
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert 'CMD ["python", "-m", "gateway.admin.probe"]' in last["HEALTHCHECK"]
    assert json.loads(last["ENTRYPOINT"]) == ["gateway"]
    assert json.loads(last["CMD"])[0] == "serve"
    assert "GATEWAY_REQUIRE_SPEEDUPS=1" in last["ENV"]
    assert "org.opencontainers.image.version" in last["LABEL"]


def test_the_image_takes_over_only_what_was_installed() -> None:
    copied = [rest for name, rest in instructions(1) if name in ("COPY", "ADD")]
    assert copied == ["--from=build /opt/gateway /opt/gateway"]
    installed = " ".join(rest for name, rest in instructions(1) if name == "RUN")
    assert not re.search(r"\b(gcc|-dev|pip|build-essential)\b", installed)


def test_what_the_build_copies_is_not_ignored() -> None:
    allowed = [
        line.removeprefix("!").split("*")[0]
        for line in (CHECKOUT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for name, rest in instructions(0):
        if name == "COPY":
            *sources, _ = rest.split()
            for source in sources:
                assert (CHECKOUT / source).exists()
                assert any(source.startswith(one) or one.startswith(source) for one in allowed), source


# -- SBOM


def test_sbom_tells_of_every_locked_distribution() -> None:
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", LOCKS / "runtime.txt"]
    options = ["--pyproject", CHECKOUT / "pyproject.toml", "--output-reproducible"]
    made = subprocess.run([*command, *options], capture_output=True, check=True, timeout=60)
    bom = json.loads(made.stdout)
    components = {canonicalize_name(one["name"]): one["version"] for one in bom["components"]}
    assert components == {name: version for name, (version, _) in locked("runtime.txt").items()}
    assert bom["metadata"]["component"]["name"] == "llm-gateway"


# -- release


def changelog() -> list[str]:
    """The headings of the releases, the newest first."""
    text = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.findall(r"^## (.*)$", text, re.MULTILINE)


def test_changelog_begins_with_what_is_not_released() -> None:
    first, *releases = changelog()
    assert first == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in releases)
    versions = [Version(re.findall(r"\d+\.\d+\.\d+", heading)[0]) for heading in releases]
    assert versions == sorted(set(versions), reverse=True)


def test_version_is_that_of_the_last_release_or_the_one_being_made() -> None:
    released = [re.findall(r"\d+\.\d+\.\d+", heading)[0] for heading in changelog()[1:]]
    assert not released or Version(gateway.__version__) >= Version(released[0])


def test_wheels_are_built_compiled_and_tried() -> None:
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
    assert settings["environment"]["GATEWAY_REQUIRE_SPEEDUPS"] == "1"
    assert "compiled" in settings["test-command"]
