"""The command line as a user meets it: real processes, their exit codes, what they print and where."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import __version__, cli

WAIT_S = 15.0
MOCK = "server: {port: 0}\nproviders: {a: {format: mock}}\n"
SLOW = """
server: {port: 0, timeouts: {drain: 10s}}
providers: {a: {format: mock, mock: {reply: one two three four five six, event_interval: 40ms}}}
"""
ENDLESS = """
server: {port: 0, timeouts: {drain: DRAIN}}
providers: {a: {format: mock, mock: {fault: endless}}}
"""
GATEWAY = (sys.executable, "-m", "gateway")
SCRIPT = (str(Path(sysconfig.get_path("scripts")) / "gateway"),)


def environment(**changes: str) -> dict[str, str]:
    """The environment without what the gateway reads, apart from `changes`."""
    ours = ("GATEWAY_CONFIG", "GATEWAY_CONFIG_YAML", "OPENAI_API_KEY")
    return {name: value for name, value in os.environ.items() if name not in ours} | changes


def gateway(
    *arguments: str,
    command: tuple[str, ...] = GATEWAY,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `gateway` with these arguments to its end."""
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env or environment(),
        timeout=WAIT_S,
        check=False,
    )


class Serving:
    """A `gateway serve` that runs; `started` is its first log event."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.started = self.event("started")
        self.url: str = self.started["listening"][0]

    def event(self, name: str) -> dict[str, Any]:
        """The next log event of that name."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == name:
                return event
        raise AssertionError(f"it ended without telling {name}")

    @contextmanager
    def chat(self, *, stream: bool) -> Iterator[http.client.HTTPResponse]:
        """The answer to a chat, of which nothing has been read."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=WAIT_S)
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        with closing(connection):
            connection.request("POST", "/v1/chat/completions", json.dumps(body))
            yield connection.getresponse()

    def say_hi(self) -> str:
        """The text of a chat's answer."""
        with self.chat(stream=False) as response:
            text: str = json.load(response)["choices"][0]["message"]["content"]
            return text


