"""A double of Anthropic's API on a port of its own: checks requests as the API does, and answers by a script.

`GET /v1/models`, `POST /v1/messages` (plain and streamed) and `POST /v1/messages/count_tokens`.
https://platform.claude.com/docs/en/api/messages
https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from doubles.anthropic_rules import MODELS, VERSIONS, ApiError, check, sign

KEY = "sk-ant-double"
_REASONS = {200: "OK", 429: "Too Many Requests", 529: "Overloaded"}


@dataclass
class Answer:
    """A message. In a stream, `cut` events are sent before the connection breaks, or before `fault` comes."""

    content: Sequence[Mapping[str, Any]]
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    usage: Mapping[str, Any] = field(default_factory=lambda: {"input_tokens": 10, "output_tokens": 5})
    cut: int | None = None
    fault: ApiError | None = None


@dataclass
class Failure:
    """An error, with further header fields."""

    status: int
    kind: str
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What came: `body` is what the JSON says."""

    method: str
    path: str
    fields: Mapping[str, str]
    body: dict[str, Any]


def text(value: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": value}


def thinking(value: str) -> dict[str, Any]:
    """A thought, signed."""
    return {"type": "thinking", "thinking": value, "signature": sign(value)}


def tool_use(id_: str, name: str, **arguments: Any) -> dict[str, Any]:
    """A call of a tool."""
    return {"type": "tool_use", "id": id_, "name": name, "input": arguments}


class AnthropicDouble:
    """The server; `script` is what it answers, in order, `requests` what came and was good."""

    def __init__(self) -> None:
        self.script: deque[Answer | Failure] = deque()
        self.requests: list[Request] = []
        self.url = ""
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._connections.values():
            writer.close()
        await asyncio.gather(*self._connections)
        await self._server.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            del self._connections[task]
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection is still good."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        fields = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        try:
            answer = self._answer(method, target.partition("?")[0], fields, body)
        except ApiError as error:
            answer = Failure(error.status, error.kind, error.message)
        if isinstance(answer, Failure):
            fault = _fault(answer.kind, answer.message)
            _write(writer, answer.status, fault, {**answer.fields, "request-id": "req_double"})
        elif isinstance(answer, Answer) and self.requests[-1].body.get("stream"):
            return self._stream(writer, answer)
        else:
            made = answer if isinstance(answer, dict) else _message(answer, self.requests[-1].body["model"])
            _write(writer, 200, made)
        await writer.drain()
        return True

    def _answer(
        self, method: str, path: str, fields: Mapping[str, str], body: bytes
    ) -> Answer | Failure | dict[str, Any]:
        # The API takes either; its own SDK sends the second since 2.0.
        if fields.get("x-api-key") != KEY and fields.get("authorization") != f"Bearer {KEY}":
            raise ApiError(401, "authentication_error", "invalid x-api-key")
        version = fields.get("anthropic-version", "")
        if version not in VERSIONS:
            raise ApiError(400, "invalid_request_error", "anthropic-version: header is required")
        if (method, path) == ("GET", "/v1/models"):
            return {"data": [_model(name) for name in MODELS], "has_more": False}
        if (method, path) == ("POST", "/v1/messages/count_tokens"):
            return {"input_tokens": len(body) // 4}
        if (method, path) != ("POST", "/v1/messages"):
            raise ApiError(404, "not_found_error", f"Not found: {path}")
        request = check(body, version)
        self.requests.append(Request(method, path, fields, request))
        return self.script.popleft() if self.script else Answer([text("nothing is scripted")])

    def _stream(self, writer: asyncio.StreamWriter, answer: Answer) -> bool:
        _head(writer, 200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        events = list(stream_events(answer, self.requests[-1].body["model"]))
        for item in events if answer.cut is None else events[: answer.cut]:
            _chunk(writer, encode_event(item))
        if answer.fault is not None:
            _chunk(writer, encode_event(_fault(answer.fault.kind, answer.fault.message)))
        elif answer.cut is not None:
            return False
        writer.write(b"0\r\n\r\n")
        return True


def stream_events(answer: Answer, model: str = "claude-opus-4-8") -> Iterator[dict[str, Any]]:
    """The events by which `answer` is streamed, in pieces of a few characters."""
    usage = {**answer.usage, "output_tokens": 1}
    started = {**_message(answer, model), "content": [], "stop_reason": None, "usage": usage}
    yield {"type": "message_start", "message": started}
    yield {"type": "ping"}
    for index, block in enumerate(answer.content):
        yield {"type": "content_block_start", "index": index, "content_block": _empty(block)}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": answer.stop_reason, "stop_sequence": answer.stop_sequence}
    yield {"type": "message_delta", "delta": delta, "usage": answer.usage}
    yield {"type": "message_stop"}


def encode_event(item: Mapping[str, Any]) -> bytes:
    """The bytes of an event."""
    return f"event: {item['type']}\ndata: {json.dumps(item)}\n\n".encode()


def _empty(block: Mapping[str, Any]) -> dict[str, Any]:
    """A block as it is before its deltas."""
    begun: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    return {**block, **begun.get(block["type"], {})}


def _deltas(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": piece} for piece in _pieces(block["text"]))
    elif block["type"] == "thinking":
        yield from ({"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"]))
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "tool_use":
        arguments = json.dumps(block["input"]) if block["input"] else ""
        yield from (
            {"type": "input_json_delta", "partial_json": piece} for piece in ["", *_pieces(arguments)]
        )


def _pieces(value: str) -> list[str]:
    return [value[start : start + 7] for start in range(0, len(value), 7)]


def _message(answer: Answer, model: str) -> dict[str, Any]:
    return {
        "id": "msg_double",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": list(answer.content),
        "stop_reason": answer.stop_reason,
        "stop_sequence": answer.stop_sequence,
        "usage": dict(answer.usage),
    }


def _model(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}


def _fault(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_double"}


def _write(
    writer: asyncio.StreamWriter, status: int, body: object, fields: Mapping[str, str] | None = None
) -> None:
    encoded = json.dumps(body).encode()
    length = {"content-type": "application/json", "content-length": str(len(encoded))}
    _head(writer, status, {**length, **(fields or {})})
    writer.write(encoded)


def _head(writer: asyncio.StreamWriter, status: int, fields: Mapping[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\n{lines}\r\n".encode())


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
