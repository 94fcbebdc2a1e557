"""Streamed answers of Gemini as chat completion chunks.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.providers.gemini.response import ChatTranslator
from gateway.providers.translation import TranslationError

USAGE = {"promptTokenCount": 4, "candidatesTokenCount": 6, "thoughtsTokenCount": 2, "totalTokenCount": 12}


def gemini(
    *parts: dict[str, Any], reason: str | None = None, index: int = 0, **members: Any
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    if reason is not None:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "modelVersion": "gemini-3.5-flash", "responseId": "r", **members}


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(event).encode() for event in events)


def chunks(data: bytes) -> list[dict[str, Any]]:
    """The chunks; what stands between `data: ` and the empty line is one JSON object each."""
    assert data.endswith(b"\n\n") or not data
    return [json.loads(event.removeprefix(b"data: ")) for event in data.split(b"\n\n")[:-1]]


def translated(*events: dict[str, Any], usage_asked: bool = False) -> list[dict[str, Any]]:
    translator = ChatTranslator("m", 1_700_000_000, usage_asked=usage_asked)
    data = translator.feed(stream(*events)) + translator.end()
    assert data.endswith(b"data: [DONE]\n\n")
    return chunks(data.removesuffix(b"data: [DONE]\n\n"))


def deltas(*events: dict[str, Any]) -> list[tuple[dict[str, Any], str | None]]:
    choices = [choice for chunk in translated(*events) for choice in chunk["choices"]]
    return [(choice["delta"], choice["finish_reason"]) for choice in choices]


TEXT = (
    gemini({"text": "Hel"}),
    gemini({"text": "lo"}),
    gemini({"text": "."}, reason="STOP", usageMetadata=USAGE),
)


def test_text() -> None:
    assert deltas(*TEXT) == [
        ({"role": "assistant", "content": "Hel"}, None),
        ({"content": "lo"}, None),
        ({"content": "."}, None),
        ({}, "stop"),
    ]


def test_the_frame_of_a_chunk() -> None:
    assert translated(*TEXT)[0] == {
        "id": "r",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gemini-3.5-flash",
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": "Hel"},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
    }


def test_every_event_is_passed_on_at_once() -> None:
    translator = ChatTranslator("m", 0)
    sent = [chunks(translator.feed(stream(event))) for event in TEXT]
    assert [len(made) for made in sent] == [1, 1, 1]


def test_usage_comes_last_where_it_was_asked_for() -> None:
    made = translated(*TEXT, usage_asked=True)
    assert [chunk["usage"] for chunk in made[:-1]] == [None] * 4
    assert made[-1]["choices"] == []
    assert made[-1]["usage"] == {
        "prompt_tokens": 4,
        "completion_tokens": 8,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 0},
    }


def test_usage_that_nobody_asked_for_does_not_come() -> None:
    assert not any("usage" in chunk for chunk in translated(*TEXT))


def test_thoughts_and_calls() -> None:
    assert deltas(
        gemini({"text": "Hm", "thought": True}),
        gemini({"text": "m.", "thought": True}, {"text": "Look:"}),
        gemini({"functionCall": {"name": "f", "args": {"a": 1}, "id": "x"}, "thoughtSignature": "c2ln"}),
        gemini({"functionCall": {"name": "g", "args": {}}}, {"functionCall": {"name": "h"}}),
        gemini({"text": ""}, reason="STOP"),
    ) == [
        ({"role": "assistant", "content": "", "reasoning_content": "Hm"}, None),
        ({"reasoning_content": "m.", "content": "Look:"}, None),
        (
            {
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "x",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a":1}'},
                        "extra_content": {"google": {"thought_signature": "c2ln"}},
                    }
                ]
            },
            None,
        ),
        (
            {
                "tool_calls": [
                    {
                        "index": 1,
                        "id": "call_r_1",
                        "type": "function",
                        "function": {"name": "g", "arguments": "{}"},
                    },
                    {
                        "index": 2,
                        "id": "call_r_2",
                        "type": "function",
                        "function": {"name": "h", "arguments": "{}"},
                    },
                ]
            },
            None,
        ),
        ({}, "tool_calls"),
    ]


def test_the_signature_of_a_text() -> None:
    made = deltas(gemini({"text": "x"}), gemini({"text": "", "thoughtSignature": "c2ln"}, reason="STOP"))
    assert made[1] == ({"extra_content": {"google": {"thought_signature": "c2ln"}}}, None)


def test_candidates_are_told_apart() -> None:
    choices = [
        (choice["index"], choice["delta"], choice["finish_reason"])
        for chunk in translated(
            gemini({"text": "a"}),
            gemini({"text": "b"}, index=1),
            gemini(reason="MAX_TOKENS", index=1),
            gemini({"functionCall": {"name": "f"}}, reason="STOP"),
        )
        for choice in chunk["choices"]
    ]
    assert choices[:2] == [
        (0, {"role": "assistant", "content": "a"}, None),
        (1, {"role": "assistant", "content": "b"}, None),
    ]
    assert choices[-2:] == [(0, {}, "tool_calls"), (1, {}, "length")]


def test_a_reason_in_every_event_ends_nothing() -> None:
    assert deltas(gemini({"text": "a"}, reason="STOP"), gemini({"text": "b"}, reason="STOP")) == [
        ({"role": "assistant", "content": "a"}, None),
        ({"content": "b"}, None),
        ({}, "stop"),
    ]


def test_a_prompt_that_was_blocked() -> None:
    assert deltas({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}) == [
        ({"role": "assistant", "content": ""}, None),
        ({}, "content_filter"),
    ]


def test_logprobs() -> None:
    result = {"chosenCandidates": [{"token": "a", "logProbability": -0.5}]}
    event = gemini({"text": "a"}, reason="STOP")
    event["candidates"][0]["logprobsResult"] = result
    [first, _] = translated(event)
    assert first["choices"][0]["logprobs"]["content"][0]["logprob"] == -0.5


# What breaks.


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "its stream ended without an answer"),
        (b": a comment\n\n", "its stream ended without an answer"),
        (stream({"usageMetadata": USAGE}), "its stream ended without an answer"),
        (stream(*TEXT[:2]), "its stream ended without a finishReason"),
        (stream(*TEXT)[:-1], "its stream ended without a finishReason"),
        (
            stream(gemini({"text": "a"}, reason="STOP"), gemini({"text": "b"}, index=1)),
            "its stream ended without a finishReason",
        ),
        (stream(gemini({"text": "a"}, reason="OTHER")), "it gave up its answer: OTHER"),
    ],
)
def test_a_stream_that_was_cut_short(data: bytes, message: str) -> None:
    translator = ChatTranslator("m", 0)
    assert b'finish_reason":"' not in translator.feed(data)
    with pytest.raises(TranslationError) as caught:
        translator.end()
    assert str(caught.value) == message


def test_an_error_in_the_middle_is_the_last_that_comes() -> None:
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    translator = ChatTranslator("m", 0)
    made = chunks(translator.feed(stream(TEXT[0], error, TEXT[1])))
    assert made[1:] == [
        {
            "error": {
                "message": "The model is overloaded.",
                "type": "service_unavailable_error",
                "param": None,
                "code": "overloaded",
            }
        }
    ]
    assert translator.feed(stream(TEXT[2])) == b""
    with pytest.raises(TranslationError, match="its stream brought an error: overloaded"):
        translator.end()


@pytest.mark.parametrize(
    "data", [b"data: nonsense\n\n", b"data: [1]\n\n", b'data: {"candidates": 1}\n\n', b"data: \xff\n\n"]
)
def test_an_event_that_is_none_of_the_api_s(data: bytes) -> None:
    with pytest.raises(TranslationError, match="its answer is not a GenerateContentResponse"):
        ChatTranslator("m", 0).feed(data)
