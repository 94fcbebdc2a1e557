"""Messages as Gemini's contents.

https://ai.google.dev/api/caching#Content, https://ai.google.dev/gemini-api/docs/function-calling,
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.providers.gemini import request
from gateway.providers.gemini.messages import NO_SIGNATURE

Sent = Callable[..., dict[str, Any]]
Refusal = Callable[..., GatewayError]
PNG = "iVBORw0KGgo="


def message(role: str, content: Any = None, **members: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **members}


def tool_call(id_: str, name: str = "f", arguments: str = "{}", **members: Any) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}, **members}


def content(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def signed(signature: str) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": signature}}}


@pytest.mark.parametrize(
    ("messages", "contents"),
    [
        ([message("user", "Hi")], [content("user", "Hi")]),
        (
            [message("user", "a"), message("assistant", "b"), message("user", "c")],
            [content("user", "a"), content("model", "b"), content("user", "c")],
        ),
        ([message("user", "a"), message("user", "b")], [content("user", "a", "b")]),
        (
            [message("user", "a"), message("assistant", "b"), message("assistant", "c")],
            [content("user", "a"), content("model", "b", "c")],
        ),
        (
            [message("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])],
            [content("user", "a", "b")],
        ),
        ([message("user", "")], [content("user", "")]),
        ([message("user", [])], [content("user", "")]),
        (
            [message("user", [{"type": "text", "text": ""}, {"type": "text", "text": "b"}])],
            [content("user", "b")],
        ),
        (
            [message("user", "a"), message("assistant", None, refusal="I will not.")],
            [content("user", "a"), content("model", "I will not.")],
        ),
        (
            [message("user", "a"), message("assistant", [{"type": "refusal", "refusal": "No."}])],
            [content("user", "a"), content("model", "No.")],
        ),
        (
            [
                message("user", "a"),
                message(
                    "assistant",
                    "b",
                    refusal=None,
                    audio=None,
                    function_call=None,
                    tool_calls=None,
                    annotations=[],
                    reasoning_content="A thought.",
                ),
            ],
            [content("user", "a"), content("model", "b")],
        ),
        (
            [
                message("user", "a"),
                message(
                    "assistant",
                    "b",
                    images=[{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
                ),
            ],
            [
                content("user", "a"),
                content("model", "b", {"inlineData": {"mimeType": "image/png", "data": PNG}}),
            ],
        ),
        (
            [message("user", "a"), message("assistant", "b", **signed("c2ln"))],
            [content("user", "a"), content("model", {"text": "b", "thoughtSignature": "c2ln"})],
        ),
        (
            [message("user", "a"), message("assistant", "", **signed("c2ln"))],
            [content("user", "a"), content("model", {"text": "", "thoughtSignature": "c2ln"})],
        ),
    ],
)
def test_turns(sent: Sent, messages: list[dict[str, Any]], contents: list[dict[str, Any]]) -> None:
    assert sent(messages=messages) == {"contents": contents}


def test_system_and_developer_messages_become_the_instruction(sent: Sent) -> None:
    made = sent(
        messages=[
            message("system", "a"),
            message("developer", [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]),
            message("user", "d"),
            message("system", "e"),
            message("user", "f"),
        ]
    )
    assert made == {
        "systemInstruction": {"parts": [{"text": "a"}, {"text": "b"}, {"text": "c"}, {"text": "e"}]},
        "contents": [content("user", "d", "f")],
    }


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize(
    ("members", "param"),
    [
        (message("user", [{"type": "video_url", "video_url": {"url": "https://x"}}]), "content[0].type"),
        (message("user", [{"type": "refusal", "refusal": "no"}]), "content[0].type"),
        (
            message("user", [{"type": "image_url", "image_url": {"url": "ftp://x/y.png"}}]),
            "content[0].image_url.url",
        ),
        (
            message("user", [{"type": "image_url", "image_url": {"url": "data:image/svg,x"}}]),
            "content[0].image_url.url",
        ),
        (
            message("user", [{"type": "input_audio", "input_audio": {"data": "", "format": "pcm16"}}]),
            "content[0].input_audio.format",
        ),
        (message("user", [{"type": "file", "file": {"file_id": "file-1"}}]), "content[0].file.file_id"),
        (message("system", [{"type": "image_url", "image_url": {"url": "https://x"}}]), "content[0].type"),
        (message("function", "x", name="f"), "role"),
        (message("assistant", None, audio={"id": "audio_1"}), "audio"),
        (message("assistant", None, function_call={"name": "f", "arguments": "{}"}), "function_call"),
        (
            message(
                "assistant",
                None,
                tool_calls=[{"id": "1", "type": "custom", "custom": {"name": "c", "input": ""}}],
            ),
            "tool_calls[0].type",
        ),
    ],
)
def test_content_is_never_dropped(refusal: Refusal, members: dict[str, Any], param: str, drop: bool) -> None:
    error = refusal(messages=[members], drop=drop)
    assert (error.param, error.code) == (f"messages[0].{param}", "unsupported_parameter")


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"role": "user"}, "content"),
        ({"content": "Hi"}, "role"),
        (message("user", 1), "content"),
        (message("user", ["Hi"]), "content[0]"),
        (message("user", [{"text": "Hi"}]), "content[0].type"),
        (message("user", [{"type": "text"}]), "content[0].text"),
        (message("user", [{"type": "image_url", "image_url": "https://x"}]), "content[0].image_url"),
        (message("user", [{"type": "file", "file": {"filename": "x"}}]), "content[0].file.file_data"),
        (message("assistant", None, tool_calls=[{}]), "tool_calls[0].id"),
        (message("assistant", None, tool_calls=[{"id": "1"}]), "tool_calls[0].function"),
        (
            message("assistant", None, tool_calls=[tool_call("1", arguments="[1]")]),
            "tool_calls[0].function.arguments",
        ),
        (
            message("assistant", None, tool_calls=[tool_call("1", arguments="{")]),
            "tool_calls[0].function.arguments",
        ),
        (message("tool", "x"), "tool_call_id"),
        (message("tool", "x", tool_call_id="never"), "tool_call_id"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(refusal: Refusal, members: dict[str, Any], param: str) -> None:
    assert refusal(messages=[members]).param == f"messages[0].{param}"


@pytest.mark.parametrize(
    ("members", "param"),
    [
        (message("user", "Hi", name="Ann"), "name"),
        (message("user", "Hi", weight=1), "weight"),
        (message("user", [{"type": "text", "text": "Hi", "cache_control": {}}]), "content[0].cache_control"),
    ],
)
def test_what_is_no_content_may_be_dropped(
    sent: Sent, refusal: Refusal, members: dict[str, Any], param: str
) -> None:
    error = refusal(messages=[members])
    assert (error.param, error.code) == (f"messages[0].{param}", "unsupported_parameter")
    assert sent(messages=[members], drop=True) == {"contents": [content("user", "Hi")]}


# Calls and results.


def test_parallel_calls_and_their_results(sent: Sent) -> None:
    made = sent(
        messages=[
            message("user", "Weather?"),
            message(
                "assistant",
                "Let me look.",
                tool_calls=[
                    tool_call(
                        "call_1", "weather", '{"city": "Oslo", "id": 12345678901234567890}', **signed("c2ln")
                    ),
                    tool_call("call_2", "time", "", index=1),
                ],
            ),
            message("tool", "Rain", tool_call_id="call_1"),
            message("tool", '{"utc": "12:00"}', tool_call_id="call_2"),
            message("user", "Thanks."),
        ]
    )
    calls = [
        {
            "functionCall": {
                "id": "call_1",
                "name": "weather",
                "args": {"city": "Oslo", "id": 12345678901234567890},
            },
            "thoughtSignature": "c2ln",
        },
        {"functionCall": {"id": "call_2", "name": "time", "args": {}}},
    ]
    results = [
        {"functionResponse": {"id": "call_1", "name": "weather", "response": {"output": "Rain"}}},
        {"functionResponse": {"id": "call_2", "name": "time", "response": {"output": '{"utc": "12:00"}'}}},
    ]
    assert made["contents"] == [
        content("user", "Weather?"),
        content("model", "Let me look.", *calls),
        content("user", *results),
        content("user", "Thanks."),
    ]


@pytest.mark.parametrize(
    ("result", "response"),
    [
        ("", {"output": ""}),
        ([], {"output": ""}),
        ([{"type": "text", "text": "a"}], {"output": "a"}),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"output": ["a", "b"]}),
    ],
)
def test_a_result_s_texts(sent: Sent, result: Any, response: dict[str, Any]) -> None:
    made = sent(
        messages=[
            message("assistant", tool_calls=[tool_call("1")]),
            message("tool", result, tool_call_id="1"),
        ]
    )
    [part] = made["contents"][-1]["parts"]
    assert part["functionResponse"] == {"id": "1", "name": "f", "response": response}


def test_a_result_with_an_image(sent: Sent) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    made = sent(
        messages=[
            message("assistant", tool_calls=[tool_call("1")]),
            message("tool", [{"type": "text", "text": "a"}, image], tool_call_id="1"),
        ]
    )
    [part] = made["contents"][-1]["parts"]
    assert part["functionResponse"]["response"] == {"output": "a"}
    assert part["functionResponse"]["parts"] == [{"inlineData": {"mimeType": "image/png", "data": PNG}}]


def test_the_same_id_in_a_later_turn_is_the_later_function_s(sent: Sent) -> None:
    made = sent(
        messages=[
            message("assistant", tool_calls=[tool_call("1", "first")]),
            message("tool", "a", tool_call_id="1"),
            message("assistant", tool_calls=[tool_call("1", "second")]),
            message("tool", "b", tool_call_id="1"),
        ]
    )
    names = [part["functionResponse"]["name"] for turn in made["contents"][1::2] for part in turn["parts"]]
    assert names == ["first", "second"]


def test_arguments_go_in_the_bytes_that_came() -> None:
    arguments = '{"a" : 1.0, "b":12345678901234567890123, "c": "\\u00e9"}'
    messages = [message("assistant", tool_calls=[tool_call("1", arguments=arguments)])]
    body = request.read(json.dumps({"messages": messages}).encode(), "gemini-2.5-flash", drop=False).body
    assert arguments.encode() in body


@pytest.mark.parametrize(
    ("model", "before", "expected"),
    [
        # The first call of a step of the current turn needs one; those of the turns before do not.
        ("gemini-3.5-flash", [], [NO_SIGNATURE, None]),
        ("gemini-3.5-flash", [message("user", "a")], [NO_SIGNATURE, None]),
        ("gemini-2.5-flash", [message("user", "a")], [None, None]),
    ],
)
def test_calls_that_another_provider_made(
    sent: Sent, model: str, before: list[dict[str, Any]], expected: list[str | None]
) -> None:
    calls = message("assistant", tool_calls=[tool_call("1"), tool_call("2")])
    made = sent(model=model, messages=[*before, calls])
    parts = made["contents"][-1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == expected
    later = sent(model=model, messages=[*before, calls, message("user", "b")])
    assert not any("thoughtSignature" in part for turn in later["contents"] for part in turn["parts"])


@pytest.mark.parametrize(
    ("calls", "param"),
    [
        ([tool_call("1", made_up=1)], "made_up"),
        ([tool_call("1") | {"function": {"name": "f", "arguments": "{}", "made_up": 1}}], "function.made_up"),
    ],
)
def test_no_member_of_a_call_goes_unread(
    sent: Sent, refusal: Refusal, calls: list[dict[str, Any]], param: str
) -> None:
    messages = [message("assistant", tool_calls=calls)]
    error = refusal(messages=messages)
    assert (error.param, error.code) == (f"messages[0].tool_calls[0].{param}", "unsupported_parameter")
    assert sent(messages=messages, drop=True) == sent(
        messages=[message("assistant", tool_calls=[tool_call("1")])]
    )


def test_a_result_has_the_name_of_the_call(sent: Sent) -> None:
    calls = message("assistant", tool_calls=[tool_call("1", "f")])
    made = sent(messages=[calls, message("tool", "x", tool_call_id="1", name="another")])
    assert made["contents"][-1]["parts"][0]["functionResponse"]["name"] == "f"


def test_a_signature_of_ours_is_kept_as_it_is(sent: Sent) -> None:
    calls = [tool_call("1"), tool_call("2", **signed("c2ln"))]
    [turn] = sent(messages=[message("assistant", tool_calls=calls)])["contents"]
    assert [part.get("thoughtSignature") for part in turn["parts"]] == [None, "c2ln"]
