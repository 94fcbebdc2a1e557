"""Requests of the Responses API put to its translator, and answers of chat completions for it to translate.

Answers are in the shape of https://platform.openai.com/docs/api-reference/chat/object and
https://platform.openai.com/docs/api-reference/chat-streaming; what becomes of them, in that of
https://platform.openai.com/docs/api-reference/responses/object and
https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.providers.dialects.responses import translate
from gateway.providers.translation import Translator

NOW = 1_770_000_000
UPSTREAM_MODEL = "up"
USER = {"role": "user", "content": "hi"}
DONE = b"data: [DONE]\n\n"
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
CITATION = {"url": "https://a/b", "title": "A", "start_index": 0, "end_index": 2}
LOGPROBS = [
    {
        "token": "a",
        "bytes": [97],
        "logprob": -0.1,
        "top_logprobs": [{"token": "b", "bytes": None, "logprob": -3}],
    }
]


def sent(request: dict[str, Any], **options: bool) -> Any:
    """The request that the provider gets."""
    translation = translate(json.dumps(request).encode(), UPSTREAM_MODEL, NOW, **options)
    assert translation.target == b"/chat/completions"
    assert translation.fields == b""
    return json.loads(translation.body)


def messages(*items: Any, **more: Any) -> Any:
    """The messages that the provider gets for these items."""
    return sent({"input": list(items), **more})["messages"]


def refusal(request: Any, **options: bool) -> GatewayError:
    """The error that a request, maybe in bytes, gets."""
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    with pytest.raises(GatewayError) as raised:
        translate(body, UPSTREAM_MODEL, NOW, **options)
    error = raised.value
    assert (error.status, error.kind) == (400, "invalid_request_error")
    assert error.param is None or error.param in error.message
    json.loads(error.body())
    return error


def translator(**request: Any) -> Translator:
    """Translates the answer to a request."""
    return translate(json.dumps({"input": "hi", **request}).encode(), UPSTREAM_MODEL, NOW).translator


def completion(message: dict[str, Any], reason: str | None = "stop", **more: Any) -> bytes:
    """A chat completion; `more` are members of its choice."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    envelope = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "m-1"}
    return json.dumps({**envelope, "choices": [{**choice, **more}], "usage": USAGE}).encode()


def whole(message: dict[str, Any], reason: str | None = "stop", **more: Any) -> Any:
    """The response made of it."""
    return json.loads(translator().whole(completion(message, reason, **more)))


def chunk(delta: dict[str, Any] | None = None, reason: str | None = None, **more: Any) -> bytes:
    """An event of a streamed completion; without a delta the one that tells the usage."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason, **more}]
    envelope = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000}
    usage = USAGE if delta is None else None
    payload = {**envelope, "model": "m-1", "choices": choices, "usage": usage}
    return b"data: %b\n\n" % json.dumps(payload).encode()


def events(stream: bytes) -> list[Any]:
    """The events made of a whole stream."""
    translating = translator(stream=True)
    return parsed(translating.feed(stream) + translating.end())


def parsed(stream: bytes) -> list[Any]:
    """The events of a stream, each of which has the name of its type and the next number."""
    found = []
    for number, block in enumerate(stream.decode().split("\n\n")[:-1]):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == number
        found.append(event)
    return found


def types(found: list[Any]) -> list[str]:
    """The types of events, without what all begin with."""
    return [event["type"].removeprefix("response.") for event in found]


def message(number: int, *content: Any, status: str = "completed") -> Any:
    """A message, `number` in the output."""
    said = {"role": "assistant", "content": list(content)}
    return {"id": f"msg_1_{number}", "type": "message", "status": status, **said}


def text(value: str, **more: Any) -> Any:
    """The part of a message that is text."""
    return {"type": "output_text", "text": value, "annotations": [], "logprobs": [], **more}


def function_call(number: int, call_id: str, name: str, arguments: str, status: str = "completed") -> Any:
    """A call of a function, `number` in the output."""
    call = {"call_id": call_id, "name": name, "arguments": arguments}
    return {"id": f"fc_1_{number}", "type": "function_call", "status": status, **call}


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every object and list with each of its keys or places."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places_in(value[key])
