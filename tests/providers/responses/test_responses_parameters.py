"""The parameters of a request, each as chat completions has it.

Shapes: https://platform.openai.com/docs/api-reference/responses/create and
https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

from typing import Any

import pytest
from responses_api import NOW, USER, messages, sent

from gateway.providers.dialects.responses import translate

FUNCTION = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}
CHAT_FUNCTION = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object"}, "strict": True},
}
CUSTOM = {"type": "custom", "name": "sql"}
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 2**70}}}


def test_a_text() -> None:
    assert sent({"model": "public", "input": "hi"}) == {"model": "up", "messages": [USER]}


def test_instructions_come_first() -> None:
    assert messages(USER, instructions="be kind") == [{"role": "system", "content": "be kind"}, USER]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_output_tokens": 16}, {"max_tokens": 16}),
        ({"temperature": 0.5, "top_p": 1}, {"temperature": 0.5, "top_p": 1}),
        ({"user": "u", "safety_identifier": "s"}, {"user": "u", "safety_identifier": "s"}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        (
            {"prompt_cache_key": "k", "prompt_cache_retention": "24h"},
            {"prompt_cache_key": "k", "prompt_cache_retention": "24h"},
        ),
        ({"prompt_cache_options": {"mode": "explicit"}}, {"prompt_cache_options": {"mode": "explicit"}}),
        ({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {"effort": None, "summary": "auto"}}, {}),
        ({"text": {"verbosity": "high"}}, {"verbosity": "high"}),
        ({"text": {"format": {"type": "text"}}}, {}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"top_logprobs": 0}, {}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"include": ["reasoning.encrypted_content", "file_search_call.results"]}, {}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": False, "stream_options": {"include_obfuscation": False}}, {}),
        ({"metadata": {"a": "b"}, "max_tool_calls": 3}, {}),
        ({"store": False, "background": False, "truncation": "disabled", "context_management": []}, {}),
        ({"previous_response_id": None, "conversation": None, "prompt": None, "temperature": None}, {}),
    ],
    ids=str,
)
def test_parameters(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sent({"input": "hi", **given}) == {"model": "up", "messages": [USER], **expected}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"tools": [FUNCTION]}, {"tools": [CHAT_FUNCTION]}),
        ({"tools": [{**FUNCTION, "defer_loading": False, "strict": True}]}, {"tools": [CHAT_FUNCTION]}),
        (
            {"tools": [{"type": "function", "name": "f", "parameters": None, "strict": None}]},
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
        ),
        ({"tools": [CUSTOM]}, {"tools": [{"type": "custom", "custom": {"name": "sql"}}]}),
        (
            {"tools": [{**CUSTOM, "format": {"type": "text"}}]},
            {"tools": [{"type": "custom", "custom": {"name": "sql", "format": {"type": "text"}}}]},
        ),
        (
            {"tools": [{**CUSTOM, "format": GRAMMAR}]},
            {
                "tools": [
                    {
                        "type": "custom",
                        "custom": {
                            "name": "sql",
                            "format": {
                                "type": "grammar",
                                "grammar": {"syntax": "lark", "definition": "start: /a/"},
                            },
                        },
                    }
                ]
            },
        ),
        (
            {"tools": [FUNCTION], "tool_choice": "required", "parallel_tool_calls": False},
            {"tools": [CHAT_FUNCTION], "tool_choice": "required", "parallel_tool_calls": False},
        ),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "weather"}},
            {
                "tools": [CHAT_FUNCTION],
                "tool_choice": {"type": "function", "function": {"name": "weather"}},
            },
        ),
        (
            {
                "tools": [FUNCTION],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "weather"}],
                },
            },
            {
                "tools": [CHAT_FUNCTION],
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {
                        "mode": "auto",
                        "tools": [{"type": "function", "function": {"name": "weather"}}],
                    },
                },
            },
        ),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
    ],
    ids=str,
)
def test_tools(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sent({"input": "hi", **given}) == {"model": "up", "messages": [USER], **expected}


def test_great_numbers_stay_whole() -> None:
    body = (
        b'{"input":"hi","seed":null,"tools":[{"type":"function","name":"f","parameters":{"m":%d,"x":1.0}}]}'
    )
    made = translate(body % 2**80, "up", NOW).body
    assert b'{"m":%d,"x":1.0}' % 2**80 in made
