"""Two replicas behind HAProxy are replaced one after the other under load, and no request fails.

    python tests/deploy/upgrade_proof.py           (about a minute; --streams 200 --rounds 2)

Needs Debian's package `haproxy`; its configuration is deploy/haproxy/haproxy.cfg. 200 streams run all the
time, each followed by the next, and plain requests beside them. Each replica in turn gets SIGTERM, ends with
exit code 0, and is started again. Every answer is checked word by word. Exit code 1 and a line for each thing
that is wrong. Not part of the default test run.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parents[1] / "chaos"))
from asking import Answer, Client, Ending, Question
from family import Served, served

CHECKOUT = Path(__file__).parents[2]
CONFIG = """
server: {{port: {port}, workers: {workers}, timeouts: {{drain: 30s}}}}
logging: {{level: warning}}
providers: {{m: {{format: mock}}}}
"""
WORDS = 60
"""Of a stream, which so lasts three to six seconds."""
WITHIN_S = 40.0
SETTLED_S = 3.0


class Load:
    """Clients of HAProxy, until `over` is set; `failures` are the answers that were not whole and right."""

    def __init__(self, port: int) -> None:
        self.over = False
        self.streams = 0
        self.answers = 0
        self.under_way = 0
        self.failures: list[str] = []
        self._port = port
        self._numbers = itertools.count(1)

    async def ask(self, stream: bool, pause_s: float) -> None:
        """One client: a question after the other, each second one over a new connection."""
        client: Client | None = None
        while not self.over:
            number = next(self._numbers)
            if client is None or not client.is_open or number % 2:
                client = await self._connect(client)
            words, interval_s = (WORDS, 0.05 + number % 6 / 100) if stream else (5, 0.0)
            question = Question(f"q{number}", "m", stream, words, interval_s)
            self.under_way += stream
            answer = await client.ask(question, WITHIN_S)
            self.under_way -= stream
            self._judge(question, answer)
            await asyncio.sleep(pause_s)
        if client is not None:
            client.leave()

    async def _connect(self, old: Client | None) -> Client:
        if old is not None and old.is_open:
            old.leave()
        return await Client.connect(self._port)

    def _judge(self, question: Question, answer: Answer) -> None:
        right = answer.status == 200 and answer.ending is Ending.WHOLE and answer.text == question.reply
        if not right or (question.stream and not answer.done):
            kind = "stream" if question.stream else "answer"
            self.failures.append(
                f"{kind} {question.id}: status {answer.status}, {answer.ending}, "
                f"{len(answer.text.split())} of {question.words} words"
            )
        elif question.stream:
            self.streams += 1
        else:
            self.answers += 1


class Replica:
    """One of the two gateways, at a port of its own."""

    def __init__(self, name: str, port: int, folder: Path, workers: int) -> None:
        self.name = name
        self.port = port
        self._config = folder / f"{name}.yaml"
        self._config.write_text(CONFIG.format(port=port, workers=workers))
        self._running = ExitStack()
        self._served: Served | None = None

    def start(self) -> None:
        self._served = self._running.enter_context(served(self._config))
        wait_until(lambda: answers(self.port), f"replica {self.name} answers")

    async def replace(self) -> tuple[int, float]:
        """SIGTERM, its end, a new start; the result is the exit code, and the seconds until the end."""
        assert self._served is not None
        before = time.monotonic()
        self._served.signal(signal.SIGTERM)
        code = await asyncio.to_thread(self._served.process.wait, WITHIN_S)
        took_s = time.monotonic() - before
        self._running.close()
        await asyncio.to_thread(self.start)
        return code, took_s

    def stop(self) -> None:
        self._running.close()


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 15.0
    while not condition():
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{what}: not so")
        time.sleep(0.05)


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in sockets]


@contextmanager
def haproxy(port: int, replicas: list[Replica]) -> Iterator[None]:
    """HAProxy with the configuration that is shipped."""
    addresses = {f"GATEWAY_{one.name.upper()}": f"127.0.0.1:{one.port}" for one in replicas}
    environ = {**os.environ, **addresses, "BIND": f"127.0.0.1:{port}"}
    process = subprocess.Popen(["haproxy", "-f", CHECKOUT / "deploy/haproxy/haproxy.cfg"], env=environ)
    try:
        wait_until(lambda: answers(port), "HAProxy answers")
        yield
    finally:
        process.terminate()
        process.wait()


async def upgrade(load: Load, replicas: list[Replica], streams: int, rounds: int) -> list[str]:
    """Replace all of them under load, `rounds` times; the result is what went wrong."""
    problems = []
    async with asyncio.TaskGroup() as group:
        for _ in range(streams):
            group.create_task(load.ask(stream=True, pause_s=0.0))
        for _ in range(20):
            group.create_task(load.ask(stream=False, pause_s=0.05))
        await asyncio.sleep(SETTLED_S)
        for _ in range(rounds):
            for replica in replicas:
                running = load.under_way
                code, took_s = await replica.replace()
                print(
                    f"replica {replica.name}: {running} streams ran, it ended after {took_s:.1f} s",
                    flush=True,
                )
                if code:
                    problems.append(f"replica {replica.name} ended with exit code {code}")
                if running < streams * 0.9:
                    problems.append(f"only {running} streams ran when replica {replica.name} was replaced")
                await asyncio.sleep(SETTLED_S)
        load.over = True
    return problems + load.failures


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--streams", type=int, default=200, help="streams at one time")
    parser.add_argument("--rounds", type=int, default=2, help="how often both replicas are replaced")
    parser.add_argument("--workers", type=int, default=2, help="processes of each replica")
    options = parser.parse_args()
    front, *ports = free_ports(3)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        replicas = [
            Replica(name, port, Path(folder), options.workers) for name, port in zip("ab", ports, strict=True)
        ]
        for replica in replicas:
            stack.callback(replica.stop)
            replica.start()
        stack.enter_context(haproxy(front, replicas))
        load = Load(front)
        problems = asyncio.run(upgrade(load, replicas, options.streams, options.rounds))
    for problem in problems:
        print(problem)
    print(f"{load.streams} streams and {load.answers} plain answers, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
