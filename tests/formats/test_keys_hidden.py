"""No key of a provider is heard, whatever format it has: providers repeat it, and it comes out nowhere."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from apis import CHAT, MESSAGES, RESPONSES, Api, ask, id_of
from doubles.running import over
from doubles.wire import Wire, WireDouble, stream, whole
from logs import logging_to

KEY = "canary-1f0c9a-key-of-the-provider"
FIELDS = {"openai": "authorization", "azure": "api-key", "anthropic": "x-api-key", "gemini": "x-goog-api-key"}
"""By format, the field that carries the key."""
SETTINGS = "max_retries: 1, retry: {base_delay: 1ms}, circuit_breaker: {max_failures: 1}"


def error(shape: str) -> dict[str, Any]:
    """An error of a format that repeats the key."""
    message = f"Wrong key: {KEY}."
    return {
        "anthropic": {"type": "error", "error": {"type": "authentication_error", "message": message}},
        "gemini": {"error": {"code": 401, "message": message, "status": "UNAUTHENTICATED"}},
    }.get(shape, {"error": {"message": message, "type": "auth", "param": None, "code": KEY}})


def encoded(shape: str) -> bytes:
    return json.dumps(error(shape)).encode()


def event(shape: str) -> bytes:
    name = b"event: error\n" if shape == "anthropic" else b""
    return b"%bdata: %b\n\n" % (name, encoded(shape))


REFLECTIONS: dict[str, Callable[[str], Wire]] = {
    "error": lambda shape: whole(401, encoded(shape)),
    "overload": lambda shape: whole(503, encoded(shape)),
    "gzip": lambda shape: whole(
        400, gzip.compress(encoded(shape)), "application/json", "content-encoding: gzip"
    ),
    "text": lambda _: whole(500, KEY.encode(), "text/plain"),
    "field": lambda shape: whole(403, encoded(shape), "application/json", f"www-authenticate: Bearer {KEY}"),
    "field of a success": lambda _: whole(200, b'{"is": "none"}', "application/json", f"x-key: {KEY}"),
    "request id": lambda shape: whole(400, encoded(shape), "application/json", f"x-request-id: {KEY}"),
    "first event": lambda shape: stream([event(shape)]),
    "no json": lambda _: whole(200, f"<html>{KEY}".encode(), "text/html"),
    "no event": lambda _: stream([f"data: {KEY}\n\n".encode()]),
    "name of an event": lambda _: stream([f'event: {KEY}\ndata: {{"type": "{KEY}"}}\n\n'.encode()]),
    "wrong types": lambda _: whole(200, json.dumps({"id": [KEY], KEY: 1, "choices": KEY}).encode()),
    "reason": lambda _: Wire([f"HTTP/1.1 401 {KEY}\r\ncontent-length: 0\r\n\r\n".encode()]),
    "garbage": lambda _: Wire([f"{KEY}\r\n\r\n".encode()], "close"),
}

CONTENT = ("no json", "no event", "name of an event", "wrong types")
"""What is no error, and so goes through byte for byte where nothing is translated."""
PASSED_ON = ((CHAT, "openai"), (CHAT, "azure"), (MESSAGES, "anthropic"))


@pytest.mark.parametrize("api", [CHAT, MESSAGES, RESPONSES], ids=id_of)
@pytest.mark.parametrize("shape", FIELDS)
def test_a_key_that_a_provider_repeats_comes_out_nowhere(api: Api, shape: str) -> None:
    provider = f'format: {shape}, base_url: "{{p}}", api_key: {KEY}, {SETTINGS}'
    config = f"logging: {{access: true}}\nproviders: {{p: {{{provider}}}}}\n"
    if shape in ("openai", "azure"):
        config = config.replace("max_retries", "responses: chat, max_retries")
    log = io.StringIO()
    for name, reflection in REFLECTIONS.items():
        double = WireDouble(reflection(shape))
        with logging_to(log), over(config, p=double) as gateway:
            for is_stream in (False, True):
                heard = api.ask(gateway, "gpt-4o", stream=is_stream)
                assert KEY not in str(heard.fields), name
                if name not in CONTENT or (api, shape) not in PASSED_ON:
                    assert KEY.encode() not in heard.body, name
            for path in ("/health", "/metrics", "/stats", "/v1/models"):
                assert KEY.encode() not in ask(gateway, "GET", path).body, (name, path)
        assert KEY.encode() in double.requests[0], name
        assert FIELDS[shape].encode() in double.requests[0].lower(), name
    assert log.getvalue()
    assert KEY not in log.getvalue()
