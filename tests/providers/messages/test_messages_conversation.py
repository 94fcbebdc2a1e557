"""The conversation of a Messages request as messages of chat completions, block by block.

Shapes: https://platform.claude.com/docs/en/build-with-claude/working-with-messages,
https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls and
https://platform.openai.com/docs/api-reference/chat/create (messages).
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from doubles.chat_rules import checked

from gateway.errors import GatewayError
from gateway.providers.dialects.messages import translate

HINT = {"cache_control": {"type": "ephemeral"}}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
BELOW = "(What is not text stands in the user's message below.)"


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(value: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **more}


def use(identifier: str, name: str = "f", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": identifier, "name": name, "input": arguments}


def result(identifier: str, content: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": identifier, "content": content, **more}


def call(identifier: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool(identifier: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identifier, "content": content}


def encoded(messages: list[Any], system: Any) -> bytes:
    return json.dumps({"model": "m", "max_tokens": 5, "system": system, "messages": messages}).encode()


def put(*messages: Any, system: Any = None, drop: bool = False) -> Any:
    body = translate(encoded(list(messages), system), "llama", drop_unsupported=drop).body
    checked(body, ())
    return json.loads(body)["messages"]


def refusal_of(*messages: Any, system: Any = None, drop: bool = True) -> GatewayError:
    with pytest.raises(GatewayError) as refused:
        translate(encoded(list(messages), system), "llama", drop_unsupported=drop)
    assert refused.value.status == 400
    assert (refused.value.param or "") in refused.value.message
    return refused.value


HI = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("system", "content"),
    [
        ("Be brief.", "Be brief."),
        ([text("Be brief.", **HINT)], "Be brief."),
        ([text("Be brief."), text("Be kind.", **HINT)], "Be brief.\n\nBe kind."),
    ],
)
def test_the_system_prompt_comes_first(system: Any, content: str) -> None:
    assert put(HI, system=system) == [{"role": "system", "content": content}, HI]


@pytest.mark.parametrize("system", [[], "", [text("")], None])
def test_an_empty_system_prompt_is_none(system: Any) -> None:
    assert put(HI, system=system) == [HI]


def test_a_message_without_blocks_stays_in_its_turn() -> None:
    assert put(user()) == [{"role": "user", "content": ""}]


def test_a_system_message_stays_in_its_place() -> None:
    later = {"role": "system", "content": [text("Now be brief.")]}
    assert put(HI, later, HI) == [HI, {"role": "system", "content": "Now be brief."}, HI]


def test_turns_keep_their_order_and_texts_alone_are_one_string() -> None:
    turns = [HI, assistant(text("Hello"), text("there")), user(text("a"), text("b", **HINT))]
    assert put(*turns) == [
        HI,
        {"role": "assistant", "content": "Hello\n\nthere"},
        {"role": "user", "content": "a\n\nb"},
    ]


def test_messages_of_one_role_in_a_row_are_one_turn() -> None:
    turns = [HI, HI, assistant(use("a")), assistant(use("b")), user(result("a", "1")), user(result("b", "2"))]
    assert put(*turns) == [
        {"role": "user", "content": "Hi\n\nHi"},
        {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]},
        tool("a", "1"),
        tool("b", "2"),
    ]


@pytest.mark.parametrize(
    ("source", "url"),
    [
        (PNG["source"], "data:image/png;base64,iVBORw0="),
        ({"type": "url", "url": "https://example.com/a.png"}, "https://example.com/a.png"),
    ],
)
def test_images(source: Any, url: str) -> None:
    image = {"type": "image", "source": source, **HINT, "transformations": {"oversized_image": "downsize"}}
    parts = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": url}}]
    assert put(user(text("Look:"), image)) == [{"role": "user", "content": parts}]


def document(source: Any, **more: Any) -> dict[str, Any]:
    return {"type": "document", "source": source, **more}


def test_a_pdf_is_a_file_with_its_title_as_name() -> None:
    file = {"filename": "Report", "file_data": "data:application/pdf;base64,JVBERi0="}
    unnamed = {**file, "filename": "document.pdf"}
    titled = document(PDF, title="Report", context="Of last year.", citations={"enabled": False})
    assert put(user(titled, document(PDF)))[0]["content"] == [
        {"type": "text", "text": "Of last year."},
        {"type": "file", "file": file},
        {"type": "file", "file": unnamed},
    ]
    untitled = document(PDF, title="", context="Of last year.")
    assert put(user(untitled))[0]["content"] == [
        {"type": "text", "text": "Of last year."},
        {"type": "file", "file": unnamed},
    ]


@pytest.mark.parametrize(
    ("block", "content"),
    [
        (document({"type": "text", "media_type": "text/plain", "data": "plain"}), "plain"),
        (document({"type": "text", "data": "b"}, title="T", context="C"), "T\n\nC\n\nb"),
        (document({"type": "content", "content": "said"}), "said"),
        (document({"type": "content", "content": [text("a"), text("b")]}, title="T"), "T\n\na\n\nb"),
        (
            document({"type": "content", "content": [text("a"), PNG]}),
            [{"type": "text", "text": "a"}, PNG_PART],
        ),
        (
            {"type": "search_result", "source": "https://a", "title": "T", "content": [text("x"), text("y")]},
            "T\nhttps://a\nx\ny",
        ),
    ],
)
def test_other_documents_are_what_they_are_made_of(block: Any, content: Any) -> None:
    assert put(user(block)) == [{"role": "user", "content": content}]


def test_calls_keep_their_arguments_byte_for_byte() -> None:
    arguments = '{ "n": 12345678901234567890123, "x": 1.10, "deep": [{"é": "\\u00e9"}] }'
    turns = [assistant(text("Wait"), use("a", here=1)), user(result("a", "1"))]
    body = encoded(turns, None).replace(b'{"here": 1}', arguments.encode())
    sent = json.loads(translate(body, "llama").body)["messages"]
    assert sent == [
        {"role": "assistant", "content": "Wait", "tool_calls": [call("a", arguments=arguments)]},
        tool("a", "1"),
    ]


def test_results_come_before_what_else_the_user_says() -> None:
    turns = [
        HI,
        assistant(use("a"), use("b"), text("Two calls.")),
        user(text("Go on."), result("b", [text("2")]), result("a")),
    ]
    assert put(*turns)[1:] == [
        {"role": "assistant", "content": "Two calls.", "tool_calls": [call("a"), call("b")]},
        tool("b", "2"),
        tool("a", ""),
        {"role": "user", "content": "Go on."},
    ]


def test_a_result_that_is_an_error_begins_with_the_word() -> None:
    turns = [HI, assistant(use("a")), user(result("a", "no such file", is_error=True))]
    assert put(*turns)[-1] == tool("a", "Error:\n\nno such file")
    turns = [HI, assistant(use("a")), user(result("a", "fine", is_error=False))]
    assert put(*turns)[-1] == tool("a", "fine")


def test_images_of_results_stand_in_the_message_of_the_user() -> None:
    results = (result("a", [text("A chart:"), PNG], **HINT), result("b", [document(PDF)]))
    turns = [HI, assistant(use("a"), use("b")), user(*results, text("Which is it?"))]
    assert put(*turns)[2:] == [
        tool("a", f"A chart:\n\n{BELOW}"),
        tool("b", BELOW),
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "From the result of the tool call a:"},
                PNG_PART,
                {"type": "text", "text": "From the result of the tool call b:"},
                {
                    "type": "file",
                    "file": {
                        "filename": "document.pdf",
                        "file_data": "data:application/pdf;base64,JVBERi0=",
                    },
                },
                {"type": "text", "text": "Which is it?"},
            ],
        },
    ]


def test_what_the_sdk_adds_to_blocks_of_an_answer_is_no_obstacle() -> None:
    said = text("Hello", citations=None, parsed_output=None)
    used = {**use("a"), "caller": {"type": "direct"}, "toolset_name": None}
    assert put(HI, assistant(said, used), user(result("a", "1")))[1]["content"] == "Hello"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (user({"type": "image", "source": {"type": "file", "file_id": "f"}}), "content[0].source.type"),
        (user(document({"type": "url", "url": "https://a/b.pdf"})), "content[0].source.type"),
        (user(document({"type": "file", "file_id": "f"})), "content[0].source.type"),
        (
            user(document({"type": "content", "content": [document(PDF)]})),
            "content[0].source.content[0].type",
        ),
        (user({"type": "container_upload", "file_id": "f"}), "content[0].type"),
        (user(text("a"), use("a")), "content[1].type"),
        (user({"type": "no_such_block"}), "content[0].type"),
        (user(result("a", [{"type": "tool_reference", "tool_name": "f"}])), "content[0].content[0].type"),
        (assistant(PNG), "content[0].type"),
        (
            assistant({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
            "content[0].type",
        ),
        (assistant({"type": "web_search_tool_result", "tool_use_id": "s", "content": []}), "content[0].type"),
        (assistant({**use("a"), "caller": {"type": "code_execution_20250825"}}), "content[0].caller.type"),
        ({"role": "system", "content": [PNG]}, "content[0].type"),
    ],
)
def test_content_that_cannot_be_told_is_refused_even_where_parameters_are_dropped(
    message: Any, param: str
) -> None:
    refusal = refusal_of(message, HI)
    assert (refusal.code, refusal.param) == ("unsupported_parameter", f"messages[0].{param}")


@pytest.mark.parametrize(
    ("message", "param", "sent"),
    [
        (
            user(document({"type": "text", "data": "a"}, citations={"enabled": True})),
            "citations.enabled",
            "a",
        ),
        (user(text("a", citations=[{"type": "char_location"}])), "citations", "a"),
        (user(text("a", no_such=1)), "no_such", "a"),
        (
            user({**PNG, "transformations": {"oversized_image": "error"}}),
            "transformations.oversized_image",
            [PNG_PART],
        ),
    ],
)
def test_what_is_optional_in_a_block_can_be_dropped(message: Any, param: str, sent: Any) -> None:
    refusal = refusal_of(message, drop=False)
    assert (refusal.code, refusal.param) == ("unsupported_parameter", f"messages[0].content[0].{param}")
    assert put(message, drop=True) == [{"role": "user", "content": sent}]


def test_an_answer_that_is_begun_cannot_be_continued() -> None:
    begun = assistant(text("The answer is ("))
    refusal = refusal_of(HI, begun, drop=False)
    assert (refusal.code, refusal.param) == ("unsupported_parameter", "messages[1].role")
    assert put(HI, begun, drop=True)[1] == {"role": "assistant", "content": "The answer is ("}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "system"}, "content"),
        (user({"text": "a"}), "content[0].type"),
        (user(text("a"), "b"), "content[1]"),
        (user({"type": "text"}), "content[0].text"),
        (user({"type": "image"}), "content[0].source"),
        (user({"type": "image", "source": {"type": "base64", "data": "x"}}), "content[0].source.media_type"),
        (user(document({**PDF, "media_type": "text/html"})), "content[0].source.media_type"),
        (user({"type": "tool_result"}), "content[0].tool_use_id"),
        (user(result("a", 5)), "content[0].content"),
        (assistant({"type": "tool_use", "id": "a", "name": "f"}), "content[0].input"),
        (assistant({"type": "tool_use", "id": "a", "name": "f", "input": "{}"}), "content[0].input"),
        (assistant({"type": "tool_use", "id": "a", "input": {}}), "content[0].name"),
        (assistant({"type": "thinking", "signature": "s"}), "content[0].thinking"),
        (assistant({"type": "redacted_thinking"}), "content[0].data"),
    ],
)
def test_blocks_that_are_wrong(message: Any, param: str) -> None:
    refusal = refusal_of(message, HI)
    assert (refusal.code, refusal.param) == (None, f"messages[0].{param}")
