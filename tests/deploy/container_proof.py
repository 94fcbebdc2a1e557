"""Builds the container image on a plain Debian, runs it, and drives what runs.

    python tests/deploy/container_proof.py         (about three minutes)

Needs root, a package index, and Debian's packages `buildah`, `debootstrap` and `runc`. Exit code 1 and a line
for each thing that is wrong. All that it makes is gone at the end. Not part of the default test run.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from container import SECRETS, Chrooted, Contained, Container, commands_in
from image import Image, Workshop

import gateway

CHECKOUT = Path(__file__).parents[2]
MAX_MB = 100
"""On top of the base, of which two thirds are Debian's Python; a base with Python needs 30."""
BUILD_TOOLS = ("cc", "gcc", "c++", "g++", "clang", "ld", "as", "make", "cython", "pip", "pip3")
CONFIG = """
server: {{port: {port}, workers: {workers}, timeouts: {{drain: 20s}}}}
providers:
  mock: {{format: mock, mock: {{event_interval: 100ms, reply: "one two three four five six seven eight"}}}}
  spare: {{format: openai, base_url: "http://localhost:9", api_key: {key}}}
"""
KEY = "sk-in-a-file"
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


class Verdict:
    """What was expected, and what came of it."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def expect(self, holds: object, what: str) -> None:
        """Print it, and note it where it does not hold."""
        print(f"{'ok   ' if holds else 'WRONG'} {what}", flush=True)
        if not holds:
            self.wrong.append(what)


class Client:
    """Asks the gateway at a port of the loopback."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def chat(self) -> str:
        """The words of a plain answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/chat/completions", json.dumps(QUESTION).encode()
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            said: str = json.loads(answer.read())["choices"][0]["message"]["content"]
            return said

    def stream(self) -> socket.socket:
        """A connection on which a stream was asked for, and whose first bytes have come."""
        body = json.dumps({**QUESTION, "stream": True}).encode()
        client = socket.create_connection(("127.0.0.1", self.port), 10)
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        client.recv(1)
        return client


def rest_of(stream: socket.socket) -> str:
    """The words of a stream; empty where it was not whole."""
    data = b""
    with stream:
        while more := stream.recv(65536):
            data += more
            if data.endswith(b"\r\n0\r\n\r\n"):
                said = re.findall(rb'"delta":\{"content":"([^"]*)"', data)
                return b"".join(said).decode() if b"data: [DONE]" in data else ""
    return ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def text(port: int, workers: object, key: str = "unused") -> dict[str, str]:
    """The whole configuration, by environment."""
    return {"GATEWAY_CONFIG_YAML": CONFIG.format(port=port, workers=workers, key=key)}


def drive(container: Container, client: Client, health_check: list[str], verdict: Verdict, name: str) -> None:
    """Health, answers, and an end by SIGTERM during a stream: what holds however it is run."""
    expect = verdict.expect
    container.until(lambda: container.named("started"), f"{name} starts")
    (speedups,) = {event["speedups"] for event in container.named("started")}
    expect(speedups == "compiled", f"{name}: the compiled build runs")
    expect(client.get("/health")[0] == 200, f"{name}: /health")
    expect(container.execute(*health_check).returncode == 0, f"{name}: its health check passes")
    said = client.chat()
    expect(said.split()[0] == "one", f"{name}: a plain answer")
    expect(rest_of(client.stream()) == said, f"{name}: a streamed answer, whole")
    stream = client.stream()
    container.signal(signal.SIGTERM)
    container.until(lambda: container.named("draining"), f"{name} drains")
    expect(rest_of(stream) == said, f"{name}: a stream that was under way at SIGTERM ends whole")
    expect(container.wait() == 0, f"{name}: then exit code 0")
    expect(not container.stray, f"{name}: every line of its output is a log event {container.stray or ''}")


def check_image(image: Image, root: Path, verdict: Verdict) -> None:
    """What the image says of itself."""
    expect = verdict.expect
    labels, settings = image.settings["Labels"], image.settings
    own_mb = (image.size - image.base_size) / 1e6
    expect(own_mb < MAX_MB, f"the image has {image.size / 1e6:.0f} MB, {own_mb:.0f} more than its base")
    expect(re.fullmatch(r"[1-9]\d*:[1-9]\d*", settings["User"]), f"it runs as {settings['User']}")
    expect(settings["StopSignal"] == "SIGTERM", "it is stopped by SIGTERM")
    expect(labels["org.opencontainers.image.version"] == gateway.__version__, "its label has the version")
    found = commands_in(root, BUILD_TOOLS)
    expect(not found, f"it has no compiler and no installer {found or ''}")


def check_contained(container: Container, verdict: Verdict, name: str) -> None:
    """What only a container with process numbers of its own shows."""
    expect = verdict.expect
    container.until(lambda: container.named("started"), f"{name} starts")
    command = container.execute("cat", "/proc/1/cmdline").stdout
    expect("gateway\0serve" in command, f"{name}: the gateway is process 1")
    uids = re.findall(r"^Uid:\s+(\d+)", container.execute("cat", "/proc/1/status").stdout, re.MULTILINE)
    expect(uids == ["10001"], f"{name}: it is not root")
    for path in ("/etc/gateway/x", "/opt/gateway/x", "/tmp/x"):
        expect(container.execute("touch", path).returncode, f"{name}: {path} cannot be written")
    # Twice a shell ends before its child: process 1 is then the parent, and has to bury it.
    for _ in range(2):
        container.execute("sh", "-c", "sleep 0.2 &")
    time.sleep(1.0)
    states = container.execute("sh", "-c", "cat /proc/[0-9]*/stat").stdout
    zombies = [line for line in states.splitlines() if line.rpartition(")")[2].split()[0] == "Z"]
    expect(not zombies, f"{name}: orphans that ended are buried {zombies or ''}")


def prove(workshop: Workshop, image: Image, verdict: Verdict) -> None:
    """Run it in every way."""
    health_check = image.settings["Healthcheck"]["Test"][1:]
    for workers in (1, 2):
        client = Client(free_port())
        with Chrooted(workshop, image, text(client.port, workers)) as container:
            if workers == 1:
                check_image(image, container.root, verdict)
            drive(container, client, health_check, verdict, f"buildah run, workers {workers}")
        client = Client(free_port())
        environ = text(client.port, workers, key=f"{{file: {SECRETS}/key}}")
        with Contained(workshop, image, environ, secrets={"key": KEY}) as contained:
            name = f"runc, workers {workers}"
            check_contained(contained, verdict, name)
            drive(contained, client, health_check, verdict, name)
    client = Client(free_port())
    with Contained(workshop, image, text(client.port, "auto"), cores=1) as container:
        container.until(lambda: container.named("started"), "it starts")
        workers = json.loads(client.get("/stats")[1])["workers"]
        verdict.expect(workers == 1, f"with a limit of one core `workers: auto` is {workers}")
        verdict.expect(container.execute(*health_check).returncode == 0, "and its health check passes")
    with Contained(workshop, image, text(free_port(), "none")) as container:
        verdict.expect(container.wait() == 1, "a bad configuration ends it with exit code 1")
        told = "".join(container.stray)
        verdict.expect("GATEWAY_CONFIG_YAML" in told and "server.workers" in told, "and it says where")


def main() -> int:
    verdict = Verdict()
    with Workshop() as workshop:
        image = workshop.build(CHECKOUT, f"VERSION={gateway.__version__}")
        prove(workshop, image, verdict)
    print(f"{len(verdict.wrong)} problems")
    return 1 if verdict.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
