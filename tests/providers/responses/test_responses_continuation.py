"""Conversations over several turns without stored responses: what a model said goes back to it as it was."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.dialects.responses import translate

NOW = 1_770_000_000
USER = {"role": "user", "content": "hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":  1}'}}
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "ZGF0YQ=="}
SIGNATURE = {"google": {"thought_signature": "c2ln"}}


def output_for(said: dict[str, Any], model: str = "up") -> list[Any]:
    """The items of the response when `model` said this."""
    translation = translate(json.dumps({"input": [USER]}).encode(), model, NOW)
    message = {"role": "assistant", **said}
    answer = {"id": "chatcmpl-1", "choices": [{"message": message, "finish_reason": "stop"}]}
    output: list[Any] = json.loads(translation.translator.whole(json.dumps(answer).encode()))["output"]
    return output


def streamed_output_for(*deltas: dict[str, Any]) -> list[Any]:
    translation = translate(json.dumps({"input": [USER], "stream": True}).encode(), "up", NOW)
    chunks = [{"id": "chatcmpl-1", "choices": [{"delta": delta}]} for delta in deltas]
    stream = b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks)
    events = translation.translator.feed(stream + b"data: [DONE]\n\n").decode().split("\n\n")
    output: list[Any] = json.loads(events[-2].partition("data: ")[2])["response"]["output"]
    return output


def sent_back(output: list[Any], model: str = "up") -> Any:
    """The message of the assistant when a client sends the items back."""
    body = json.dumps({"input": [USER, *output, USER]}).encode()
    first, *turn, last = json.loads(translate(body, model, NOW).body)["messages"]
    assert (first, last) == (USER, USER)
    return turn


@pytest.mark.parametrize(
    "said",
    [
        {"content": "hello"},
        {"content": [{"type": "refusal", "refusal": "no"}]},
        {"content": None, "tool_calls": [CALL]},
        {"content": "wait", "tool_calls": [CALL, {**CALL, "id": "c2"}]},
        {
            "content": None,
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "s", "input": "1"}}],
        },
        {"content": "hello", "reasoning_content": "hm"},
        {"content": "hello", "reasoning": "hm"},
        {"content": None, "thinking_blocks": [SIGNED, REDACTED, SIGNED], "tool_calls": [CALL]},
        {"content": None, "tool_calls": [{**CALL, "extra_content": SIGNATURE}]},
        {"content": None, "reasoning_content": "hm", "tool_calls": [{**CALL, "extra_content": SIGNATURE}]},
    ],
    ids=str,
)
def test_what_was_said_goes_back_as_it_was(said: dict[str, Any]) -> None:
    answered = dict(said)
    if isinstance(said["content"], list):
        answered |= {"content": None, "refusal": "no"}
    assert sent_back(output_for(answered)) == [{"role": "assistant", **said}]


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(texts, texts, st.dictionaries(texts, st.tuples(texts, texts), min_size=1))
def test_all_of_it_goes_back(content: str, thought: str, called: dict[str, tuple[str, str]]) -> None:
    calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, (name, arguments) in called.items()
    ]
    said = {"content": content, "reasoning_content": thought, "tool_calls": calls}
    assert sent_back(output_for(said)) == [{"role": "assistant", **said}]


def test_thoughts_are_shown_as_a_summary() -> None:
    [reasoning, _] = output_for({"content": "hello", "reasoning_content": "hm"})
    assert (reasoning["type"], reasoning["status"]) == ("reasoning", "completed")
    assert reasoning["summary"] == [{"type": "summary_text", "text": "hm"}]


def test_a_signature_of_a_call_stands_before_it() -> None:
    output = output_for({"content": None, "tool_calls": [{**CALL, "extra_content": SIGNATURE}]})
    assert [item["type"] for item in output] == ["reasoning", "function_call"]
    assert output[0]["summary"] == []


@pytest.mark.parametrize(
    "pieces",
    [
        [  # numbered, as tool calls are
            {"index": 0, "type": "thinking", "thinking": "h"},
            {"index": 0, "type": "thinking", "thinking": "m", "signature": "c2"},
            {"index": 0, "type": "thinking", "thinking": "", "signature": "ln"},
            {"index": 1, **REDACTED},
            {"index": 2, **SIGNED},
        ],
        [  # not numbered: a signature is the last of its block
            {"type": "thinking", "thinking": "h", "signature": None},
            {"type": "thinking", "thinking": "m"},
            {"type": "thinking", "thinking": "", "signature": "c2ln"},
            REDACTED,
            SIGNED,
        ],
        [SIGNED, REDACTED, SIGNED],
    ],
)
def test_blocks_are_put_together(pieces: list[dict[str, Any]]) -> None:
    deltas = [{"reasoning_content": piece.get("thinking"), "thinking_blocks": [piece]} for piece in pieces]
    output = streamed_output_for(*deltas, {"content": "hello"})
    assert [item["type"] for item in output] == ["reasoning", "message"]
    assert output[0]["summary"] == [{"type": "summary_text", "text": "hmhm"}]
    [turn] = sent_back(output)
    assert turn["thinking_blocks"] == [SIGNED, REDACTED, SIGNED]
    assert "reasoning_content" not in turn


def test_signed_blocks_stay_apart() -> None:
    [turn] = sent_back(output_for({"content": "hello", "thinking_blocks": [SIGNED, SIGNED]}))
    assert turn["thinking_blocks"] == [SIGNED, SIGNED]


def test_reasoning_of_another_model_is_withheld_and_the_response_tells_it() -> None:
    output = output_for({"content": "hello", "reasoning_content": "hm"}, model="other")
    foreign = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAA"}
    broken = {
        **foreign,
        "id": "rs_3",
        "encrypted_content": output_for({"reasoning": "x"})[0]["encrypted_content"][:-3],
    }
    body = json.dumps({"input": [USER, *output, foreign, broken]}).encode()
    translation = translate(body, "up", NOW)
    assert json.loads(translation.body)["messages"] == [USER, {"role": "assistant", "content": "hello"}]
    response = json.loads(translation.translator.whole(b'{"choices": [{"message": {"content": "x"}}]}'))
    assert response["input_transformations"] == [
        {"id": identifier, "type": "reasoning", "action": "removed", "reason": "model_mismatch"}
        for identifier in ("rs_1_0", "rs_2", "rs_3")
    ]


def test_the_model_that_is_asked_decides_not_the_one_that_is_named() -> None:
    output = output_for({"content": "hello", "reasoning_content": "hm"}, model="one")
    assert sent_back(output, model="one") == [
        {"role": "assistant", "content": "hello", "reasoning_content": "hm"}
    ]
    assert sent_back(output, model="two") == [{"role": "assistant", "content": "hello"}]


@pytest.mark.parametrize("packed", [b"{}", b'{"member": "role"}', b'{"blocks": {}}', b"[]"])
@pytest.mark.parametrize("is_marked", [False, True])
def test_what_is_not_made_here_is_withheld(packed: bytes, is_marked: bool) -> None:
    [reasoning] = output_for({"reasoning_content": "hm"})
    mark = reasoning["encrypted_content"].rpartition(".")[0] + "." if is_marked else ""
    reasoning["encrypted_content"] = mark + base64.urlsafe_b64encode(packed).decode()
    is_made_here = is_marked and packed == b"{}"
    turn = [{"role": "assistant", "content": "", "reasoning_content": "hm"}]
    body = json.dumps({"input": [USER, reasoning]}).encode()
    assert json.loads(translate(body, "up", NOW).body)["messages"] == [USER, *(turn if is_made_here else [])]


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_no_content_causes_an_error(packed: bytes) -> None:
    [reasoning, *_] = output_for({"reasoning_content": "hm"})
    mark = reasoning["encrypted_content"].rpartition(".")[0]
    reasoning["encrypted_content"] = f"{mark}.{packed.decode('latin-1')}"
    sent_back([reasoning])
