"""A double of a provider of chat completions on a port of its own: strict requests, and answers by a script.

Answers have the shape of https://platform.openai.com/docs/api-reference/chat/object and of …/chat-streaming.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from doubles.chat_rules import Request, RequestError, checked

Json = dict[str, Any]

KEY = "sk-double"
CREATED = 1_700_000_000
USAGE: Json = {
    "prompt_tokens": 20,
    "completion_tokens": 8,
    "total_tokens": 28,
    "prompt_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


@dataclass(frozen=True)
class ToolCall:
    """A call that the model makes; `arguments` is what it wrote, which need not be JSON."""

    id: str
    name: str
    arguments: str
    extra_content: Json | None = None


@dataclass(frozen=True)
class Reply:
    """One answer. Thoughts are told as the member `thinks_as`; a stream has pieces of `piece` characters.

    `in_turn` streams the pieces of several calls in turn. `stop_reason` is vLLM's. `error` is told instead of
    the rest of the answer: with `status`, or, in a stream that has begun (`after` chunks), as an event.
    `cut_after` chunks the stream just ends.
    """

    text: str | None = None
    thoughts: str | None = None
    thinks_as: str = "reasoning_content"
    calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None
    finish_reason: str = "stop"
    stop_reason: str | None = None
    usage: Json = field(default_factory=lambda: USAGE)
    piece: int = 4
    in_turn: bool = False
    status: int = 200
    error: Json | None = None
    after: int | None = None
    cut_after: int | None = None


class ChatDouble:
    """The server; `script` is what it answers, in order, `requests` what came and was good.

    `extensions` are members of messages beyond OpenAI's that it knows, such as `reasoning_content`.
    """

    def __init__(self, *script: Reply, extensions: Collection[str] = ()) -> None:
        self.script = deque(script)
        self.requests: list[Json] = []
        self.url = ""
        self._extensions = extensions
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._connections:
            writer.close()
        await self._server.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._exchange(reader, writer)
        self._connections.discard(writer)
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request and its answer."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        fields = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        status, answer = self._judge(first, fields, body)
        if isinstance(answer, dict):
            payload = json.dumps(answer).encode()
            writer.write(b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n" % status)
            writer.write(b"content-length: %d\r\n\r\n%b" % (len(payload), payload))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
            writer.write(b"transfer-encoding: chunked\r\n\r\n")
            for event in answer:
                writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _judge(self, line: str, fields: dict[str, str], body: bytes) -> tuple[int, Json | Iterator[bytes]]:
        if line.split(" ")[:2] != ["POST", "/v1/chat/completions"]:
            return 404, _error(f"Invalid URL ({line})")
        if fields.get("authorization") != f"Bearer {KEY}":
            return 401, _error("Incorrect API key provided.", code="invalid_api_key")
        if not fields.get("content-type", "").startswith("application/json"):
            return 415, _error("Unsupported content type.")
        try:
            request = checked(body, self._extensions)
        except RequestError as refusal:
            return 400, _error(refusal.message, param=refusal.param, code=refusal.code)
        self.requests.append(json.loads(body))
        reply = self.script.popleft()
        if reply.error is not None and reply.after is None:
            return reply.status, {"error": reply.error}
        return 200, events(reply, request) if request.stream else completion(reply, request.model)


def completion(reply: Reply, model: str) -> Json:
    """The chat completion of a reply."""
    message: Json = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
    if reply.thoughts is not None:
        message[reply.thinks_as] = reply.thoughts
    if reply.calls:
        message["tool_calls"] = [_call(call, call.arguments) for call in reply.calls]
    choice: Json = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": reply.finish_reason,
        "stop_reason": reply.stop_reason,
    }
    return {**_envelope(model), "object": "chat.completion", "choices": [choice], "usage": reply.usage}


def chunks(reply: Reply, model: str, *, with_usage: bool) -> Iterator[Json]:
    """The chunks of a reply, the one with the usage, if asked for, last."""
    envelope = {**_envelope(model), "object": "chat.completion.chunk"}
    for delta in _deltas(reply):
        yield {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    last = {"index": 0, "delta": {}, "finish_reason": reply.finish_reason, "stop_reason": reply.stop_reason}
    yield {**envelope, "choices": [last]}
    if with_usage:
        yield {**envelope, "choices": [], "usage": reply.usage}


def events(reply: Reply, request: Request) -> Iterator[bytes]:
    """The event stream of a reply, which ends with `[DONE]` or as the reply says."""
    with_usage = request.stream_options is not None and request.stream_options.include_usage
    for number, chunk in enumerate(chunks(reply, request.model, with_usage=with_usage)):
        if number == reply.cut_after:
            return
        if number == reply.after and reply.error is not None:
            yield b"data: %b\n\n" % json.dumps({"error": reply.error}).encode()
            return
        yield b"data: %b\n\n" % json.dumps(chunk).encode()
    yield b"data: [DONE]\n\n"


def _deltas(reply: Reply) -> Iterator[Json]:
    yield {"role": "assistant", "content": "", "refusal": None}
    yield from ({reply.thinks_as: piece} for piece in _pieces(reply.thoughts, reply.piece))
    yield from ({"content": piece} for piece in _pieces(reply.text, reply.piece))
    yield from ({"refusal": piece} for piece in _pieces(reply.refusal, reply.piece))
    starts = [{"index": index, **_call(call, "")} for index, call in enumerate(reply.calls)]
    rests = [
        [{"index": index, "function": {"arguments": piece}} for piece in _pieces(call.arguments, reply.piece)]
        for index, call in enumerate(reply.calls)
    ]
    if reply.in_turn:
        order = starts + [rest[at] for at in range(max(map(len, rests))) for rest in rests if at < len(rest)]
    else:
        order = [piece for start, rest in zip(starts, rests, strict=True) for piece in (start, *rest)]
    yield from ({"tool_calls": [piece]} for piece in order)


def _call(call: ToolCall, arguments: str) -> Json:
    extra = {} if call.extra_content is None else {"extra_content": call.extra_content}
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function, **extra}


def _pieces(text: str | None, size: int) -> list[str]:
    text = text or ""
    return [text[start : start + size] for start in range(0, len(text), size)]


def _envelope(model: str) -> Json:
    return {"id": "chatcmpl-double", "created": CREATED, "model": model}


def _error(message: str, *, param: str | None = None, code: str | None = None) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
