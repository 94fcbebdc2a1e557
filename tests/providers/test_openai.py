"""The head of a request as a provider of the OpenAI format gets it: target, Host, key, fields, length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from gateway.config import Provider, Secret
from gateway.providers.openai import OpenAIProvider

KEY = "sk-0123456789"


@dataclass
class Request:
    """The head of a client's request; `lines` are its end-to-end fields."""

    method: bytes = b"POST"
    target: bytes = b"/v1/chat/completions"
    lines: tuple[bytes, ...] = ()
    sent_as: object = None

    @property
    def fields(self) -> list[bytes]:
        pairs = (line.split(b": ", 1) for line in self.lines)
        return [piece for name, value in pairs for piece in (name, b": ", value, b"\r\n")]


def provider(base_url: str = "https://api.openai.com", **settings: Any) -> OpenAIProvider:
    headers = {name: Secret(value) for name, value in settings.pop("headers", {}).items()}
    key = settings.pop("api_key", None)
    return OpenAIProvider(
        "p",
        Provider(
            format="openai",
            base_url=base_url,
            api_key=None if key is None else Secret(key),
            headers=headers,
            **settings,
        ),
    )


def lines(target: OpenAIProvider, request: Request, length: int = 0) -> list[bytes]:
    head = target.head(request, "m", length)
    assert head.endswith(b"\r\n\r\n")
    return head[:-4].split(b"\r\n")


# Where it goes.


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("https://api.openai.com", b"/v1/chat/completions"),
        ("https://api.openai.com/", b"/v1/chat/completions"),
        ("https://api.openai.com/v1", b"/v1/chat/completions"),
        ("https://api.openai.com/v1/", b"/v1/chat/completions"),
        ("http://localhost:8080", b"/v1/chat/completions"),
        ("http://localhost:8080/v1", b"/v1/chat/completions"),
        ("http://host/custom", b"/custom/v1/chat/completions"),
        ("http://host/custom/", b"/custom/v1/chat/completions"),
        ("http://host/custom/v1", b"/custom/v1/chat/completions"),
        ("http://host/v1/custom", b"/v1/custom/v1/chat/completions"),
        ("http://host/env1", b"/env1/v1/chat/completions"),
        ("http://host/v1x", b"/v1x/v1/chat/completions"),
        ("http://host/v", b"/v/v1/chat/completions"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", b"/v1beta/openai/chat/completions"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", b"/v1beta/openai/chat/completions"),
        ("https://api.groq.com/openai/v1", b"/openai/v1/chat/completions"),
        ("https://openrouter.ai/api/v1", b"/api/v1/chat/completions"),
        ("https://ark.cn-beijing.volces.com/api/v3", b"/api/v3/chat/completions"),
        ("https://open.bigmodel.cn/api/paas/v4", b"/api/paas/v4/chat/completions"),
        ("https://host/v1alpha2", b"/v1alpha2/chat/completions"),
        ("https://host/v2beta", b"/v2beta/chat/completions"),
    ],
)
def test_a_base_url_with_or_without_the_prefix(base_url: str, target: bytes) -> None:
    assert provider(base_url).target(b"/v1/chat/completions", "m") == target
    assert lines(provider(base_url), Request())[0] == b"POST " + target + b" HTTP/1.1"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/v1/models", b"/base/v1/models"),
        (b"/v1/models?limit=5&after=x", b"/base/v1/models?limit=5&after=x"),
        (b"/v1/files/file-1/content", b"/base/v1/files/file-1/content"),
        (b"/v1/a%2Fb/%20?q=%3F/v1/", b"/base/v1/a%2Fb/%20?q=%3F/v1/"),
        (b"/v1/", b"/base/v1/"),
        (b"/v1?x", b"/base/v1?x"),
    ],
)
def test_the_rest_of_the_target_is_passed_on_as_it_came(target: bytes, expected: bytes) -> None:
    assert provider("http://host/base").target(target, "m") == expected


@pytest.mark.parametrize(
    ("base_url", "tls", "host", "port", "authority"),
    [
        ("https://api.openai.com", True, "api.openai.com", 443, b"api.openai.com"),
        ("http://localhost", False, "localhost", 80, b"localhost"),
        ("http://localhost:8080/v1", False, "localhost", 8080, b"localhost:8080"),
        ("https://host:8443", True, "host", 8443, b"host:8443"),
        ("http://10.0.0.1:9000", False, "10.0.0.1", 9000, b"10.0.0.1:9000"),
        ("http://[::1]:8080", False, "::1", 8080, b"[::1]:8080"),
        ("https://[2001:db8::1]/v1", True, "2001:db8::1", 443, b"[2001:db8::1]"),
    ],
)
def test_where_to_connect_and_the_host_field(
    base_url: str, tls: bool, host: str, port: int, authority: bytes
) -> None:
    made = provider(base_url)
    assert (made.tls, made.host, made.port) == (tls, host, port)
    assert lines(made, Request())[1] == b"host: " + authority


