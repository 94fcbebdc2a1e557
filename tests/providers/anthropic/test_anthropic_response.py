"""Whole answers of the Messages API, and the chat completions that they become.

Shapes: https://platform.claude.com/docs/en/api/messages
and https://platform.openai.com/docs/api-reference/chat/object
"""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from gateway.providers.anthropic.response import Translator
from gateway.providers.translation import TranslationError

Json = dict[str, Any]


def whole(body: Json | bytes, *, deprecated_functions: bool = False) -> Json:
    translator = Translator(1_700_000_000, with_usage=False, deprecated_functions=deprecated_functions)
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    made = json.loads(translator.whole(encoded))
    ChatCompletion.model_validate(made, strict=True)
    return made


def message(*content: Json, **members: Any) -> Json:
    """An answer as the reference's page has it."""
    return {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-8",
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "usage": {
            "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 51},
            "cache_creation_input_tokens": 51,
            "cache_read_input_tokens": 2051,
            "inference_geo": "us",
            "input_tokens": 2095,
            "output_tokens": 503,
            "output_tokens_details": {"thinking_tokens": 100},
            "server_tool_use": None,
            "service_tier": "standard",
        },
        **members,
    }


HI = {"type": "text", "text": "Hi! My name is Claude.", "citations": None}


def test_text() -> None:
    assert whole(message(HI)) == {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "claude-opus-4-8",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi! My name is Claude.", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 2095 + 51 + 2051,
            "completion_tokens": 503,
            "total_tokens": 2095 + 51 + 2051 + 503,
            "prompt_tokens_details": {"cached_tokens": 2051, "cache_write_tokens": 51},
            "completion_tokens_details": {"reasoning_tokens": 100},
        },
        "service_tier": "default",
    }


def test_usage_that_tells_no_more_than_it_must() -> None:
    usage = whole(message(HI, usage={"input_tokens": 3, "output_tokens": 2}))["usage"]
    assert usage == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    }


def test_parallel_calls_keep_the_bytes_of_their_arguments() -> None:
    body = (
        b'{"id":"msg_1","model":"m","content":[{"type":"text","text":"So:"},'
        b'{"type":"tool_use","id":"toolu_1","name":"f","input":{ "n": 123456789012345678901234567890 }},'
        b'{"type":"tool_use","id":"toolu_2","name":"g","input":{}}],'
        b'"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}'
    )
    choice = whole(body)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "So:"
    assert choice["message"]["tool_calls"] == [
        {
            "id": "toolu_1",
            "type": "function",
            "function": {"name": "f", "arguments": '{ "n": 123456789012345678901234567890 }'},
        },
        {"id": "toolu_2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_a_deprecated_function_call() -> None:
    used = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
    choice = whole(message(used, stop_reason="tool_use"), deprecated_functions=True)["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "function_call": {"name": "f", "arguments": '{"a": 1}'},
    }


def test_thoughts() -> None:
    thoughts = [
        {"type": "thinking", "thinking": "Hm. ", "signature": "sig1"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "thinking", "thinking": "Well.", "signature": "sig2"},
    ]
    made = whole(message(*thoughts, HI))["choices"][0]["message"]
    assert made["reasoning_content"] == "Hm. Well."
    assert made["thinking_blocks"] == thoughts
    assert made["content"] == "Hi! My name is Claude."


def test_texts_are_joined_and_unknown_blocks_passed_over() -> None:
    blocks = [{"type": "text", "text": "a"}, {"type": "novelty", "x": 1}, {"type": "text", "text": "b"}]
    assert whole(message(*blocks))["choices"][0]["message"]["content"] == "ab"


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("novelty", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons(stop_reason: str | None, finish_reason: str) -> None:
    assert whole(message(HI, stop_reason=stop_reason))["choices"][0]["finish_reason"] == finish_reason


def test_a_refusal_tells_why() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    choice = whole(message(stop_reason="refusal", stop_details=details))["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "", "refusal": "Not this."}
    assert choice["finish_reason"] == "content_filter"


@pytest.mark.parametrize(("tier", "expected"), [("priority", "priority"), ("batch", "default")])
def test_service_tier(tier: str, expected: str) -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "service_tier": tier}
    assert whole(message(HI, usage=usage))["service_tier"] == expected


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"type":"error"}', b'{"id":"m"}', b'{"id":"\xff"}', b'{"id":' + b"[" * 9000],
)
def test_what_is_no_message_is_an_error(body: bytes) -> None:
    with pytest.raises(TranslationError, match="not a message"):
        whole(body)
