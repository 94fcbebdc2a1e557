"""A defect of the gateway's own: the client gets an answer all the same, and the next request is served."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from harness import running

from gateway.providers.mock import MockServer
from gateway.proxy import exchange

CONFIG = """
providers:
  a: {format: openai, base_url: "{a}", circuit_breaker: {max_failures: 1}}
"""
MESSAGES = [{"role": "user", "content": "hi"}]


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a defect")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("place", ["own_fields", "_hold", "_deliver"])
def test_an_exception_while_an_answer_is_made(
    monkeypatch: pytest.MonkeyPatch, place: str, stream: bool
) -> None:
    body = {"model": "m", "messages": MESSAGES, "stream": stream}
    with running(CONFIG, a=MockServer("a")) as gateway, httpx.Client(base_url=gateway.url) as client:
        calls = iter([broken])
        kept = getattr(exchange.Exchange, place)
        with monkeypatch.context() as patch:
            patch.setattr(
                exchange.Exchange, place, lambda *args, **kwargs: next(calls, kept)(*args, **kwargs)
            )
            answer = client.post("/v1/chat/completions", json=body)
        if place == "own_fields" or stream:
            assert answer.status_code == 500
            assert answer.json()["error"]["code"] == "internal_error"
        assert client.post("/v1/chat/completions", json=body).status_code == 200
        assert gateway.app.providers["a"].policies[0].breaker.failures == 0  # type: ignore[union-attr]


def test_an_exception_after_the_first_bytes_cuts_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"model": "m", "messages": MESSAGES, "stream": True}
    with running(CONFIG, a=MockServer("a", event_interval=0.005)) as gateway:
        with monkeypatch.context() as patch:
            patch.setattr(exchange.Exchange, "_end", broken)
            with pytest.raises(httpx.RemoteProtocolError):
                httpx.post(f"{gateway.url}/v1/chat/completions", json=body)
        assert httpx.post(f"{gateway.url}/v1/chat/completions", json=body).status_code == 200
