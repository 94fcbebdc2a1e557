"""The azure format: targets of both surfaces, the key, and OpenAI's own SDK against its double."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import openai
import pytest
from doubles import serving
from doubles.azure import KEY, TOKEN, AzureDouble

from gateway.config import Provider, Secret
from gateway.errors import GatewayError
from gateway.providers.azure import AzureProvider

T = TypeVar("T")
RESOURCE = "https://mine.openai.azure.com"
DATED = "2024-10-21"


def provider(base_url: str = RESOURCE, **settings: Any) -> AzureProvider:
    return AzureProvider("azure", Provider(format="azure", base_url=base_url, **settings))


# Where it goes.


@pytest.mark.parametrize("suffix", ["", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1/"])
@pytest.mark.parametrize(("host", "root"), [(RESOURCE, b""), ("http://apim/team", b"/team")])
def test_a_base_url_with_or_without_the_prefix(host: str, root: bytes, suffix: str) -> None:
    target = b"/v1/chat/completions"
    assert provider(host + suffix).target(target, "gpt") == root + b"/openai/v1/chat/completions"
    dated = provider(host + suffix, api_version=DATED).target(target, "gpt")
    assert dated == root + b"/openai/deployments/gpt/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/v1/chat/completions", b"/openai/deployments/gpt/chat/completions?api-version=2024-10-21"),
        (b"/v1/completions", b"/openai/deployments/gpt/completions?api-version=2024-10-21"),
        (b"/v1/embeddings", b"/openai/deployments/gpt/embeddings?api-version=2024-10-21"),
        (b"/v1/audio/transcriptions", b"/openai/deployments/gpt/audio/transcriptions?api-version=2024-10-21"),
        (b"/v1/audio/translations", b"/openai/deployments/gpt/audio/translations?api-version=2024-10-21"),
        (b"/v1/audio/speech", b"/openai/deployments/gpt/audio/speech?api-version=2024-10-21"),
        (b"/v1/images/generations", b"/openai/deployments/gpt/images/generations?api-version=2024-10-21"),
        (b"/v1/images/edits", b"/openai/deployments/gpt/images/edits?api-version=2024-10-21"),
        # What is not a model's.
        (b"/v1/files", b"/openai/files?api-version=2024-10-21"),
        (b"/v1/files/f-1/content", b"/openai/files/f-1/content?api-version=2024-10-21"),
        (b"/v1/batches", b"/openai/batches?api-version=2024-10-21"),
        (b"/v1/models", b"/openai/models?api-version=2024-10-21"),
        (b"/v1/responses", b"/openai/responses?api-version=2024-10-21"),
        (b"/v1/chat/completions/id", b"/openai/chat/completions/id?api-version=2024-10-21"),
        # The client's own query is kept, but for a version of its own.
        (b"/v1/files?limit=5&after=x", b"/openai/files?api-version=2024-10-21&limit=5&after=x"),
        (b"/v1/files?api-version=2023-05-15&a=b", b"/openai/files?api-version=2024-10-21&a=b"),
        (b"/v1/files?x-api-version=1", b"/openai/files?api-version=2024-10-21&x-api-version=1"),
        (b"/v1/files?", b"/openai/files?api-version=2024-10-21"),
    ],
)
def test_a_dated_version_addresses_deployments(target: bytes, expected: bytes) -> None:
    assert provider(api_version=DATED).target(target, "gpt") == expected


@pytest.mark.parametrize(
    ("version", "target", "expected"),
    [
        (None, b"/v1/chat/completions", b"/openai/v1/chat/completions"),
        (None, b"/v1/files?limit=5", b"/openai/v1/files?limit=5"),
        (None, b"/v1/files?api-version=preview", b"/openai/v1/files?api-version=preview"),
        ("preview", b"/v1/chat/completions", b"/openai/v1/chat/completions?api-version=preview"),
        ("latest", b"/v1/files?limit=5", b"/openai/v1/files?api-version=latest&limit=5"),
    ],
)
def test_without_a_date_it_is_the_newer_surface(version: str | None, target: bytes, expected: bytes) -> None:
    assert provider(api_version=version).target(target, "gpt") == expected


@pytest.mark.parametrize(
    ("model", "segment"),
    [
        ("my gpt/4?", b"my%20gpt%2F4%3F"),
        ("blå", b"bl%C3%A5"),
        ("a\r\nx: y", b"a%0D%0Ax%3A%20y"),
        ("..%2f", b"..%252f"),
    ],
)
def test_the_name_of_a_deployment_stays_one_segment(model: str, segment: bytes) -> None:
    target = provider(api_version=DATED).target(b"/v1/embeddings", model)
    assert target == b"/openai/deployments/" + segment + b"/embeddings?api-version=2024-10-21"


@pytest.mark.parametrize("model", ["", ".", ".."])
def test_what_needs_a_deployment_is_refused_without_one(model: str) -> None:
    made = provider(api_version=DATED)
    for call in (made.target, lambda target, model: made.translate(target, b"{}", model, 0)):
        with pytest.raises(GatewayError) as caught:
            call(b"/v1/chat/completions", model)
        assert (caught.value.status, caught.value.param) == (400, "model")
        assert caught.value.message == "`model` must name a deployment on Azure."
    assert made.translate(b"/v1/files", b"", model, 0) is None
    assert provider().translate(b"/v1/chat/completions", b"{}", model, 0) is None


def test_nothing_is_translated() -> None:
    assert provider(api_version=DATED).translate(b"/v1/chat/completions", b"{}", "gpt", 0) is None


# Against the double, which refuses what Azure refuses.


@dataclass
class Asked:
    """The head of a client's request, without fields of its own."""

    target: bytes
    method: bytes = b"POST"
    sent_as: object = None

    @property
    def fields(self) -> list[bytes]:
        return []


