"""Chunks of a chat completion as the events of a Message.

Shapes: https://platform.openai.com/docs/api-reference/chat-streaming and
https://platform.claude.com/docs/en/build-with-claude/streaming.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers import events as sse
from gateway.providers.dialects.messages import translate
from gateway.providers.translation import TranslationError, Translator

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
NONE = dict.fromkeys(("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"), 0)
COUNTED = {**NONE, "input_tokens": 9, "output_tokens": 4}


def translator(**members: Any) -> Translator:
    asked = {"max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": "Hi"}], **members}
    return translate(json.dumps(asked).encode(), "llama").translator


def chunk(delta: Any = None, finish_reason: str | None = None, **choice: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish_reason, **choice}
    return data({"id": "chatcmpl-1", "created": 7, "model": "llama-3", "choices": [choice], "usage": None})


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def usage_chunk() -> bytes:
    return data({"id": "chatcmpl-1", "choices": [], "usage": USAGE})


def call(index: int | None, arguments: str = "", identifier: str | None = None, name: Any = None) -> Any:
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return {"tool_calls": [{"index": index, "id": identifier, "type": "function", "function": function}]}


def parsed(stream: bytes) -> list[Any]:
    """The events; each has its type for its name, too."""
    found = sse.EventReader().feed(stream)
    told = [json.loads(event.data) for event in found]
    assert [event.name for event in found] == [event["type"] for event in told]
    return told


def told_by(*pieces: bytes, **asked: Any) -> list[Any]:
    of = translator(**asked)
    return parsed(b"".join([of.feed(piece) for piece in pieces]) + of.end())


def blocks_of(told: list[Any]) -> list[Any]:
    """The content, put together; blocks come one after the other, each begun and ended once."""
    blocks: list[Any] = []
    is_open = False
    for event in told:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(blocks)
            blocks.append(event["content_block"] | {"json": ""})
            is_open = True
        elif event["type"].startswith("content_block"):
            assert is_open
            assert event["index"] == len(blocks) - 1
            is_open = event["type"] != "content_block_stop"
            delta = event.get("delta", {})
            for member in ("text", "thinking", "signature"):
                if member in delta:
                    blocks[-1][member] += delta[member]
            blocks[-1]["json"] += delta.get("partial_json", "")
    assert not is_open
    for block in blocks:
        arguments = block.pop("json")
        if arguments:
            block["input"] = json.loads(arguments)
    return blocks


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def used(identifier: str, arguments: Any, name: str = "f") -> dict[str, Any]:
    return {"type": "tool_use", "id": identifier, "name": name, "input": arguments}


def test_a_text_event_by_event() -> None:
    of = translator()
    start = {"role": "assistant", "content": "", "refusal": None}
    assert parsed(of.feed(chunk(start))) == [
        {
            "type": "message_start",
            "message": {
                "id": "chatcmpl-1",
                "type": "message",
                "role": "assistant",
                "model": "llama-3",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {**NONE, "output_tokens": 0},
            },
        }
    ]
    assert parsed(of.feed(chunk({"content": "Hel"}))) == [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
    ]
    assert parsed(of.feed(chunk({"content": "lo"}))) == [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    ]
    assert of.feed(chunk(finish_reason="length")) == b""
    assert of.feed(usage_chunk()) == b""
    assert parsed(of.feed(DONE)) == [
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
            "usage": COUNTED,
        },
        {"type": "message_stop"},
    ]
    assert of.end() == b""


def test_a_stream_that_tells_its_finish_reason_may_end_without_done() -> None:
    told = told_by(chunk({"content": "Hi"}), chunk(finish_reason="stop"), usage_chunk())
    assert told[-2]["usage"] == COUNTED
    assert told[-1] == {"type": "message_stop"}


def test_of_several_usages_the_last_counts() -> None:
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html: continuous_usage_stats
    early = data({"id": "c", "choices": [{"delta": {"content": "Hi"}}], "usage": {"prompt_tokens": 9}})
    told = told_by(early, chunk(finish_reason="stop"), usage_chunk(), DONE)
    assert told[0]["message"]["usage"]["input_tokens"] == 9
    assert told[-2]["usage"] == COUNTED


def test_nothing_follows_the_end() -> None:
    of = translator()
    assert of.feed(chunk({"content": "Hi"}, "stop") + DONE)
    assert of.feed(chunk({"content": "more"}) + DONE) == b""
    assert of.end() == b""


def test_the_message_starts_with_the_first_chunk_that_has_a_choice() -> None:
    # https://learn.microsoft.com/azure/ai-services/openai/concepts/content-streaming
    azure = data({"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": []})
    told = told_by(azure, chunk({"content": "Hi"}), chunk(finish_reason="stop"), DONE)
    assert told[0]["message"]["id"] == "chatcmpl-1"
    assert [event["type"] for event in told].count("message_start") == 1


def test_comments_and_unknown_members_are_passed_over() -> None:
    told = told_by(b": OPENROUTER PROCESSING\n\n", chunk({"content": "Hi", "audio": 1}, x=1), DONE)
    assert blocks_of(told) == [text("Hi")]


def test_calls_one_after_the_other_wait_for_nothing() -> None:
    of = translator()
    of.feed(chunk({"content": "So:"}))
    first = parsed(of.feed(chunk(call(0, "", "call_1", "f"))))
    assert [event["type"] for event in first] == ["content_block_stop", "content_block_start"]
    assert parsed(of.feed(chunk(call(0, '{"a":'))))[0]["delta"]["partial_json"] == '{"a":'
    assert parsed(of.feed(chunk(call(0, " 1}"))))[0]["delta"]["partial_json"] == " 1}"
    second = parsed(of.feed(chunk(call(1, "{}", "call_2", "g"))))
    assert [event["type"] for event in second] == [
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
    ]
    last = parsed(of.feed(chunk(finish_reason="tool_calls") + DONE))
    assert last[1]["delta"]["stop_reason"] == "tool_use"


def test_calls_that_come_in_turn_are_told_one_after_the_other() -> None:
    pieces = [
        call(0, "", "call_1", "f"),
        call(1, '{"b', "call_2", "g"),
        call(0, '{"a": "}'),
        call(2, "", "call_3", "h"),
        call(1, '": 2'),
        call(0, '"}'),
        {"content": "Three calls."},
        call(1, "}"),
    ]
    told = told_by(*map(chunk, pieces), chunk(finish_reason="tool_calls"), DONE)
    assert blocks_of(told) == [
        used("call_1", {"a": "}"}),
        used("call_2", {"b": 2}, "g"),
        used("call_3", {}, "h"),
        text("Three calls."),
    ]


def test_a_call_that_waits_goes_on_as_soon_as_the_one_before_it_is_whole() -> None:
    of = translator()
    of.feed(chunk(call(0, "{", "call_1", "f")))
    assert of.feed(chunk(call(1, '{"b":', "call_2", "g"))) == b""
    told = parsed(of.feed(chunk(call(0, "}"))))
    assert [event["index"] for event in told] == [0, 0, 1, 1]
    assert told[-1]["delta"]["partial_json"] == '{"b":'


def test_calls_without_an_index_or_all_at_the_first_are_told_apart_by_id() -> None:
    for index in (None, 0):
        pieces = [call(index, "{}", "a", "f"), call(index, '{"x"', "b", "g"), call(index, ": 1}")]
        told = told_by(*map(chunk, pieces), chunk(finish_reason="stop"), DONE)
        assert blocks_of(told) == [used("a", {}), used("b", {"x": 1}, "g")]
        assert told[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(("identifier", "told"), [("a", "a"), (None, "call_chatcmpl-1_0")])
def test_a_name_that_every_delta_repeats_is_one_call(identifier: str | None, told: str) -> None:
    pieces = [call(0, '{"x"', identifier, "f"), call(0, ": 1}", identifier, "f")]
    assert blocks_of(told_by(*map(chunk, pieces), DONE)) == [used(told, {"x": 1})]


@pytest.mark.parametrize("indices", [(0, 1), (0, 0), (None, None)])
def test_a_call_without_an_id_gets_one_of_its_place(indices: tuple[Any, Any]) -> None:
    pieces = [call(index, "{}", None, "f") for index in indices]
    told = blocks_of(told_by(*map(chunk, pieces), DONE))
    assert told == [used("call_chatcmpl-1_0", {}), used("call_chatcmpl-1_1", {})]


def test_space_behind_the_arguments_is_no_harm_but_more_of_them_is() -> None:
    of = translator()
    of.feed(chunk(call(0, "{}", "a", "f")) + chunk(call(1, "{}", "b", "f")))
    assert of.feed(chunk(call(0, " \n"))) == b""
    with pytest.raises(TranslationError, match="after the end of its arguments"):
        of.feed(chunk(call(0, "{}")))


def test_calls_in_turn_are_held_back_only_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.providers.dialects.messages.blocks.MAX_EVENT", 10)
    of = translator()
    of.feed(chunk(call(0, "{", "a", "f")) + chunk(call(1, "0123456789", "b", "f")))
    with pytest.raises(TranslationError, match="come in turn"):
        of.feed(chunk(call(1, "0")))


def test_thoughts_text_and_refusal() -> None:
    pieces = [{"reasoning_content": "H"}, {"reasoning_content": "m"}, {"content": "I"}, {"refusal": "No."}]
    told = told_by(*map(chunk, pieces), chunk(finish_reason="stop"), DONE)
    blocks = blocks_of(told)
    assert blocks[0].pop("signature")
    assert blocks == [{"type": "thinking", "thinking": "Hm"}, text("INo.")]
    assert told[-2]["delta"]["stop_reason"] == "refusal"


def test_thoughts_that_the_client_does_not_want_are_not_shown() -> None:
    told = told_by(chunk({"reasoning": "Hm"}), chunk({"content": "I"}), DONE, thinking={"type": "disabled"})
    assert blocks_of(told) == [text("I")]


def test_the_stop_sequence_is_told_where_the_provider_tells_it() -> None:
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    told = told_by(
        chunk({"content": "a"}), chunk(None, "stop", stop_reason="END"), DONE, stop_sequences=["END"]
    )
    assert told[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        (data({"error": {"message": "No.", "type": "rate_limit_error"}}), "rate_limit_error", "No."),
        (data({"error": {"message": "No.", "type": "service_unavailable_error"}}), "overloaded_error", "No."),
        (data({"error": {"message": "No.", "type": "server_error", "code": None}}), "api_error", "No."),
        (
            data({"error": {"message": "No.", "type": "BadRequestError", "code": 400}}),
            *("invalid_request_error", "No."),
        ),
        (data({"error": {"message": "No.", "type": "insufficient_quota"}}), "billing_error", "No."),
        (data({"error": "No."}), "api_error", "No."),
        (data({"error": {}}), "api_error", "The provider ended the stream with an error and no reason."),
        (b"event: error\n" + data({"message": "No.", "type": "timeout_error"}), "timeout_error", "No."),
    ],
)
def test_an_error_in_the_stream_is_its_last_event(event: bytes, kind: str, message: str) -> None:
    of = translator()
    told = parsed(of.feed(chunk({"content": "Hi"}) + event + chunk({"content": "more"}) + DONE))
    assert told[-1] == {"type": "error", "error": {"type": kind, "message": message}}
    assert [event["type"] for event in told].count("content_block_delta") == 1
    assert of.feed(DONE) == b""
    with pytest.raises(TranslationError, match="error"):
        of.end()


@pytest.mark.parametrize("pieces", [[], [chunk({"content": "Hi"})], [usage_chunk()], [b"data: [DON"]])
def test_a_stream_that_is_cut_short_has_no_clean_end(pieces: list[bytes]) -> None:
    of = translator()
    for piece in pieces:
        assert b"message_stop" not in of.feed(piece)
    with pytest.raises(TranslationError, match="cut short"):
        of.end()


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (b"data: {\n\n", "not JSON"),
        (b"data: []\n\n", "Expected `object`"),
        (data({"choices": [{"delta": {"content": 5}}]}), "content"),
        (chunk(call(0, "{}", "a")), "without a name"),
        (chunk({"content": "a"}, "abort"), "gave up"),
        (DONE, "no choice"),
    ],
)
def test_what_is_no_stream_of_chunks(event: bytes, why: str) -> None:
    with pytest.raises(TranslationError) as raised:
        translator().feed(event)
    assert why in str(raised.value)


def test_other_choices_are_passed_over() -> None:
    told = told_by(
        chunk({"content": "a"}), chunk({"content": "b"}, "stop", index=1), chunk({}, "length"), DONE
    )
    assert blocks_of(told) == [text("a")]
    assert told[-2]["delta"]["stop_reason"] == "max_tokens"


WHOLE = b"".join(
    [
        b"\xef\xbb\xbf: hello\r\n\r\n",
        chunk({"role": "assistant", "content": ""}).replace(b"\n", b"\r\n"),
        chunk({"reasoning": "Hé"}),
        chunk({"content": "Grüße \N{WINKING FACE}"}).replace(b"\n", b"\r"),
        chunk(call(0, '{"a": "', "call.1", "f")),
        chunk(call(1, "{}", "call_2", "g")),
        chunk(call(0, 'é"}')),
        chunk(finish_reason="tool_calls"),
        usage_chunk(),
        DONE,
    ]
)
EXPECTED = translator().feed(WHOLE)


@given(st.lists(st.integers(0, len(WHOLE))))
def test_any_split_gives_the_same_output(cuts: list[int]) -> None:
    of = translator()
    edges = [0, *sorted(cuts), len(WHOLE)]
    pieces = [of.feed(WHOLE[start:end]) for start, end in pairwise(edges)]
    assert b"".join(pieces) + of.end() == EXPECTED
    for piece in pieces:
        assert not piece or piece.endswith(b"\n\n")


TEXTS = st.text(max_size=8)
INPUTS = st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers(), st.lists(TEXTS, max_size=2)), max_size=3)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["content", "reasoning"]), TEXTS),
            st.tuples(st.integers(0, 3), st.integers(1, 9)),
        ),
        max_size=30,
    ),
    st.lists(INPUTS, min_size=4, max_size=4),
    st.booleans(),
)
def test_texts_thoughts_and_calls_survive_in_whatever_turns_they_come(
    turns: list[tuple[Any, Any]], inputs: list[dict[str, Any]], escaped: bool
) -> None:
    """A turn is a piece of text or of thought, or the next so many characters of a call's arguments."""
    rests = [json.dumps(value, ensure_ascii=escaped) for value in inputs]
    pieces: list[bytes] = []
    said = {"content": "", "reasoning": ""}
    begun: set[int] = set()
    for what, piece in turns:
        if isinstance(what, str):
            said[what] += piece
            pieces.append(chunk({what: piece}))
            continue
        start = () if what in begun else (f"call_{what}", f"f{what}")
        begun.add(what)
        pieces.append(chunk(call(what, rests[what][:piece], *start)))
        rests[what] = rests[what][piece:]
    pieces += [chunk(call(index, rests[index])) for index in sorted(begun)]
    blocks = blocks_of(told_by(chunk({"role": "assistant"}), *pieces, chunk(finish_reason="stop"), DONE))
    assert "".join(block["text"] for block in blocks if block["type"] == "text") == said["content"]
    assert "".join(block["thinking"] for block in blocks if block["type"] == "thinking") == said["reasoning"]
    calls = {block["name"]: block["input"] for block in blocks if block["type"] == "tool_use"}
    assert calls == {f"f{index}": inputs[index] for index in begun}
