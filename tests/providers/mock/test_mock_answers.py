"""What the endpoints answer, without a connection: pure functions from a call to an answer."""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.mock.answer import DONE, Answer, Call, texts_of, words
from gateway.providers.mock.endpoints import answer, embed

WEATHER = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer"},
            "where": {"type": "object", "properties": {"lat": {"type": "number"}}},
        },
    },
}
ARGUMENTS = {"city": "mock", "unit": "celsius", "days": 1, "where": {"lat": 1.5}}


def post(path: str, body: object, **call: Any) -> Answer:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return answer(Call("POST", path, payload, **call))


def get(path: str, method: str = "GET") -> Answer:
    return answer(Call(method, path))


def chat(prompt: str = "hi", *, serial: int = 1, reply: str | None = "one two  three", **body: Any) -> Answer:
    messages = [{"role": "user", "content": prompt}]
    return post(
        "/v1/chat/completions", {"model": "m", "messages": messages, **body}, serial=serial, reply=reply
    )


def events(streamed: Answer) -> list[Any]:
    """The data of each event but ``[DONE]``, which must be the last of a chat stream."""
    assert streamed.is_event_stream
    assert streamed.pieces[-1] == DONE
    return [json.loads(piece.removeprefix(b"data: ")) for piece in streamed.pieces[:-1]]


def content(answered: Answer) -> Any:
    return json.loads(answered.body)


def test_chat_answers_the_reply_and_counts_words() -> None:
    completion = content(chat("how are you", serial=7))
    assert completion["id"] == "chatcmpl-mock-7"
    assert completion["model"] == "m"
    assert completion["choices"][0]["message"]["content"] == "one two  three"
    assert completion["choices"][0]["finish_reason"] == "stop"
    assert completion["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}


def test_the_default_reply_names_the_server_and_repeats_the_prompt() -> None:
    said = Call("POST", "/", server="mock-b").reply_to("Good  morning")
    assert "mock-b" in said
    assert said.endswith("You said: Good morning")


def test_the_default_reply_does_not_grow_with_the_prompt() -> None:
    assert len(words(Call("POST", "/").reply_to("word " * 10_000))) < 50


def test_a_chat_stream_is_role_words_finish_done() -> None:
    chunks = events(chat(stream=True))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    assert [delta["content"] for delta in deltas[1:-1]] == ["one", " two", "  three"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, None, "stop"]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert not any("usage" in chunk for chunk in chunks)


def test_usage_is_streamed_only_where_it_was_asked_for() -> None:
    *chunks, last = events(chat(stream=True, stream_options={"include_usage": True}))
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
    assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)


def test_content_in_parts_is_read() -> None:
    parts = [{"type": "text", "text": "a b"}, {"type": "image_url", "image_url": {"url": "x"}}, {"text": "c"}]
    messages = [{"role": "user", "content": parts}]
    completion = content(post("/v1/chat/completions", {"model": "m", "messages": messages}))
    assert completion["usage"]["prompt_tokens"] == 3


def test_n_choices() -> None:
    completion = content(chat(n=3))
    assert [choice["index"] for choice in completion["choices"]] == [0, 1, 2]
    assert completion["usage"]["completion_tokens"] == 9
    assert {chunk["choices"][0]["index"] for chunk in events(chat(n=3, stream=True))} == {0, 1, 2}


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_cuts_the_reply(limit: str) -> None:
    body: dict[str, Any] = {limit: 2}
    choice = content(chat(**body))["choices"][0]
    assert choice["message"]["content"] == "one two"
    assert choice["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("prompt", "choice", "called"),
    [
        ("use a tool", None, "weather"),
        ("use a tool", "auto", "weather"),
        ("use a tool", "none", None),
        ("stool", None, None),
        ("hi", "required", "weather"),
        ("hi", {"type": "function", "function": {"name": "time"}}, "time"),
    ],
)
def test_when_and_which_function_is_called(prompt: str, choice: object, called: str | None) -> None:
    tools = [{"type": "function", "function": WEATHER}, {"type": "function", "function": {"name": "time"}}]
    answered = content(chat(prompt, tools=tools, tool_choice=choice))["choices"][0]
    calls = answered["message"].get("tool_calls", [])
    assert [call["function"]["name"] for call in calls] == ([called] if called else [])
    assert answered["finish_reason"] == ("tool_calls" if called else "stop")


