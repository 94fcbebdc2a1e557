"""Whatever a client sends, it is translated or it is told what is wrong; nothing else happens."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.providers.dialects.messages import translate
from gateway.providers.translation import TranslationError

REQUEST: Any = {
    "model": "m",
    "max_tokens": 10,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://a"}}]},
        {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "d"}}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "tool_use", "id": "1", "name": "f", "input": {"x": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "r"}]}
            ],
        },
    ],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "tool", "name": "f"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["x"],
    "temperature": 1,
    "stream": True,
}
WORDS = ["text", "image", "document", "tool_use", "tool_result", "search_result", "base64", "url", "content"]
NAMES = st.sampled_from([*WORDS, "type"]) | st.text()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def altered(draw: st.DrawFn) -> Any:
    """The request with some values, anywhere in it, replaced, added or taken out."""
    request = json.loads(json.dumps(REQUEST))
    for _ in range(draw(st.integers(1, 4))):
        holder = request
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = draw(st.sampled_from(keys)) if keys else None
            inner = holder[key] if key is not None else None
            if not isinstance(inner, dict | list) or not draw(st.integers(0, 3)):
                break
            holder = inner
        if isinstance(holder, dict) and (key is None or draw(st.booleans())):
            key = draw(NAMES)
        if key is not None:
            holder[key] = draw(VALUES)
    return request


def outcome(body: bytes, *, drop: bool) -> GatewayError | Any:
    """The error, or the request for chat completions."""
    try:
        return json.loads(translate(body, "llama", drop_unsupported=drop).body)
    except GatewayError as refused:
        return refused


def check(body: bytes, *, drop: bool) -> None:
    found = outcome(body, drop=drop)
    if isinstance(found, GatewayError):
        assert (found.status, found.kind) == (400, "invalid_request_error")
        assert found.message
        assert found.param is not None or found.code is None
    else:
        assert found["model"] == "llama"
        assert {message["role"] for message in found["messages"]} <= {"system", "user", "assistant", "tool"}


@given(altered(), st.booleans())
def test_any_request(request_body: Any, drop: bool) -> None:
    check(json.dumps(request_body).encode(), drop=drop)


@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode()), st.booleans())
def test_any_bytes(body: bytes, drop: bool) -> None:
    check(body, drop=drop)


@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode()), st.integers(400, 599))
def test_any_answer(body: bytes, status: int) -> None:
    translator = translate(b'{"max_tokens":1,"messages":[{"role":"user","content":""}]}', "llama").translator
    told_status, told = translator.error(status, body)
    assert told_status >= 400
    assert json.loads(told)["error"]["message"]
    with suppress(TranslationError):
        translator.whole(body)
    with suppress(TranslationError):
        translator.feed(b"data: " + body + b"\n\n")
