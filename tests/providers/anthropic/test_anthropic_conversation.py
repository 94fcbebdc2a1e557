"""Messages of chat completions, and the system prompt and messages that they become.

Shapes: https://platform.openai.com/docs/api-reference/chat/create
and https://platform.claude.com/docs/en/api/messages
"""

import json
from base64 import b64encode
from typing import Any

import pytest
from doubles.anthropic_rules import check, sign

from gateway.errors import GatewayError
from gateway.providers.anthropic.request import translate

Json = dict[str, Any]
USER = {"role": "user", "content": "Hello"}
EPHEMERAL = {"type": "ephemeral"}


def put(*messages: Json, drop: bool = False) -> Json:
    body = json.dumps({"messages": messages}).encode()
    translation = translate(body, "claude-opus-4-8", now=0, drop_unsupported=drop)
    return check(translation.body, "2023-06-01")


def text(value: str, **members: Any) -> Json:
    return {"type": "text", "text": value, **members}


def call(id_: str, name: str, arguments: str) -> Json:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_system_prompts_stand_apart_in_their_order() -> None:
    request = put(
        {"role": "system", "content": "First."},
        {"role": "developer", "content": [text("Second."), text("")]},
        USER,
        {"role": "assistant", "content": "Hi."},
        {"role": "system", "content": "Third."},
        {"role": "user", "content": "Bye"},
    )
    assert request["system"] == [text("First."), text("Second."), text("Third.")]
    assert [message["role"] for message in request["messages"]] == ["user", "assistant", "user"]


def test_neighbours_of_one_role_are_one_message() -> None:
    request = put(
        USER,
        {"role": "system", "content": "Between."},
        {"role": "user", "content": [text("again")]},
        {"role": "assistant", "content": "One."},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "Two."}], "refusal": "Three."},
        {"role": "user", "content": ""},
        USER,
    )
    assert request["messages"] == [
        {"role": "user", "content": [text("Hello"), text("again")]},
        {"role": "assistant", "content": [text("One."), text("Two."), text("Three.")]},
        {"role": "user", "content": [text("Hello")]},
    ]


PDF = b64encode(b"%PDF-1.7").decode()
PLAIN = b64encode("Grüße".encode()).decode()


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "high"}},
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/JPG;x=y;base64,AAAA"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
        ),
        (
            {
                "type": "file",
                "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"},
            },
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ),
        (
            {"type": "file", "file": {"file_data": PDF}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
        ),
        (
            {"type": "file", "file": {"file_data": f"data:text/markdown;charset=utf-8;base64,{PLAIN}"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:image/gif;base64,AAAA", "filename": "a.gif"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "AAAA"}},
        ),
        (
            {"type": "file", "file": {"file_id": "file_1"}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        ),
        (text("x", cache_control=EPHEMERAL), text("x", cache_control=EPHEMERAL)),
        (text("x", prompt_cache_breakpoint={"mode": "explicit"}), text("x", cache_control=EPHEMERAL)),
    ],
)
def test_parts(part: Json, block: Json) -> None:
    content = put({"role": "user", "content": [text("See:"), part]})["messages"][0]["content"]
    assert content == [text("See:"), block]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}, "type"),
        ({"type": "video_url", "video_url": {"url": "https://a.example"}}, "type"),
        ({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AAAA"}}, "image_url.url"),
        ({"type": "file", "file": {"file_data": "data:application/zip;base64,AAAA"}}, "file.file_data"),
    ],
)
def test_content_that_cannot_be_expressed_is_never_dropped(part: Json, param: str) -> None:
    with pytest.raises(GatewayError) as caught:
        put({"role": "user", "content": [text("See:"), part]}, drop=True)
    assert caught.value.param == f"messages[0].content[1].{param}"
    assert caught.value.code == "unsupported_parameter"


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url", "image_url": {"url": "ftp://a.example"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,AAAA"}}, "image_url.url"),
        ({"type": "image_url", "image_url": "https://a.example"}, "image_url"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}}, "file.file_data"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,???"}}, "file.file_data"),
        ({"type": "file", "file": {}}, "file"),
    ],
)
def test_parts_that_are_wrong_are_named(part: Json, param: str) -> None:
    with pytest.raises(GatewayError) as caught:
        put({"role": "user", "content": [part]})
    assert (caught.value.param, caught.value.code) == (f"messages[0].content[0].{param}", None)


def test_parallel_calls_and_their_results() -> None:
    request = put(
        USER,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("call_1", "f", '{"a": 1.50}'), {**call("call_2", "g", ""), "index": 1}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "one", "name": "f"},
        {
            "role": "tool",
            "tool_call_id": "call_2",
            "content": [text("two"), {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}],
            "cache_control": EPHEMERAL,
        },
        {"role": "user", "content": "Go on."},
    )
    assert request["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1.5}},
                {"type": "tool_use", "id": "call_2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [text("one")]},
                {
                    "type": "tool_result",
                    "tool_use_id": "call_2",
                    "content": [
                        text("two"),
                        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
                    ],
                    "cache_control": EPHEMERAL,
                },
                text("Go on."),
            ],
        },
    ]


