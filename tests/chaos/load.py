"""Many clients at once: who asks what, and the judgement of all the answers."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from asking import Answer, Client, Ending, Question, wrong_with
from report import Report

_ANSWERED_WITHIN_S: Final = 60.0
_AFTER_KILL_S: Final = 0.5
_SLOW_RECEIVE_BUFFER: Final = 4096


@dataclass(frozen=True)
class Shape:
    """How many clients of each kind there are at one time, and what they ask for.

    streams: clients that read `words` events, about `interval_s` seconds apart; every tenth leaves meanwhile.
    slow: clients that read `slow_words` events, sent as fast as possible, more slowly than they come.
    plain: clients of short answers that are not streamed; every twentieth leaves meanwhile.
    pause_s: what each client waits between two questions.
    """

    streams: int = 1000
    slow: int = 20
    plain: int = 50
    words: int = 30
    slow_words: int = 1500
    interval_s: float = 0.1
    pause_s: float = 0.0


class Load:
    """Clients of a port of the loopback, which ask for any of `models` until `over` is set."""

    def __init__(self, port: int, models: Sequence[str], shape: Shape, chance: random.Random) -> None:
        self.over = False
        self.kinds: Counter[str] = Counter()
        self.violations: list[str] = []
        self._port = port
        self._models = models
        self._shape = shape
        self._chance = chance
        self._numbers = itertools.count(1)
        self._answers: list[tuple[Question, Answer]] = []
        self._clients: dict[int, Client] = {}
        self._killed_ports: set[int] = set()
        self._killed_at_s = 0.0

    def start(self, group: asyncio.TaskGroup) -> None:
        """Let the clients begin."""
        shape = self._shape
        kinds = (
            (shape.streams, self._stream, 0),
            (shape.slow, self._slow_stream, _SLOW_RECEIVE_BUFFER),
            (shape.plain, self._plain, 0),
        )
        for count, make, receive_buffer in kinds:
            for _ in range(count):
                group.create_task(self._ask_on(make, receive_buffer))

    async def ask_once(self, model: str) -> None:
        """Ask a plain question of one model, on a connection of its own."""
        client = await Client.connect(self._port)
        question = Question(self._new_id(), model, stream=False, words=5)
        self._answers.append((question, await client.ask(question, _ANSWERED_WITHIN_S)))
        client.leave()

    def kill(self, ports: Iterable[int]) -> None:
        """Take note that the process is being killed that holds the connections of these clients."""
        self._killed_at_s = time.monotonic()
        for port in ports:
            if port in self._clients and self._clients[port].is_open:
                self._clients[port].kill_worker()
            else:
                self._killed_ports.add(port)  # that one does not know yet that it is connected

    def judge(self) -> None:
        """Judge, count and forget the answers that have come so far."""
        for question, answer in self._answers:
            self.kinds[_kind(question, answer)] += 1
            wrong = wrong_with(question, answer)
            if wrong is not None:
                what = "stream" if question.stream else "answer"
                self.violations.append(f"{what} {question.id} of {question.model} {wrong}")
        self._answers.clear()

    def tell(self, report: Report) -> None:
        """What was asked and how it ended."""
        self.judge()
        report.note("questions", self.kinds.total())
        for kind, count in sorted(self.kinds.items()):
            report.note(f"  {kind}", count)
        report.violations += self.violations

    # -- clients

    async def _ask_on(self, make: Callable[[], Question], receive_buffer: int) -> None:
        client: Client | None = None
        while not self.over:
            if client is None or not client.is_open:
                client = await self._connect(receive_buffer)
                continue
            question = make()
            answer = await client.ask(question, _ANSWERED_WITHIN_S)
            self._answers.append((question, answer))
            if answer.status != 200:
                await asyncio.sleep(self._chance.uniform(0.1, 0.5))
            elif self._chance.random() < 0.2:
                client.leave()
            if self._shape.pause_s:
                await asyncio.sleep(self._shape.pause_s * self._chance.uniform(0.5, 1.5))
        if client is not None and client.is_open:
            client.leave()

    async def _connect(self, receive_buffer: int) -> Client | None:
        try:
            client = await Client.connect(self._port, receive_buffer=receive_buffer)
        except OSError as error:
            # A killed worker takes those with it who are just being accepted.
            if time.monotonic() - self._killed_at_s > _AFTER_KILL_S:
                self.violations.append(f"a client could not connect: {error}")
            await asyncio.sleep(self._chance.uniform(0.05, 0.1))
            return None
        self._clients[client.port] = client
        if client.port in self._killed_ports:
            self._killed_ports.remove(client.port)
            client.kill_worker()
        return client

    # -- questions

    def _new_id(self) -> str:
        return f"q{next(self._numbers)}"

    def _stream(self) -> Question:
        shape, chance = self._shape, self._chance
        leaves_after_s = chance.uniform(0.001, shape.words * shape.interval_s)
        return Question(
            self._new_id(),
            chance.choice(self._models),
            stream=True,
            words=shape.words,
            interval_s=shape.interval_s * chance.uniform(0.5, 1.5),
            leave_after_s=leaves_after_s if chance.random() < 0.1 else None,
        )

    def _slow_stream(self) -> Question:
        model = self._chance.choice(self._models)
        return Question(self._new_id(), model, stream=True, words=self._shape.slow_words, nap_s=0.005)

    def _plain(self) -> Question:
        chance = self._chance
        leaves_after_s = chance.uniform(0.001, 0.01)
        return Question(
            self._new_id(),
            chance.choice(self._models),
            stream=False,
            words=20,
            leave_after_s=leaves_after_s if chance.random() < 0.05 else None,
        )


def _kind(question: Question, answer: Answer) -> str:
    if answer.ending is Ending.LEFT:
        return "left by the client"
    if answer.worker_killed and answer.ending is not Ending.WHOLE:
        return "lost with a killed worker"
    if answer.ending is not Ending.WHOLE and not answer.error:
        return "lost"
    if answer.status != 200:
        return "refused with an error"
    if answer.error:
        return "broken, and told so"
    return "stream whole" if question.stream else "answer whole"
