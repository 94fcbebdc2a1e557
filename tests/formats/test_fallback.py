"""Vendors fall back to each other: whatever API the client speaks, and whichever the next provider has."""

from __future__ import annotations

import urllib.request
from collections.abc import Sequence
from typing import Any

import pytest
from apis import CHAT, MESSAGES, RESPONSES, SPEECHES, TEXT, Api, Heard, id_of
from backends import ANTHROPIC, AZURE, GEMINI, OPENAI, Backend
from clients import health_of
from doubles.running import over
from doubles.wire import Wire, WireDouble, stream, whole
from harness import Running
from prometheus_client.parser import text_string_to_metric_families

CHAIN = """
providers:
  first:
    format: openai
    base_url: "{first}"
    responses: chat
    max_retries: 1
    retry: {base_delay: 1ms}
    fallback_provider: second
    circuit_breaker: {max_failures: 2}
  second:
    format: anthropic
    base_url: "{second}"
    max_retries: 1
    retry: {base_delay: 1ms}
    fallback_provider: third
  third: {format: gemini, base_url: "{third}"}
models: {m: {provider: first}}
"""
FAILURE = whole(503, b'{"error": {"message": "down", "type": "server_error"}}')
OVERLOADED = whole(529, b'{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}')

every_api = pytest.mark.parametrize("api", [CHAT, MESSAGES, RESPONSES], ids=id_of)
both_ways = pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])


def answer(name: str, is_stream: bool) -> Wire:
    """What a provider of that format says."""
    speech = SPEECHES[name](TEXT)
    return stream(speech.events) if is_stream else whole(200, speech.whole)


def metric(gateway: Running, name: str, **labels: str) -> float:
    """The sum of all samples of that name with these labels."""
    with urllib.request.urlopen(f"{gateway.url}/metrics") as page:
        families = list(text_string_to_metric_families(page.read().decode()))
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def came_from(heard: Heard) -> tuple[int, str, str]:
    return heard.status, heard.fields["x-gateway-provider"], heard.fields["x-gateway-attempts"]


def says_all(api: Api, heard: Heard, is_stream: bool) -> bool:
    if is_stream:
        return heard.is_whole and api.text(heard) == TEXT and api.has_end(heard)
    return TEXT.encode() in heard.body


