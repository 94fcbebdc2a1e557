"""A whole chat completion as a Message, and errors.

Shapes: https://platform.openai.com/docs/api-reference/chat/object,
https://platform.claude.com/docs/en/api/messages/create and https://platform.claude.com/docs/en/api/errors.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.dialects.messages import translate
from gateway.providers.dialects.messages.tools import id_for_client, id_for_provider
from gateway.providers.translation import TranslationError, Translator

USAGE = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
}


def translator(**members: Any) -> Translator:
    asked = {"max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], **members}
    return translate(json.dumps(asked).encode(), "llama").translator


def message_of(message: Any, *, asked: Any = None, choice: Any = None, **members: Any) -> Any:
    choice = {"index": 0, "message": message, "finish_reason": "stop", **(choice or {})}
    body = {"id": "chatcmpl-1", "created": 7, "model": "llama-3", "choices": [choice], **members}
    return json.loads(translator(**(asked or {})).whole(json.dumps(body).encode()))


def call(identifier: Any, arguments: Any, name: Any = "f") -> dict[str, Any]:
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_text() -> None:
    # https://platform.openai.com/docs/api-reference/chat/object
    usage = {
        "prompt_tokens": 30,
        "completion_tokens": 9,
        "total_tokens": 39,
        "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
    said = {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []}
    assert message_of(said, usage=usage, object="chat.completion", system_fingerprint="fp") == {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": "llama-3",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 6,
            "cache_creation_input_tokens": 4,
            "cache_read_input_tokens": 20,
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 6},
        },
    }


def test_what_the_provider_does_not_tell_is_made_up_from_what_there_is() -> None:
    choice = {"message": {"content": "Hi", "tool_calls": [call(None, "{}")]}}
    body = json.dumps({"created": 7, "choices": [choice]}).encode()
    message = json.loads(translator().whole(body))
    assert (message["id"], message["model"], message["usage"]) == ("msg_7", "llama", USAGE)
    assert message["content"][1]["id"] == "call_msg_7_0"


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}, (0, 9, 0)),
        ({"prompt_tokens": 5, "prompt_tokens_details": None}, (5, 0, 0)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cache_creation_tokens": 2}}, (7, 0, 2)),
    ],
)
def test_cached_tokens_are_told_apart(usage: Any, told: Any) -> None:
    counted = message_of({"content": "Hi"}, usage=usage)["usage"]
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    assert tuple(counted[name] for name in names) == told


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"content": None, "tool_calls": None}, []),
        ({"content": ""}, []),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, ["ab"]),
        ({"content": None, "refusal": "I will not."}, ["I will not."]),
    ],
)
def test_forms_of_content(message: Any, content: list[str]) -> None:
    assert message_of(message)["content"] == [{"type": "text", "text": text} for text in content]


def test_thoughts_and_text_come_before_calls() -> None:
    calls = [call("call_1", '{"n": 12345678901234567890123}'), call("call_2", "")]
    blocks = message_of({"content": "So:", "reasoning_content": "Hm.", "tool_calls": calls})["content"]
    signature = blocks[0].pop("signature")
    assert signature
    assert blocks == [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "text", "text": "So:"},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"n": 12345678901234567890123}},
        {"type": "tool_use", "id": "call_2", "name": "f", "input": {}},
    ]


@pytest.mark.parametrize("thinking", [{"type": "disabled"}, {"type": "adaptive", "display": "omitted"}])
def test_thoughts_that_the_client_does_not_want_are_not_shown(thinking: Any) -> None:
    said = {"content": "So:", "reasoning": "Hm."}
    assert message_of(said, asked={"thinking": thinking})["content"] == [{"type": "text", "text": "So:"}]


@pytest.mark.parametrize("arguments", ["{", '{"a": ', "[1]", '"text"', "null", "NaN", '{"a": "\\ud800"}'])
def test_arguments_that_are_no_object_are_told_as_anthropic_recommends(arguments: str) -> None:
    # https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
    (block,) = message_of({"tool_calls": [call("a", arguments)]})["content"]
    assert block["input"] == {"INVALID_JSON": arguments}


@pytest.mark.parametrize(
    ("choice", "message", "reason", "sequence"),
    [
        ({"finish_reason": "stop"}, {"content": "a"}, "end_turn", None),
        ({"finish_reason": "eos"}, {"content": "a"}, "end_turn", None),
        ({"finish_reason": None}, {"content": "a"}, "end_turn", None),
        ({"finish_reason": "length"}, {"content": "a"}, "max_tokens", None),
        ({"finish_reason": "length"}, {"tool_calls": [call("a", "{")]}, "max_tokens", None),
        ({"finish_reason": "model_length"}, {"content": "a"}, "model_context_window_exceeded", None),
        ({"finish_reason": "content_filter"}, {"content": "a"}, "refusal", None),
        ({"finish_reason": "stop"}, {"refusal": "No."}, "refusal", None),
        ({"finish_reason": "tool_calls"}, {"tool_calls": [call("a", "{}")]}, "tool_use", None),
        ({"finish_reason": "stop"}, {"tool_calls": [call("a", "{}")]}, "tool_use", None),
        ({"finish_reason": "stop", "stop_reason": "END"}, {"content": "a"}, "stop_sequence", "END"),
        ({"finish_reason": "stop", "matched_stop": "END"}, {"content": "a"}, "stop_sequence", "END"),
        ({"finish_reason": "stop", "stop_reason": "</s>"}, {"content": "a"}, "end_turn", None),
        ({"finish_reason": "stop", "matched_stop": 128009}, {"content": "a"}, "end_turn", None),
    ],
)
def test_why_it_stopped(choice: Any, message: Any, reason: str, sequence: str | None) -> None:
    told = message_of(message, choice=choice, asked={"stop_sequences": ["###", "END"]})
    assert (told["stop_reason"], told["stop_sequence"]) == (reason, sequence)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"[]", "Expected `object`"),
        (b"{}", "no choice"),
        (b'{"choices": []}', "no choice"),
        (b'{"choices": [{"index": 0, "delta": {}}]}', "no choice"),
        (b'{"error": {"message": "no"}}', "no choice"),
        (b'{"choices": [{"message": {"content": 5}}]}', "`$.choices[0].message.content`"),
        (b'{"choices": [{"message": {"content": [{"type": "image"}]}}]}', "not text"),
        (b'{"choices": [{"message": {"tool_calls": [{"id": "a"}]}}]}', "without a name"),
        (b'{"choices": [{"message": {"content": "a"}, "finish_reason": "error"}]}', "gave up"),
        (b'{"error": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON"),
    ],
)
def test_an_answer_that_is_no_chat_completion(body: bytes, why: str) -> None:
    with pytest.raises(TranslationError) as raised:
        translator().whole(body)
    assert why in str(raised.value)


@pytest.mark.parametrize(
    ("identifier", "shown"),
    [
        ("call_abc-1", "call_abc-1"),
        ("functions.f:0", "toolu_gw_ZnVuY3Rpb25zLmY6MA"),
        ("toolu_gw_call", "toolu_gw_dG9vbHVfZ3dfY2FsbA"),
    ],
)
def test_ids_of_calls_have_the_letters_that_the_messages_api_allows(identifier: str, shown: str) -> None:
    (block,) = message_of({"tool_calls": [call(identifier, "{}")]})["content"]
    assert block["id"] == shown
    assert id_for_provider(shown) == identifier


@given(st.text(min_size=1))
def test_every_id_comes_back(identifier: str) -> None:
    shown = id_for_client(identifier)
    assert set(shown) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    assert id_for_provider(shown) == identifier


@pytest.mark.parametrize("identifier", ["toolu_gw_!", "toolu_gw_a", "toolu_gw__w", "toolu_01", ""])
def test_an_id_that_is_not_from_here_stays(identifier: str) -> None:
    assert id_for_provider(identifier) == identifier


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (400, 400, "invalid_request_error"),
        (401, 401, "authentication_error"),
        (402, 402, "billing_error"),
        (403, 403, "permission_error"),
        (404, 404, "not_found_error"),
        (413, 413, "request_too_large"),
        (422, 422, "invalid_request_error"),
        (429, 429, "rate_limit_error"),
        (500, 500, "api_error"),
        (502, 502, "api_error"),
        (503, 529, "overloaded_error"),
        (504, 504, "timeout_error"),
    ],
)
def test_errors_have_the_type_of_their_status(status: int, told: int, kind: str) -> None:
    body = json.dumps({"error": {"message": "No.", "type": "any", "param": None, "code": "c"}}).encode()
    changed = translator().error(status, body)
    assert changed[0] == told
    assert json.loads(changed[1]) == {"type": "error", "error": {"type": kind, "message": "No."}}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": "No."}', "No."),
        (b'{"error": {"code": 5}}', "The provider answered with status 500 and no reason."),
        (b"<html>secret</html>", "The provider answered with status 500 and no reason."),
        (b"\xff", "The provider answered with status 500 and no reason."),
        (b'{"error":' + b"[" * 100_000, "The provider answered with status 500 and no reason."),
    ],
)
def test_an_error_is_told_whatever_its_body(body: bytes, message: str) -> None:
    assert json.loads(translator().error(500, body)[1])["error"] == {"type": "api_error", "message": message}