# What goes with it.


def test_the_whole_head() -> None:
    made = provider("http://localhost:8080", api_key=KEY, headers={"X-Team": "search"})
    request = Request(lines=(b"Content-Type: application/json", b"Idempotency-Key: 7"))
    assert made.head(request, "m", 12) == (
        b"POST /v1/chat/completions HTTP/1.1\r\n"
        b"host: localhost:8080\r\n"
        b"authorization: Bearer sk-0123456789\r\n"
        b"X-Team: search\r\n"
        b"Content-Type: application/json\r\n"
        b"Idempotency-Key: 7\r\n"
        b"via: 1.1 gateway\r\n"
        b"content-length: 12\r\n"
        b"\r\n"
    )


def test_without_a_key_there_is_no_authorization() -> None:
    assert not any(line.lower().startswith(b"authorization") for line in lines(provider(), Request()))


@pytest.mark.parametrize("theirs", [b"OpenAI-Organization", b"openai-organization", b"OPENAI-ORGANIZATION"])
@pytest.mark.parametrize("ours", ["OpenAI-Organization", "openai-organization"])
def test_an_added_field_replaces_a_client_s_of_the_same_name(ours: str, theirs: bytes) -> None:
    made = provider(headers={ours: "org-ours"})
    request = Request(lines=(b"Accept: */*", theirs + b": org-theirs", b"X-Other: 1", theirs + b": again"))
    sent = lines(made, request)
    assert [line for line in sent if line.lower().startswith(b"openai-organization")] == [
        ours.encode() + b": org-ours"
    ]
    assert b"Accept: */*" in sent
    assert b"X-Other: 1" in sent


def test_via_is_added_behind_those_of_others() -> None:
    # RFC 9110 section 7.6.3: each intermediary appends itself.
    sent = lines(provider(), Request(lines=(b"Via: 1.1 edge", b"X: 1")))
    assert [line for line in sent if line.lower().startswith(b"via")] == [
        b"Via: 1.1 edge",
        b"via: 1.1 gateway",
    ]


@pytest.mark.parametrize(
    ("method", "length", "expected"),
    [
        (b"POST", 5, b"5"),
        (b"POST", 0, b"0"),
        (b"PUT", 0, b"0"),
        (b"PATCH", 0, b"0"),
        (b"DELETE", 0, None),
        (b"DELETE", 5, b"5"),
        (b"GET", 0, None),
        (b"GET", 5, b"5"),
        (b"HEAD", 0, None),
        (b"OPTIONS", 0, None),
    ],
)
def test_the_length_stands_where_a_body_is_or_is_expected(
    method: bytes, length: int, expected: bytes | None
) -> None:
    sent = lines(provider(), Request(method), length)
    lengths = [line for line in sent if line.startswith(b"content-length")]
    assert lengths == ([] if expected is None else [b"content-length: " + expected])


def test_the_client_s_fields_are_not_changed() -> None:
    request = Request(lines=(b"X-Team: theirs", b"Accept: */*"))
    fields = request.fields
    provider(headers={"x-team": "ours"}).head(request, "m", 0)
    assert request.fields == fields


# Secrets.


@pytest.mark.parametrize(
    ("settings", "secrets"),
    [
        ({}, ()),
        ({"api_key": KEY}, (b"sk-0123456789",)),
        # A short key is none, and would be found where it is not meant.
        ({"api_key": "EMPTY"}, ()),
        ({"api_key": "12345678"}, (b"12345678",)),
        ({"headers": {"X-Api-Key": "0123456789"}}, (b"0123456789",)),
        ({"headers": {"Authorization": "Basic dXNlcjpwYXNz"}}, (b"dXNlcjpwYXNz",)),
        ({"headers": {"X-Auth-Token": "short"}}, ()),
        ({"headers": {"X-Team": "a-long-name-of-a-team"}}, ()),
        # One may be the beginning of another: the longest comes first.
        ({"api_key": KEY, "headers": {"x-secret": KEY + "-more"}}, (b"sk-0123456789-more", b"sk-0123456789")),
        ({"api_key": KEY, "headers": {"x-key": KEY}}, (b"sk-0123456789",)),
    ],
)
def test_what_no_client_may_see(settings: dict[str, Any], secrets: tuple[bytes, ...]) -> None:
    assert provider(**settings).secrets == secrets


def test_two_authorizations_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"headers and api_key both set authorization \(leave one of them out\)"
    ):
        provider(api_key=KEY, headers={"Authorization": "Basic abc"})


def test_a_provider_shows_no_key() -> None:
    assert repr(provider(api_key=KEY)) == "<OpenAIProvider p>"
