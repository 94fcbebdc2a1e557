"""Side by side with others: the same provider, the same load, one core for each, by one command.

    python bench/peers.py install [--peers DIR] [--only litellm,…]
    python bench/peers.py [--peers DIR] [--only nginx,…] [--starts 2] [--seconds 4] [--quick]

LiteLLM, smg and vllm-router come from PyPI, Portkey from npm, each into an environment of its own. A peer
runs as its documentation says for production, with one worker, since it has one core. One that is not
installed is skipped with a word. nginx and HAProxy are those of the system: they show what a proxy without
the duties of a gateway costs. The first line is the provider asked directly: what load and provider cost by
themselves.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import yaml
from parts import results, services
from parts.processes import BenchError, Program, end_on_sigterm, free_port
from parts.wrk import Load, Round, chat_body, chat_request

BODY_BYTES: Final = 512
CONNECTIONS: Final = 64
READY_S: Final = 90.0
START_S: Final = 90.0  # LiteLLM imports for half a minute on a slow machine
KEY: Final = "sk-0123456789abcdef"
PATH: Final = "/v1/chat/completions"
DEFAULT_FOLDER: Final = Path.home() / ".cache" / "llm-gateway-peers"

Starter = Callable[[Program, Path], AbstractContextManager[Program]]


class Peer(NamedTuple):
    """Somebody to compare with."""

    name: str
    settings: str
    """What was set, and where that is documented."""
    start: Starter
    """From the provider and the folder of the installed peers."""
    package: str = ""
    """What is installed: from PyPI, or from npm where it begins with @; nothing where the system has it."""
    headers: Callable[[Program], Mapping[str, str]] = lambda upstream: {}
    """What a request to it needs."""

    def version(self, folder: Path) -> str:
        """Which version is installed in its own folder; nothing for what is not there."""
        if self.package.startswith("@"):
            manifest = folder / self.name / "node_modules" / self.package / "package.json"
            return str(json.loads(manifest.read_text())["version"]) if manifest.exists() else ""
        name = self.package.partition("[")[0].replace("-", "_")
        found = (folder / self.name).glob(f"lib/*/site-packages/{name}-*.dist-info") if name else []
        return next((path.name.removeprefix(f"{name}-").removesuffix(".dist-info") for path in found), "")


@contextmanager
def _litellm(upstream: Program, folder: Path) -> Iterator[Program]:
    config = folder / "litellm" / "config.yaml"
    model = {"model": "openai/gpt-4o", "api_key": KEY, "api_base": f"{upstream.url}/v1"}
    config.write_text(
        yaml.safe_dump(
            {
                "model_list": [{"model_name": services.MODEL, "litellm_params": model}],
                "general_settings": {"master_key": KEY},
                "litellm_settings": {"request_timeout": 600, "set_verbose": False, "json_logs": True},
            }
        )
    )
    port = free_port()
    command = [
        _installed(folder, "litellm"),
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    environment = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    with Program("litellm", command, port, environment=environment, start_s=START_S) as program:
        yield program


@contextmanager
def _smg(upstream: Program, folder: Path) -> Iterator[Program]:
    port = free_port()
    command = [_installed(folder, "smg"), "launch", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--worker-urls", upstream.url, "--policy", "round_robin", "--log-level", "warn"]
    command += ["--prometheus-port", str(free_port()), "--history-backend", "none"]
    with Program("smg", command, port, start_s=START_S) as program:
        yield program


@contextmanager
def _vllm_router(upstream: Program, folder: Path) -> Iterator[Program]:
    port = free_port()
    command = [_installed(folder, "vllm-router"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--worker-urls", upstream.url, "--policy", "round_robin", "--log-level", "warning"]
    command += ["--prometheus-port", str(free_port())]
    with Program("vllm-router", command, port, start_s=START_S) as program:
        yield program


@contextmanager
def _portkey(upstream: Program, folder: Path) -> Iterator[Program]:
    script = folder / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    node = shutil.which("node")
    if not script.exists() or node is None:
        raise BenchError(f"not installed in {folder}")
    port = free_port()
    environment = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    command = [node, str(script), f"--port={port}", "--headless"]
    with Program("portkey", command, port, environment=environment, start_s=START_S) as program:
        yield program


def _portkey_headers(upstream: Program) -> Mapping[str, str]:
    return {
        "Authorization": f"Bearer {KEY}",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"{upstream.url}/v1",
    }


def _installed(folder: Path, peer: str) -> str:
    path = folder / peer / "bin" / peer
    if not path.exists():
        raise BenchError(f"not installed in {folder}")
    return str(path)


PEERS: Final = (
    Peer("direct", "no proxy: the provider itself", lambda upstream, _: nullcontext(upstream)),
    Peer("nginx", "1 worker, kept connections, no buffering", lambda upstream, _: services.nginx(upstream)),
    Peer("haproxy", "1 thread, http-reuse always", lambda upstream, _: services.haproxy(upstream)),
    Peer(
        "gateway",
        "1 worker; breaker, retries, fallback, metrics on",
        lambda upstream, _: services.gateway(services.resilient(upstream)),
    ),
    Peer(
        "gateway-pure",
        "the same without compiled modules",
        lambda upstream, _: services.gateway(services.resilient(upstream), pure=True),
    ),
    Peer("smg", "1 HTTP worker, round_robin; retries and breaker as they come", _smg, "smg"),
    Peer("vllm-router", "the same", _vllm_router, "vllm-router"),
    Peer(
        "portkey",
        "NODE_ENV=production, headless, provider by headers",
        _portkey,
        "@portkey-ai/gateway",
        _portkey_headers,
    ),
    Peer(
        "litellm",
        "1 worker, LITELLM_MODE=PRODUCTION, master key, no database (docs.litellm.ai/docs/proxy/prod)",
        _litellm,
        "litellm[proxy]",
        lambda upstream: {"Authorization": f"Bearer {KEY}"},
    ),
)


def install(folder: Path, peers: Sequence[Peer]) -> None:
    """Install the newest version of each, apart from all others."""
    for peer in peers:
        home = folder / peer.name
        if peer.package.startswith("@"):
            home.mkdir(parents=True, exist_ok=True)
            commands = [["npm", "install", "--silent", "--prefix", str(home), peer.package]]
        elif peer.package:
            home.parent.mkdir(parents=True, exist_ok=True)
            commands = [
                [sys.executable, "-m", "venv", str(home)],
                [str(home / "bin" / "pip"), "install", "--quiet", peer.package],
            ]
        else:
            continue
        print(f"{peer.name}: {peer.package} into {home}", flush=True)
        for command in commands:
            if subprocess.run(command, check=False).returncode:
                print(f"{peer.name}: could not be installed", file=sys.stderr)
                break


def until_it_answers(program: Program, headers: Mapping[str, str]) -> None:
    """Wait for the first good answer: some listen before they know their provider.

    Raises:
        BenchError: It did not come.
    """
    deadline = time.monotonic() + READY_S
    while True:
        said = _ask(program, headers)
        if said.startswith("200"):
            return
        if time.monotonic() > deadline:
            raise BenchError(f"{program.name} does not answer: {said}\n{program.output()}")
        time.sleep(0.2)


def _ask(program: Program, headers: Mapping[str, str]) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=30)
    try:
        connection.request(
            "POST", PATH, chat_request(BODY_BYTES), {"Content-Type": "application/json", **headers}
        )
        response = connection.getresponse()
        return f"{response.status} {response.read()[:200]!r}"
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()


class Tried(NamedTuple):
    """What one start of a peer has shown."""

    busy: Round
    single: Round
    memory_kib: int


def once(peer: Peer, upstream: Program, folder: Path, body: Path, seconds: float) -> Tried:
    """Start a peer and measure it under many connections and under one."""
    headers = peer.headers(upstream)
    with peer.start(upstream, folder) as program:
        until_it_answers(program, headers)
        busy = Load(CONNECTIONS, body, headers=headers)
        busy.run(program, seconds)  # to warm up: compilers, caches, connections
        return Tried(
            busy.run(program, seconds),
            Load(1, body, headers=headers).run(program, seconds),
            program.memory_kib(),
        )


def row(peer: Peer, version: str, tries: Sequence[Tried]) -> dict[str, object]:
    """A line of the table: medians over the starts."""

    def middle(figure: Callable[[Tried], float], digits: int = 0) -> float:
        return round(median(map(figure, tries)), digits)

    return {
        "name": peer.name,
        "version": version,
        "settings": peer.settings,
        "cpu_us": middle(lambda one: one.busy.cpu_us, 1),
        "requests_per_s": middle(lambda one: one.busy.requests_per_s),
        "p50_us": middle(lambda one: one.busy.p50_us),
        "p99_us": middle(lambda one: one.busy.p99_us),
        "single_p50_us": middle(lambda one: one.single.p50_us),
        "single_p99_us": middle(lambda one: one.single.p99_us),
        "memory_mib": middle(lambda one: one.memory_kib / 1024, 1),
    }


def measure(peers: Sequence[Peer], folder: Path, starts: int, seconds: float) -> dict[str, Any]:
    """All peers by turns, `starts` times over; those that cannot be measured with the reason."""
    tries: dict[str, list[Tried]] = {peer.name: [] for peer in peers}
    skipped: dict[str, str] = {}
    with ExitStack() as stack:
        body = stack.enter_context(chat_body(BODY_BYTES))
        upstream = stack.enter_context(services.provider())
        for _ in range(starts):
            for peer in peers:
                if peer.name in skipped:
                    continue
                try:
                    tries[peer.name].append(once(peer, upstream, folder, body, seconds))
                except BenchError as error:
                    skipped[peer.name] = str(error)
                    print(f"{peer.name}: skipped: {error}", file=sys.stderr)
    rows = [row(peer, peer.version(folder), tries[peer.name]) for peer in peers if peer.name not in skipped]
    return {"rows": rows, "skipped": {name: why.splitlines()[0] for name, why in skipped.items()}}


def main() -> None:
    names = ",".join(peer.name for peer in PEERS)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", nargs="?", choices=["run", "install"], default="run")
    parser.add_argument(
        "--peers", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help="where they are installed"
    )
    parser.add_argument("--only", metavar="NAMES", help=f"of {names}; records nothing")
    parser.add_argument("--starts", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="1 start, 3 s; records nothing")
    options = parser.parse_args()
    if options.quick:
        options.starts, options.seconds = 1, 3
    end_on_sigterm()
    wanted = (options.only or names).split(",")
    if unknown := set(wanted) - {peer.name for peer in PEERS}:
        parser.error(f"--only: {', '.join(sorted(unknown))} is not one of {names}")
    chosen = [peer for peer in PEERS if peer.name in wanted]
    if options.command == "install":
        install(options.peers, chosen)
        return
    figures = measure(chosen, options.peers, options.starts, options.seconds)
    for one in figures["rows"]:
        print(
            "{name:14}{cpu_us:10.1f} us CPU{requests_per_s:9.0f} /s  p50 {p50_us:.0f} us  p99 {p99_us:.0f} us"
            "  alone p50 {single_p50_us:.0f} us  {memory_mib:.0f} MiB".format(**one)
        )
    if not (options.only or options.quick):
        results.record("peers", {"starts": options.starts, "seconds": options.seconds}, figures)


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench/peers.py: {error}")
