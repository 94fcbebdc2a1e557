"""The `anthropic` format: targets, fields of the head, and which requests are translated."""

from dataclasses import dataclass, field

import pytest

from gateway.config import schema
from gateway.config.secret import Secret
from gateway.errors import GatewayError
from gateway.providers.anthropic import AnthropicProvider

CHAT = b'{"model":"x","messages":[{"role":"user","content":"Hello"}],"seed":1}'
VERSION = b"anthropic-version: 2023-06-01\r\n"


@dataclass
class Request:
    method: bytes = b"POST"
    target: bytes = b"/v1/messages"
    fields: list[bytes] = field(default_factory=list)
    sent_as: object = None


def provider(base_url: str = "https://api.anthropic.com", **settings: object) -> AnthropicProvider:
    made = schema.Provider(format="anthropic", base_url=base_url, **settings)  # type: ignore[arg-type]
    return AnthropicProvider("claude", made)


@pytest.mark.parametrize(
    ("base_url", "target", "expected"),
    [
        ("https://api.anthropic.com", b"/v1/messages", b"/v1/messages"),
        ("https://api.anthropic.com/", b"/v1/messages?beta=true", b"/v1/messages?beta=true"),
        ("https://api.anthropic.com/v1", b"/v1/messages/count_tokens", b"/v1/messages/count_tokens"),
        ("https://api.deepseek.com/anthropic", b"/v1/models", b"/anthropic/v1/models"),
    ],
)
def test_targets(base_url: str, target: bytes, expected: bytes) -> None:
    assert provider(base_url).target(target, "m") == expected


def test_the_key_and_the_version_go_into_the_head() -> None:
    head = provider(api_key=Secret("sk-ant-1234")).head(Request(), "m", 5)
    assert b"\r\nx-api-key: sk-ant-1234\r\n" in head
    assert head.count(VERSION) == 1
    assert b"authorization" not in head.lower()


def test_the_clients_version_stays() -> None:
    fields = [b"Anthropic-Version", b": ", b"2026-10-21", b"\r\n"]
    head = provider().head(Request(fields=fields), "m", 5)
    assert b"Anthropic-Version: 2026-10-21\r\n" in head
    assert VERSION not in head


def test_the_configured_version_stays() -> None:
    head = provider(headers={"Anthropic-Version": Secret("2026-10-21")}).head(Request(), "m", 5)
    assert head.lower().count(b"anthropic-version") == 1


def test_lines_of_an_attempt_are_kept() -> None:
    assert b"x-attempt: 1\r\n" + VERSION in provider().head(Request(), "m", 5, b"x-attempt: 1\r\n")


@pytest.mark.parametrize("target", [b"/v1/chat/completions", b"/v1/chat/completions?api-version=1"])
def test_chat_completions_are_translated(target: bytes) -> None:
    translation = provider(drop_unsupported=True).translate(target, CHAT, "claude-opus-4-8", 7)
    assert translation is not None
    assert translation.target == b"/messages"
    assert b'"model":"claude-opus-4-8"' in translation.body


def test_what_is_unsupported_is_refused_unless_configured_otherwise() -> None:
    with pytest.raises(GatewayError, match="seed"):
        provider().translate(b"/v1/chat/completions", CHAT, "claude-opus-4-8", 7)


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/messages",
        b"/v1/messages?beta=true",
        b"/v1/messages/count_tokens",
        b"/v1/messages/batches",
        b"/v1/models",
        b"/v1/models/claude-opus-4-8",
        b"/v1/files",
        b"/v1/batches",
    ],
)
def test_the_apis_own_endpoints_are_passed_on(target: bytes) -> None:
    assert provider().translate(target, b"{}", "m", 7) is None


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/embeddings",
        b"/v1/completions",
        b"/v1/responses",
        b"/v1/audio/speech",
        b"/v1/images/generations?x=1",
        b"/v1/moderations",
        b"/v1/chat/completions/chatcmpl-1",
    ],
)
def test_endpoints_that_the_api_lacks_are_refused(target: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        provider().translate(target, b"{}", "m", 7)
    assert (caught.value.status, caught.value.code) == (404, "unsupported_endpoint")
    assert target.partition(b"?")[0].decode() in caught.value.message
