"""The shapes of names, addresses, URLs, header fields and keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.config import Secret, names
from gateway.config.secret import SensitiveValueError


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (names.free_text, ""),
        (names.free_text, "two\nlines"),
        (names.line, "llama-3.1-8b"),
        (names.line, "größer als"),
        (names.provider_name, "a"),
        (names.provider_name, "A.b_c-9" + "x" * 57),
        (names.host, "127.0.0.1"),
        (names.host, "0.0.0.0"),
        (names.host, "::1"),
        (names.host, "::"),
        (names.host, "fe80::1%eth0"),
        (names.host, "localhost"),
        (names.host, "gateway_1.internal."),
        (names.socket_path, "/run/gateway.sock"),
        (names.socket_path, "x" * 107),
        (names.base_url, "https://api.openai.com"),
        (names.base_url, "http://localhost:8080/v1/"),
        (names.base_url, "http://[::1]:8080"),
        (names.base_url, "HTTPS://Example.com:65535"),
        (names.origin, "*"),
        (names.origin, "https://app.example"),
        (names.origin, "http://localhost:3000"),
        (names.field_name, "X-Team"),
        (names.field_name, "authorization"),
    ],
)
def test_accepts(parse: Callable[[str], str], text: str) -> None:
    assert parse(text) == text


@pytest.mark.parametrize(
    ("parse", "text", "rule"),
    [
        (names.free_text, "\ud800", "surrogate"),
        (names.line, "", "one line"),
        (names.line, "a\nb", "one line"),
        (names.line, "a\x00", "one line"),
        (names.line, "\udfff", "one line"),
        (names.provider_name, "", "1 to 64"),
        (names.provider_name, "x" * 65, "1 to 64"),
        (names.provider_name, "a b", "1 to 64"),
        (names.provider_name, "a/b", "1 to 64"),
        (names.provider_name, "a\n", "1 to 64"),
        (names.provider_name, "é", "1 to 64"),
        (names.host, "", "is not a host"),
        (names.host, "localhost:80", "is not a host"),
        (names.host, "http://localhost", "is not a host"),
        (names.host, "[::1]", "is not a host"),
        (names.host, "a b", "is not a host"),
        (names.host, "-a", "is not a host"),
        (names.host, "x" * 254, "is not a host"),
        (names.socket_path, "x" * 108, "has 108 bytes (the path of a unix socket has at most 107)"),
        (names.socket_path, "é" * 54, "has 108 bytes"),
        (names.socket_path, "", "one line"),
        (names.base_url, "", "is not an absolute URL"),
        (names.base_url, "api.openai.com", "is not an absolute URL"),
        (names.base_url, "localhost:8080", "is not an absolute URL"),
        (names.base_url, "//host", "is not an absolute URL"),
        (names.base_url, "ftp://host", "is not an absolute URL"),
        (names.base_url, "https://", "is not an absolute URL"),
        (names.base_url, "https:///path", "is not an absolute URL"),
        (names.base_url, "https://:80", "is not an absolute URL"),
        (names.base_url, "https://host:", "is not an absolute URL"),
        (names.base_url, "https://host:0", "is not an absolute URL"),
        (names.base_url, "https://host:65536", "is not an absolute URL"),
        (names.base_url, "https://host:x", "is not an absolute URL"),
        (names.base_url, "https://[::1", "is not an absolute URL"),
        (names.base_url, "https://[host]", "is not an absolute URL"),
        (names.base_url, "https://a b", "is not an absolute URL"),
        (names.base_url, "https://host/a\nb", "is not an absolute URL"),
        (names.base_url, "https://ho%st", "is not an absolute URL"),
        (names.base_url, "https://höst", "is not an absolute URL"),
        (names.base_url, "https://u:p@host", "user or a password"),
        (names.base_url, "https://host/?key=1", "query"),
        (names.base_url, "https://host?", "query"),
        (names.base_url, "https://host#", "fragment"),
        (names.origin, "https://app.example/", "is not an origin"),
        (names.origin, "app.example", "is not an origin"),
        (names.origin, "https://*.example", "is not an origin"),
        (names.origin, "https://u@app.example", "is not an origin"),
        (names.origin, "null", "is not an origin"),
        (names.field_name, "", "is not a header field name"),
        (names.field_name, "X Team", "is not a header field name"),
        (names.field_name, "X:", "is not a header field name"),
        (names.field_name, "X\r\nY", "is not a header field name"),
        (names.field_name, "Host", "gateway sets itself"),
        (names.field_name, "CONTENT-LENGTH", "gateway sets itself"),
        (names.field_name, "Transfer-Encoding", "gateway sets itself"),
        (names.field_name, "connection", "gateway sets itself"),
        (names.session_field, "X Y", "is not a header field name"),
        (names.session_field, "Host", "gateway sets itself"),
        (names.session_field, "Authorization", "tells no session"),
        (names.session_field, "cookie", "tells no session"),
        (names.session_field, "X-Forwarded-For", "tells no session"),
        (names.field_value, "a\r\nb: c", "is not a header field value"),
        (names.field_value, "a\x00", "is not a header field value"),
        (names.field_value, " a", "is not a header field value"),
        (names.field_value, "a ", "is not a header field value"),
        (names.field_value, "é", "is not a header field value"),
        (names.secret, "", "is not usable as a key"),
        (names.secret, "sk a", "is not usable as a key"),
        (names.secret, "sk\n", "is not usable as a key"),
        (names.secret, "sk-é", "is not usable as a key"),
    ],
)
def test_refuses(parse: Callable[[str], object], text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=r"is|has|holds") as caught:
        parse(text)
    assert rule in str(caught.value)


@pytest.mark.parametrize("text", ["", "a", "Basic\tdXNlcg== x"])
def test_a_field_value_becomes_a_secret(text: str) -> None:
    assert names.field_value(text) == Secret(text)


def test_a_key_becomes_a_secret() -> None:
    assert names.secret("sk-!~") == Secret("sk-!~")


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (names.secret, "sk a"),
        (names.field_value, "sk\n"),
        (names.base_url, "https://user:password@host"),
        (names.base_url, "user:password@host"),
        (names.base_url, "https://host?key=sk"),
    ],
)
def test_what_may_be_a_credential_is_not_to_be_quoted(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(SensitiveValueError):
        parse(text)
