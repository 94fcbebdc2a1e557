"""Whatever a client sends: an error of ours, or a request that keeps all it says and that the API takes."""

import json
import re
from typing import Any

from doubles.anthropic_rules import check
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.providers.anthropic.request import translate
from gateway.providers.anthropic.response import Translator

Json = dict[str, Any]
_MEMBERS = (
    "messages", "model", "tools", "tool_choice", "functions", "function_call", "response_format", "stop",
    "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "n",
    "user", "reasoning_effort", "thinking", "service_tier", "parallel_tool_calls", "metadata", "role",
    "content", "type", "text", "image_url", "url", "file", "file_data", "tool_calls", "tool_call_id", "id",
    "function", "name", "arguments", "parameters", "thinking_blocks", "json_schema", "schema",
)  # fmt: skip
_WORDS = (
    "user",
    "assistant",
    "system",
    "tool",
    "function",
    "text",
    "image_url",
    "file",
    "auto",
    "low",
    "none",
)

_leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(_WORDS)
)
_any = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_MEMBERS) | st.text(), inner, max_size=5)
    ),
    max_leaves=25,
)


def translated_or_refused(body: bytes, model: str, *, drop: bool = False) -> bytes | GatewayError:
    try:
        return translate(body, model, now=0, drop_unsupported=drop).body
    except GatewayError as error:
        return error


@given(
    st.dictionaries(st.sampled_from(_MEMBERS), _any, max_size=8),
    st.sampled_from(("claude-opus-5-5", "claude-sonnet-4-5", "other")),
    st.booleans(),
)
def test_any_json_is_translated_or_refused(members: Json, model: str, drop: bool) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "x"}], **members}).encode()
    outcome = translated_or_refused(body, model, drop=drop)
    if isinstance(outcome, GatewayError):
        assert (outcome.status, outcome.kind) == (400, "invalid_request_error")
    else:
        assert json.loads(outcome)["model"] == model


@given(st.binary(max_size=80))
def test_any_bytes_are_refused(body: bytes) -> None:
    outcome = translated_or_refused(body, "claude-opus-4-8")
    assert isinstance(outcome, GatewayError)
    assert outcome.status == 400


_said = st.text(min_size=1, max_size=30).filter(str.strip)
_names = st.from_regex(re.compile(r"[a-zA-Z0-9_-]{1,12}"), fullmatch=True)
_numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_arguments = st.dictionaries(
    st.text(max_size=6), _numbers | st.text(max_size=9) | st.lists(_numbers), max_size=4
)


@st.composite
def _turns(draw: st.DrawFn) -> list[Json]:
    """A conversation as chat completions allows it."""
    messages: list[Json] = [{"role": "system", "content": draw(_said)}] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(_said)})
        if draw(st.booleans()):
            messages.append({"role": draw(st.sampled_from(("system", "developer"))), "content": draw(_said)})
        calls = [
            {
                "id": f"call_{turn}.{index}",
                "type": "function",
                "function": {"name": draw(_names), "arguments": json.dumps(draw(_arguments))},
            }
            for index in range(draw(st.integers(0, 3)))
        ]
        said: Json = {"role": "assistant", "content": draw(_said) if not calls else draw(st.none() | _said)}
        messages.append({**said, **({"tool_calls": calls} if calls else {})})
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": draw(_said)} for call in calls]
    return [*messages, {"role": "user", "content": draw(_said)}]


@given(_turns())
def test_every_text_and_call_survives(messages: list[Json]) -> None:
    body = json.dumps({"messages": messages}).encode()
    request = check(translate(body, "claude-opus-4-8", now=0).body, "2023-06-01")
    blocks = [block for message in request["messages"] for block in message["content"]]

    def texts(*roles: str) -> list[str]:
        return [m["content"] for m in messages if m["role"] in roles and m["content"] is not None]

    assert [block["text"] for block in request.get("system", ())] == texts("system", "developer")
    assert [block["text"] for block in blocks if block["type"] == "text"] == texts("user", "assistant")
    results = [block["content"][0]["text"] for block in blocks if block["type"] == "tool_result"]
    assert results == texts("tool")
    calls = [call["function"] for message in messages for call in message.get("tool_calls", ())]
    used = [block for block in blocks if block["type"] == "tool_use"]
    assert [block["name"] for block in used] == [call["name"] for call in calls]
    assert [block["input"] for block in used] == [json.loads(call["arguments"]) for call in calls]


@given(_said, _arguments, st.text(max_size=20))
def test_an_answer_goes_back_as_it_came(said: str, arguments: Json, thought: str) -> None:
    content = [
        {"type": "thinking", "thinking": thought, "signature": "sig"},
        {"type": "text", "text": said},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": arguments},
    ]
    answer = {"id": "m", "model": "m", "content": content, "stop_reason": "tool_use", "usage": {}}
    translator = Translator(0, with_usage=False, deprecated_functions=False)
    made = json.loads(translator.whole(json.dumps(answer).encode()))["choices"][0]["message"]
    body = json.dumps({"messages": [{"role": "user", "content": "x"}, made]}).encode()
    assert json.loads(translate(body, "claude-opus-4-8", now=0).body)["messages"][1]["content"] == content