@contextmanager
def serving(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> Iterator[Serving]:
    """`gateway serve` in the folder `cwd`, killed with the block unless it has ended."""
    process = subprocess.Popen(
        [*GATEWAY, "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=cwd,
        env=env or environment(),
    )
    watchdog = threading.Timer(WAIT_S, process.kill)
    watchdog.start()
    try:
        with process:
            try:
                yield Serving(process)
            finally:
                process.kill()
    finally:
        watchdog.cancel()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    """Writes a configuration file and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "test.yaml"
        path.write_text(text)
        return str(path)

    return write


# -- version


@pytest.mark.parametrize("command", [GATEWAY, SCRIPT], ids=["module", "script"])
def test_version_tells_the_build(command: tuple[str, ...]) -> None:
    run = gateway("--version", command=command)
    assert (run.returncode, run.stdout) == (0, f"gateway {__version__} ({cli.SPEEDUPS})\n")


def test_version_tells_that_the_pure_build_is_forced() -> None:
    run = gateway("--version", env=environment(GATEWAY_PURE_PYTHON="1", GATEWAY_REQUIRE_SPEEDUPS="0"))
    assert run.stdout == f"gateway {__version__} (pure)\n"


# -- check


def test_a_good_file_is_called_good(write: Callable[[str], str]) -> None:
    path = write(MOCK + "models: {m: {provider: a}}\n")
    run = gateway("check", "--config", path)
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{path}: good (1 providers, 1 models)\n", "")


def test_everything_that_is_wrong_is_told_at_once(write: Callable[[str], str]) -> None:
    path = write(
        "server: {prot: 4000}\n"
        "providers:\n"
        "  a: {format: openai, base_url: 'ftp://a', circuit_breaker: {max_failures: 0}}\n"
        "  b: {format: mock, fallback_provider: c}\n"
        "  d: {format: mock, fallback_provider: d}\n"
    )
    run = gateway("check", "--config", path)
    assert (run.returncode, run.stdout) == (1, "")
    lines = run.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "server.prot",
        "providers.a.base_url",
        "providers.a.circuit_breaker.max_failures",
        "providers.b.fallback_provider",
        "providers.d.fallback_provider",
    ]
    assert all(line.startswith(f"{path}:") for line in lines)


@pytest.mark.parametrize("name", ["openai", "azure", "anthropic", "gemini"])
def test_every_format_is_there(write: Callable[[str], str], name: str) -> None:
    path = write(f"providers: {{a: {{format: {name}, base_url: 'https://a'}}}}\n")
    assert gateway("check", "--config", path).returncode == 0


def test_no_secret_is_repeated(write: Callable[[str], str]) -> None:
    path = write(
        "server: {api_keys: {sk-one: sk-two}, port: sk-three}\n"
        "providers: {a: {format: mock, api_key: [sk-four], headers: {Authorization: {x: sk-five}}}}\n"
    )
    run = gateway("check", "--config", path, env=environment(KEY="sk-six"))
    assert run.returncode == 1
    assert "providers.a.api_key" in run.stderr
    for secret in ("sk-two", "sk-four", "sk-five"):
        assert secret not in run.stderr


# -- what keeps it from serving


def refused(run: subprocess.CompletedProcess[str]) -> str:
    """The one line that says why."""
    assert run.returncode == 1
    assert run.stdout == ""
    [line] = run.stderr.splitlines()
    return line


def test_a_port_that_is_taken(write: Callable[[str], str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = gateway("serve", "--config", write(MOCK), "--port", str(port))
    assert refused(run) == f"gateway: cannot listen on 127.0.0.1:{port}: Address already in use"


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("192.0.2.1", "Cannot assign requested address"),  # TEST-NET-1 (RFC 5737): nobody's address
        ("no host", ""),
        ("256.256.256.256", ""),
    ],
)
def test_an_address_that_is_not_ours(write: Callable[[str], str], host: str, reason: str) -> None:
    run = gateway("serve", "--config", write(MOCK), "--host", host)
    assert refused(run).startswith(f"gateway: cannot listen on {host}:0: {reason}")


def test_a_unix_path_on_which_another_server_listens(write: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        run = gateway("serve", "--config", write(MOCK.replace("port: 0", f"unix: {path}")))
    assert refused(run) == f"gateway: cannot listen on {path}: another server does"


def test_a_unix_path_at_which_something_else_is(write: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    run = gateway("serve", "--config", write(MOCK.replace("port: 0", f"unix: {path}")))
    assert refused(run) == f"gateway: cannot listen on {path}: it exists and is not a socket"
    assert path.read_text() == "mine"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for env in (environment(), environment(GATEWAY_CONFIG="nowhere.yaml")):
        arguments = [] if "GATEWAY_CONFIG" in env else ["--config", "nowhere.yaml"]
        run = gateway("serve", *arguments, cwd=tmp_path, env=env)
        assert refused(run) == f"{tmp_path}/nowhere.yaml: cannot be read: No such file or directory"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    run = gateway("serve", "--config", str(tmp_path))  # a folder, for root may read every file
    assert refused(run) == f"{tmp_path}: cannot be read: Is a directory"


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "image.yaml"
    path.write_bytes(b"server:\n  \xff\xd8\n")
    assert refused(gateway("serve", "--config", str(path))).startswith(f"{path}:2:3: is not UTF-8")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "COMMAND"),
        (["server"], "invalid choice: 'server'"),
        (["check"], "--config"),
        (["serve", "--port", "70000"], "70000 is not a port (use 0 to 65535)"),
        (["serve", "--port", "http"], "http is not a port"),
        (["serve", "--port", "-1"], "-1 is not a port"),
        (["serve", "--workers", "0"], "0 is not a number of workers (use 1 to 1024, or auto)"),
        (["serve", "--workers", "many"], "many is not a number of workers"),
        (["serve", "--workers", "1025"], "1025 is not a number of workers"),
    ],
    ids=" ".join,
)
def test_misuse_is_told_with_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(arguments)
    assert raised.value.code == 2
    assert complaint in capsys.readouterr().err


# -- where the configuration comes from


def test_without_a_file_a_mock_provider_answers(tmp_path: Path) -> None:
    with serving("--port", "0", cwd=tmp_path) as one:
        assert (one.started["config"], one.started["providers"]) == ("the embedded default", ["mock"])
        assert "You said: hi" in one.say_hi()
        with one.chat(stream=True) as response:
            assert response.read().endswith(b"data: [DONE]\n\n")


def test_with_a_key_the_embedded_default_asks_openai(tmp_path: Path) -> None:
    with serving("--port", "0", cwd=tmp_path, env=environment(OPENAI_API_KEY="sk-test")) as one:
        assert one.started["providers"] == ["openai", "mock"]
        assert "sk-test" not in repr(one.started)


def test_the_file_of_the_folder_that_of_the_environment_and_that_of_the_argument(tmp_path: Path) -> None:
    for name in ("gateway", "named", "given"):
        (tmp_path / f"{name}.yaml").write_text(MOCK.replace("a:", f"{name}:"))
    env = environment(GATEWAY_CONFIG="named.yaml")
    with serving(cwd=tmp_path) as one:
        assert one.started["providers"] == ["gateway"]
        assert one.started["config"] == str(tmp_path / "gateway.yaml")
    with serving(cwd=tmp_path, env=env) as one:
        assert one.started["providers"] == ["named"]
    with serving("--config", "given.yaml", cwd=tmp_path, env=env) as one:
        assert one.started["providers"] == ["given"]


def test_the_command_line_wins_over_the_file(write: Callable[[str], str], tmp_path: Path) -> None:
    path = write(MOCK.replace("port: 0", f"unix: {tmp_path}/gateway.sock"))
    with serving("--config", path, "--host", "127.0.0.2", "--port", "0", cwd=tmp_path) as one:
        assert one.url.startswith("http://127.0.0.2:")
        assert one.say_hi()


# -- the end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(write: Callable[[str], str], tmp_path: Path, number: signal.Signals) -> None:
    with serving("--config", write(MOCK), cwd=tmp_path) as one:
        one.process.send_signal(number)
        assert one.process.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stream_that_is_under_way_ends_first(
    write: Callable[[str], str], tmp_path: Path, number: signal.Signals
) -> None:
    with serving("--config", write(SLOW), cwd=tmp_path) as one, one.chat(stream=True) as response:
        one.process.send_signal(number)
        one.event("draining")
        with pytest.raises(ConnectionRefusedError):
            one.say_hi()
        assert response.read().endswith(b"data: [DONE]\n\n")
        assert one.event("stopped")["cut_connections"] == 0
        assert one.process.wait() == 0


def test_what_takes_longer_than_the_drain_time_is_cut(write: Callable[[str], str], tmp_path: Path) -> None:
    path = write(ENDLESS.replace("DRAIN", "100ms"))
    with serving("--config", path, cwd=tmp_path) as one, one.chat(stream=True) as response:
        one.process.send_signal(signal.SIGTERM)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()
        assert one.event("stopped")["cut_connections"] == 1
        assert one.process.wait() == 0


def test_a_second_signal_ends_it_at_once(write: Callable[[str], str], tmp_path: Path) -> None:
    path = write(ENDLESS.replace("DRAIN", "60s"))
    with serving("--config", path, cwd=tmp_path) as one, one.chat(stream=True) as response:
        one.process.send_signal(signal.SIGTERM)
        one.event("draining")
        second_at = time.monotonic()
        one.process.send_signal(signal.SIGTERM)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()
        one.process.wait()
        assert time.monotonic() - second_at < 2.0


def test_a_unix_socket_is_removed(write: Callable[[str], str], tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    with serving("--config", write(MOCK.replace("port: 0", f"unix: {path}")), cwd=tmp_path) as one:
        assert one.url == f"unix:{path}"
        assert path.is_socket()
        one.process.send_signal(signal.SIGTERM)
        one.process.wait()
    assert not path.exists()
