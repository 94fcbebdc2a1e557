"""For any request, answer and split: nothing is lost, and nothing fails but as promised."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any

from doubles.gemini import Answer, call, events, text, thought
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.providers.gemini import embeddings, errors, request
from gateway.providers.gemini.response import ChatTranslator
from gateway.providers.translation import TranslationError

MODELS = st.sampled_from(["gemini-2.5-flash", "gemini-3.5-pro"])
STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(STRINGS, VALUES, max_size=4)

# Names and values that lead further in than any that are made up would.
_NAMES = """role content type text image_url url detail input_audio data format file file_data file_id
    tool_calls id function name arguments tool_call_id extra_content google thought_signature refusal schema
    json_schema thinking_config cached_content allowed_tools mode tools description parameters strict"""
_WORDS = """user assistant tool system text image_url input_audio file function custom json_schema auto
    required https://host/x.png data:image/png;base64,AA== wav {} low none allowed_tools 1"""
_PARAMETERS = """messages tools tool_choice response_format stop n seed temperature max_tokens logprobs
    stream top_logprobs stream_options reasoning_effort extra_body service_tier store logit_bias input
    dimensions encoding_format made_up"""
SHAPED = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.sampled_from(_WORDS.split()) | STRINGS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES.split()), inner, max_size=5)
    ),
    max_leaves=20,
)
PARAMETERS = st.sampled_from(_PARAMETERS.split())


@given(st.dictionaries(PARAMETERS, SHAPED), MODELS, st.booleans())
def test_no_request_brings_anything_but_a_refusal(body: dict[str, Any], model: str, drop: bool) -> None:
    for read in (request.read, embeddings.read):
        with contextlib.suppress(GatewayError):
            json.loads(read(json.dumps(body).encode(), model, drop=drop).body)


@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode()), MODELS)
def test_no_bytes_bring_anything_but_a_refusal(body: bytes, model: str) -> None:
    for read in (request.read, embeddings.read):
        with contextlib.suppress(GatewayError):
            read(body, model, drop=False)


_ANSWERED = "candidates promptFeedback usageMetadata error responseId embeddings"
ANSWERED = st.dictionaries(st.sampled_from(_ANSWERED.split()), VALUES)


@given(st.binary() | ANSWERED.map(lambda value: json.dumps(value).encode()))
def test_no_answer_brings_anything_but_a_translation_error(body: bytes) -> None:
    translator = ChatTranslator("m", 0)
    for step in (translator.whole, translator.feed, lambda body: translator.feed(b"data: " + body + b"\n\n")):
        with contextlib.suppress(TranslationError):
            step(body)
    status, made = errors.translate(500, body)
    assert status in range(400, 600)
    assert set(json.loads(made)["error"]) == {"message", "type", "param", "code"}


