"""Whose key goes where: the provider's own never to a client, the client's never to a provider."""

from __future__ import annotations

import openai
import pytest
from clients import Connect, chat, get
from harness import running

from gateway.providers.mock import MockServer

OURS = "sk-provider-0123456789"
THEIRS = "sk-client-9876543210"
CONFIG = f"""
server: {{port: 0, api_keys: [{THEIRS}]}}
providers:
  a: {{format: openai, base_url: "{{a}}", api_key: {OURS}}}
"""


def test_a_provider_gets_its_own_key_and_no_other(sdk: Connect) -> None:
    a = MockServer("a")
    with running(CONFIG, a=a) as gateway:
        chat(sdk(gateway.url, api_key=THEIRS))
    [request] = a.requests
    assert request.header("authorization") == f"Bearer {OURS}"
    assert THEIRS.encode() not in b"".join([request.body, *(b"".join(field) for field in request.headers)])


def test_a_provider_without_a_key_gets_none(sdk: Connect) -> None:
    a = MockServer("a")
    with running('providers: {a: {format: openai, base_url: "{a}"}}', a=a) as gateway:
        client = sdk(gateway.url, api_key=THEIRS, default_headers={"x-api-key": THEIRS, "api-key": THEIRS})
        chat(client)
    assert THEIRS not in repr(a.requests[0].headers)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_key_that_the_provider_repeats_is_masked(sdk: Connect, status: int, stream: bool) -> None:
    a = MockServer("a", fault=f"{status};echo_key=1")
    with running(CONFIG, a=a) as gateway, pytest.raises(openai.APIStatusError) as raised:
        chat(sdk(gateway.url, api_key=THEIRS), stream=stream)
    response = raised.value.response
    assert f"The key was: {'*' * len(OURS)}" in raised.value.message
    assert OURS not in response.text
    assert OURS not in repr(response.headers)


def test_a_key_stands_in_no_log_and_on_no_page(sdk: Connect, caplog: pytest.LogCaptureFixture) -> None:
    config = CONFIG.replace(OURS + "}", OURS + ", circuit_breaker: {max_failures: 1}, max_retries: 0}")
    with running(config, a=MockServer("a", fault="500;echo_key=1")) as gateway:
        with caplog.at_level("DEBUG"), pytest.raises(openai.InternalServerError):
            chat(sdk(gateway.url, api_key=THEIRS))
        health = get(gateway, "/health")
    told = repr((health, [vars(record) for record in caplog.records if record.name.startswith("gateway")]))
    assert "status_500" in told
    assert OURS not in told
    assert THEIRS not in told