@every_api
@both_ways
def test_the_next_vendor_answers(api: Api, is_stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    first = WireDouble(FAILURE)
    second = WireDouble(OVERLOADED, answer("anthropic", is_stream))
    third = WireDouble(answer("gemini", is_stream))
    with over(CHAIN, first=first, second=second, third=third) as gateway, caplog.at_level("INFO", "gateway"):
        heard = api.ask(gateway, "m", stream=is_stream)
        assert came_from(heard) == (200, "second", "4")
        assert says_all(api, heard, is_stream)
        assert health_of(gateway, "first")["circuit_state"] == "open"
        assert health_of(gateway, "second")["failures"] == 0

        heard = api.ask(gateway, "m", stream=is_stream)
        assert came_from(heard) == (200, "second", "1")
        assert says_all(api, heard, is_stream)

        answered = {"provider": "second", "model": "m", "code": "200"}
        assert metric(gateway, "gateway_requests_total", **answered) == 2
        assert metric(gateway, "gateway_requests_total") == 2
        assert metric(gateway, "gateway_retries_total", provider="first", reason="status_503") == 1
        assert metric(gateway, "gateway_retries_total", provider="second", reason="status_529") == 1
        way = {"from": "first", "to": "second"}
        assert metric(gateway, "gateway_fallbacks_total", **way, reason="circuit_open") == 1
        assert metric(gateway, "gateway_fallbacks_total", **way) == 2
        tokens = {"provider": "second", "model": "m"}
        assert metric(gateway, "gateway_tokens_total", **tokens, type="input") == 20
        assert metric(gateway, "gateway_tokens_total", **tokens, type="output") == 10
    assert (len(first.requests), len(second.requests), len(third.requests)) == (2, 3, 0)
    events = [vars(record)["event"] for record in caplog.records if "event" in vars(record)]
    assert [event for event in events if event in ("upstream_error", "retry", "fallback", "circuit")] == [
        *("upstream_error", "retry", "upstream_error", "circuit", "fallback"),
        *("upstream_error", "retry"),
        "fallback",
    ]


UNUSABLE = {
    "529": (OVERLOADED,),
    "no message": (whole(200, b'{"status": "ok"}'),),
    "an error as the first event": (stream([SPEECHES["anthropic"](TEXT).error]),),
    "nothing": (stream([]),),
    "a malformed event": (stream([b"data: {\n\n"]),),
    "a reset": (Wire([], "close"),),
}
PASSED_ON = ("no message", "a malformed event")
"""What is not looked at where the provider has the API of the client."""


@both_ways
@pytest.mark.parametrize(
    ("api", "name"),
    [
        (api, name)
        for api in (CHAT, MESSAGES, RESPONSES)
        for name in UNUSABLE
        if api is not MESSAGES or name not in PASSED_ON
    ],
    ids=lambda value: id_of(value),
)
def test_the_last_vendor_answers(api: Api, is_stream: bool, name: str) -> None:
    first, second = WireDouble(FAILURE), WireDouble(*UNUSABLE[name])
    third = WireDouble(answer("gemini", is_stream))
    with over(CHAIN, first=first, second=second, third=third) as gateway:
        heard = api.ask(gateway, "m", stream=is_stream)
        assert came_from(heard) == (200, "third", "5")
        assert says_all(api, heard, is_stream)
        assert metric(gateway, "gateway_requests_total", provider="third", code="200") == 1
        assert metric(gateway, "gateway_tokens_total", provider="third", type="input") == 9
    assert (len(first.requests), len(second.requests)) == (2, 2)


@every_api
@both_ways
def test_all_vendors_down_is_the_last_one_s_error(api: Api, is_stream: bool) -> None:
    third = WireDouble(whole(503, b'{"error": {"code": 503, "message": "no more", "status": "UNAVAILABLE"}}'))
    with over(CHAIN, first=WireDouble(FAILURE), second=WireDouble(OVERLOADED), third=third) as gateway:
        heard = api.ask(gateway, "m", stream=is_stream)
    assert came_from(heard) == (529 if api is MESSAGES else 503, "third", "5")
    assert heard.json()["error"]["message"] == "no more"


TARGETS = f"""
providers:
  first: {{{OPENAI.settings.replace("{p}", "{first}")}, responses: chat}}
  second: {{{ANTHROPIC.settings.replace("{p}", "{second}")}}}
  third: {{{GEMINI.settings.replace("{p}", "{third}")}}}
models:
  m:
    targets:
      - {{provider: first, model: {OPENAI.model}}}
      - {{provider: second, model: {ANTHROPIC.model}, weight: 0}}
      - {{provider: third, model: {GEMINI.model}, weight: 0}}
"""


@every_api
@both_ways
def test_each_vendor_is_asked_for_its_own_model(api: Api, is_stream: bool) -> None:
    first, second, third = OPENAI.make(), ANTHROPIC.make(), GEMINI.make()
    first.script += [OPENAI.fails(503)] * 2
    second.script += [ANTHROPIC.says(TEXT), ANTHROPIC.fails(503)]
    third.script += [GEMINI.says(TEXT)]
    with over(TARGETS, first=first, second=second, third=third) as gateway:
        heard = [api.ask(gateway, "m", stream=is_stream) for _ in range(2)]
    if heard[0].fields["x-gateway-provider"] == "third":  # who of those without a share is asked is open
        heard.reverse()
    assert {one.fields["x-gateway-provider"] for one in heard} <= {"second", "third"}
    assert all(one.status == 200 and says_all(api, one, is_stream) for one in heard)


def cases() -> list[Any]:
    """Every format on every API that tells of usage, plain and streamed."""
    over_chat = OPENAI._replace(settings=f"{OPENAI.settings}, responses: chat, usage: {{inject: true}}")
    azure = AZURE._replace(settings=f"{AZURE.settings}, responses: chat, usage: {{inject: true}}")
    backends: Sequence[Backend] = (over_chat, ANTHROPIC, GEMINI, azure)
    return [
        pytest.param(
            api, backend, is_stream, id=f"{api.name}-{backend.name}-{'stream' if is_stream else 'plain'}"
        )
        for api in (CHAT, MESSAGES, RESPONSES)
        for backend in backends
        for is_stream in (False, True)
    ]


@pytest.mark.parametrize(("api", "backend", "is_stream"), cases())
def test_tokens_are_counted(api: Api, backend: Backend, is_stream: bool) -> None:
    double = backend.make()
    double.script.append(backend.says(TEXT))
    config = f"{backend.config()}models: {{m: {{provider: p, model: {backend.model}}}}}\n"
    with over(config, p=double) as gateway:
        assert says_all(api, api.ask(gateway, "m", stream=is_stream), is_stream)
        labels = {"provider": "p", "model": "m"}
        counted = [
            metric(gateway, "gateway_tokens_total", **labels, type=kind) for kind in ("input", "output")
        ]
    assert tuple(counted) == backend.usage
