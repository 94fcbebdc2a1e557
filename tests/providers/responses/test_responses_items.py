"""The items of the input, and their parts, as messages of chat completions.

Shapes: https://platform.openai.com/docs/api-reference/responses/create#responses-create-input and
https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from responses_api import USER, messages

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "input_image", "image_url": "data:,x"},
            {"type": "image_url", "image_url": {"url": "data:,x"}},
        ),
        (
            {"type": "input_image", "image_url": "https://a/b", "detail": "low", "file_id": None},
            {"type": "image_url", "image_url": {"url": "https://a/b", "detail": "low"}},
        ),
        (
            {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        ),
        ({"type": "input_file", "file_id": "file-1"}, {"type": "file", "file": {"file_id": "file-1"}}),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        ),
        (
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        ),
    ],
    ids=str,
)
def test_parts(part: dict[str, Any], expected: dict[str, Any]) -> None:
    assert messages({"role": "user", "content": [part]}) == [{"role": "user", "content": [expected]}]


def test_roles() -> None:
    items = [{"role": role, "content": role} for role in ("system", "developer", "user", "assistant")]
    assert [message["role"] for message in messages(*items)] == ["system", "system", "user", "assistant"]


def test_one_text_is_a_string_and_several_are_parts() -> None:
    text = {"type": "input_text", "text": "a"}
    assert messages({"type": "message", "role": "user", "content": [text]}) == [
        {"role": "user", "content": "a"}
    ]
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "a"}]
    assert messages({"role": "user", "content": [text, text]}) == [{"role": "user", "content": parts}]


def test_items_of_one_turn_are_one_message() -> None:
    call = {"type": "function_call", "id": "fc_1", "status": "completed", "name": "f", "arguments": "{ }"}
    said = {"type": "output_text", "text": "wait", "annotations": [], "logprobs": []}
    assert messages(
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": [said]},
        {**call, "call_id": "c1"},
        {**call, "call_id": "c2"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
        {**call, "call_id": "c3"},
    ) == [
        USER,
        {
            "role": "assistant",
            "content": "wait",
            "reasoning_content": "hm",
            "tool_calls": [chat_call("c1"), chat_call("c2")],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
        {"role": "assistant", "content": None, "tool_calls": [chat_call("c3")]},
    ]


def chat_call(identifier: str) -> dict[str, Any]:
    return {"id": identifier, "type": "function", "function": {"name": "f", "arguments": "{ }"}}


def test_custom_tool_calls() -> None:
    assert messages(
        {"type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "SELECT 1"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "1"},
    ) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]


def test_a_refusal_stays_one() -> None:
    refused = {"type": "refusal", "refusal": "no"}
    assert messages({"role": "assistant", "content": [refused]}) == [
        {"role": "assistant", "content": [refused]}
    ]


def test_images_of_tools_follow_all_results() -> None:
    image = {"type": "input_image", "image_url": "data:,x"}
    made = messages(
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": [image]},
        {"type": "function_call_output", "call_id": "b", "output": "text"},
        USER,
    )
    assert [message["role"] for message in made] == ["assistant", "tool", "tool", "user", "user"]
    assert made[1]["content"] == "(What is not text follows in the user's message.)"
    assert made[3]["content"] == [
        {"type": "text", "text": "From the result of the tool call a:"},
        {"type": "image_url", "image_url": {"url": "data:,x"}},
    ]


user = st.builds(lambda text: {"role": "user", "content": text}, texts)
system = st.builds(
    lambda text: {"role": "developer", "content": [{"type": "input_text", "text": text}]}, texts
)
assistant = st.builds(
    lambda said: {"role": "assistant", "content": [{"type": "output_text", "text": text} for text in said]},
    st.lists(texts),
)
call = st.builds(
    lambda name, arguments: {"type": "function_call", "call_id": "c", "name": name, "arguments": arguments},
    texts,
    texts,
)
output = st.builds(lambda text: {"type": "function_call_output", "call_id": "c", "output": text}, texts)


def texts_in(value: Any) -> list[str]:
    """Every text of a conversation of either API, in no order."""
    if isinstance(value, list):
        return [text for inner in value for text in texts_in(inner)]
    if isinstance(value, dict):
        named = {
            name: inner for name, inner in value.items() if name not in ("type", "role", "id", "call_id")
        }
        return [text for name in named if name != "tool_call_id" for text in texts_in(named[name])]
    return [value] if isinstance(value, str) and value else []


@given(st.lists(user | system | assistant | call | output, min_size=1))
def test_every_text_survives(items: list[dict[str, Any]]) -> None:
    assert sorted(texts_in(messages(*items))) == sorted(texts_in(items))


@given(st.lists(texts.filter(bool), min_size=1))
def test_every_thought_survives(thoughts: list[str]) -> None:
    items = [{"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]} for text in thoughts]
    [told] = messages(*items)
    assert told == {"role": "assistant", "content": "", "reasoning_content": "\n\n".join(thoughts)}
