"""No secret is heard inside the process either: in log records before anything is left out, and in reprs."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import MethodType

import pytest
from canaries import BESIDE, CLIENT_KEY, CONFIG, ENVIRON, KEY_OF_A, leaks
from harness import Running, running
from served import ask
from test_canary import faults

from gateway.observe.log import ConsoleFormatter, JsonFormatter
from gateway.providers.mock import MockServer

CLIENT = {"authorization": f"Bearer {CLIENT_KEY}", **BESIDE}


def config() -> str:
    text = CONFIG
    for name, value in ENVIRON.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def chat(gateway: Running, model: str, fault: str, *, stream: bool) -> bytes:
    messages = [{"role": "user", "content": "hi"}]
    body = json.dumps({"model": model, "stream": stream, "messages": messages}).encode()
    return ask(gateway.port, "POST /v1/chat/completions", {**CLIENT, "x-mock-fault": fault}, body)


def test_no_record_of_a_logger_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), running(config(), a=MockServer("a"), b=MockServer("b")) as gateway:
        for fault in faults():
            for stream in (False, True):
                chat(gateway, "with-fallback", fault, stream=stream)
    records = [record for record in caplog.records if record.name.startswith("gateway")]
    assert len(records) > 200
    assert not leaks({"records": repr([vars(record) for record in records]).encode()})
    for formatter in (JsonFormatter(), ConsoleFormatter()):
        assert not leaks({"lines": "\n".join(map(formatter.format, records)).encode()})


def inside(root: object) -> Iterator[object]:
    """Every object of the gateway's own classes that can be reached from `root`, which is one."""
    seen = {id(root)}
    found = deque([root])
    while found:
        one = found.popleft()
        if type(one).__module__.startswith("gateway."):
            yield one
        for part in _parts(one):
            if id(part) not in seen:
                seen.add(id(part))
                found.append(part)


def _parts(one: object) -> Iterable[object]:
    if isinstance(one, Mapping):
        return [*one.keys(), *one.values()]
    if isinstance(one, list | tuple | set | frozenset | deque):
        return one
    if isinstance(one, MethodType):
        return [one.__self__]
    if not type(one).__module__.startswith("gateway."):
        return ()
    slots = {
        name for cls in type(one).__mro__ for name in getattr(cls, "__slots__", ()) if hasattr(one, name)
    }
    fields = getattr(type(one), "__struct_fields__", ())
    return (
        [*vars(one).values()]
        if hasattr(one, "__dict__")
        else [getattr(one, name) for name in (*slots, *fields)]
    )


def test_no_repr_of_what_is_inside_holds_a_secret() -> None:
    a = MockServer("a", latency=30.0)
    with running(config(), a=a, b=MockServer("b")) as gateway, gateway.connect() as client:
        head = "".join(f"{name}: {value}\r\n" for name, value in CLIENT.items())
        body = b'{"model": "with-fallback"}'
        start = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{head}content-length: {len(body)}\r\n\r\n"
        client.send(start.encode() + body)
        gateway.until(lambda: a.requests_seen == 1)
        reprs = gateway.call(lambda: [(type(one).__name__, repr(one)) for one in inside(gateway.app)])
    names = {name for name, _ in reprs}
    assert {"Config", "Secret", "ResilientProvider", "OpenAIProvider", "Policy", "Service", "Site"} <= names
    assert {"Pool", "Connection", "ClientConnection", "Request", "Exchange", "Plan"} <= names
    assert not leaks({name: text.encode() for name, text in reprs})


def test_the_walk_would_find_a_secret() -> None:
    from gateway.config import Secret

    class Holder:
        def __init__(self) -> None:
            self.secrets = {"a": [Secret(KEY_OF_A)]}

    Holder.__module__ = "gateway.holder"
    assert [type(one).__name__ for one in inside(Holder())] == ["Holder", "Secret"]
