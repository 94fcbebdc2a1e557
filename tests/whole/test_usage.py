"""Tokens and cost are counted by the provider's word, asked for or not, and the client sees no difference."""

from __future__ import annotations

import re
import urllib.request

import openai
import pytest
from harness import Running, running

from gateway.providers.mock import MockServer

CONFIG = """
providers:
  a: {format: openai, base_url: "{a}", usage: {inject: INJECT}}
models: {m: {provider: a}}
prices: {m: {input: 500000, output: 1000000}}
"""


def metric(gateway: Running, name: str) -> float:
    with urllib.request.urlopen(f"{gateway.url}/metrics") as answer:
        text = answer.read().decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def stream(gateway: Running, **options: object) -> list[object]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client:
        chunks = client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "one two"}],
            stream=True,
            **options,  # type: ignore[call-overload]
        )
        return [chunk.model_dump(exclude={"id"}) for chunk in chunks]


def test_sdk_yields_the_same_objects_with_and_without_injection() -> None:
    streams = []
    for inject in ("false", "true"):
        provider = MockServer("a", event_interval=0.001)
        with running(CONFIG.replace("INJECT", inject), a=provider) as gateway:
            streams.append(stream(gateway))
            tokens = metric(gateway, 'gateway_tokens_total{model="m",provider="a",type="output"}')
            assert (tokens > 0) is (inject == "true")
    assert streams[0] == streams[1]


def test_client_that_asks_for_usage_gets_it() -> None:
    with running(CONFIG.replace("INJECT", "true"), a=MockServer("a")) as gateway:
        chunks = stream(gateway, stream_options={"include_usage": True})
    assert chunks[-1]["usage"]["total_tokens"] > 0  # type: ignore[index]


@pytest.mark.parametrize("path", ["chat/completions", "completions", "embeddings", "responses"])
def test_plain_answers_are_counted_and_priced(path: str) -> None:
    bodies = {
        "chat/completions": b'{"model":"m","messages":[{"role":"user","content":"one two"}]}',
        "completions": b'{"model":"m","prompt":"one two"}',
        "embeddings": b'{"model":"m","input":"one two"}',
        "responses": b'{"model":"m","input":"one two"}',
    }
    with running(CONFIG.replace("INJECT", "false"), a=MockServer("a")) as gateway:
        request = urllib.request.Request(f"{gateway.url}/v1/{path}", bodies[path])
        urllib.request.urlopen(request).read()
        got_in = metric(gateway, 'gateway_tokens_total{model="m",provider="a",type="input"}')
        got_out = metric(gateway, 'gateway_tokens_total{model="m",provider="a",type="output"}')
        assert got_in > 0
        assert metric(gateway, 'gateway_cost_usd_total{model="m",provider="a"}') == got_in / 2 + got_out
