"""Streams of the Messages API, and the streams of chat completions that they become.

Shapes: https://platform.claude.com/docs/en/build-with-claude/streaming
and https://platform.openai.com/docs/api-reference/chat/streaming
"""

import itertools
import json
from typing import Any

import pytest
from doubles.anthropic import Answer, encode_event, stream_events, text, thinking, tool_use
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from gateway.providers.anthropic.response import Translator
from gateway.providers.translation import TranslationError

Json = dict[str, Any]


def start(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def piece(index: int, **delta: str) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def stop(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


# The page's examples, in one: thoughts, text, two calls, an event that nobody knows yet.
EVENTS: list[Json] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "content": [],
            "model": "claude-opus-4-8",
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": 25,
                "cache_creation_input_tokens": 4,
                "cache_read_input_tokens": 3,
                "output_tokens": 1,
                "service_tier": "priority",
            },
        },
    },
    {"type": "ping"},
    start(0, type="thinking", thinking="", signature=""),
    piece(0, type="thinking_delta", thinking="Let me see."),
    piece(0, type="signature_delta", signature="EqQB"),
    stop(0),
    start(1, type="redacted_thinking", data="xyz"),
    stop(1),
    start(2, type="text", text=""),
    piece(2, type="text_delta", text="Okay —"),
    stop(2),
    start(3, type="tool_use", id="toolu_01", name="get_weather", input={}),
    piece(3, type="input_json_delta", partial_json=""),
    piece(3, type="input_json_delta", partial_json='{"location":'),
    piece(3, type="input_json_delta", partial_json=" 1.50}"),
    stop(3),
    start(4, type="tool_use", id="toolu_02", name="now", input={}),
    stop(4),
    {"type": "novelty"},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 89},
    },
    {"type": "message_stop"},
]
STREAM = b"".join(map(encode_event, EVENTS))


def translator(*, usage: bool = False, deprecated_functions: bool = False) -> Translator:
    return Translator(1_700_000_000, with_usage=usage, deprecated_functions=deprecated_functions)


def chunks(data: bytes, *, usage: bool = False, deprecated_functions: bool = False) -> list[Json]:
    """The chunks of a stream that ends well."""
    made = translator(usage=usage, deprecated_functions=deprecated_functions)
    out = made.feed(data) + made.end()
    assert out.endswith(b"\n\ndata: [DONE]\n\n")
    parsed = [json.loads(part.removeprefix(b"data: ")) for part in out.split(b"\n\n")[:-2]]
    for chunk in parsed:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    return parsed


def deltas(data: bytes, **options: bool) -> list[Json]:
    return [chunk["choices"][0]["delta"] for chunk in chunks(data, **options) if chunk["choices"]]


def thought(index: int, **members: str) -> Json:
    kind = "redacted_thinking" if "data" in members else "thinking"
    return {"thinking_blocks": [{"index": index, "type": kind, **members}]}


def arguments(index: int, piece: str) -> Json:
    return {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def begun(index: int, id_: str, name: str) -> Json:
    function = {"name": name, "arguments": ""}
    return {"tool_calls": [{"index": index, "id": id_, "type": "function", "function": function}]}


def test_every_event() -> None:
    assert deltas(STREAM) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "Let me see.", **thought(0, thinking="Let me see.")},
        thought(0, thinking="", signature="EqQB"),
        thought(1, data="xyz"),
        {"content": "Okay —"},
        begun(0, "toolu_01", "get_weather"),
        arguments(0, '{"location":'),
        arguments(0, " 1.50}"),
        begun(1, "toolu_02", "now"),
        arguments(1, "{}"),
        {},
    ]


def test_chunks_have_what_the_whole_answer_has() -> None:
    first, *_, last = chunks(STREAM)
    assert first == {
        "id": "msg_01",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "claude-opus-4-8",
        "service_tier": "priority",
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": ""},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
    }
    assert last["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "tool_calls"}]


def test_openais_sdk_joins_the_pieces() -> None:
    state = ChatCompletionStreamState()
    for chunk in chunks(STREAM, usage=True):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    message = state.get_final_completion().choices[0].message.model_dump()
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == ['{"location": 1.50}', "{}"]
    assert message["reasoning_content"] == "Let me see."
    assert message["thinking_blocks"] == [
        {"index": 0, "type": "thinking", "thinking": "Let me see.", "signature": "EqQB"},
        {"index": 1, "type": "redacted_thinking", "data": "xyz"},
    ]


def test_usage_comes_last_where_asked_for() -> None:
    *others, last = chunks(STREAM, usage=True)
    assert all(chunk["usage"] is None for chunk in others)
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 32,
        "completion_tokens": 89,
        "total_tokens": 121,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 4},
    }
    assert b"usage" not in translator().feed(STREAM)


def test_a_deprecated_function_call() -> None:
    made = chunks(STREAM, deprecated_functions=True)
    calls = [chunk["choices"][0]["delta"].get("function_call") for chunk in made]
    assert [call for call in calls if call] == [
        {"name": "get_weather", "arguments": ""},
        {"arguments": '{"location":'},
        {"arguments": " 1.50}"},
    ]
    assert made[-1]["choices"][0]["finish_reason"] == "function_call"


def test_arguments_that_come_with_the_block() -> None:
    events = list(stream_events(Answer([tool_use("toolu_1", "f")], "tool_use")))
    events[2]["content_block"]["input"] = {"a": 1}
    made = deltas(b"".join(map(encode_event, events)))
    assert made[1:-1] == [begun(0, "toolu_1", "f"), arguments(0, '{"a": 1}')]


