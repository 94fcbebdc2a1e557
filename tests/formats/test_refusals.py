"""What a provider's API cannot express is refused by name before anybody is asked, or left out if so set."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from apis import CHAT, MESSAGES, RESPONSES, Api, ask, id_of
from backends import ANTHROPIC, GEMINI, OPENAI, Backend
from clients import health_of
from doubles.running import over
from harness import WAIT_S, Running

OVER_CHAT = OPENAI._replace(settings=f"{OPENAI.settings}, responses: chat")
CASES = [
    (CHAT, ANTHROPIC, "seed", 7),
    (CHAT, ANTHROPIC, "logprobs", True),
    (CHAT, ANTHROPIC, "n", 2),
    (CHAT, ANTHROPIC, "a_parameter_of_tomorrow", {}),
    (CHAT, GEMINI, "logit_bias", {"50256": -100}),
    (CHAT, GEMINI, "store", True),
    (CHAT, GEMINI, "a_parameter_of_tomorrow", {}),
    (MESSAGES, OVER_CHAT, "top_k", 5),
    (MESSAGES, GEMINI, "top_k", 5),
    (MESSAGES, OVER_CHAT, "mcp_servers", [{"type": "url", "url": "https://a", "name": "a"}]),
    (RESPONSES, OVER_CHAT, "truncation", "auto"),
    (RESPONSES, ANTHROPIC, "truncation", "auto"),
    (RESPONSES, GEMINI, "a_parameter_of_tomorrow", {}),
]
GUARDED = "max_retries: 0, circuit_breaker: {max_failures: 1, timeout: 50ms}"

each = pytest.mark.parametrize(("api", "backend", "name", "value"), CASES, ids=id_of)


@each
def test_it_is_refused_and_nobody_is_asked(api: Api, backend: Backend, name: str, value: Any) -> None:
    double = backend.make()
    with over(backend.config(), p=double) as gateway:
        heard = api.ask(gateway, backend.model, stream=False, **{name: value})
    assert (heard.status, heard.fields["x-gateway-attempts"]) == (400, "0")
    error = heard.json()["error"]
    assert (error["type"], f"`{name}`" in error["message"]) == ("invalid_request_error", True)
    if api is not MESSAGES:  # its errors have no place for these
        assert (error["param"], error["code"]) == (name, "unsupported_parameter")
    assert "drop_unsupported: true" in error["message"]
    assert not backend.heard(double)


def test_what_the_hub_has_and_the_provider_has_not_goes_by_the_hub_s_name() -> None:
    with over(ANTHROPIC.config(), p=ANTHROPIC.make()) as gateway:
        heard = RESPONSES.ask(gateway, ANTHROPIC.model, stream=False, top_logprobs=2)
    error = heard.json()["error"]
    assert (heard.status, error["param"], error["code"]) == (400, "logprobs", "unsupported_parameter")
    assert "/v1/responses" in error["message"]
    assert "chat completions" in error["message"]


@each
def test_it_is_left_out_where_that_is_configured(api: Api, backend: Backend, name: str, value: Any) -> None:
    double = backend.make()
    double.script.append(backend.says("Yes."))
    with over(backend.config("drop_unsupported: true"), p=double) as gateway:
        heard = api.ask(gateway, backend.model, stream=False, **{name: value})
    assert heard.status == 200
    assert f'"{name}"' not in json.dumps(backend.heard(double)[0])


@pytest.mark.parametrize(
    ("api", "backend", "name", "value"), [CASES[0], CASES[4], CASES[7], CASES[10]], ids=id_of
)
def test_the_circuit_s_permit_is_given_back(api: Api, backend: Backend, name: str, value: Any) -> None:
    double = backend.make()
    double.script += [backend.fails(500), backend.says("Yes.")]
    with over(backend.config(GUARDED), p=double) as gateway:
        assert api.ask(gateway, backend.model, stream=False).status == 500
        until_half_open(gateway)
        for _ in range(3):  # each of them has the one permit of the probe
            assert api.ask(gateway, backend.model, stream=False, **{name: value}).status == 400
            assert health_of(gateway, "p")["circuit_state"] == "half-open"
        assert api.ask(gateway, backend.model, stream=False).status == 200
        assert health_of(gateway, "p")["circuit_state"] == "closed"


def until_half_open(gateway: Running) -> None:
    deadline = time.monotonic() + WAIT_S
    while health_of(gateway, "p")["circuit_state"] != "half-open":
        assert time.monotonic() < deadline, "the circuit did not become half-open"
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("api", "backend"),
    [(CHAT, ANTHROPIC), (CHAT, GEMINI), (MESSAGES, OVER_CHAT), (MESSAGES, GEMINI), (RESPONSES, ANTHROPIC)],
    ids=id_of,
)
def test_no_body_is_a_500(api: Api, backend: Backend) -> None:
    double = backend.make()
    with over(backend.config(), p=double) as gateway:
        for body in (b"", b"{", b"[]", b'{"model": "x"}', b"\xff", b"[" * 100_000):
            heard = ask(gateway, "POST", api.path, body)
            assert (heard.status, heard.json()["error"]["type"]) == (400, "invalid_request_error")
            assert (heard.json().get("type") == "error") is (api is MESSAGES)
    assert not backend.heard(double)


@pytest.mark.parametrize(
    ("backend", "path"),
    [
        (ANTHROPIC, "/v1/embeddings"),
        (ANTHROPIC, "/v1/completions"),
        (ANTHROPIC, "/v1/images/generations"),
        (GEMINI, "/v1/completions"),
        (GEMINI, "/v1/audio/speech"),
        (GEMINI, "/v1/messages/count_tokens"),
        (GEMINI, "/v1/responses/resp_1/cancel"),
        (OVER_CHAT, "/v1/messages/batches"),
    ],
    ids=id_of,
)
def test_an_endpoint_that_the_api_lacks_is_not_found(backend: Backend, path: str) -> None:
    double = backend.make()
    body = json.dumps({"model": backend.model, "input": "a", "prompt": "a"}).encode()
    with over(backend.config(), p=double) as gateway:
        heard = ask(gateway, "POST", path, body)
    assert (heard.status, heard.fields["x-gateway-attempts"]) == (404, "0")
    assert "'p'" in heard.json()["error"]["message"] or "`p`" in heard.json()["error"]["message"]