def test_arguments_keep_their_bytes() -> None:
    arguments = '{ "big": 123456789012345678901234567890, "x": 1.10, "s": "\\u00e9é" }'
    messages = [
        USER,
        {"role": "assistant", "tool_calls": [call("a", "f", arguments)]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]
    body = translate(json.dumps({"messages": messages}).encode(), "claude-opus-4-8", now=0).body
    assert arguments.encode() in body
    assert b'{"type":"tool_result","tool_use_id":"a"}' in body


def test_ids_of_other_providers_are_made_fit_alike() -> None:
    request = put(
        USER,
        {
            "role": "assistant",
            "tool_calls": [call("functions.f:0", "f", "{}"), call("functions_f_0", "f", "{}")],
        },
        {"role": "tool", "tool_call_id": "functions.f:0", "content": "x"},
        {"role": "tool", "tool_call_id": "functions_f_0", "content": "y"},
    )
    ids = [block["id"] for block in request["messages"][1]["content"]]
    assert ids == [block["tool_use_id"] for block in request["messages"][2]["content"]]
    assert len(set(ids)) == 2


def test_deprecated_functions() -> None:
    request = put(
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}},
        {"role": "function", "name": "f", "content": "one"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "two"},
    )
    calls = [message["content"][0] for message in request["messages"][1::2]]
    results = [message["content"][0] for message in request["messages"][2::2]]
    assert [(block["name"], block["input"]) for block in calls] == [("f", {"a": 1}), ("f", {})]
    assert [block["content"] for block in results] == [[text("one")], [text("two")]]
    assert calls[0]["id"] != calls[1]["id"]


def test_thoughts_go_back_first_and_unchanged() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": sign("Hm.")}
    hidden = {"type": "thinking", "thinking": "", "signature": sign("")}
    redacted = {"type": "redacted_thinking", "data": "xyz"}
    request = put(
        USER,
        {
            "role": "assistant",
            "content": "Let me see.",
            "reasoning_content": "Hm.",
            "thinking_blocks": [{**thought, "index": 0}, redacted, hidden],
            "tool_calls": [call("a", "f", "{}")],
            "annotations": [],
            "audio": None,
        },
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    )
    assert request["messages"][1]["content"] == [
        thought,
        redacted,
        hidden,
        text("Let me see."),
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
    ]


def test_thoughts_without_a_signature_are_left_out() -> None:
    request = put(USER, {"role": "assistant", "content": "Hi.", "reasoning_content": "Hm."}, USER)
    assert request["messages"][1]["content"] == [text("Hi.")]


def test_a_mark_on_a_message_is_on_its_last_block() -> None:
    request = put(
        {"role": "system", "content": "Long.", "cache_control": EPHEMERAL},
        {"role": "user", "content": [text("a"), text("b")], "cache_control": EPHEMERAL},
    )
    assert request["system"] == [text("Long.", cache_control=EPHEMERAL)]
    assert request["messages"][0]["content"] == [text("a"), text("b", cache_control=EPHEMERAL)]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({**USER, "name": "Ada"}, "messages[0].name"),
        ({**USER, "mood": "good"}, "messages[0].mood"),
        ({"role": "user", "content": [text("x", style="bold")]}, "messages[0].content[0].style"),
    ],
)
def test_members_that_the_api_lacks_are_refused_or_dropped(message: Json, param: str) -> None:
    with pytest.raises(GatewayError) as caught:
        put(message)
    assert (caught.value.param, caught.value.code) == (param, "unsupported_parameter")
    assert put(message, drop=True)["messages"][0]["content"][0]["text"] in ("Hello", "x")


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "assistant", "tool_calls": [call("a", "f", "{")]}, "tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [call("a", "f", "[1]")]}, "tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [call("a", "f", "{} {}")]}, "tool_calls[0].function.arguments"),
        ({"role": "assistant", "tool_calls": [call("", "f", "{}")]}, "tool_calls[0].id"),
        ({"role": "assistant", "tool_calls": [{"id": "a"}]}, "tool_calls[0].function"),
        ({"role": "assistant", "thinking_blocks": [{"type": "thinking", "thinking": "x"}]},
         "thinking_blocks[0].signature"),
        ({"role": "assistant", "thinking_blocks": [{"type": "dream"}]}, "thinking_blocks[0].type"),
        ({"role": "assistant", "content": [{"type": "image_url"}]}, "content[0].type"),
        ({"role": "assistant", "audio": {"id": "a"}}, "audio"),
        ({"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {}}]},
         "tool_calls[0].type"),
        ({"role": "tool", "content": "x"}, "tool_call_id"),
        ({"role": "function", "name": "f", "content": "x"}, "name"),
    ],
)  # fmt: skip
def test_messages_that_are_wrong_are_named(message: Json, param: str) -> None:
    with pytest.raises(GatewayError) as caught:
        put(USER, message)
    assert caught.value.param == f"messages[1].{param}"
