"""The programs of a measurement: the provider that all ask, nginx and HAProxy as proxies, and the gateway.

A measurement is a comparison, so everything that could differ without reason is the same for all: one worker,
connections to the provider kept, no access log, no request buffered on disk, answers passed on as they come.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from parts.processes import LOAD_CORES, PYTHON, SUBJECT_CORES, BenchError, Program, free_port

MODEL: Final = "gpt-4o"
ANSWER_BYTES: Final = 600
CONNECTIONS: Final = 19_000
UNENDING: Final = 1_000_000_000  # requests on one connection; each program has its own limit otherwise

NGINX: Final = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log stderr crit;
worker_processes {workers};
worker_rlimit_nofile {connections};
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    keepalive_requests {unending};
    keepalive_timeout 1h;
    client_max_body_size 64m;
    client_body_buffer_size 16m;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    {http}
}}
"""

PROVIDER: Final = """
    default_type application/json;
    open_file_cache max=10;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ error_page 405 =200 /answer; return 405; }}
        location = /answer {{ internal; root {folder}; }}
        location = /v1/models {{ return 200 '{models}'; }}
        location = /health {{ return 200 '{{}}'; }}
    }}
"""

NGINX_PROXY: Final = """
    upstream provider {{
        server 127.0.0.1:{provider};
        keepalive 8192;
        keepalive_requests {unending};
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
"""

HAPROXY: Final = """
global
    nbthread {workers}
    maxconn {connections}
defaults
    mode http
    timeout connect 5s
    timeout client 10m
    timeout server 10m
    http-reuse always
    option http-keep-alive
frontend clients
    bind 127.0.0.1:{port} backlog 4096
    default_backend provider
backend provider
    server provider 127.0.0.1:{provider}
"""


def chat_answer(size: int = ANSWER_BYTES) -> bytes:
    """A chat completion of exactly so many bytes.

    Raises:
        ValueError: It is too short for that.
    """
    message = {"role": "assistant", "content": ""}
    whole = {
        "id": "chatcmpl-0123456789abcdefghijklmnopqrs",
        "object": "chat.completion",
        "created": 1_764_000_000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 60, "total_tokens": 160},
        "system_fingerprint": "fp_0123456789",
    }
    missing = size - len(json.dumps(whole))
    if missing < 0:
        raise ValueError(f"a chat completion has at least {size - missing} bytes, not {size}")
    message["content"] = "a" * missing
    return json.dumps(whole).encode()


@contextmanager
def provider(answer_bytes: int = ANSWER_BYTES) -> Iterator[Program]:
    """A provider at almost no cost: nginx, which gives everybody the same chat completion."""
    models = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "bench"}]})
    with (
        tempfile.TemporaryDirectory() as folder,
        _nginx("the provider", PROVIDER, Path(folder), LOAD_CORES, models=models) as program,
    ):
        (Path(folder) / "answer").write_bytes(chat_answer(answer_bytes))
        yield program


@contextmanager
def paced_provider(events_per_s: float) -> Iterator[Program]:
    """A provider whose answers are streams without end, each of so many events a second (see paced.py)."""
    port = free_port()
    command = [sys.executable, "-m", "parts.paced", str(port), str(events_per_s)]
    with Program("the streaming provider", command, port, environment=PYTHON, cores=LOAD_CORES) as program:
        yield program


@contextmanager
def nginx(upstream: Program, *, cores: frozenset[int] = SUBJECT_CORES) -> Iterator[Program]:
    """The nginx that the gateway is compared with: a reverse proxy and nothing else."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _nginx("nginx", NGINX_PROXY, Path(folder), cores, provider=upstream.port) as program,
    ):
        yield program


@contextmanager
def _nginx(name: str, http: str, folder: Path, cores: frozenset[int], **values: object) -> Iterator[Program]:
    port = free_port()
    common = {"folder": folder, "connections": CONNECTIONS, "unending": UNENDING, "port": port}
    # Started by root, it would give up its rights, and with them the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    http = http.format(**common, **values)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(http=http, user=user, workers=1, **common))
    with Program(
        name, [_installed("nginx"), "-p", str(folder), "-c", str(config)], port, cores=cores
    ) as program:
        yield program


@contextmanager
def haproxy(upstream: Program) -> Iterator[Program]:
    """HAProxy as a reverse proxy, connections to the provider shared by all clients."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "haproxy.cfg"
        config.write_text(
            HAPROXY.format(workers=1, connections=CONNECTIONS // 2, port=port, provider=upstream.port)
        )
        with Program("haproxy", [_installed("haproxy"), "-db", "-f", str(config)], port) as program:
            yield program


def resilient(upstream: Program) -> dict[str, Any]:
    """A gateway's configuration with everything on: breaker, retries, a fallback."""
    return _config(upstream, {"max_retries": 3, "fallback_provider": "backup", "circuit_breaker": {}})


def plain(upstream: Program) -> dict[str, Any]:
    """The same with one attempt for each request, and nothing that would see a failure."""
    return _config(upstream, {})


def _config(upstream: Program, resilience: Mapping[str, object]) -> dict[str, Any]:
    openai = {"format": "openai", "base_url": upstream.url, "api_key": "sk-0123456789abcdef"}
    return {
        "server": {"timeouts": {"keepalive": "1h"}},
        "providers": {"main": openai | dict(resilience), "backup": openai},
        "logging": {"level": "error"},
    }


@contextmanager
def gateway(
    config: Mapping[str, object],
    *,
    name: str = "gateway",
    pure: bool = False,
    workers: int = 1,
    cores: frozenset[int] = SUBJECT_CORES,
) -> Iterator[Program]:
    """The gateway of this Python environment; its compiled build, which must exist, unless `pure`."""
    port = free_port()
    build = {"GATEWAY_PURE_PYTHON" if pure else "GATEWAY_REQUIRE_SPEEDUPS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gateway.yaml"
        file.write_text(yaml.safe_dump(dict(config)))
        command = [sys.executable, "-m", "gateway", "serve", "--config", str(file), "--port", str(port)]
        command += ["--workers", str(workers)]
        with Program(name, command, port, environment=build, cores=cores) as program:
            yield program


def _installed(command: str) -> str:
    path = shutil.which(command, path=f"{os.defpath}:/usr/sbin:/sbin:{os.environ.get('PATH', '')}")
    if path is None:
        raise BenchError(f"{command} is not installed: apt-get install {command}")
    return path