def test_a_refusal_tells_why() -> None:
    events = list(stream_events(Answer([text("I")], "refusal")))
    events[-2]["delta"]["stop_details"] = {"type": "refusal", "category": None, "explanation": "Not this."}
    made = chunks(b"".join(map(encode_event, events)))
    assert made[-2]["choices"][0]["delta"] == {"refusal": "Not this."}
    assert made[-1]["choices"][0]["finish_reason"] == "content_filter"


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_any_split_gives_the_same(cuts: list[int]) -> None:
    at = sorted({0, *cuts, len(STREAM)})
    made = translator(usage=True)
    pieces = [made.feed(STREAM[start:end]) for start, end in itertools.pairwise(at)]
    assert b"".join(pieces) + made.end() == translator(usage=True).feed(STREAM)


def test_byte_by_byte_every_event_comes_as_soon_as_it_is_whole() -> None:
    made = translator()
    came = [(index, out) for index in range(len(STREAM)) if (out := made.feed(STREAM[index : index + 1]))]
    assert all(STREAM[:index].endswith(b"\n") for index, _ in came)
    assert b"".join(out for _, out in came) == translator().feed(STREAM)


_texts = st.text(max_size=60)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_blocks = st.one_of(
    st.builds(text, _texts),
    st.builds(thinking, _texts),
    st.builds(
        lambda input_: {"type": "tool_use", "id": "toolu_x", "name": "f", "input": input_},
        st.dictionaries(_texts, _json, max_size=3),
    ),
)


@given(st.lists(_blocks, max_size=5))
def test_streamed_and_whole_say_the_same(blocks: list[Json]) -> None:
    answer = Answer(blocks, "tool_use")
    gathered: Json = {"content": "", "reasoning_content": "", "thinking_blocks": [], "tool_calls": []}
    for delta in deltas(b"".join(map(encode_event, stream_events(answer)))):
        for name in ("content", "reasoning_content"):
            gathered[name] += delta.get(name, "")
        for name in ("thinking_blocks", "tool_calls"):
            for part in delta.get(name, ()):
                _gather(gathered[name], part)
    body = json.dumps({"id": "m", "model": "m", "content": blocks, "usage": {}}).encode()
    whole = json.loads(translator().whole(body))["choices"][0]["message"]
    assert gathered["content"] == (whole["content"] or "")
    assert gathered["reasoning_content"] == whole.get("reasoning_content", "")
    assert gathered["thinking_blocks"] == whole.get("thinking_blocks", [])
    assert gathered["tool_calls"] == whole.get("tool_calls", [])
    sent = [block["input"] for block in blocks if block["type"] == "tool_use"]
    assert [json.loads(call["function"]["arguments"]) for call in gathered["tool_calls"]] == sent


def _gather(items: list[Json], part: Json) -> None:
    """Joins a piece to the item of its index, as clients do."""
    index = part.pop("index")
    if index == len(items):
        items.append(part)
    elif "function" in part:
        items[index]["function"]["arguments"] += part["function"]["arguments"]
    else:
        for name in ("thinking", "signature"):
            items[index][name] = items[index].get(name, "") + part.get(name, "")


def test_a_stream_that_is_cut_is_never_whole() -> None:
    for count in range(len(EVENTS)):
        made = translator(usage=True)
        assert b"[DONE]" not in made.feed(b"".join(map(encode_event, EVENTS[:count])))
        with pytest.raises(TranslationError, match="before `message_stop`"):
            made.end()


def test_what_comes_after_the_end_is_passed_over() -> None:
    made = translator()
    assert made.feed(STREAM + STREAM) == translator().feed(STREAM)
    assert made.end() == b""


def test_an_error_in_the_stream_is_the_last_that_comes() -> None:
    begin, rest = (b"".join(map(encode_event, part)) for part in (EVENTS[:4], EVENTS[4:]))
    error = encode_event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    made = translator()
    *_, last, empty = made.feed(begin + error + rest).split(b"\n\n")
    assert empty == b""
    assert json.loads(last.removeprefix(b"data: ")) == {
        "error": {
            "message": "Overloaded",
            "type": "service_unavailable_error",
            "param": None,
            "code": "overloaded",
        }
    }
    with pytest.raises(TranslationError, match="overloaded_error"):
        made.end()


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n",
        b"data: \xff\n\n",
        b'data: {"type": 5}\n\n',
        b'data: {"type": "message_start"}\n\n',
        b'data: {"type": "message_stop"}\n\n',
        b'data: {"type": "error"}\n\n',
        b'data: {"type": "content_block_start", "index": 0}\n\n',
        b'data: {"type": "content_block_start", "content_block": {"type": "tool_use"}}\n\n',
        b'data: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}}\n\n',
        b'data: {"type": "message_start", "message": {"id": "m"}}\n\n',
    ],
)
def test_what_breaks_the_apis_promise_is_an_error(data: bytes) -> None:
    with pytest.raises(TranslationError, match="its stream"):
        translator().feed(data)


@given(st.lists(st.sampled_from(EVENTS), max_size=12), st.binary(max_size=30))
def test_no_stream_fails_in_another_way(events: list[Json], rest: bytes) -> None:
    made = translator(usage=True)
    try:
        made.feed(b"".join(map(encode_event, events)) + rest)
        made.end()
    except TranslationError:
        pass
