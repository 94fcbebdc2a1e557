"""What the gateway answers itself: an id on every answer, who was asked on those to data requests."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Iterator

import pytest
from harness import Running, running

from gateway.providers.mock import MockServer

CONFIG = """
server: {port: 0, api_keys: [client-key]}
providers:
  a: {format: openai, base_url: "{a}"}
models: {known: {provider: a}}
"""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Running]:
    with running(CONFIG, a=MockServer("a")) as gateway:
        yield gateway


def ask(
    gateway: Running, method: str, path: str, body: bytes = b"", key: str = "client-key", **headers: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request(method, path, body or None, {"authorization": f"Bearer {key}", **headers})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/chat/completions", b"[]", 400),
        ("POST", "/v1/chat/completions", b'{"model":"unknown"}', 404),
        ("GET", "/v1/models", b"", 200),
        ("GET", "/v1/models/unknown", b"", 404),
    ],
)
def test_data_request_that_no_provider_was_chosen_for(
    gateway: Running, method: str, path: str, body: bytes, status: int
) -> None:
    answer = ask(gateway, method, path, body)
    assert answer.status == status
    assert answer.headers["x-gateway-provider"] == "none"
    assert answer.headers["x-gateway-attempts"] == "0"
    assert answer.headers["server-timing"].startswith("gateway;dur=")
    assert answer.headers["x-request-id"].startswith("req_")


def test_the_client_s_own_id_is_kept(gateway: Running) -> None:
    answer = ask(gateway, "POST", "/v1/embeddings", b"{", **{"x-request-id": "mine"})
    assert answer.headers["x-request-id"] == "mine"


@pytest.mark.parametrize(
    ("path", "key", "status"), [("/nowhere", "client-key", 404), ("/v1/models", "wrong", 401)]
)
def test_refusal_at_the_door_has_an_id(gateway: Running, path: str, key: str, status: int) -> None:
    answer = ask(gateway, "GET", path, key=key)
    assert answer.status == status
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-gateway-provider"] == "none"
    assert answer.headers["x-gateway-attempts"] == "0"
    assert answer.headers["server-timing"].startswith("gateway;dur=")


def test_model_that_only_a_pattern_names_can_be_retrieved() -> None:
    config = 'providers: {a: {format: openai, base_url: "{a}"}}\nmodels: {"m-*": {provider: a}}\n'
    with running(config, a=MockServer("a")) as gateway:
        assert ask(gateway, "GET", "/v1/models/m-1").status == 200
        assert ask(gateway, "GET", "/v1/models/other").status == 404


def test_refusal_at_the_door_counts_as_a_data_request_where_it_is_one() -> None:
    with running(CONFIG, a=MockServer("a")) as gateway:
        ask(gateway, "GET", "/v1/models", key="wrong")
        ask(gateway, "GET", "/nowhere")
        metrics = urllib.request.urlopen(f"{gateway.url}/metrics").read().decode()
    assert 'gateway_requests_total{code="401",model="other",provider="none"} 1.0' in metrics
    assert 'code="404"' not in metrics
