"""Thoughts over turns: what a provider tells goes back to it, to no other model, and by the member it came.

Shapes: https://platform.claude.com/docs/en/build-with-claude/extended-thinking,
https://api-docs.deepseek.com/guides/thinking_mode (`reasoning_content`),
https://docs.vllm.ai/en/latest/features/reasoning_outputs.html (`reasoning`),
https://docs.litellm.ai/docs/reasoning_content (`thinking_blocks`) and
https://ai.google.dev/gemini-api/docs/thought-signatures (`extra_content`).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.providers.dialects.messages import translate
from gateway.providers.events import EventReader

HI: Any = {"role": "user", "content": "Hi"}
EXTRA = {"google": {"thought_signature": "c2ln"}}
CALL = {"id": "call:1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
REDACTED = {"type": "redacted_thinking", "data": "ZGF0YQ=="}


def request(*messages: Any) -> bytes:
    return json.dumps({"max_tokens": 5, "messages": list(messages)}).encode()


def whole(model: str, message: Any) -> Any:
    """The content that the client gets for a message."""
    body = json.dumps({"id": "c", "choices": [{"message": message, "finish_reason": "stop"}]}).encode()
    return json.loads(translate(request(HI), model).translator.whole(body))["content"]


def streamed(model: str, *deltas: Any) -> Any:
    """The content that the client puts together from a stream of deltas."""
    translator = translate(request(HI), model).translator
    chunks = [{"id": "c", "choices": [{"delta": delta}]} for delta in deltas]
    stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    content: list[Any] = []
    for event in EventReader().feed(translator.feed(stream + b"data: [DONE]\n\n")):
        told = json.loads(event.data)
        if told["type"] == "content_block_start":
            content.append(told["content_block"])
        elif told["type"] == "content_block_delta":
            delta = told["delta"]
            for member in ("thinking", "signature", "text"):
                if member in delta:
                    content[-1][member] += delta[member]
    return content


def sent_back(model: str, content: Any) -> Any:
    """The assistant's message as the provider gets it, when its content comes back from the client."""
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "1"}
        for block in content
        if block["type"] == "tool_use"
    ]
    turn = {"role": "assistant", "content": content}
    body = translate(request(HI, turn, {"role": "user", "content": results or "And?"}), model).body
    return json.loads(body)["messages"][1]


ASSISTANT = {"role": "assistant", "content": "So:"}
MESSAGES = [
    {**ASSISTANT, "reasoning_content": "Hm."},
    {**ASSISTANT, "reasoning": "Hm."},
    {**ASSISTANT, "thinking_blocks": [THOUGHT, REDACTED, THOUGHT]},
    {**ASSISTANT, "thinking_blocks": [{**THOUGHT, "thinking": ""}]},
    {**ASSISTANT, "extra_content": EXTRA},
    {**ASSISTANT, "content": None, "reasoning": "Hm.", "tool_calls": [{**CALL, "extra_content": EXTRA}]},
    {**ASSISTANT, "content": None, "tool_calls": [{**CALL, "extra_content": EXTRA}, {**CALL, "id": "b"}]},
]


@pytest.mark.parametrize("message", MESSAGES)
def test_thoughts_go_back_by_the_member_that_they_came_by(message: Any) -> None:
    assert sent_back("llama", whole("llama", message)) == message


@pytest.mark.parametrize("message", MESSAGES)
def test_no_other_model_gets_them(message: Any) -> None:
    message = {name: value for name, value in message.items() if name in ASSISTANT} | {
        "tool_calls": [
            {name: value for name, value in call.items() if name != "extra_content"}
            for call in message.get("tool_calls", [])
        ]
    }
    content = whole("llama", MESSAGES[0] | message | {"thinking_blocks": [THOUGHT, REDACTED]})
    expected = message if message["tool_calls"] else {**ASSISTANT}
    assert sent_back("llama-2", content) == expected


