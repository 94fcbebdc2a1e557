"""Through the gateway the SDK gets, byte for byte, what the provider says, on every endpoint.

Each call is made twice: through the gateway, and directly to a twin of the provider, which for the same
request has the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import openai
import pytest
from clients import HI, MODEL, REPLY, Connect, call, chat
from harness import running

from gateway.providers.mock import MockRequest, MockServer

CONFIG = """
providers:
  a: {format: openai, base_url: "{a}"}
"""
FUNCTION: Any = {"name": "weather", "parameters": {"properties": {"city": {"type": "string"}}}}
TOOLS: Any = [{"type": "function", "function": FUNCTION}]
ARGUMENTS = '{"city":"mock"}'


class Call(NamedTuple):
    """A call of the SDK, and how a caller reads what it expects out of the result."""

    method: str
    arguments: dict[str, Any]
    read: Callable[[Any], Any]
    expected: Any


def said(chunks: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def arguments_of(chunks: Any) -> str:
    deltas = [chunk.choices[0].delta.tool_calls for chunk in chunks]
    return "".join(delta[0].function.arguments for delta in deltas if delta)


def deltas_of(events: Any) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


CHAT = {"model": MODEL, "messages": HI}
CALLS = {
    "chat": Call("chat.completions.create", CHAT, lambda answer: answer.choices[0].message.content, REPLY),
    "chat streamed": Call("chat.completions.create", {**CHAT, "stream": True}, said, REPLY),
    "chat streamed with usage": Call(
        "chat.completions.create",
        {**CHAT, "stream": True, "stream_options": {"include_usage": True}},
        lambda chunks: chunks[-1].usage.total_tokens,
        4,
    ),
    "chat with tools": Call(
        "chat.completions.create",
        {**CHAT, "tools": TOOLS, "tool_choice": "required"},
        lambda answer: answer.choices[0].message.tool_calls[0].function.arguments,
        ARGUMENTS,
    ),
    "chat with tools streamed": Call(
        "chat.completions.create",
        {**CHAT, "tools": TOOLS, "tool_choice": "required", "stream": True},
        arguments_of,
        ARGUMENTS,
    ),
    "completion": Call(
        "completions.create", {"model": MODEL, "prompt": "hi"}, lambda answer: answer.choices[0].text, REPLY
    ),
    "embeddings as floats": Call(
        "embeddings.create",
        {"model": "mock-embedding", "input": ["a", "b"], "dimensions": 8, "encoding_format": "float"},
        lambda answer: [len(item.embedding) for item in answer.data],
        [8, 8],
    ),
    "embeddings as base64": Call(
        "embeddings.create",
        {"model": "mock-embedding", "input": ["a"], "dimensions": 3, "encoding_format": "base64"},
        lambda answer: len(answer.data[0].embedding),
        16,
    ),
    "response": Call(
        "responses.create", {"model": MODEL, "input": "hi"}, lambda answer: answer.output_text, REPLY
    ),
    "response streamed": Call(
        "responses.create", {"model": MODEL, "input": "hi", "stream": True}, deltas_of, REPLY
    ),
    "response with tools streamed": Call(
        "responses.create",
        {"model": MODEL, "input": "use a tool", "stream": True, "tools": [{"type": "function", **FUNCTION}]},
        lambda events: [event.arguments for event in events if event.type.endswith("arguments.done")],
        [ARGUMENTS],
    ),
    "transcription": Call(
        "audio.transcriptions.create",
        {"model": MODEL, "file": ("a.wav", b"\r\n" * 50)},
        lambda answer: answer.text,
        REPLY,
    ),
    "speech": Call(
        "audio.speech.create",
        {"model": MODEL, "voice": "alloy", "input": "hi"},
        lambda answer: len(answer.content),
        4096,
    ),
    "image": Call("images.generate", {"prompt": "a cat", "n": 2}, lambda answer: len(answer.data), 2),
    "moderation": Call(
        "moderations.create", {"input": "hi"}, lambda answer: answer.results[0].flagged, False
    ),
    "file uploaded": Call(
        "files.create",
        {"file": ("a.jsonl", b"{}"), "purpose": "batch"},
        lambda answer: (answer.filename, answer.bytes),
        ("a.jsonl", 2),
    ),
    "files listed": Call("files.list", {}, lambda page: [file.id for file in page.data], ["file-mock-0"]),
    "file deleted": Call("files.delete", {"file_id": "file-7"}, lambda answer: answer.deleted, True),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_is_the_provider_s_own(sdk: Connect, name: str) -> None:
    method, arguments, read, expected = CALLS[name]
    a, twin = MockServer("a", reply=REPLY), MockServer("a", reply=REPLY)
    with running(CONFIG, a=a, twin=twin) as gateway:
        answer = call(sdk(gateway.url), method, **arguments)
        direct = call(sdk(gateway.addresses["twin"]), method, **arguments)
    assert read(answer.parsed) == expected
    assert answer.body == direct.body
    if arguments.get("stream"):
        assert answer.parsed == direct.parsed
    assert (answer.provider, answer.attempts) == ("a", 1)
    assert answer.headers["x-request-id"] == direct.headers["x-request-id"]
    assert_timed(answer.headers["server-timing"])


@pytest.mark.parametrize("name", ["chat", "chat streamed", "embeddings as floats"])
def test_a_provider_is_asked_in_the_client_s_own_words(sdk: Connect, name: str) -> None:
    method, arguments, _, _ = CALLS[name]
    a, twin = MockServer("a"), MockServer("a")
    with running(CONFIG, a=a, twin=twin) as gateway:
        call(sdk(gateway.url), method, **arguments)
        call(sdk(gateway.addresses["twin"]), method, **arguments)
    assert a.requests[0].body == twin.requests[0].body
    assert end_to_end(a.requests[0]) == end_to_end(twin.requests[0])
    assert a.requests[0].header("via") == "1.1 gateway"


def test_embeddings_are_the_same_numbers_in_either_encoding(sdk: Connect) -> None:
    with running(CONFIG, a=MockServer("a")) as gateway:
        client = sdk(gateway.url)
        packed = client.embeddings.create(model="mock-embedding", input="a")
        floats = client.embeddings.create(model="mock-embedding", input="a", encoding_format="float")
    assert packed.data[0].embedding == floats.data[0].embedding


def test_models_are_those_configured_and_those_of_the_providers(sdk: Connect) -> None:
    config = CONFIG + 'models: {fast: {provider: a, model: mock-gpt}, "mock-*": {provider: a}}'
    with running(config, a=MockServer("a")) as gateway:
        client = sdk(gateway.url)
        listed = {model.id: model.owned_by for model in client.models.list().data}
        assert listed == {"fast": "a", "mock-gpt": "mock", "mock-embedding": "mock"}
        assert client.models.retrieve("fast").owned_by == "a"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("slow")


def test_a_model_goes_by_its_own_name_at_the_provider(sdk: Connect) -> None:
    config = CONFIG + "models: {fast: {provider: a, model: llama-3.1-8b}}"
    a = MockServer("a")
    with running(config, a=a) as gateway:
        answer = call(sdk(gateway.url), "chat.completions.create", model="fast", messages=HI)
    assert answer.parsed.model == "llama-3.1-8b"
    assert b'"llama-3.1-8b"' in a.requests[0].body
    assert b"fast" not in a.requests[0].body


def test_one_connection_to_the_provider_serves_plain_and_streamed_requests(sdk: Connect) -> None:
    a = MockServer("a")
    with running(CONFIG, a=a) as gateway:
        client = sdk(gateway.url)
        for stream in (False, True, False):
            chat(client, stream=stream)
    assert (a.connections_made, a.requests_seen) == (1, 3)


def assert_timed(header: str) -> None:
    """`gateway;dur=MS, upstream;dur=MS`, both sensible for an answer on the loopback."""
    parts = dict(part.split(";dur=") for part in header.split(", "))
    assert parts.keys() == {"gateway", "upstream"}
    assert all(0.0 <= float(milliseconds) < 5000.0 for milliseconds in parts.values())


def end_to_end(request: MockRequest) -> list[tuple[bytes, bytes]]:
    """A request's fields without those that each hop has its own of, and without where they stand."""
    own = {b"host", b"connection", b"authorization", b"via", b"content-length"}
    return sorted((name, value) for name, value in request.headers if name.lower() not in own)
