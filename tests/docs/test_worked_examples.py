"""The worked examples of docs/resilience.md: the code does with these numbers what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documents import blocks
from plans import START_S, Scene, fault, status

import gateway
from gateway._speedups import BackoffCore
from gateway.config import Config, loads
from gateway.errors import Fault
from gateway.resilience.breaker import CircuitBreaker
from gateway.resilience.outcome import Result
from gateway.resilience.plan import Policy
from gateway.resilience.retry import Cooldowns

DOCUMENT = Path(gateway.__file__).parents[1] / "docs" / "resilience.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
CONFIG: Config = loads(
    next(one.text for one in blocks(DOCUMENT) if one.kind == "configuration"), "example", {}
)

_RESULT = re.compile(r"(?P<status>\d{3})(?: \(Retry-After (?P<seconds>\d+) s\))?|(?P<fault>\w+)")


def rows(first_column: str, columns: int) -> list[list[list[str]]]:
    """The rows of each table whose head begins so."""
    tables = re.findall(rf"^\| {first_column} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    split = [
        [[cell.strip() for cell in line.strip("|\n").split("|")] for line in one.splitlines()]
        for one in tables
    ]
    assert all(len(row) == columns for table in split for row in table)
    return split


def scene() -> Scene:
    """The providers of the example, as the gateway would treat them."""
    chain = []
    name: str | None = next(iter(CONFIG.providers))
    while name is not None:
        settings = CONFIG.providers[name]
        retry, breaker = settings.retry, settings.breaker
        chain.append(
            Policy(
                name,
                max_retries=settings.retries,
                backoff=BackoffCore(retry.base_delay, retry.multiplier, retry.max_delay, retry.jitter),
                max_delay_s=retry.max_delay,
                breaker=None if breaker is None else CircuitBreaker(breaker.max_failures, breaker.timeout),
                cooldowns=Cooldowns(),
            )
        )
        name = settings.fallback_provider
    return Scene(*chain)


def results(cell: str) -> list[Result]:
    found = []
    for text in cell.split(", "):
        one = _RESULT.fullmatch(text)
        assert one is not None, text
        seconds = one["seconds"] and float(one["seconds"])
        found.append(status(int(one["status"]), seconds) if one["status"] else fault(Fault(one["fault"])))
    return found


def told(scene: Scene, cell: str) -> tuple[str, str]:
    """What is done for a request with these results, and the status that the client gets."""
    *steps, end = scene.perform(*results(cell))
    done = ", ".join(re.sub(r"\+(\d+)s", r"\1 s", step) for step in steps)
    return done, end.removeprefix("deliver ").replace("success", "200").removeprefix("status_")


def test_there_are_examples() -> None:
    assert [len(table) for table in rows("Results", 3)] == [8]
    assert [len(table) for table in rows("At", 5)] == [7, 3]


@pytest.mark.parametrize(("cell", "done", "gets"), [row for table in rows("Results", 3) for row in table])
def test_a_request_by_itself(cell: str, done: str, gets: str) -> None:
    assert told(scene(), cell) == (done, gets)


@pytest.mark.parametrize("table", rows("At", 5), ids=["circuit", "cooldown"])
def test_requests_one_after_another(table: list[list[str]]) -> None:
    here = scene()
    for at, cell, done, gets, state in table:
        here.now = START_S + float(at.removesuffix(" s"))
        assert (at, *told(here, cell)) == (at, done, gets)
        breaker = here.chain[0].breaker
        assert breaker is not None
        assert (at, breaker.state(here.now)) == (at, state)
