"""What is translated is put to the double, which refuses what the API refuses; its answers are put back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from doubles.gemini import KEY, Answer, GeminiDouble, call, rate_limited, text, thought
from doubles.gemini_rules import ApiError
from doubles.serving import Request

from gateway.config import Provider
from gateway.providers.gemini import GeminiProvider
from gateway.providers.translation import Translation, TranslationError

MODEL = "gemini-3.5-flash"
OTHERS = ["gemini-2.5-flash", "gemini-3.5-pro"]
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("weather", "time")
]
HI = [{"role": "user", "content": "Hi"}]


def put(
    double: GeminiDouble, model: str = MODEL, path: bytes = b"/v1/chat/completions", **parameters: Any
) -> tuple[int, Translation, list[bytes]]:
    """The status of the double's answer, who translates it, and its body or the pieces of its stream."""
    made = GeminiProvider("p", Provider(format="gemini", base_url="https://google"))
    translation = made.translate(path, json.dumps(parameters).encode(), model, 1_700_000_000)
    assert translation is not None
    target = made.target(b"/v1" + translation.target, model).decode()
    reply = double.answer(Request("POST", target, {"x-goog-api-key": KEY}, translation.body))
    return reply.status, translation, [reply.body] if reply.stream is None else reply.stream


def ask(double: GeminiDouble, model: str = MODEL, **parameters: Any) -> dict[str, Any]:
    """The chat completion for a request; a streamed one is put together."""
    status, translation, [body] = put(double, model, **parameters)
    assert status == 200, body
    made: dict[str, Any] = json.loads(translation.translator.whole(body))
    return made


def scripted(*answers: Answer | ApiError) -> GeminiDouble:
    double = GeminiDouble()
    double.script.extend(answers)
    return double


@pytest.mark.parametrize("model", [MODEL, *OTHERS])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"temperature": 2, "top_p": 1, "top_k": 3, "seed": 5, "max_tokens": 9, "stop": ["a", "b"], "n": 2},
        {"presence_penalty": 1, "frequency_penalty": -1, "logprobs": True, "top_logprobs": 4},
        {"logprobs": False, "top_logprobs": 0, "stream_options": None},
        {"response_format": {"type": "json_object"}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}},
            }
        },
        {"reasoning_effort": "minimal"},
        {"reasoning_effort": "high"},
        {"tools": TOOLS, "tool_choice": "required"},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "time"}}},
        {"service_tier": "flex"},
        {"extra_body": {"google": {"thinking_config": {"include_thoughts": True}}}},
    ],
    ids=repr,
)
def test_the_api_takes_what_is_sent(model: str, parameters: dict[str, Any]) -> None:
    made = ask(GeminiDouble(), model, messages=HI, **parameters)
    assert made["choices"][0]["message"]["content"] == "nothing is scripted"


@pytest.mark.parametrize(
    "content",
    [
        "",
        [],
        [{"type": "text", "text": ""}],
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}}],
        [{"type": "image_url", "image_url": {"url": "https://host/x.png"}}],
        [{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}],
        [{"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg=="}}],
    ],
    ids=repr,
)
def test_the_api_takes_every_content(content: Any) -> None:
    system = {"role": "system", "content": "Be brief."}
    ask(GeminiDouble(), messages=[system, {"role": "user", "content": content}])


@pytest.mark.parametrize("model", [MODEL, *OTHERS])
def test_a_conversation_with_tools(model: str) -> None:
    double = scripted(
        Answer([thought("Hm."), text("Wait."), call("weather", {"n": 1}, signed=True), call("time", {})]),
        Answer([call("weather", {"n": 2}, id_="x", signed=True)]),
        Answer([text("Sunny.")]),
    )
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Weather?"}]
    for _ in range(2):
        message = ask(double, model, messages=messages, tools=TOOLS)["choices"][0]["message"]
        results = [
            {"role": "tool", "tool_call_id": made["id"], "content": "12"} for made in message["tool_calls"]
        ]
        messages += [message, *results]
    made = ask(double, model, messages=messages, tools=TOOLS)
    assert made["choices"][0]["message"]["content"] == "Sunny."


@pytest.mark.parametrize("model", [MODEL, *OTHERS])
def test_a_conversation_that_another_provider_began(model: str) -> None:
    calls = [
        {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for name in ("weather", "time")
    ]
    messages = [
        *HI,
        {"role": "assistant", "content": "", "refusal": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_weather", "content": "12"},
        {"role": "tool", "tool_call_id": "call_time", "content": ""},
    ]
    ask(GeminiDouble(), model, messages=messages, tools=TOOLS)
    ask(GeminiDouble(), model, messages=[*messages, *HI], tools=TOOLS)


def test_a_stream() -> None:
    double = scripted(Answer([thought("Let me think."), text("It is sunny."), call("f", {"a": [1.5]})]))
    _, translation, pieces = put(double, messages=HI, stream=True, stream_options={"include_usage": True})
    data = b"".join(translation.translator.feed(piece) for piece in pieces) + translation.translator.end()
    *chunks, done = data.split(b"\n\n")[:-1]
    assert done == b"data: [DONE]"
    *choices, usage = [json.loads(chunk.removeprefix(b"data: ")) for chunk in chunks]
    deltas = [chunk["choices"][0]["delta"] for chunk in choices]
    assert "".join(delta.get("content", "") for delta in deltas) == "It is sunny."
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "Let me think."
    [called] = [one for delta in deltas for one in delta.get("tool_calls", ())]
    assert called["function"] == {"name": "f", "arguments": '{"a":[1.5]}'}
    assert choices[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert usage["usage"]["total_tokens"] == 14


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        (Answer([text("It is")], cut=True), b'"delta":'),
        (Answer([text("It is")], fault=ApiError(503, "UNAVAILABLE", "Overloaded.")), b'{"error":'),
    ],
)
def test_a_stream_that_breaks_has_no_clean_end(answer: Answer, last: bytes) -> None:
    _, translation, pieces = put(scripted(answer), messages=HI, stream=True)
    data = b"".join(translation.translator.feed(piece) for piece in pieces)
    assert last in data.split(b"\n\n")[-2]
    with pytest.raises(TranslationError):
        translation.translator.end()


def test_errors() -> None:
    status, translation, [body] = put(scripted(rate_limited("37s")), messages=HI)
    sent, made = translation.translator.error(status, body)
    assert sent == 429
    assert json.loads(made)["error"]["type"] == "rate_limit_error"
    status, translation, [body] = put(GeminiDouble(), "gemini-0", messages=HI)
    assert json.loads(translation.translator.error(status, body)[1])["error"]["code"] == "model_not_found"


def test_embeddings() -> None:
    def vectors(given: Sequence[str]) -> list[list[float]]:
        path = b"/v1/embeddings"
        status, translation, [body] = put(
            GeminiDouble(), "gemini-embedding-001", path, input=given, dimensions=3
        )
        assert status == 200, body
        return [one["embedding"] for one in json.loads(translation.translator.whole(body))["data"]]

    assert vectors("abc") == [[3, 0.5, -1]]
    assert vectors(["a", "bc"]) == [[1, 0.5, -1], [2, 0.5, -1]]
