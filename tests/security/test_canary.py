"""No secret is heard anywhere: in logs, answers, pages and messages, whatever goes wrong."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from canaries import ADMIN_KEY, BESIDE, CLIENT_KEY, CONFIG, ENVIRON, KEY_OF_A, KEY_OF_B, leaks
from reflector import REFLECTIONS, Reflector
from served import Gateway, ask, listening, serving, with_urls

from gateway.providers.mock import MockServer
from gateway.providers.mock.faults import KINDS

CLIENT = {"authorization": f"Bearer {CLIENT_KEY}", "content-type": "application/json", **BESIDE}
STATUSES = (400, 401, 403, 404, 408, 413, 422, 429, 500, 503)
PATHS = (
    *("/health", "/health/live", "/health/ready", "/metrics", "/stats", "/stats.schema.json", "/dashboard"),
    *("/v1/models", "/v1/models/none", "/v1", "/", "/favicon.ico", "/%2e%2e/etc/passwd", "/v1/../x"),
)
CONTENT = "second-event"
"""Where a key is content: once a stream has begun, its events pass byte for byte."""
ADMINS = {
    "nobody": {},
    "bearer": {"authorization": f"Bearer {ADMIN_KEY}"},
    "basic": {"authorization": f"Basic {base64.b64encode(b':' + ADMIN_KEY.encode()).decode()}"},
    "client": CLIENT,
    "wrong": {"authorization": "Bearer canary-that-nobody-knows"},
}


def faults() -> Iterator[str]:
    """Every fault of the mock; those that would take long in a quick form; the statuses with an echo."""
    for name in KINDS:
        yield {"slow_drip": "slow_drip;interval=0", "early": "early;linger=0"}.get(name, name)
    for status in STATUSES:
        yield f"{status};echo_key=1"


@pytest.fixture(params=["json", "console"])
def style(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def providers() -> tuple[MockServer, MockServer]:
    return MockServer("a"), MockServer("b")


@pytest.fixture
def config(style: str, providers: tuple[MockServer, MockServer]) -> Iterator[str]:
    a, b = providers
    with listening(a=a.protocol, b=b.protocol) as urls:
        yield with_urls(CONFIG, urls).replace("access: true", f"access: true, format: {style}")


def chat(gateway: Gateway, model: str, *, stream: bool, query: str = "", **fields: str) -> bytes:
    message = {"role": "user", "content": "hi"}
    body = json.dumps({"model": model, "stream": stream, "messages": [message]}).encode()
    return ask(gateway.port, f"POST /v1/chat/completions{query}", {**CLIENT, **fields}, body)


def test_the_search_hears_every_canary() -> None:
    heard = b"Bearer " + KEY_OF_A.encode()
    for skipped in range(3):
        assert leaks({"base64": base64.b64encode(b"x" * skipped + heard)})
    assert leaks({"plain": heard})
    assert leaks({"upper case": heard.upper()})
    assert leaks({"gzip": b"HTTP/1.1 401 x\r\n\r\n" + gzip.compress(heard)})
    assert not leaks({"silence": b"Bearer ****"})


def test_no_fault_of_a_provider_lets_a_secret_out(
    config: str, providers: tuple[MockServer, MockServer], tmp_path: Path
) -> None:
    answers: dict[str, bytes] = {}
    with serving(tmp_path, config, ENVIRON) as gateway:
        for fault, model, stream in itertools.product(faults(), ("with-fallback", "alone"), (False, True)):
            for provider in providers:
                provider.fault = fault
            answers[f"{fault} {model} stream={stream}"] = chat(gateway, model, stream=stream)
        answers["health"] = ask(gateway.port, "GET /health", {})
    assert not leaks({**answers, **gateway.outputs()})
    assert b"The key was: " + b"*" * len(KEY_OF_B) in answers["401;echo_key=1 alone stream=False"]
    assert b"upstream_error" in gateway.outputs()["stdout"]


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway both of whose providers give away what they are told."""
    folder = tmp_path_factory.mktemp("mirrored")
    with (
        listening(a=Reflector, b=Reflector) as urls,
        serving(folder, with_urls(CONFIG, urls), ENVIRON) as one,
    ):
        yield one


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("name", [name for name in REFLECTIONS if name != CONTENT])
def test_no_way_of_repeating_a_key_brings_it_back(mirrored: Gateway, name: str, stream: bool) -> None:
    assert not leaks(answers_of(mirrored, name, stream))


