"""What a request cannot ask for, what is wrong in one, and that nothing causes another error."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from responses_api import NOW, USER, places_in, refusal, sent

from gateway.errors import GatewayError
from gateway.providers.dialects.responses import translate

FUNCTION = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}
CHAT_FUNCTION = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object"}, "strict": True},
}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("request_", "param", "gone"),
    [
        ({"store": True}, "store", "store"),
        ({"background": True}, "background", "background"),
        ({"background": 0}, "background", "background"),
        ({"truncation": "auto"}, "truncation", "auto"),
        ({"context_management": [{"type": "compaction"}]}, "context_management", "compaction"),
        ({"moderation": {"model": "m"}}, "moderation", "moderation"),
        ({"stop": ["a"]}, "stop", "stop"),
        ({"reasoning": {"summary": "detailed"}}, "reasoning.summary", "detailed"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode", "pro"),
        (
            {"stream_options": {"include_obfuscation": True}},
            "stream_options.include_obfuscation",
            "obfuscation",
        ),
        ({"prompt_cache_options": {"prewarm": True}}, "prompt_cache_options.prewarm", "prewarm"),
        ({"include": ["file_search_call.results", "everything"]}, "include[1]", "everything"),
        ({"text": {"format": {"type": "text"}, "tone": "warm"}}, "text.tone", "warm"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "tools"),
        ({"tools": [FUNCTION, {"type": "mcp", "server_label": "s"}]}, "tools[1].type", "mcp"),
        ({"tools": [{**FUNCTION, "defer_loading": True}]}, "tools[0].defer_loading", "defer_loading"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "file_search"}}, "tool_choice.type", "tool_choice"),
        ({"input": [{**USER, "phase": "commentary"}]}, "input[0].phase", "commentary"),
        ({"input": [{**CALL, "async": True}]}, "input[0].async", "async"),
        (
            {
                "input": [
                    {
                        "role": "user",
                        "content": [{"type": "input_image", "image_url": "data:,", "file_id": "file-1"}],
                    }
                ]
            },
            "input[0].content[0].file_id",
            "file-1",
        ),
    ],
    ids=str,
)
def test_what_chat_completions_lacks_is_refused_or_dropped(
    request_: dict[str, Any], param: str, gone: str
) -> None:
    request_ = {"input": "hi", **request_}
    error = refusal(request_)
    assert (error.code, error.param) == ("unsupported_parameter", param)
    assert "drop_unsupported" in error.message
    left = sent(request_, drop_unsupported=True)
    assert left["messages"]
    assert gone not in json.dumps(left)


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"input": "hi", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": "hi", "conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [USER, {"type": "web_search_call", "id": "ws_1"}]}, "input[1].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://a/b"}]}]},
            "input[0].content[0].file_url",
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("drop_unsupported", [False, True])
def test_what_the_answer_hangs_on_is_never_dropped(
    request_: dict[str, Any], param: str, drop_unsupported: bool
) -> None:
    error = refusal(request_, drop_unsupported=drop_unsupported)
    assert (error.code, error.param) == ("unsupported_parameter", param)
    assert "drop_unsupported" not in error.message


@pytest.mark.parametrize(
    ("request_", "param", "says"),
    [
        (b"", None, "must be JSON"),
        (b"\xff", None, "must be JSON"),
        (b'{"input": "\xff"}', None, "UTF-8"),
        (b"[]", None, "JSON object"),
        (b'{"input": ' + b"[" * 100_000, None, "too deeply"),
        ({}, "input", "missing"),
        ({"input": []}, "input", "must have an item"),
        ({"input": 1}, "input", "must be a string or an array of objects"),
        ({"input": ["hi"]}, "input[0]", "must be a JSON object"),
        ({"input": [{"type": 1}]}, "input[0].type", "must be one of message, "),
        ({"input": [{"content": "", "type": "message"}]}, "input[0].role", "missing"),
        ({"input": [{"role": "tool", "content": ""}]}, "input[0].role", "user, assistant, system, developer"),
        ({"input": [{"role": "user", "content": [1]}]}, "input[0].content[0]", "must be a JSON object"),
        (
            {"input": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
            "input[0].content[0].type",
            "is 'text'; it must be one of input_text, ",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            "input[0].content[0].file_data",
            "missing",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
            "missing",
        ),
        ({"input": [{"type": "function_call_output", "output": ""}]}, "input[0].call_id", "missing"),
        ({"input": "", "temperature": "hot"}, "temperature", "must be a number"),
        ({"input": "", "max_output_tokens": 1.5}, "max_output_tokens", "must be an integer"),
        ({"input": "", "stream": "true"}, "stream", "must be true or false"),
        ({"input": "", "include": [1]}, "include[0]", "must be a string"),
        ({"input": "", "metadata": {"a": 1}}, "metadata[...]", "must be a string"),
        ({"input": "", "tools": ["f"]}, "tools[0]", "must be a JSON object"),
        ({"input": "", "tools": [{"name": "f"}]}, "tools[0].type", "function, custom"),
        ({"input": "", "tools": [{"type": "function"}]}, "tools[0].name", "missing"),
        ({"input": "", "tool_choice": "any"}, "tool_choice", "none, auto, required"),
        ({"input": "", "tool_choice": "required"}, "tool_choice", "none in `tools`"),
        (
            {"input": "", "text": {"format": {"type": "xml"}}},
            "text.format.type",
            "text, json_schema, json_object",
        ),
        ({"input": "", "text": {"format": {}}}, "text.format.type", "must be one of"),
        (
            {"input": "", "text": {"format": {"type": "json_schema", "name": "n"}}},
            "text.format.schema",
            "missing",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_wrong_is_named(request_: Any, param: str | None, says: str) -> None:
    error = refusal(request_)
    assert error.param == param
    assert says in error.message


def test_a_choice_of_what_is_dropped_is_dropped() -> None:
    search = {"type": "web_search"}
    request = {"input": "hi", "tools": [FUNCTION, search], "tool_choice": search}
    assert sent(request, drop_unsupported=True) == {
        "model": "up",
        "messages": [USER],
        "tools": [CHAT_FUNCTION],
    }
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [search]}
    choice = sent({**request, "tool_choice": allowed}, drop_unsupported=True)["tool_choice"]
    assert choice["allowed_tools"] == {"mode": "auto", "tools": []}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(["message", "function_call", "reasoning", "output_text", "custom", "auto", "system"])
RICH: Any = {
    "instructions": "a",
    "input": [
        {"type": "message", "role": "user", "status": "completed", "content": "a"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "input_image", "image_url": "data:,", "detail": "low", "file_id": None},
                {"type": "input_file", "file_data": "data:,", "filename": "f", "detail": "auto"},
                {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "a"},
            ],
        },
        {
            "type": "reasoning",
            "id": "r",
            "summary": [{"type": "summary_text", "text": "a"}],
            "content": [{"type": "reasoning_text", "text": "a"}],
            "encrypted_content": "a",
        },
        {**CALL, "caller": {"type": "direct"}, "async": False},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "a"}]},
        {"type": "custom_tool_call", "call_id": "c", "name": "t", "input": "a"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "a"},
    ],
    "tools": [
        FUNCTION,
        {"type": "custom", "name": "t", "format": {"type": "grammar", "syntax": "lark", "definition": "a"}},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["message.output_text.logprobs"],
    "metadata": {"a": "b"},
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
    "temperature": 1,
    "store": False,
}


def translated(body: bytes, **options: bool) -> bytes | None:
    """The body for the provider, or None for one that is refused."""
    try:
        return translate(body, "up", NOW, **options).body
    except GatewayError:
        refusal(body, **options)
        return None


def test_the_rich_request_is_right() -> None:
    assert sent(RICH)["messages"]


@given(json_values | st.dictionaries(st.sampled_from(sorted(RICH)), json_values), st.booleans())
def test_no_json_causes_another_error(request_: Any, drop_unsupported: bool) -> None:
    body = translated(json.dumps(request_).encode(), drop_unsupported=drop_unsupported)
    assert body is None or json.loads(body)["messages"]


@given(st.integers(0, len(list(places_in(RICH))) - 1), json_values | WORDS, st.booleans())
@settings(max_examples=400)
def test_no_value_anywhere_causes_another_error(place: int, value: Any, drop_unsupported: bool) -> None:
    request = copy.deepcopy(RICH)
    holder, key = list(places_in(request))[place]
    holder[key] = value
    body = translated(json.dumps(request).encode(), drop_unsupported=drop_unsupported)
    assert body is None or json.loads(body)["messages"]


@given(st.binary())
@example(b'{"input": "\\ud800"}')
@example(b'{"input": "hi", "temperature": 1e999}')
@example(
    b'{"input": "hi", "tools": [{"type": "custom", "name": "x", "format": ' + b"[" * 900 + b"]" * 900 + b"}]}"
)
def test_no_bytes_cause_another_error(body: bytes) -> None:
    assert refusal(body).status == 400


def test_no_depth_causes_another_error() -> None:
    outcomes = set()
    for depth in range(300, 1100, 10):
        schema = b'{"a":' * depth + b"1" + b"}" * depth
        request = b'{"input":"hi","tools":[{"type":"function","name":"f","parameters":%b}]}' % schema
        body = translated(request)
        assert body is None or schema in body
        outcomes.add(body is None)
    assert outcomes == {True, False}
