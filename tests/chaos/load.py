"""The clients of the storm: who asks what, and all the answers, to be judged when it is over."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from asking import Answer, Client, Ending, Question, wrong_with

WITHIN_S = 60.0
_AFTER_KILL_S = 0.5


@dataclass(frozen=True)
class Settings:
    """What is done, and for how long.

    pace_s: seconds between two faults; the other disturbances are rarer by fixed factors. interval_s: seconds
    between two events of a stream of `words`.
    """

    seconds: float = 60.0
    streams: int = 1000
    slow: int = 20
    plain: int = 50
    pace_s: float = 0.6
    words: int = 30
    slow_words: int = 1500
    interval_s: float = 0.1
    seed: int = 1


class Load:
    """The clients, and everything that they asked and got."""

    def __init__(self, port: int, models: Sequence[str], settings: Settings, chance: random.Random) -> None:
        self.asked: list[tuple[Question, Answer]] = []
        self.not_connected = 0
        self.over = False
        self._port = port
        self._models = models
        self._settings = settings
        self._chance = chance
        self._clients: dict[int, Client] = {}
        self._killed: set[int] = set()
        self._killed_at_s = 0.0
        self._numbers = itertools.count(1)

    def streamed(self) -> Question:
        """A stream of a few seconds; every tenth client leaves at some point of it."""
        settings, chance = self._settings, self._chance
        leaves = chance.random() < 0.1
        lasts_s = settings.words * settings.interval_s
        return self._question(
            stream=True,
            words=settings.words,
            interval_s=settings.interval_s * chance.uniform(0.5, 1.5),
            leave_after_s=chance.uniform(0.001, lasts_s) if leaves else None,
        )

    def read_slowly(self) -> Question:
        """A long stream that comes as fast as it can, and is not read as fast."""
        return self._question(stream=True, words=self._settings.slow_words, nap_s=0.005)

    def plain(self) -> Question:
        """A short question and a whole answer."""
        leaves = self._chance.random() < 0.05
        return self._question(
            stream=False, words=20, leave_after_s=self._chance.uniform(0.001, 0.01) if leaves else None
        )

    async def ask_on(self, make: Callable[[], Question], *, receive_buffer: int = 0) -> None:
        """Ask one question after the other until the storm is over."""
        client: Client | None = None
        while not self.over:
            if client is None or not client.is_open:
                client = await self._connect(receive_buffer)
                continue
            answer = await self.ask(client, make())
            if answer.status != 200:
                await asyncio.sleep(self._chance.uniform(0.1, 0.5))
            elif self._chance.random() < 0.2:
                client.leave()
        if client is not None and client.is_open:
            client.leave()

    async def ask(self, client: Client, question: Question) -> Answer:
        """Ask, and keep the answer for the judgement."""
        answer = await client.ask(question, WITHIN_S)
        self.asked.append((question, answer))
        return answer

    async def ask_once(self, model: str) -> Answer:
        """Ask a plain question of one model, on a connection of its own."""
        client = await Client.connect(self._port)
        answer = await self.ask(client, Question(f"last-{model}", model, stream=False, words=5))
        client.leave()
        return answer

    def kill(self, ports: Iterable[int]) -> None:
        """Take note that the process is being killed that holds the connections of these clients."""
        self._killed_at_s = time.monotonic()
        for port in ports:
            if port in self._clients and self._clients[port].is_open:
                self._clients[port].kill_worker()
            else:
                self._killed.add(port)  # that one does not know yet that it is connected

    def violations(self) -> Iterator[str]:
        for question, answer in self.asked:
            wrong = wrong_with(question, answer)
            if wrong is not None:
                yield f"{'stream' if question.stream else 'answer'} {question.id} of {question.model} {wrong}"

    def kinds(self) -> Counter[str]:
        """How many answers there were of each kind."""
        return Counter(_kind(question, answer) for question, answer in self.asked)

    def _question(self, **rest: object) -> Question:
        return Question(f"q{next(self._numbers)}", self._chance.choice(self._models), **rest)  # type: ignore[arg-type]

    async def _connect(self, receive_buffer: int) -> Client | None:
        try:
            client = await Client.connect(self._port, receive_buffer=receive_buffer)
        except OSError:
            # A killed worker takes those with it who are just being accepted.
            self.not_connected += time.monotonic() - self._killed_at_s > _AFTER_KILL_S
            await asyncio.sleep(0.05)
            return None
        self._clients[client.port] = client
        if client.port in self._killed:
            self._killed.remove(client.port)
            client.kill_worker()
        return client


def _kind(question: Question, answer: Answer) -> str:
    if answer.ending is Ending.LEFT:
        return "left by the client"
    if answer.worker_killed and answer.ending is not Ending.WHOLE:
        return "lost with a killed worker"
    if answer.status != 200:
        return "refused with an error"
    if answer.error:
        return "broken, and told so"
    return "stream whole" if question.stream else "answer whole"
