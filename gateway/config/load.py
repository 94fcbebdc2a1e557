"""Finds, reads and checks a configuration: all that is wrong with it is told at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from gateway.config.build import Builder
from gateway.config.check import check
from gateway.config.document import MAX_BYTES, compose
from gateway.config.problem import ConfigError, Position, Problem
from gateway.config.schema import Config

__all__ = ["Found", "find_config", "load", "loads"]

FILE_NAME = "gateway.yaml"
TEXT_VARIABLE = "GATEWAY_CONFIG_YAML"
EMBEDDED = "the embedded default"
EMBEDDED_OPENAI = f"{EMBEDDED} with OPENAI_API_KEY"

_MOCK_ONLY = """\
providers:
  mock: {format: mock}
"""
_WITH_OPENAI = """\
default_provider: openai
providers:
  openai: {format: openai, base_url: "https://api.openai.com", api_key: "${OPENAI_API_KEY}", max_retries: 3}
  mock: {format: mock}
"""


class Found(NamedTuple):
    """A configuration, and where it came from: the path of a file, or a name for what is none."""

    config: Config
    source: str


def find_config(argument: str | None, environ: Mapping[str, str], cwd: str) -> Found:
    """Load what is named first of: `argument`, the environment, ./gateway.yaml, the embedded default.

    In the environment GATEWAY_CONFIG_YAML holds the text itself, and GATEWAY_CONFIG the name of a file; a
    variable that is empty counts as not set. The embedded default is a mock provider; with OPENAI_API_KEY set
    it has OpenAI as well, as the default provider. Relative paths begin at `cwd`. Raises ConfigError, also
    where a named file does not exist.
    """
    if argument == "":
        raise ConfigError([Problem("", "is no file name: --config is empty")])
    if argument is None and (text := environ.get(TEXT_VARIABLE)):
        return Found(loads(text, TEXT_VARIABLE, environ), TEXT_VARIABLE)
    named = argument or environ.get("GATEWAY_CONFIG")
    path = os.path.join(cwd, named or FILE_NAME)
    if named or os.path.lexists(path):
        return Found(load(path, environ), path)
    if environ.get("OPENAI_API_KEY"):
        return Found(loads(_WITH_OPENAI, EMBEDDED_OPENAI, environ), EMBEDDED_OPENAI)
    return Found(loads(_MOCK_ONLY, EMBEDDED, environ), EMBEDDED)


def load(path: str, environ: Mapping[str, str] = os.environ) -> Config:
    """Load a file of at most 1 MiB in UTF-8. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError([Problem("", f"cannot be read: {error.strerror}")], path) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        place = Position(before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))
        message = f"is not UTF-8: byte 0x{data[error.start]:02X} (save the file as UTF-8)"
        raise ConfigError([Problem("", message, place)], path) from None
    return loads(text, path, environ)


def loads(text: str, source: str, environ: Mapping[str, str]) -> Config:
    """Load the text of a file. Raises ConfigError with all structural and cross-field problems together.

    source: what messages call the text, such as the path of its file.
    """
    root = compose(text, source)
    builder = Builder(environ)
    config: Config = builder.build(Config, root, "", root)
    problems = list(builder.problems.values())
    problems += (
        _placed(problem, builder.positions)
        for problem in check(config)
        if not any(_is_broken(path, builder.problems) for path in (problem.path, *problem.reads))
    )
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: problem.position or (0, 0)), source)
    return config


def _is_broken(path: str, broken: Iterable[str]) -> bool:
    """Tell whether a setting, or a block around it, was refused, so that a stand-in is in its place."""
    return any(path == other or not other or path.startswith((f"{other}.", f"{other}[")) for other in broken)


def _placed(problem: Problem, positions: Mapping[str, Position]) -> Problem:
    """Add the place of the setting, or that of its block where the file does not hold the setting."""
    block = problem.path.rpartition(".")[0]
    return replace(problem, position=positions.get(problem.path) or positions.get(block))
