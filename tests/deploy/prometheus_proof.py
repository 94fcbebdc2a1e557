"""A real Prometheus scrapes a gateway of two workers under load while a worker is killed.

    python tests/deploy/prometheus_proof.py        (needs Debian's package `prometheus`; takes about a minute)

It checks that no counter ever falls and rates stay right, that `promtool check metrics` and `check rules` are
clean, and that every expression of the alert rules and of the Grafana dashboard returns data. Exit code 1 and
a line for each thing that is wrong. Not part of the default test run.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from family import Served, served

ROOT = Path(__file__).parents[2]
LOAD_S = 40.0
CONFIG = """
server: {port: 0, workers: 2}
providers:
  first:
    format: mock
    mock: {latency: 5ms}
    max_retries: 1
    retry: {base_delay: 10ms}
    fallback_provider: second
    circuit_breaker: {max_failures: 2, timeout: 1s}
  second: {format: mock, mock: {latency: 5ms}}
models: {m: {provider: first}}
prices: {m: {input: 1, output: 2}}
"""
FAULTS = [b"", b"", b"x-mock-fault: 503\r\n", b"", b"", b"", b"x-mock-fault: 429\r\n", b"", b"", b""]
# The comparison at the end of an alert's expression: without it there is a value also while all is well.
COMPARISON = re.compile(r"\s+(>|==)\s+[0-9.]+(\s+and\s+.*)?\s*$", re.DOTALL)


class Prometheus:
    """A Prometheus server over `target`, with the alert rules loaded."""

    def __init__(self, target: str, folder: Path) -> None:
        self.port = 19090
        shutil.copy(ROOT / "deploy/prometheus/alerts.yml", folder)
        settings = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        settings["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        arguments = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        self.process = subprocess.Popen(
            ["prometheus", *arguments, f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=error"]
        )

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        found: list[dict[str, Any]] = self._ask(f"query?{urllib.parse.urlencode({'query': expression})}")[
            "result"
        ]
        return found

    def counters(self) -> list[str]:
        """The names of all series of the gateway that may only rise."""
        names = self._ask("label/__name__/values")
        endings = ("_total", "_bucket", "_count", "_sum")
        return [name for name in names if name.startswith("gateway_") and name.endswith(endings)]

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=10) as answer:
            return json.loads(answer.read())["data"]


async def load(gateway: Served, until_s: float) -> int:
    """Requests over a few connections, some with faults on demand; the result is how many had an answer."""
    port = int(gateway.url.rpartition(":")[2])
    answered = 0

    async def ask(number: int) -> None:
        nonlocal answered
        while time.monotonic() < until_s:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                for count in range(20):
                    fault = FAULTS[(number + count) % len(FAULTS)]
                    body = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
                    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n"
                    writer.write(head % (fault, len(body)) + body)
                    answer = await reader.readuntil(b"\r\n\r\n")
                    length = re.search(rb"content-length: (\d+)", answer)
                    assert length is not None
                    await reader.readexactly(int(length[1]))
                    answered += 1
                    await asyncio.sleep(0.02)
                writer.close()
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.05)  # the worker was killed: ask again

    await asyncio.gather(*(ask(number) for number in range(8)))
    return answered


def expressions() -> dict[str, str]:
    """Every expression of the alert rules, without its threshold, and of the dashboard."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    found = {
        rule["alert"]: COMPARISON.sub("", rule["expr"])
        for group in rules["groups"]
        for rule in group["rules"]
    }
    board = json.loads((ROOT / "deploy/grafana/gateway.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            found[f"{panel['title']} ({target['refId']})"] = target["expr"]
    return found


def problems_of(gateway: Served, prometheus: Prometheus, answered: int) -> list[str]:
    """What is wrong after the load."""
    problems = []
    for name, expression in expressions().items():
        result = prometheus.query(expression)
        if not result or all(one["value"][1] == "NaN" for one in result):
            problems.append(f"no data: {name}: {expression}")
    for name in prometheus.counters():
        problems += [f"fell: {name} {one['metric']}" for one in prometheus.query(f"resets({name}[5m]) > 0")]
    counted = float(prometheus.query("sum(gateway_requests_total)")[0]["value"][1])
    # A request whose worker was killed has no answer but may have been counted.
    if not answered <= counted <= answered + 8:
        problems.append(f"{answered} requests were answered, {counted:g} counted")
    with urllib.request.urlopen(f"{gateway.url}/metrics") as answer:
        checked = subprocess.run(["promtool", "check", "metrics"], input=answer.read(), capture_output=True)
    if checked.returncode or checked.stdout or checked.stderr:
        problems.append(f"promtool check metrics: {(checked.stdout + checked.stderr).decode()}")
    rules = subprocess.run(
        ["promtool", "check", "rules", ROOT / "deploy/prometheus/alerts.yml"], capture_output=True
    )
    if rules.returncode:
        problems.append(f"promtool check rules: {rules.stderr.decode()}")
    return problems


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "gateway.yaml"
        config.write_text(CONFIG)
        with served(config) as gateway:
            gateway.wait_for("started", 2)
            prometheus = Prometheus(gateway.url.removeprefix("http://"), folder)
            try:
                before = asyncio.run(load(gateway, time.monotonic() + LOAD_S / 2))
                os.kill(gateway.worker_pids[0], signal.SIGKILL)
                after = asyncio.run(load(gateway, time.monotonic() + LOAD_S / 2))
                time.sleep(2.5)
                problems = problems_of(gateway, prometheus, before + after)
            finally:
                prometheus.process.terminate()
                prometheus.process.wait()
    for problem in problems:
        print(problem)
    print(f"{before + after} requests, {len(expressions())} expressions, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
