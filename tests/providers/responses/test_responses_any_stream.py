"""Any stream, in any pieces: the events are the same, add up, and keep every text."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from responses_api import CITATION, DONE, LOGPROBS, USAGE, chunk, events, parsed, places_in, translator, whole

from gateway.providers.translation import TranslationError

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
deltas = st.one_of(
    st.builds(lambda value: {"content": value}, texts),
    st.builds(lambda value: {"refusal": value}, texts),
    st.builds(lambda value: {"reasoning_content": value}, texts),
    st.builds(
        lambda index, name, arguments: {
            "tool_calls": [
                {"index": index, "id": f"c{index}", "function": {"name": name, "arguments": arguments}}
            ]
        },
        st.integers(0, 2),
        names,
        texts,
    ),
)


@given(st.lists(deltas), st.lists(st.integers(0, 4000)), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_split_gives_the_same(said: list[Any], cuts: list[int], line_end: bytes) -> None:
    stream = b"".join(map(chunk, said)) + chunk({}, "stop") + chunk() + DONE
    stream = stream.replace(b"\n", line_end)
    translating = translator(stream=True)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    split = b"".join(translating.feed(stream[start:end]) for start, end in pairwise(bounds))
    once = translator(stream=True)
    assert split + translating.end() == once.feed(stream) + once.end()


@given(st.lists(deltas))
def test_every_text_survives_and_the_events_add_up(said: list[Any]) -> None:
    found = events(b"".join(map(chunk, said)) + chunk({}, "stop"))
    output = found[-1]["response"]["output"]
    assert output == [event["item"] for event in sorted(done(found), key=lambda event: event["output_index"])]
    assert told(output, "message", "text") == joined(said, "content")
    assert told(output, "message", "refusal") == joined(said, "refusal")
    assert told(output, "reasoning", "text") == joined(said, "reasoning_content")
    arguments: dict[str, str] = {}
    for delta in said:
        for call in delta.get("tool_calls", ()):
            arguments[call["id"]] = arguments.get(call["id"], "") + call["function"]["arguments"]
    calls = [item for item in output if item["type"] == "function_call"]
    assert {item["call_id"]: item["arguments"] for item in calls} == arguments
    for item in output:
        pieces = [event["delta"] for event in found if "delta" in event and event["item_id"] == item["id"]]
        parts = item.get("content") or item.get("summary") or []
        ends = [part.get("text", part.get("refusal")) for part in parts] or [item.get("arguments", "")]
        assert "".join(pieces) == "".join(ends)


def done(found: list[Any]) -> list[Any]:
    return [event for event in found if event["type"] == "response.output_item.done"]


def told(output: list[Any], kind: str, name: str) -> str:
    items = [item for item in output if item["type"] == kind]
    parts = [part for item in items for part in item.get("content" if kind == "message" else "summary")]
    return "".join(part[name] for part in parts if name in part)


def joined(said: list[Any], name: str) -> str:
    return "".join(delta.get(name, "") for delta in said)


@given(texts, texts, texts, st.lists(st.tuples(names, texts), max_size=3))
def test_a_stream_ends_with_what_is_said_at_once(
    thought: str, content: str, refused: str, called: list[tuple[str, str]]
) -> None:
    calls = [
        {"index": index, "id": f"c{index}", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(called)
    ]
    said = {"reasoning_content": thought, "content": content, "refusal": refused, "tool_calls": calls}
    streamed = events(b"".join(chunk({name: said[name]}) for name in said) + chunk({}, "stop") + chunk())
    assert streamed[-1]["response"] == whole(said)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
BLOCK = {"index": 0, "type": "thinking", "thinking": "a", "signature": ""}
CALL = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "a"}, "extra_content": {"a": "b"}}
RICH: Any = {
    "id": "chatcmpl-1",
    "created": 1,
    "model": "m",
    "service_tier": "default",
    "choices": [
        {
            "index": 0,
            "delta": {
                "reasoning_content": "a",
                "thinking_blocks": [BLOCK, {**BLOCK}],
                "content": "a",
                "refusal": "a",
                "annotations": [{"type": "url_citation", "url_citation": CITATION}],
                "tool_calls": [
                    CALL,
                    {**CALL},
                    {"index": 1, "id": "d", "custom": {"name": "t", "input": "a"}},
                ],
            },
            "finish_reason": "stop",
            "logprobs": {"content": LOGPROBS},
        }
    ],
    "usage": USAGE,
    "error": None,
}


@given(st.integers(0, len(list(places_in(RICH))) - 1), json_values)
@settings(max_examples=400)
def test_no_answer_causes_another_error(place: int, value: Any) -> None:
    answer = copy.deepcopy(RICH)
    holder, key = list(places_in(answer))[place]
    holder[key] = value
    translating = translator(stream=True)
    payload = json.dumps(answer).encode()
    with suppress(TranslationError):
        found = parsed(translating.feed(b"data: %b\n\ndata: %b\n\n" % (payload, payload)) + translating.end())
        assert found[-1]["type"] in ("response.completed", "response.incomplete")
    with suppress(TranslationError):
        assert json.loads(translator().whole(payload.replace(b'"delta"', b'"message"')))["output"]


def test_the_rich_answer_is_right() -> None:
    kinds = [
        item["type"] for item in events(b"data: %b\n\n" % json.dumps(RICH).encode())[-1]["response"]["output"]
    ]
    assert kinds == ["reasoning", "message", "reasoning", "function_call", "custom_tool_call"]
