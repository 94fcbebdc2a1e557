"""Rounds by turns, so that whatever else the machine does hits all that are compared.

A comparison starts its programs several times over (each start is a block, see figures.ratio) and measures
them in rounds; every other round goes through them in the opposite order, so that a slow drift cancels out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple, TypeVar

from parts.processes import Program
from parts.wrk import Load, Round

T = TypeVar("T")


class Effort(NamedTuple):
    """How much is measured."""

    starts: int = 3
    """How often the programs are started anew."""
    rounds: int = 5
    """For each start, how often each program is measured."""
    seconds: float = 2.0
    """How long one round takes."""

    def scaled(self, starts: float = 1, rounds: float = 1) -> Effort:
        """For a comparison that needs more than others, or less."""
        return self._replace(
            starts=max(1, round(self.starts * starts)), rounds=max(1, round(self.rounds * rounds))
        )


Contest = AbstractContextManager[Sequence[Program]]


@contextmanager
def running(*programs: AbstractContextManager[Program]) -> Iterator[Sequence[Program]]:
    """Start programs, each from its context, and end them together."""
    with ExitStack() as stack:
        yield [stack.enter_context(program) for program in programs]


def alternate(programs: Sequence[Program], rounds: int, measure: Callable[[Program], T]) -> list[list[T]]:
    """For each program what its rounds have shown, in the order of the rounds."""
    shown: list[list[T]] = [[] for _ in programs]
    for number in range(rounds):
        turns = list(zip(shown, programs, strict=True))
        for mine, program in turns[:: -1 if number % 2 else 1]:
            mine.append(measure(program))
    return shown


def blocks(contest: Callable[[], Contest], load: Load, effort: Effort) -> list[list[list[Round]]]:
    """Of each start, for each program of the contest, what its rounds have shown under a load.

    contest: starts the programs and yields them.
    """
    measured = []
    for _ in range(effort.starts):
        with contest() as programs:
            alternate(programs, 1, lambda program: load.run(program, 1))  # connections, caches, frequency
            measured.append(
                alternate(programs, effort.rounds, lambda program: load.run(program, effort.seconds))
            )
    return measured


def pairs(
    measured: Sequence[Sequence[Sequence[Round]]], subject: int, other: int, cost: Callable[[Round], float]
) -> list[list[tuple[float, float]]]:
    """Of each start, the costs of two of its programs in the same rounds."""
    return [
        [(cost(mine), cost(theirs)) for mine, theirs in zip(block[subject], block[other], strict=True)]
        for block in measured
    ]