def test_arguments_fit_the_schema_plain_and_streamed() -> None:
    tools = [{"type": "function", "function": WEATHER}]
    plain = content(chat(tools=tools, tool_choice="required"))["choices"][0]["message"]["tool_calls"][0]
    chunks = events(chat(tools=tools, tool_choice="required", stream=True))
    deltas = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in chunks[:-1]]
    assert json.loads(plain["function"]["arguments"]) == ARGUMENTS
    assert deltas[0]["id"] == plain["id"] == "call_mock_1"
    assert deltas[0]["function"]["name"] == "weather"
    assert len(deltas) > 2
    assert "".join(delta["function"]["arguments"] for delta in deltas) == plain["function"]["arguments"]


def test_a_result_of_a_tool_is_answered_in_text() -> None:
    messages = [{"role": "user", "content": "use a tool"}, {"role": "tool", "content": "a tool says 3"}]
    tools = [{"type": "function", "function": WEATHER}]
    answered = post("/v1/chat/completions", {"model": "m", "messages": messages, "tools": tools})
    assert content(answered)["choices"][0]["message"]["content"]


def test_a_deep_schema_is_followed_only_so_far() -> None:
    schema: dict[str, object] = {}
    for _ in range(300):
        schema = {"type": "object", "properties": {"inner": schema}}
    tools = [{"type": "function", "function": {"name": "deep", "parameters": schema}}]
    called = chat(tools=tools, tool_choice="required")
    assert called.status == 200
    assert called.body.count(b"inner") < 20


def test_completions_answer_each_prompt() -> None:
    body = {"model": "m", "prompt": ["a b", "c"], "n": 2}
    plain = content(post("/v1/completions", body, reply="x y"))
    assert [choice["text"] for choice in plain["choices"]] == ["x y"] * 4
    assert plain["usage"] == {"prompt_tokens": 3, "completion_tokens": 8, "total_tokens": 11}
    chunks = events(post("/v1/completions", {**body, "stream": True}, reply="x y"))
    texts = [chunk["choices"][0]["text"] for chunk in chunks if chunk["choices"][0]["index"] == 3]
    assert texts == ["x", " y", ""]


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_is_the_same_plain_and_at_the_end_of_its_stream(stream: bool) -> None:
    body = {"model": "m", "input": "hi", "instructions": "be kind", "stream": stream}
    answered = post("/v1/responses", body, reply="one two", serial=4)
    final = (
        json.loads(answered.pieces[-1].partition(b"data: ")[2])["response"] if stream else content(answered)
    )
    assert final["id"] == "resp_mock_4"
    assert final["status"] == "completed"
    assert final["output"][0]["content"][0]["text"] == "one two"
    assert final["usage"]["input_tokens"] == 3
    assert final["usage"]["output_tokens"] == 2


def test_the_events_of_a_response_are_named_and_numbered() -> None:
    streamed = post("/v1/responses", {"model": "m", "input": "hi", "stream": True}, reply="one two")
    names = [piece.partition(b"\n")[0].removeprefix(b"event: ").decode() for piece in streamed.pieces]
    data = [json.loads(piece.partition(b"data: ")[2]) for piece in streamed.pieces]
    assert names == [item["type"] for item in data]
    assert names == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [item["sequence_number"] for item in data] == list(range(10))


