"""Where requests to Gemini go, and which of them are translated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.config import Provider, Secret
from gateway.errors import GatewayError
from gateway.providers.gemini import GeminiProvider
from gateway.providers.gemini.embeddings import EmbeddingsTranslator
from gateway.providers.gemini.response import ChatTranslator

HOST = "https://generativelanguage.googleapis.com"
CHAT = json.dumps({"model": "x", "messages": [{"role": "user", "content": "Hi"}]}).encode()


def provider(base_url: str = HOST, **settings: Any) -> GeminiProvider:
    return GeminiProvider("google", Provider(format="gemini", base_url=base_url, **settings))


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        (HOST, b"/v1beta/models/m:generateContent"),
        (f"{HOST}/", b"/v1beta/models/m:generateContent"),
        (f"{HOST}/v1beta", b"/v1beta/models/m:generateContent"),
        (f"{HOST}/v1beta/", b"/v1beta/models/m:generateContent"),
        (f"{HOST}/v1", b"/v1/models/m:generateContent"),
        (f"{HOST}/v1alpha", b"/v1alpha/models/m:generateContent"),
        ("http://proxy/google", b"/google/v1beta/models/m:generateContent"),
        ("http://proxy/google/v1beta", b"/google/v1beta/models/m:generateContent"),
    ],
)
def test_a_base_url_with_or_without_the_version(base_url: str, target: bytes) -> None:
    assert provider(base_url).target(b"/v1/models/m:generateContent", "m") == target


def test_the_compatible_api_is_another_format() -> None:
    with pytest.raises(ValueError, match="use format: openai"):
        provider(f"{HOST}/v1beta/openai")


def test_the_key_has_a_field_of_its_own() -> None:
    assert provider(api_key=Secret("AIza-0123456789")).authorize("AIza") == b"x-goog-api-key: AIza\r\n"


@pytest.mark.parametrize("target", [b"/v1/chat/completions", b"/v1/chat/completions?x=y"])
def test_chat_completions_are_translated(target: bytes) -> None:
    made = provider().translate(target, CHAT, "gemini-3.5-flash", 7)
    assert made is not None
    assert made.target == b"/models/gemini-3.5-flash:generateContent"
    assert json.loads(made.body) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    assert made.fields == b""
    assert isinstance(made.translator, ChatTranslator)
    answer = b'{"candidates": [{"finishReason": "STOP"}]}'
    whole = json.loads(made.translator.whole(answer))
    assert (whole["created"], whole["model"]) == (7, "gemini-3.5-flash")


def test_embeddings_are_translated() -> None:
    made = provider().translate(b"/v1/embeddings", b'{"input": "a"}', "gemini-embedding-001", 7)
    assert made is not None
    assert made.target == b"/models/gemini-embedding-001:batchEmbedContents"
    assert isinstance(made.translator, EmbeddingsTranslator)


@pytest.mark.parametrize("target", [b"/v1/models", b"/v1/models?pageSize=5", b"/v1/models/gemini-3.5-flash"])
def test_the_listing_of_models_is_not(target: bytes) -> None:
    assert provider().translate(target, b"", "", 7) is None


@pytest.mark.parametrize(
    "target", [b"/v1/completions", b"/v1/images/generations", b"/v1/files", b"/v1/modelsx", b"/v1/responses"]
)
def test_there_is_nothing_else(target: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        provider().translate(target, b"{}", "m", 7)
    assert (caught.value.status, caught.value.code) == (404, "unsupported_endpoint")
    assert "google" in caught.value.message


@pytest.mark.parametrize("target", [b"/v1/chat/completions", b"/v1/embeddings"])
def test_a_request_without_a_model_is_refused(target: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        provider().translate(target, CHAT, "", 7)
    assert (caught.value.status, caught.value.param) == (400, "model")


@pytest.mark.parametrize("target", [b"/v1/chat/completions", b"/v1/embeddings"])
def test_drop_unsupported_is_the_provider_s_setting(target: bytes) -> None:
    body = json.dumps({"input": "a", "messages": [{"role": "user", "content": "Hi"}], "made_up": 1}).encode()
    with pytest.raises(GatewayError):
        provider().translate(target, body, "m", 7)
    assert provider(drop_unsupported=True).translate(target, body, "m", 7) is not None
