"""The OpenAI SDK in front of the translator: what it parses is what a client of the Responses API gets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from gateway.errors import GatewayError
from gateway.providers.dialects.responses import translate

NOW = 1_770_000_000
CHUNK_BYTES = 7

Provider = Callable[[bytes], tuple[int, bytes]]
"""Takes the body of a chat completions request; gives the status and the body of the answer."""


class Wire:
    """Stands between SDK and provider as the gateway does; keeps the last request of either API."""

    def __init__(self) -> None:
        self.provider: Provider = lambda body: (500, b"")
        self.drop_unsupported = False
        self.asked: Any = None
        self.sent: Any = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked = json.loads(request.content)
        try:
            translation = translate(request.content, "up", NOW, drop_unsupported=self.drop_unsupported)
        except GatewayError as error:
            return httpx.Response(error.status, content=error.body())
        self.sent = json.loads(translation.body)
        status, answer = self.provider(translation.body)
        translator = translation.translator
        if status >= 400:
            status, answer = translator.error(status, answer)
            return httpx.Response(status, content=answer)
        if not self.sent.get("stream"):
            return httpx.Response(200, json=json.loads(translator.whole(answer)))
        pieces = (answer[start : start + CHUNK_BYTES] for start in range(0, len(answer), CHUNK_BYTES))
        stream = b"".join(translator.feed(piece) for piece in pieces) + translator.end()
        return httpx.Response(200, content=stream, headers={"content-type": "text/event-stream"})


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def client(wire: Wire) -> Iterator[openai.OpenAI]:
    http_client = httpx.Client(transport=httpx.MockTransport(wire))
    with openai.OpenAI(
        base_url="http://gateway/v1", api_key="sk-none", max_retries=0, http_client=http_client
    ) as client:
        yield client