TURNS = st.lists(
    st.tuples(
        STRINGS.filter(bool),
        st.lists(st.tuples(STRINGS, OBJECTS, STRINGS), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=3,
)


@given(TURNS, MODELS)
def test_every_text_call_and_number_of_a_request_arrives(turns: list[Any], model: str) -> None:
    messages: list[dict[str, Any]] = []
    for number, (asked, calls) in enumerate(turns):
        messages.append({"role": "user", "content": asked})
        made = [
            {"id": f"{number}-{index}", "function": {"name": name, "arguments": json.dumps(args)}}
            for index, (name, args, _) in enumerate(calls)
        ]
        messages.append({"role": "assistant", "content": asked, "tool_calls": made})
        messages += [
            {"role": "tool", "tool_call_id": f"{number}-{index}", "content": result}
            for index, (_, _, result) in enumerate(calls)
        ]
    body = json.loads(request.read(json.dumps({"messages": messages}).encode(), model, drop=False).body)
    arrived = [
        (
            [part["text"] for part in (*user["parts"], *said["parts"]) if "text" in part],
            [(one["name"], one["args"]) for part in said["parts"] if (one := part.get("functionCall"))],
            [(one["name"], one["response"]) for part in done["parts"] if (one := part["functionResponse"])],
        )
        for user, said, done in zip(*[iter(body["contents"])] * 3, strict=True)
    ]
    assert arrived == [
        (
            [asked, asked],
            [(name, args) for name, args, _ in calls],
            [(name, {"output": result}) for name, _, result in calls],
        )
        for asked, calls in turns
    ]


PARTS = st.lists(
    STRINGS.filter(bool).map(text)
    | STRINGS.filter(bool).map(thought)
    | st.builds(call, STRINGS, OBJECTS, signed=st.booleans()),
    min_size=1,
    max_size=5,
)


def streamed(parts: list[dict[str, Any]], end: bytes = b"\r\n") -> bytes:
    made = [json.dumps(event, ensure_ascii=False).encode() for event in events(Answer(parts), "m")]
    return b"".join(b"data: %b%b%b" % (event, end, end) for event in made)


def whole(answer: dict[str, Any]) -> dict[str, Any]:
    made = ChatTranslator("m", 0).whole(json.dumps(answer, ensure_ascii=False).encode())
    completion: dict[str, Any] = json.loads(made)
    return completion


def put_together(data: bytes) -> dict[str, Any]:
    """The message that a client makes of the chunks."""
    chunks = [event.removeprefix(b"data: ") for event in data.split(b"\n\n")[:-1]]
    assert chunks.pop() == b"[DONE]"
    message: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": []}
    for chunk in chunks:
        [choice] = json.loads(chunk)["choices"]
        delta = choice["delta"]
        for name in ("content", "reasoning_content"):
            message[name] += delta.get(name) or ""
        for one in delta.get("tool_calls", ()):
            assert one.pop("index") == len(message["tool_calls"])
            message["tool_calls"].append(one)
    return message


@given(PARTS)
def test_a_stream_and_a_plain_answer_say_the_same(parts: list[dict[str, Any]]) -> None:
    plain = {
        "candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}],
        "responseId": "response-1",
    }
    [choice] = json.loads(ChatTranslator("m", 0).whole(json.dumps(plain, ensure_ascii=False).encode()))[
        "choices"
    ]
    message = choice["message"]
    translator = ChatTranslator("m", 0)
    together = put_together(translator.feed(streamed(parts)) + translator.end())
    assert together == {
        "content": message["content"] or "",
        "reasoning_content": message.get("reasoning_content", ""),
        "tool_calls": message.get("tool_calls", []),
    }
    said = "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    assert together["content"] == said
    assert [
        (one["function"]["name"], json.loads(one["function"]["arguments"])) for one in together["tool_calls"]
    ] == [(one["name"], one["args"]) for one in calls]


@given(PARTS, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_gives_the_same(parts: list[dict[str, Any]], end: bytes, cuts: list[int]) -> None:
    data = streamed(parts, end) + b"\n"  # what shows a last CR to be no half of a CRLF
    unsplit = ChatTranslator("m", 0)
    expected = unsplit.feed(data) + unsplit.end()
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    split = ChatTranslator("m", 0)
    pieces = [split.feed(data[start:stop]) for start, stop in itertools.pairwise(borders)]
    assert b"".join(pieces) + split.end() == expected


@given(PARTS)
def test_what_was_answered_goes_back_as_it_was(parts: list[dict[str, Any]]) -> None:
    plain = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}], "responseId": "r"}
    [choice] = json.loads(ChatTranslator("m", 0).whole(json.dumps(plain, ensure_ascii=False).encode()))[
        "choices"
    ]
    messages = [choice["message"], {"role": "user", "content": "Go on."}]
    sent = request.read(json.dumps({"messages": messages}).encode(), "gemini-3.5-flash", drop=False)
    back = json.loads(sent.body)["contents"][0]["parts"]
    texts = [part["text"] for part in parts if "text" in part and not part.get("thought")]
    assert "".join(part["text"] for part in back if "text" in part) == "".join(texts)
    calls = [
        (part["functionCall"]["name"], part["functionCall"]["args"], part.get("thoughtSignature"))
        for part in parts
        if "functionCall" in part
    ]
    assert calls == [
        (part["functionCall"]["name"], part["functionCall"]["args"], part.get("thoughtSignature"))
        for part in back
        if "functionCall" in part
    ]