def test_a_response_calls_a_function() -> None:
    body = {
        "model": "m",
        "input": "use a tool",
        "tools": [{"type": "web_search"}, {"type": "function", **WEATHER}],
    }
    plain = content(post("/v1/responses", body))
    assert plain["tools"] == body["tools"]
    assert plain["output"][0]["type"] == "function_call"
    assert json.loads(plain["output"][0]["arguments"]) == ARGUMENTS
    named = content(
        post("/v1/responses", {**body, "input": "", "tool_choice": {"type": "function", "name": "no"}})
    )
    assert named["error"]["param"] == "tool_choice"


def test_a_response_within_its_limit_is_incomplete() -> None:
    body = {"model": "m", "input": "hi", "max_output_tokens": 1, "stream": True}
    last = post("/v1/responses", body, reply="one two").pieces[-1]
    assert last.startswith(b"event: response.incomplete\n")
    final = json.loads(last.partition(b"data: ")[2])["response"]
    assert final["incomplete_details"] == {"reason": "max_output_tokens"}
    assert final["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize(
    ("value", "texts"),
    [("a b", ["a b"]), (["a", "b"], ["a", "b"]), ([1, 2], ["1 2"]), ([[1, 2], [3]], ["1 2", "3"]), ([], [])],
)
def test_inputs_in_every_shape(value: Any, texts: list[str]) -> None:
    assert texts_of(value) == texts


def test_embeddings_are_the_same_in_both_encodings() -> None:
    body = {"model": "m", "input": ["a", "b"], "dimensions": 5}
    floats = content(post("/v1/embeddings", {**body, "encoding_format": "float"}))
    packed = content(post("/v1/embeddings", {**body, "encoding_format": "base64"}))
    vectors = [item["embedding"] for item in floats["data"]]
    assert vectors == [
        list(struct.unpack("<5f", base64.b64decode(item["embedding"]))) for item in packed["data"]
    ]
    assert vectors[0] != vectors[1]


@given(st.text(), st.integers(1, 64))
def test_an_embedding_has_length_one_and_depends_on_its_text_only(text: str, dimensions: int) -> None:
    vector = embed(text, dimensions)
    assert len(vector) == dimensions
    assert math.hypot(*vector) == pytest.approx(1.0, abs=1e-6)
    assert vector == embed(text, dimensions)


def test_models() -> None:
    assert [model["id"] for model in content(get("/v1/models"))["data"]] == ["mock-gpt", "mock-embedding"]
    assert content(get("/v1/models/mock-gpt"))["id"] == "mock-gpt"
    assert content(get("/v1/models/nope"))["error"]["code"] == "model_not_found"


def test_moderation_flags_nothing() -> None:
    results = content(post("/v1/moderations", {"input": ["a", "b"]}))["results"]
    assert [result["flagged"] for result in results] == [False, False]


def test_images_by_address_and_by_value() -> None:
    body = {"prompt": "a cat", "n": 2, "response_format": "url"}
    assert len({image["url"] for image in content(post("/v1/images/generations", body))["data"]}) == 2
    image = content(post("/v1/images/generations", {"prompt": "a cat"}))["data"][0]["b64_json"]
    assert base64.b64decode(image).startswith(b"\x89PNG\r\n")


def form(*parts: bytes) -> dict[str, Any]:
    body = b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + b"--edge--\r\n"
    return {"body": body, "content_type": 'multipart/form-data; boundary="edge"'}


FILE = b'Content-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n\r\n--edg\x00\r\n'


def test_an_upload_is_counted_byte_for_byte() -> None:
    purpose = b'content-disposition: form-data; name="purpose"\r\n\r\nbatch'
    uploaded = content(answer(Call("POST", "/v1/files", **form(purpose, FILE), serial=3)))
    assert uploaded["id"] == "file-mock-3"
    assert (uploaded["filename"], uploaded["bytes"], uploaded["purpose"]) == ("a.bin", 10, "batch")


