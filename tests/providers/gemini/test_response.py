"""Plain answers of Gemini as chat completions.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.providers.gemini.response import ChatTranslator
from gateway.providers.translation import TranslationError

# The shape of the example at https://ai.google.dev/gemini-api/docs/text-generation (REST).
PLAIN = {
    "candidates": [
        {
            "content": {"parts": [{"text": "Hello"}, {"text": " there."}], "role": "model"},
            "finishReason": "STOP",
            "index": 0,
            "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}],
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 4,
        "candidatesTokenCount": 6,
        "totalTokenCount": 10,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}],
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "mAitaLmkHPPlz7IPvtfUqQ4",
}


def whole(answer: object) -> dict[str, Any]:
    translator = ChatTranslator("the-model", 1_700_000_000)
    made: dict[str, Any] = json.loads(translator.whole(json.dumps(answer, indent=2).encode()))
    return made


def of_parts(*parts: dict[str, Any], reason: str = "STOP", **members: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "finishReason": reason, **members}
    return {"candidates": [candidate], "responseId": "r"}


def message(answer: object) -> dict[str, Any]:
    [choice] = whole(answer)["choices"]
    made: dict[str, Any] = choice["message"]
    return made


def test_text() -> None:
    assert whole(PLAIN) == {
        "id": "mAitaLmkHPPlz7IPvtfUqQ4",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gemini-2.5-flash",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello there.", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 4,
            "completion_tokens": 6,
            "total_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
    }


def test_an_answer_without_id_and_version_has_those_of_the_request() -> None:
    answer = of_parts({"text": "x"})
    del answer["responseId"]
    first, second = whole(answer), whole(answer)
    assert first["model"] == "the-model"
    assert first["id"] == second["id"] != whole(of_parts({"text": "y"}))["id"]
    assert "usage" not in first


# https://ai.google.dev/gemini-api/docs/function-calling, https://ai.google.dev/gemini-api/docs/thought-signatures
CALLS = (
    {"text": "I need both.", "thought": True},
    {"text": "Let me look."},
    {
        "functionCall": {
            "name": "weather",
            "args": {"city": "Oslo", "n": 12345678901234567890},
            "id": "fc-1",
        },
        "thoughtSignature": "c2ln",
    },
    {"functionCall": {"name": "time", "args": {}}},
    {"functionCall": {"name": "now"}},
)


def test_parallel_calls() -> None:
    [choice] = whole(of_parts(*CALLS))["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": "Let me look.",
        "refusal": None,
        "reasoning_content": "I need both.",
        "tool_calls": [
            {
                "id": "fc-1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city":"Oslo","n":12345678901234567890}'},
                "extra_content": {"google": {"thought_signature": "c2ln"}},
            },
            {"id": "call_r_1", "type": "function", "function": {"name": "time", "arguments": "{}"}},
            {"id": "call_r_2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
        ],
    }


def test_arguments_keep_their_digits() -> None:
    raw = b"""{"candidates": [{"finishReason": "STOP", "content": {"parts": [{"functionCall": {"name": "f",
        "args": {"a" : 1.0, "b": [ 123456789012345678901234 ], "c": "\\u00e9 \\n x"}}}]}}]}"""
    made = json.loads(ChatTranslator("m", 0).whole(raw))
    [call] = made["choices"][0]["message"]["tool_calls"]
    assert call["function"]["arguments"] == '{"a":1.0,"b":[123456789012345678901234],"c":"\\u00e9 \\n x"}'


def test_calls_alone_have_no_content() -> None:
    assert message(of_parts({"functionCall": {"name": "f"}}))["content"] is None


def test_the_signature_of_a_text_stands_with_the_message() -> None:
    made = message(of_parts({"text": "x"}, {"text": "", "thoughtSignature": "c2ln"}))
    assert made["content"] == "x"
    assert made["extra_content"] == {"google": {"thought_signature": "c2ln"}}


def test_images() -> None:
    made = message(of_parts({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}))
    url = "data:image/png;base64,iVBORw0KGgo="
    assert made["images"] == [{"type": "image_url", "image_url": {"url": url}}]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
    ],
)
def test_why_it_ended(reason: str, expected: str) -> None:
    [choice] = whole(of_parts({"text": "x"}, reason=reason))["choices"]
    assert choice["finish_reason"] == expected


def test_calls_that_were_cut_off_are_no_finished_calls() -> None:
    [choice] = whole(of_parts({"functionCall": {"name": "f"}}, reason="MAX_TOKENS"))["choices"]
    assert choice["finish_reason"] == "length"


def test_a_prompt_that_was_blocked() -> None:
    # https://ai.google.dev/api/generate-content#PromptFeedback
    [choice] = whole({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}})[
        "choices"
    ]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"] == {"role": "assistant", "content": "", "refusal": None}


def test_a_candidate_without_content() -> None:
    [choice] = whole({"candidates": [{"finishReason": "MAX_TOKENS"}]})["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "length")


def test_several_candidates() -> None:
    candidates = [
        {"content": {"parts": [{"text": text}]}, "finishReason": "STOP", "index": index}
        for index, text in enumerate("ab")
    ]
    choices = whole({"candidates": candidates})["choices"]
    assert [(choice["index"], choice["message"]["content"]) for choice in choices] == [(0, "a"), (1, "b")]


def test_logprobs() -> None:
    # https://ai.google.dev/api/generate-content#LogprobsResult
    result = {
        "chosenCandidates": [
            {"token": "é", "tokenId": 7, "logProbability": -0.25},
            {"token": "x", "logProbability": -1e-7},
        ],
        "topCandidates": [
            {"candidates": [{"token": "é", "logProbability": -0.25}, {"token": "e", "logProbability": -2}]}
        ],
    }
    [choice] = whole(of_parts({"text": "éx"}, logprobsResult=result))["choices"]
    assert choice["logprobs"] == {
        "content": [
            {
                "token": "é",
                "logprob": -0.25,
                "bytes": [0xC3, 0xA9],
                "top_logprobs": [
                    {"token": "é", "logprob": -0.25, "bytes": [0xC3, 0xA9]},
                    {"token": "e", "logprob": -2, "bytes": [0x65]},
                ],
            },
            {"token": "x", "logprob": -1e-7, "bytes": [0x78], "top_logprobs": []},
        ],
        "refusal": None,
    }


def test_usage() -> None:
    usage = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 157,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 75},
            {"modality": "AUDIO", "tokenCount": 25},
        ],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}],
    }
    assert whole({**of_parts({"text": "x"}), "usageMetadata": usage})["usage"] == {
        "prompt_tokens": 107,
        "completion_tokens": 50,
        "total_tokens": 157,
        "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 25},
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 3},
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "its answer is not a GenerateContentResponse"),
        (b"<html>", "its answer is not a GenerateContentResponse"),
        (b"[]", "its answer is not a GenerateContentResponse"),
        (b'{"candidates": {}}', "its answer is not a GenerateContentResponse"),
        (
            b'{"candidates": [{"content": {"parts": [{"text": "\xff"}]}}]}',
            "its answer is not a GenerateContentResponse",
        ),
        (b'{"candidates": [{"x": "\xff"}]}', "its answer is not a GenerateContentResponse"),
        (b'{"a": ' + b"[" * 100_000, "its answer is not a GenerateContentResponse"),
        (b"{}", "its answer has no candidates"),
        (b'{"promptFeedback": {}}', "its answer has no candidates"),
        (b'{"candidates": [{}]}', "its answer has a candidate without a finishReason"),
        (
            b'{"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}',
            "it gave up its answer: MALFORMED_FUNCTION_CALL",
        ),
        (b'{"candidates": [{"finishReason": "OTHER"}]}', "it gave up its answer: OTHER"),
        (
            b'{"candidates": [{"finishReason": "secret text"}]}',
            "it gave up its answer: a reason that is not of its API",
        ),
    ],
)
def test_what_is_no_answer(body: bytes, message: str) -> None:
    with pytest.raises(TranslationError) as caught:
        ChatTranslator("m", 0).whole(body)
    assert str(caught.value) == message
