"""A key goes where it belongs: a provider's to that provider alone, a client's to no provider."""

from __future__ import annotations

import itertools
import json

import pytest
from canaries import BESIDE, CLIENT_KEY, CONFIG, ENVIRON, FIELD_OF_A, KEY_OF_A, KEY_OF_B
from harness import running
from served import ask

from gateway.providers.mock import MockRequest, MockServer

PATHS = {
    "/v1/chat/completions": "application/json",
    "/v1/embeddings": "application/json",
    "/v1/files": "text/plain",
    "/v1/messages": "application/json",
    "/v1/anything/else": "application/json",
}
CHAT = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
THEIRS = [CLIENT_KEY, *(value.rpartition(" ")[2].rpartition("=")[2] for value in BESIDE.values())]


def text_of(request: MockRequest) -> str:
    return repr((request.target, request.headers, request.body))


def config() -> str:
    text = CONFIG
    for name, value in ENVIRON.items():
        text = text.replace(f"${{{name}}}", value)
    return text


@pytest.mark.parametrize("carrier", ["authorization", "x-api-key"])
def test_each_provider_gets_its_own_key_and_nobody_elses(carrier: str) -> None:
    # A fault of the first, so that the same request goes on to the second.
    a, b = MockServer("a", fault="500"), MockServer("b")
    key = f"Bearer {CLIENT_KEY}" if carrier == "authorization" else CLIENT_KEY
    with running(config(), a=a, b=b) as gateway:
        for (path, kind), model in itertools.product(PATHS.items(), ("with-fallback", "alone")):
            if carrier == "x-api-key" and path != "/v1/messages":
                continue
            fields = {**BESIDE, carrier: key, "content-type": kind}
            ask(gateway.port, f"POST {path}", fields, json.dumps({"model": model, **CHAT}).encode())
    assert a.requests_seen
    assert b.requests_seen
    for request in a.requests:
        assert request.header("authorization") == f"Bearer {KEY_OF_A}"
        assert request.header("x-team-token") == FIELD_OF_A
        assert not [key for key in (*THEIRS, KEY_OF_B) if key in text_of(request)]
    for request in b.requests:
        assert request.header("authorization") == f"Bearer {KEY_OF_B}"
        assert not [key for key in (*THEIRS, KEY_OF_A, FIELD_OF_A) if key in text_of(request)]


@pytest.mark.parametrize("field", ["X-Team-Token", "x-team-token"])
def test_a_client_cannot_put_its_own_value_in_the_place_of_ours(field: str) -> None:
    a = MockServer("a")
    with running(config(), a=a, b=MockServer("b")) as gateway:
        fields = {"authorization": f"Bearer {CLIENT_KEY}", field: "mine"}
        ask(gateway.port, "POST /v1/chat/completions", fields, b'{"model": "with-fallback"}')
    [request] = a.requests
    values = [value for name, value in request.headers if name.lower() == b"x-team-token"]
    assert values == [FIELD_OF_A.encode()]


def test_a_redirect_takes_no_key_anywhere() -> None:
    a, b = MockServer("a"), MockServer("b")
    with running(config(), a=a, b=b) as gateway:
        a.fault = f"redirect;location={gateway.addresses['b']}/v1/chat/completions"
        fields = {"authorization": f"Bearer {CLIENT_KEY}"}
        answer = ask(gateway.port, "POST /v1/chat/completions", fields, b'{"model": "with-fallback"}')
    assert answer.startswith(b"HTTP/1.1 302")
    assert (a.requests_seen, b.requests_seen) == (1, 0)


@pytest.mark.parametrize("target", ["http://b/v1/chat/completions", "//b/v1/chat/completions"])
def test_no_target_of_a_request_chooses_who_gets_the_key(target: str) -> None:
    a, b = MockServer("a"), MockServer("b")
    with running(config(), a=a, b=b) as gateway:
        target = target.replace("//b", gateway.addresses["b"].removeprefix("http:"))
        fields = {"authorization": f"Bearer {CLIENT_KEY}", "x-forwarded-host": "b", "x-base-url": "http://b"}
        ask(gateway.port, f"POST {target}", fields, b'{"model": "with-fallback", "api_base": "http://b"}')
    assert b.requests_seen == 0
