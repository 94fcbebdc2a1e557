"""The APIs of clients, and how each provider's streams are written, for tests that look at every byte."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from backends import ANTHROPIC, GEMINI, OPENAI, Backend
from doubles import anthropic, chat, gemini
from doubles.chat_rules import Request, StreamOptions
from harness import WAIT_S, Running

TEXT = "One two three, four five six, seven eight nine."


class Heard(NamedTuple):
    """An answer as it came; `is_whole` is not so where it broke off."""

    status: int
    fields: Mapping[str, str]
    body: bytes
    is_whole: bool

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[tuple[str, Any]]:
        """The names and the data of its events; `[DONE]` stays a text."""
        made = []
        for block in self.body.decode().replace("\r\n", "\n").split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "data" in lines:
                data = lines["data"]
                made.append((lines.get("event", ""), data if data == "[DONE]" else json.loads(data)))
        return made


def ask(gateway: Running, method: str, path: str, body: bytes = b"", **fields: str) -> Heard:
    """Send a request on a connection of its own, and read its answer as far as it comes."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=WAIT_S)
    try:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, path, body or None, {"content-type": "application/json", **named})
        response = connection.getresponse()
        told = {name.lower(): value for name, value in response.getheaders()}
        try:
            return Heard(response.status, told, response.read(), True)
        except http.client.IncompleteRead as broken:
            return Heard(response.status, told, broken.partial, False)
    finally:
        connection.close()


class Api(NamedTuple):
    """What a client speaks: the path, the body of a request, and what its answers are looked for in.

    `text_of` an event is what the model says there, `error_of` the error that it tells, `is_last` whether it
    says that the answer is whole; `error_in` is the error in a plain answer.
    """

    name: str
    path: str
    request: Mapping[str, Any]
    text_of: Callable[[str, Any], str]
    error_of: Callable[[str, Any], Any]
    is_last: Callable[[str, Any], bool]

    def ask(self, gateway: Running, model: str, *, stream: bool, **more: Any) -> Heard:
        body = {**self.request, "model": model, "stream": stream, **more}
        return ask(gateway, "POST", self.path, json.dumps(body).encode())

    def text(self, heard: Heard) -> str:
        return "".join(self.text_of(*event) for event in heard.events())

    def errors(self, heard: Heard) -> list[Any]:
        return [error for event in heard.events() if (error := self.error_of(*event)) is not None]

    def has_end(self, heard: Heard) -> bool:
        return any(self.is_last(*event) for event in heard.events())


def _chat_text(_: str, data: Any) -> str:
    if data == "[DONE]":
        return ""
    return "".join(choice["delta"].get("content") or "" for choice in data.get("choices", ()))


CHAT = Api(
    "chat",
    "/v1/chat/completions",
    {"messages": [{"role": "user", "content": "Hi"}]},
    _chat_text,
    lambda _, data: data.get("error") if isinstance(data, dict) else None,
    lambda _, data: data == "[DONE]",
)
MESSAGES = Api(
    "messages",
    "/v1/messages",
    {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 64},
    lambda name, data: data["delta"].get("text", "") if name == "content_block_delta" else "",
    lambda name, data: data["error"] if name == "error" and data["type"] == "error" else None,
    lambda name, _: name == "message_stop",
)
RESPONSES = Api(
    "responses",
    "/v1/responses",
    {"input": "Hi"},
    lambda name, data: data["delta"] if name == "response.output_text.delta" else "",
    lambda name, data: data if name == "error" and data["type"] == "error" else None,
    lambda name, _: name in ("response.completed", "response.incomplete"),
)


class Speech(NamedTuple):
    """How a format's streams are written: the events of an answer, one of an error, an answer as a whole.

    `error` is that of a provider which is overloaded, `refusal` that of a bad request.
    """

    backend: Backend
    events: Sequence[bytes]
    error: bytes
    refusal: bytes
    whole: bytes

    @property
    def name(self) -> str:
        return self.backend.name


def _anthropic(text: str = TEXT) -> Speech:
    answer = anthropic.Answer([anthropic.text(text)])

    def fault(kind: str) -> dict[str, Any]:
        return {"type": "error", "error": {"type": kind, "message": f"no: {kind}"}}

    events = list(anthropic.stream_events(answer, ANTHROPIC.model))
    message = {**events[0]["message"], "content": [anthropic.text(text)], "stop_reason": "end_turn"}
    return Speech(
        ANTHROPIC,
        [anthropic.encode_event(one) for one in events],
        anthropic.encode_event(fault("overloaded_error")),
        anthropic.encode_event(fault("invalid_request_error")),
        json.dumps({**message, "usage": answer.usage}).encode(),
    )


def _gemini(text: str = TEXT) -> Speech:
    answer = gemini.Answer([gemini.text(text)])
    events = gemini.events(answer, GEMINI.model)
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": "STOP", "index": 0}

    def fault(code: int, status: str) -> bytes:
        return _data({"error": {"code": code, "message": f"no: {status}", "status": status}}, b"\r\n")

    return Speech(
        GEMINI,
        [_data(one, b"\r\n") for one in events],
        fault(503, "UNAVAILABLE"),
        fault(400, "INVALID_ARGUMENT"),
        json.dumps({**events[-1], "candidates": [candidate]}).encode(),
    )


def _openai(text: str = TEXT) -> Speech:
    asked = Request(OPENAI.model, [], stream=True, stream_options=StreamOptions(include_usage=True))
    reply = chat.Reply(text=text)

    def fault(kind: str) -> bytes:
        return _data({"error": {"message": f"no: {kind}", "type": kind, "param": None, "code": None}})

    return Speech(
        OPENAI._replace(settings=f"{OPENAI.settings}, responses: chat"),
        list(chat.events(reply, asked)),
        fault("server_error"),
        fault("invalid_request_error"),
        json.dumps(chat.completion(reply, OPENAI.model)).encode(),
    )


def _data(value: Any, line_end: bytes = b"\n") -> bytes:
    return b"data: %b%b%b" % (json.dumps(value).encode(), line_end, line_end)


SPEECHES: Mapping[str, Callable[[str], Speech]] = {
    "anthropic": _anthropic,
    "gemini": _gemini,
    "openai": _openai,
}


def pairs() -> Iterator[tuple[Api, Speech]]:
    """Every API of clients with every format that it is translated to."""
    for api, names in (
        (CHAT, ("anthropic", "gemini")),
        (MESSAGES, ("openai", "gemini")),
        (RESPONSES, ("openai", "anthropic", "gemini")),
    ):
        for name in names:
            yield api, SPEECHES[name](TEXT)


def begins(said: str) -> bool:
    """What was said is a part of `TEXT`, from its beginning."""
    return TEXT.startswith(said) and said not in ("", TEXT)


def id_of(value: Any) -> str | None:
    """The id of a parameter of a test."""
    return value.name if isinstance(value, Api | Speech | Backend) else None