def test_content_of_a_stream_is_not_searched(mirrored: Gateway) -> None:
    answers = answers_of(mirrored, CONTENT, True)
    assert leaks(answers)
    assert not leaks({name: text for name, text in answers.items() if name.startswith("log of")})


def answers_of(mirrored: Gateway, name: str, stream: bool) -> dict[str, bytes]:
    """What came out where a provider repeats its credentials in the way `name`."""
    answers: dict[str, bytes] = {}
    for model in ("with-fallback", "alone"):
        ours = f"{name}-{model}-{stream}"
        answers[model] = chat(mirrored, model, stream=stream, query=f"?{name}", **{"x-request-id": ours})
        mirrored.until(f'"access".*"{ours}"')
        lines = mirrored.outputs()["stdout"].splitlines()
        answers[f"log of {model}"] = b"\n".join(line for line in lines if ours.encode() in line)
    assert all(answers.values())
    return answers


def test_no_page_lets_a_secret_out(config: str, tmp_path: Path) -> None:
    answers: dict[str, bytes] = {}
    with serving(tmp_path, config, ENVIRON) as gateway:
        chat(gateway, "with-fallback", stream=False)
        for path, method, (who, fields) in itertools.product(PATHS, ("GET", "POST"), ADMINS.items()):
            answers[f"{method} {path} by {who}"] = ask(gateway.port, f"{method} {path}", fields)
    assert not leaks({**answers, **gateway.outputs()})
    assert answers["GET /stats by bearer"].startswith(b"HTTP/1.1 200")
    assert answers["GET /stats by basic"].startswith(b"HTTP/1.1 200")
    assert answers["GET /stats by client"].startswith(b"HTTP/1.1 401")


def test_no_reload_lets_a_secret_out(config: str, tmp_path: Path) -> None:
    answers: dict[str, bytes] = {}
    with serving(tmp_path, config, ENVIRON) as gateway:
        assert gateway.port
        gateway.reload(config.replace(KEY_OF_A, f"{KEY_OF_A}-new").replace(ADMIN_KEY, f"{ADMIN_KEY}-new"))
        gateway.until("needs_restart")
        answers["after"] = chat(gateway, "with-fallback", stream=False)
        bad = (
            config.replace(f"api_key: {KEY_OF_A}", f"api_key: [{KEY_OF_A}]"),
            config.replace("api_key:", "apikey:"),
        )
        for count, text in enumerate(bad, 1):
            gateway.reload(text)
            gateway.until("reload_failed", count)
        answers["still"] = chat(gateway, "with-fallback", stream=False)
    assert not leaks({**answers, **gateway.outputs()})
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers.values())


RAISING = f"""
def fail(*args, **kwargs):
    raise RuntimeError("{KEY_OF_A}", args, kwargs)

from gateway.{{module}} import {{name}}
{{name}}.{{method}} = fail
"""


@pytest.mark.parametrize("style", ["json"], indirect=True)
@pytest.mark.parametrize(
    ("module", "name", "method", "path"),
    [
        ("proxy.service", "Service", "handle", "POST /v1/chat/completions"),
        ("proxy.exchange", "Exchange", "start", "POST /v1/chat/completions"),
        ("providers.base", "Provider", "head", "POST /v1/chat/completions"),
        ("proxy.exchange", "Exchange", "on_head", "POST /v1/chat/completions"),
        ("proxy.exchange", "Exchange", "on_body", "POST /v1/chat/completions"),
        ("admin.health", "Health", "page", "GET /health"),
    ],
)
def test_no_defect_of_the_gateway_lets_a_secret_out(
    config: str, tmp_path: Path, module: str, name: str, method: str, path: str
) -> None:
    prelude = RAISING.format(module=module, name=name, method=method)
    with serving(tmp_path, config, ENVIRON, prelude) as gateway:
        body = b'{"model": "alone"}' if path.startswith("POST") else b""
        answers = {path: ask(gateway.port, path, CLIENT, body, pause_s=0.3)}
        gateway.until("internal_error")
        answers["live"] = ask(gateway.port, "GET /health/live", {})
    assert not leaks({**answers, **gateway.outputs()})
    assert answers["live"].startswith(b"HTTP/1.1 200")
    assert b"RuntimeError" in gateway.outputs()["stdout"]