def as_sent(made: AzureProvider, target: bytes, model: str) -> serving.Request:
    """The request as Azure gets it."""
    first, *lines = made.head(Asked(target), model, 0).decode().strip().split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    return serving.Request("POST", first.split(" ")[1], fields, json.dumps(body).encode())


@pytest.mark.parametrize("version", [None, "preview", DATED])
@pytest.mark.parametrize(
    "credentials",
    [{"api_key": Secret(KEY)}, {"headers": {"Authorization": Secret(f"Bearer {TOKEN}")}}],
    ids=["key", "token"],
)
def test_its_targets_and_credentials_are_azure_s(version: str | None, credentials: dict[str, Any]) -> None:
    made = provider(api_version=version, **credentials)
    reply = AzureDouble().answer(as_sent(made, b"/v1/chat/completions", "blå/1"))
    assert reply.status == 200, reply.body
    assert json.loads(reply.body)["choices"][0]["message"]["content"] == "Hello from Azure."
    assert AzureDouble().answer(as_sent(made, b"/v1/files?limit=5", "")).status == 200
    without = provider(api_version=version)
    assert AzureDouble().answer(as_sent(without, b"/v1/files", "")).status == 401


def with_double(ask: Callable[[AzureDouble], Awaitable[T]]) -> T:
    async def run() -> T:
        async with AzureDouble() as double:
            return await ask(double)

    return asyncio.run(run())


def client(double: AzureDouble, **settings: Any) -> openai.AsyncAzureOpenAI:
    known: dict[str, Any] = {
        "azure_endpoint": double.url,
        "api_key": KEY,
        "api_version": DATED,
        "max_retries": 0,
    }
    return openai.AsyncAzureOpenAI(**(known | settings))


def test_the_double_answers_the_sdk() -> None:
    async def ask(double: AzureDouble) -> tuple[str | None, str, list[float]]:
        async with client(double) as azure:
            messages: Any = [{"role": "user", "content": "Hi"}]
            plain = await azure.chat.completions.create(model="my-gpt", messages=messages)
            events = await azure.chat.completions.create(model="my-gpt", messages=messages, stream=True)
            deltas = [choice.delta.content or "" async for event in events for choice in event.choices]
            vectors = await azure.embeddings.create(model="my-embedding", input="a", encoding_format="float")
            await azure.files.list()
        return plain.choices[0].message.content, "".join(deltas), vectors.data[0].embedding

    assert with_double(ask) == ("Hello from Azure.", "Hello from Azure.", [0.5, -1.0])


@pytest.mark.parametrize(
    ("settings", "model", "error"),
    [
        ({"api_key": "wrong"}, "my-gpt", openai.AuthenticationError),
        ({}, "no-such", openai.NotFoundError),
        ({"api_version": "1999-01-01"}, "my-gpt", openai.NotFoundError),
    ],
)
def test_the_double_refuses(settings: dict[str, Any], model: str, error: type[Exception]) -> None:
    async def ask(double: AzureDouble) -> None:
        async with client(double, **settings) as azure:
            await azure.chat.completions.create(model=model, messages=[])

    with pytest.raises(error):
        with_double(ask)
