"""Every failure reaches the caller as the SDK's usual class, with the body that the provider gave it."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from clients import HI, MODEL, Connect, chat
from harness import running

from gateway.providers.mock import MockServer

BARE = """
providers:
  a: {format: openai, base_url: "{a}", timeouts: {first_byte: 50ms}}
"""
RETRIED = """
providers:
  a: {format: openai, base_url: "{a}", max_retries: 2, retry: {base_delay: 1ms}}
"""
WITH_BREAKER = """
providers:
  a: {format: openai, base_url: "{a}", max_retries: 0, circuit_breaker: {max_failures: 1}}
"""

OF_THE_REQUEST = {
    "400": openai.BadRequestError,
    "401": openai.AuthenticationError,
    "403": openai.PermissionDeniedError,
    "404": openai.NotFoundError,
    "409": openai.ConflictError,
    "413": openai.APIStatusError,
    "422": openai.UnprocessableEntityError,
}
OF_THE_PROVIDER = {
    "408": openai.APIStatusError,
    "429": openai.RateLimitError,
    "500": openai.InternalServerError,
    "502": openai.InternalServerError,
    "503": openai.InternalServerError,
    "529": openai.InternalServerError,
}
OF_THE_CONNECTION = {
    "refuse": (502, "upstream_connection_reset"),
    "reset": (502, "upstream_connection_reset"),
    "close": (502, "upstream_connection_closed"),
    "reset_in_head": (502, "upstream_connection_reset"),
    "garbage": (502, "upstream_protocol_error"),
    "stall": (504, "upstream_timeout"),
}


def error_of(client: Any, **arguments: Any) -> openai.APIStatusError:
    """What the SDK raises instead of an answer."""
    with pytest.raises(openai.APIStatusError) as raised:
        chat(client, **arguments)
    return raised.value


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("fault", [*OF_THE_REQUEST, *OF_THE_PROVIDER])
def test_an_error_of_the_provider_is_passed_on_as_it_is(sdk: Connect, fault: str, stream: bool) -> None:
    a, twin = MockServer("a", fault=fault), MockServer("a", fault=fault)
    with running(RETRIED, a=a, twin=twin) as gateway:
        error = error_of(sdk(gateway.url), stream=stream)
        direct = error_of(sdk(gateway.addresses["twin"]), stream=stream)
    attempts = 1 if fault in OF_THE_REQUEST else 3
    assert type(error) is {**OF_THE_REQUEST, **OF_THE_PROVIDER}[fault]
    assert error.response.content == direct.response.content
    assert (error.status_code, error.code, error.type) == (direct.status_code, direct.code, direct.type)
    assert error.request_id == f"req_mock_{attempts}"
    assert a.requests_seen == attempts
    assert marks(error) == ("a", str(attempts))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("fault", OF_THE_CONNECTION)
def test_a_connection_that_fails_is_a_server_error(sdk: Connect, fault: str, stream: bool) -> None:
    with running(BARE, a=MockServer("a", fault=fault)) as gateway:
        error = error_of(sdk(gateway.url), stream=stream)
    assert type(error) is openai.InternalServerError
    assert (error.status_code, error.code) == OF_THE_CONNECTION[fault]
    assert "'a'" in error.message
    assert marks(error) == ("a", "1")


def test_a_port_on_which_nobody_listens_is_a_server_error(sdk: Connect) -> None:
    with running(BARE, a=MockServer("a")) as gateway:
        gateway.kill("a")
        error = error_of(sdk(gateway.url))
    assert (error.status_code, error.code) == (502, "upstream_connect_error")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_event_stream_that_begins_with_an_error_is_an_error(sdk: Connect, stream: bool) -> None:
    with running(BARE, a=MockServer("a", fault="error_event;type=server_error;code=overloaded")) as gateway:
        error = error_of(sdk(gateway.url), stream=stream)
    assert (error.status_code, error.type, error.code) == (502, "server_error", "overloaded")


# -- errors of the gateway's own


def test_without_one_of_the_keys_nobody_gets_in(sdk: Connect) -> None:
    a = MockServer("a")
    with running('server: {port: 0, api_keys: ["sk-one", "sk-two"]}\n' + BARE, a=a) as gateway:
        error = error_of(sdk(gateway.url, api_key="sk-three"))
        assert a.requests_seen == 0
        assert chat(sdk(gateway.url, api_key="sk-two")).provider == "a"
    assert type(error) is openai.AuthenticationError
    assert error.code == "invalid_api_key"
    assert "sk-one" not in error.message


def test_an_unknown_model_is_not_found(sdk: Connect) -> None:
    a = MockServer("a")
    with running(BARE + "models: {gpt-4o: {provider: a}}", a=a) as gateway:
        error = error_of(sdk(gateway.url))
    assert type(error) is openai.NotFoundError
    assert (error.code, error.param) == ("model_not_found", "model")
    assert MODEL in error.message
    assert error.request_id
    assert a.requests_seen == 0


def test_a_model_that_is_no_name_is_a_bad_request(sdk: Connect) -> None:
    with running(BARE, a=MockServer("a")) as gateway, pytest.raises(openai.BadRequestError) as raised:
        sdk(gateway.url).chat.completions.create(model=7, messages=HI)
    assert (raised.value.param, raised.value.type) == ("model", "invalid_request_error")


def test_a_path_outside_of_the_api_is_not_found(sdk: Connect) -> None:
    with running(BARE, a=MockServer("a")) as gateway, pytest.raises(openai.NotFoundError) as raised:
        sdk(gateway.url, base_url=f"{gateway.url}/v2").models.list()
    assert "/v2/models" in raised.value.message


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_open_circuit_says_when_to_come_back(sdk: Connect, stream: bool) -> None:
    a = MockServer("a", fault="500")
    with running(WITH_BREAKER, a=a) as gateway:
        client = sdk(gateway.url)
        error_of(client)
        error = error_of(client, stream=stream)
    assert type(error) is openai.InternalServerError
    assert (error.status_code, error.code) == (503, "circuit_open")
    assert 28 <= int(error.response.headers["retry-after"]) <= 30
    assert marks(error) == ("a", "0")
    assert a.requests_seen == 1


# -- 429


def test_a_rate_limit_keeps_its_retry_after(sdk: Connect) -> None:
    with running(BARE, a=MockServer("a", fault="429;retry_after=7")) as gateway:
        error = error_of(sdk(gateway.url))
    assert type(error) is openai.RateLimitError
    assert error.response.headers["retry-after"] == "7"


def test_a_provider_is_left_alone_for_as_long_as_it_asks(sdk: Connect) -> None:
    a = MockServer("a", faults=["429;retry_after=60"])
    with running(RETRIED, a=a) as gateway:
        client = sdk(gateway.url)
        error_of(client)
        error = error_of(client)
    assert type(error) is openai.RateLimitError
    assert 58 <= int(error.response.headers["retry-after"]) <= 60
    assert a.requests_seen == 1


def test_a_short_retry_after_is_waited_for(sdk: Connect) -> None:
    a = MockServer("a", faults=["429;retry_after_ms=60"])
    with running(RETRIED, a=a) as gateway:
        answer = chat(sdk(gateway.url))
    assert answer.attempts == 2
    first, second = a.requests
    assert second.received_at - first.received_at >= 0.058  # the loop's timers count whole milliseconds


def marks(error: openai.APIStatusError) -> tuple[str, str]:
    """Which provider was asked last and how often any was; every answer also says what it cost."""
    headers = error.response.headers
    assert headers["server-timing"].startswith("gateway;dur=")
    assert headers["x-request-id"]
    return headers["x-gateway-provider"], headers["x-gateway-attempts"]
