"""A stream that does not come to its end raises in the SDK: it never looks like a short answer."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest
from clients import HI, MODEL, Connect, chat, health_of, text_of
from harness import Running, running

from gateway.providers.mock import MockServer

CONFIG = """
providers:
  a:
    format: openai
    base_url: "{a}"
    timeouts: {idle: 60ms}
    max_retries: 3
    fallback_provider: b
    circuit_breaker: {max_failures: 2}
  b: {format: openai, base_url: "{b}"}
"""

BREAKS = {
    "cut;after=2": "upstream_connection_closed",
    "reset_body;after=2": "upstream_connection_reset",
    "malformed_chunk;after=2": "upstream_protocol_error",
    "stall_body;after=2": "upstream_timeout",
}
ENDS = ["ok", "no_done", "close_delimited", "http10", "informational;n=2"]
"""Unusual, but each of them says that the answer is whole."""


@pytest.mark.parametrize("fault", BREAKS)
def test_a_chat_that_breaks_off_raises(sdk: Connect, fault: str) -> None:
    a, b = MockServer("a", faults=[fault]), MockServer("b")
    with running(CONFIG, a=a, b=b) as gateway:
        received: list[Any] = []
        with pytest.raises(openai.APIError) as raised:
            received.extend(sdk(gateway.url).chat.completions.create(model=MODEL, messages=HI, stream=True))
        assert health_of(gateway, "a")["failures"] == 1
    assert len(received) == 2
    assert raised.value.code == BREAKS[fault]
    assert "'a'" in raised.value.message
    assert (a.requests_seen, b.requests_seen) == (1, 0)  # what has begun is never sent again


@pytest.mark.parametrize("fault", [*BREAKS, "close_delimited;terminal=0", "http10;terminal=0"])
def test_a_response_that_breaks_off_raises_after_the_error_event(sdk: Connect, fault: str) -> None:
    a, b = MockServer("a", faults=[fault]), MockServer("b")
    with running(CONFIG, a=a, b=b) as gateway:
        received: list[Any] = []
        with pytest.raises(openai.APIError):
            received.extend(sdk(gateway.url).responses.create(model=MODEL, input="hi", stream=True))
        assert health_of(gateway, "a")["failures"] == 1
    assert received[-1].type == "error"
    assert received[-1].code == BREAKS.get(fault, "upstream_connection_closed")
    assert [event.type for event in received[:2]] == ["response.created", "response.in_progress"]
    assert (a.requests_seen, b.requests_seen) == (1, 0)


@pytest.mark.parametrize("fault", BREAKS)
def test_a_stream_that_breaks_off_inside_an_event_raises(sdk: Connect, fault: str) -> None:
    # The SDK reads the half event before the error behind it, and what it raises there is the JSON parser's.
    with running(CONFIG, a=MockServer("a", faults=[f"{fault};part=1"]), b=MockServer("b")) as gateway:
        with pytest.raises((openai.APIError, json.JSONDecodeError)):
            chat(sdk(gateway.url), stream=True)
        assert health_of(gateway, "a")["failures"] == 1


@pytest.mark.parametrize("fault", ENDS)
def test_a_stream_that_ends_does_not_raise(sdk: Connect, fault: str) -> None:
    a = MockServer("a", reply="one two three", faults=[fault])
    with running(CONFIG, a=a, b=MockServer("b")) as gateway:
        answer = chat(sdk(gateway.url), stream=True)
        assert health_of(gateway, "a")["failures"] == 0
    assert text_of(answer) == "one two three"
    assert answer.provider == "a"


@pytest.mark.parametrize(
    "fault", ["cut;after=0", "reset_body;after=0", "stall_body;after=0", "empty_stream", "comment_only"]
)
def test_a_stream_that_breaks_before_its_first_event_is_tried_again(sdk: Connect, fault: str) -> None:
    config = CONFIG.replace("max_retries: 3", "max_retries: 1\n    retry: {base_delay: 1ms}")
    a = MockServer("a", faults=[fault])
    with running(config, a=a, b=MockServer("b")) as gateway:
        answer = chat(sdk(gateway.url), stream=True)
    assert (answer.provider, answer.attempts) == ("a", 2)


def test_streams_that_break_open_the_circuit(sdk: Connect) -> None:
    a, b = MockServer("a", fault="cut;after=2"), MockServer("b")
    with running(CONFIG, a=a, b=b) as gateway:
        client = sdk(gateway.url)
        for _ in range(2):
            with pytest.raises(openai.APIError):
                chat(client, stream=True)
        assert health_of(gateway, "a")["circuit_state"] == "open"
        assert chat(client, stream=True).provider == "b"


def test_an_answer_that_is_cut_short_is_asked_for_again(sdk: Connect) -> None:
    config = CONFIG.replace("max_retries: 3", "max_retries: 1\n    retry: {base_delay: 1ms}")
    a = MockServer("a", faults=["short"])
    with running(config, a=a, b=MockServer("b")) as gateway:
        answer = chat(sdk(gateway.url))
    assert (answer.provider, answer.attempts) == ("a", 2)


def test_a_long_answer_that_is_cut_short_raises(sdk: Connect) -> None:
    # Past 64 KiB it has begun to go out, so it cannot be tried again.
    a = MockServer("a", reply="word " * 40_000, faults=["short"])
    with running(CONFIG, a=a, b=MockServer("b")) as gateway:
        with pytest.raises(openai.APIConnectionError):
            chat(sdk(gateway.url))
        assert health_of(gateway, "a")["failures"] == 1


def test_a_stream_that_the_client_leaves_ends_at_the_provider_too(sdk: Connect) -> None:
    a = MockServer("a", fault="endless")
    with running(CONFIG, a=a, b=MockServer("b")) as gateway:
        stream = sdk(gateway.url).chat.completions.create(model=MODEL, messages=HI, stream=True)
        next(iter(stream))
        left_at = time.monotonic()
        stream.close()
        ended_at = lost_at(gateway, a)
        assert health_of(gateway, "a")["failures"] == 0
    assert ended_at - left_at < 1.0


def lost_at(gateway: Running, provider: MockServer) -> float:
    """When the provider's connection was gone, in seconds of the monotonic clock."""
    gateway.until(lambda: provider.connections_open == 0)
    return provider.connection_lost_times[-1]
