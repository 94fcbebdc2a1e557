"""There and back: what this dialect makes of a Messages request, the format `anthropic` makes one of again.

What both can express comes out as it went in, and so does the answer on its way back.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from doubles import anthropic as double
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers import anthropic
from gateway.providers.dialects import messages
from gateway.providers.dialects.messages.thinking import Seal
from gateway.providers.events import EventReader
from gateway.providers.translation import Chained, Translator

MODEL = "claude-opus-4-8"
SEAL = Seal(MODEL)
SCHEMA: Any = {"type": "object", "properties": {"x": {"type": "number"}}, "additionalProperties": False}
ASK: Any = {"max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}


def there_and_back(request: Any) -> Any:
    chat = messages.translate(json.dumps(request).encode(), MODEL).body
    return json.loads(anthropic.translate(chat, MODEL, now=0).body)


def chained(**members: Any) -> Translator:
    far = messages.translate(json.dumps({**ASK, **members}).encode(), MODEL)
    near = anthropic.translate(far.body, MODEL, now=0)
    return Chained(near.translator, far.translator)


def sealed(block: Any) -> Any:
    """A block of Anthropic's as this dialect shows it to its client."""
    member = {"thinking": "signature", "redacted_thinking": "data"}.get(block["type"])
    return block if member is None else {**block, member: SEAL.close("thinking_blocks", block[member])}


TEXT = st.text(min_size=1, max_size=10).filter(str.strip)
INPUT = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=3)
IMAGE = st.sampled_from(
    [
        {"type": "url", "url": "https://example.com/a.png"},
        {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
    ]
).map(lambda source: {"type": "image", "source": source})
THOUGHT = st.one_of(
    st.builds(lambda said, sig: {"type": "thinking", "thinking": said, "signature": sig}, TEXT, TEXT),
    st.builds(lambda data: {"type": "redacted_thinking", "data": data}, TEXT),
)


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


@st.composite
def conversation(draw: st.DrawFn) -> list[Any]:
    """Turns as Anthropic signed them: the user's, and the assistant's with calls that are answered."""
    turns = [{"role": "user", "content": [*draw(st.lists(IMAGE, max_size=1)), text(draw(TEXT))]}]
    for turn in range(draw(st.integers(0, 3))):
        inputs = draw(st.lists(INPUT, max_size=2))
        calls = [
            {"type": "tool_use", "id": f"toolu_{turn}_{at}", "name": "f", "input": value}
            for at, value in enumerate(inputs)
        ]
        said = [*draw(st.lists(THOUGHT, max_size=2)), text(draw(TEXT))]
        results = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": [text(draw(TEXT))]}
            for call in calls
        ]
        turns.append({"role": "assistant", "content": said + calls})
        turns.append({"role": "user", "content": [*results, text(draw(TEXT))]})
    return turns


@given(TEXT, conversation())
def test_texts_thoughts_calls_and_results_survive(system: str, turns: list[Any]) -> None:
    shown = [{**turn, "content": [sealed(block) for block in turn["content"]]} for turn in turns]
    back = there_and_back({**ASK, "system": system, "messages": shown})
    assert back["system"] == [text(system)]
    assert back["messages"] == turns


@pytest.mark.parametrize(
    "members",
    [
        {"stop_sequences": ["a", "b"]},
        {"stream": True},
        {"metadata": {"user_id": "u-1"}},
        {"service_tier": "standard_only"},
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {
            "tools": [{"name": "f", "description": "F.", "input_schema": SCHEMA}],
            "tool_choice": {"type": "any"},
        },
        {
            "tools": [{"name": "f", "input_schema": SCHEMA}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        },
        {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}},
    ],
)
def test_parameters_survive(members: Any) -> None:
    back = there_and_back({**ASK, **members})
    del back["model"], back["messages"], back["max_tokens"]
    assert back == members


def message(content: list[Any], **members: Any) -> dict[str, Any]:
    usage = {
        "input_tokens": 5,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 12,
        "output_tokens": 8,
        "output_tokens_details": {"thinking_tokens": 2},
    }
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
        **members,
    }


CONTENT = st.builds(
    lambda thoughts, said, inputs: [
        *thoughts,
        *([text(said)] if said else []),
        *(
            {"type": "tool_use", "id": f"toolu_{at}", "name": "f", "input": value}
            for at, value in enumerate(inputs)
        ),
    ],
    st.lists(THOUGHT, max_size=2),
    st.text(max_size=10),
    st.lists(INPUT, max_size=2),
)


@given(CONTENT)
def test_whole_answers_survive(content: list[Any]) -> None:
    called = any(block["type"] == "tool_use" for block in content)
    answer = message(content, stop_reason="tool_use" if called else "end_turn")
    shown = json.loads(chained().whole(json.dumps(answer).encode()))
    assert shown == {**answer, "content": [sealed(block) for block in content]}


@pytest.mark.parametrize("reason", ["end_turn", "max_tokens", "refusal"])
def test_reasons_survive(reason: str) -> None:
    answer = message([text("a")], stop_reason=reason)
    assert json.loads(chained().whole(json.dumps(answer).encode())) == answer


@given(CONTENT)
def test_streams_survive(content: list[Any]) -> None:
    of = chained(stream=True)
    usage = message([])["usage"]
    events = double.stream_events(double.Answer(content, usage=usage), MODEL)
    stream = b"".join([of.feed(double.encode_event(event)) for event in events]) + of.end()
    blocks: list[Any] = []
    for event in EventReader().feed(stream):
        told = json.loads(event.data)
        if told["type"] == "content_block_start":
            blocks.append(told["content_block"])
            arguments = ""
        elif told["type"] == "content_block_delta":
            arguments += told["delta"].get("partial_json", "")
            for member in ("text", "thinking", "signature"):
                if member in told["delta"]:
                    blocks[-1][member] += told["delta"][member]
        elif told["type"] == "content_block_stop" and arguments:
            blocks[-1]["input"] = json.loads(arguments)
        elif told["type"] == "message_delta":
            assert told["usage"] == usage
    assert blocks == [sealed(block) for block in content]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_errors_survive(status: int, kind: str) -> None:
    body = {"type": "error", "error": {"type": kind, "message": "No."}}
    told, shown = chained().error(status, json.dumps(body).encode())
    assert (told, json.loads(shown)) == (status, body)