def test_a_transcription_names_the_file_and_its_size() -> None:
    text = b'Content-Disposition: form-data; name="response_format"\r\n\r\ntext'
    as_json = answer(Call("POST", "/v1/audio/transcriptions", **form(FILE)))
    as_text = answer(Call("POST", "/v1/audio/transcriptions", **form(FILE, text)))
    assert content(as_json)["text"] == "Mock transcription of a.bin, 10 bytes."
    assert as_text.body == b"Mock transcription of a.bin, 10 bytes.\n"
    assert as_text.content_type.startswith("text/plain")
    style = b'Content-Disposition: form-data; name="response_format"\r\n\r\nverbose_json'
    verbose = content(answer(Call("POST", "/v1/audio/transcriptions", **form(FILE, style))))
    assert (verbose["text"], verbose["duration"]) == (content(as_json)["text"], 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"body": b"{}", "content_type": "application/json"}, "Expected multipart/form-data with a boundary"),
        (
            form(b'Content-Disposition: form-data; name="model"\r\n\r\nm'),
            "Missing required parameter: 'file'.",
        ),
        (form(b"X: y\r\n\r\nz"), "A part of the form has no name"),
    ],
)
def test_a_form_that_does_not_fit(call: dict[str, Any], message: str) -> None:
    refused = answer(Call("POST", "/v1/files", **call))
    assert refused.status == 400
    assert message in content(refused)["error"]["message"]


def test_files_and_batches() -> None:
    assert content(get("/v1/files"))["object"] == "list"
    assert content(get("/v1/batches"))["data"] == []
    assert content(get("/v1/files/file-1", "DELETE")) == {"id": "file-1", "object": "file", "deleted": True}


def test_speech_is_binary_in_several_pieces() -> None:
    spoken = post("/v1/audio/speech", {"model": "m", "input": "hi", "voice": "v"})
    assert (spoken.content_type, spoken.chunked) == ("audio/mpeg", True)
    assert len(spoken.pieces) > 1
    wav = post("/v1/audio/speech", {"model": "m", "input": "hi", "response_format": "wav"})
    assert wav.content_type == "audio/wav"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/nope"), ("POST", "/chat/completions"), ("HEAD", "/v1/responses")]
)
def test_any_other_path_is_a_404(method: str, path: str) -> None:
    nowhere = get(path, method)
    assert nowhere.status == 404
    assert content(nowhere)["error"]["message"] == f"Invalid URL ({method} {path})"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"{", None, None),
        (b"", None, None),
        (b"\xff\xfe", None, None),
        (b'{"x":' + b"[" * 100_000, None, None),
        (b"[]", None, "invalid_type"),
        ({"messages": []}, "model", "missing_required_parameter"),
        ({"model": "m"}, "messages", "missing_required_parameter"),
        ({"model": 1, "messages": []}, "model", "invalid_type"),
        ({"model": "m", "messages": [{}]}, "messages[0]", "invalid_type"),
        ({"model": "m", "messages": [], "stream": "yes"}, "stream", "invalid_type"),
        ({"model": "m", "messages": [], "n": 10**9}, "n", "invalid_type"),
    ],
)
def test_a_body_that_does_not_fit_is_a_400_that_names_the_field(
    body: object, param: str | None, code: str | None
) -> None:
    refused = post("/v1/chat/completions", body)
    error = content(refused)["error"]
    assert refused.status == 400
    assert error["type"] == "invalid_request_error"
    assert (error["param"], error["code"]) == (param, code)


PATHS = ["chat/completions", "completions", "responses", "embeddings", "moderations", "audio/speech"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["model", "messages", "input", "prompt", "tools", "tool_choice", "stream", "n", "stream_options"]


@given(st.sampled_from(PATHS), st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_any_body_is_answered_or_refused_the_same_way_each_time(path: str, body: dict[str, Any]) -> None:
    answered = post(f"/v1/{path}", body)
    assert answered.status in (200, 400)
    assert answered == post(f"/v1/{path}", body)


@given(st.text())
def test_words_give_the_text_back(text: str) -> None:
    assert "".join(words(text)) == text
    assert len(words(text)) == len(text.split()) or not text.split()
