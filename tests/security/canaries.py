"""Secrets that sing: a value of its own for each place where one can stand, and the search for them."""

from __future__ import annotations

import base64
import contextlib
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Final

MARK = b"canary"
"""Stands in each of them, so that a part of one is found too. Nothing else may hold it."""

KEY_OF_A = "sk-a-canary-4c1d7e9b2f08"
FIELD_OF_A = "tok-a-canary-93be51a7d06c"
KEY_OF_B = "sk-b-canary-d27f60c8e415"
CLIENT_KEY = "sk-client-canary-85aa3b19f7e2"
ADMIN_KEY = "sk-admin-canary-1e6c0d94b35f"
BESIDE = {
    "x-api-key": "x-api-key-canary-7720c3",
    "api-key": "api-key-canary-b1f94e",
    "x-goog-api-key": "x-goog-canary-0d8e62",
    "proxy-authorization": "Basic proxy-canary-54c9aa",
    "cookie": "session=cookie-canary-e3077b",
}
"""Other credentials that a client may send along, by the field that carries them."""

ENVIRON = {"KEY_FROM_ENV": KEY_OF_B, "CLIENT_FROM_ENV": CLIENT_KEY}

CONFIG = f"""
server:
  port: 0
  api_keys: ["${{CLIENT_FROM_ENV}}"]
  admin: {{api_key: {ADMIN_KEY}}}
  timeouts: {{drain: 200ms}}
providers:
  a:
    format: openai
    base_url: "{{a}}"
    api_key: {KEY_OF_A}
    headers: {{X-Team-Token: {FIELD_OF_A}}}
    max_retries: 1
    retry: {{base_delay: 1ms}}
    timeouts: {{first_byte: 100ms, idle: 100ms}}
    fallback_provider: b
    circuit_breaker: {{max_failures: 1000000}}
  b:
    format: openai
    base_url: "{{b}}"
    api_key: "${{KEY_FROM_ENV}}"
    timeouts: {{first_byte: 100ms, idle: 100ms}}
models: {{with-fallback: {{provider: a}}, alone: {{provider: b}}}}
logging: {{level: debug, access: true}}
"""
"""Every place where a secret can stand; `{{a}}` and `{{b}}` are the providers' addresses."""


def leaks(outputs: Mapping[str, bytes]) -> list[str]:
    """Where a canary can be heard in these outputs: as it stands, in base64, or in what gzip has coded."""
    return [
        f"{name}: {text[max(0, match.start() - 60) : match.end() + 60]!r}"
        for name, data in outputs.items()
        for text in (data, *_inflated(data), *_inflated(_unchunked(data)))
        for match in [_HEARD(text)]
        if match is not None
    ]


def _in_base64(skipped: int) -> bytes:
    """How the mark looks in base64 behind so many bytes, without what depends on its neighbours."""
    coded = base64.b64encode(bytes(skipped) + MARK)
    return coded[-(-skipped * 8 // 6) : (skipped + len(MARK)) * 8 // 6]


_HEARD: Final = re.compile(
    b"(?i:%b)|%b" % (MARK, b"|".join(re.escape(_in_base64(skipped)) for skipped in range(3)))
).search


def _unchunked(data: bytes) -> bytes:
    return re.sub(rb"\r\n[0-9a-f]{1,6}\r\n", b"", data)


def _inflated(data: bytes) -> Iterator[bytes]:
    for match in re.finditer(rb"\x1f\x8b\x08", data):
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj(31).decompress(data[match.start() :])