def test_what_is_told_twice_is_told_by_what_is_signed() -> None:
    message = {**ASSISTANT, "reasoning_content": "Hm.", "thinking_blocks": [THOUGHT]}
    content = whole("llama", message)
    assert [block["type"] for block in content] == ["thinking", "text"]
    assert sent_back("llama", content) == {**ASSISTANT, "thinking_blocks": [THOUGHT]}


@pytest.mark.parametrize(
    ("deltas", "message"),
    [
        ([{"reasoning": "H"}, {"reasoning": "m."}, {"content": "So:"}], {"reasoning": "Hm."}),
        ([{"reasoning_content": "H"}, {"content": "So:"}], {"reasoning_content": "H"}),
        (  # the gateway's own format `anthropic`: pieces of the block at `index`
            [
                {
                    "reasoning_content": "H",
                    "thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "H"}],
                },
                {"thinking_blocks": [{"index": 0, **THOUGHT, "thinking": "m."}]},
                {"thinking_blocks": [{"index": 1, **REDACTED}]},
                {"thinking_blocks": [{"index": 2, **THOUGHT}]},
                {"content": "So:"},
            ],
            {"thinking_blocks": [THOUGHT, REDACTED, THOUGHT]},
        ),
        (  # LiteLLM: no index, the signature last
            [
                {"thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": None}]},
                {"thinking_blocks": [{**THOUGHT, "thinking": ""}]},
                {"thinking_blocks": [THOUGHT]},
                {"content": "So:"},
            ],
            {"thinking_blocks": [THOUGHT, THOUGHT]},
        ),
        ([{"content": "So:"}, {"extra_content": EXTRA}], {"extra_content": EXTRA}),
        (
            [{"content": "So:"}, {"tool_calls": [{"index": 0, **CALL, "extra_content": EXTRA}]}],
            {"tool_calls": [{**CALL, "extra_content": EXTRA}]},
        ),
    ],
)
def test_streams_tell_thoughts_that_go_back(deltas: list[Any], message: Any) -> None:
    assert sent_back("llama", streamed("llama", *deltas)) == {**ASSISTANT, **message}


def test_thoughts_that_text_has_cut_in_two_go_back_as_one() -> None:
    deltas = [{"reasoning": "H"}, {"content": "So:"}, {"reasoning": "m."}]
    assert sent_back("llama", streamed("llama", *deltas)) == {**ASSISTANT, "reasoning": "Hm."}


@pytest.mark.parametrize(
    "block",
    [
        THOUGHT,
        REDACTED,
        {"type": "thinking", "thinking": "Hm."},
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "thinking", "thinking": "Hm.", "signature": "gateway:0011223344556677:reasoning:"},
    ],
)
def test_thoughts_that_others_signed_are_left_out(block: Any) -> None:
    assert sent_back("llama", [block, {"type": "text", "text": "So:"}]) == ASSISTANT


def test_a_turn_of_nothing_but_such_thoughts_is_empty() -> None:
    assert sent_back("llama", [THOUGHT]) == {"role": "assistant", "content": ""}


def test_a_seal_with_another_member_opens_nothing() -> None:
    (thought, text) = whole("llama", MESSAGES[0])
    thought["signature"] = thought["signature"].replace("reasoning_content", "role")
    assert sent_back("llama", [thought, text]) == ASSISTANT


def test_data_that_was_changed_is_an_error_of_the_client() -> None:
    content = whole("llama", MESSAGES[4])
    content[1]["data"] = content[1]["data"][:-1]
    with pytest.raises(GatewayError) as refused:
        sent_back("llama", content)
    assert (refused.value.status, refused.value.param) == (400, "messages[1].content[1].data")


@given(
    st.text(min_size=1), st.text(min_size=1), st.sampled_from(["reasoning", "reasoning_content"]), st.text()
)
def test_all_thoughts_survive(model: str, thought: str, member: str, signature: str) -> None:
    message = {**ASSISTANT, member: thought}
    assert sent_back(model, whole(model, message)) == message
    signed = {**ASSISTANT, "thinking_blocks": [{**THOUGHT, "thinking": thought, "signature": signature}]}
    assert sent_back(model, whole(model, signed)) == signed
