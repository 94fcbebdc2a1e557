"""A client on a raw socket that knows whether an answer was whole."""

from __future__ import annotations

import gzip
import json
import socket
from typing import Any

import httptools

WAIT_S = 10.0
CHAT = "/v1/chat/completions"


class Answer:
    """An answer as a strict client reads it; `ending` is whole, cut (FIN), reset or malformed."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.raw_body = b""
        self.raw = b""
        self.ending = "cut"
        self.surplus = False
        """Something came behind the end."""
        self._parser = httptools.HttpResponseParser(self)

    @property
    def is_stream(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def body(self) -> bytes:
        """The body without its content coding."""
        coded = self.headers.get("content-encoding") == "gzip"
        return gzip.decompress(self.raw_body) if coded else self.raw_body

    @property
    def events(self) -> list[bytes]:
        """The events of a stream, each without its empty line; what follows the last one is dropped."""
        return self.body.split(b"\n\n")[:-1]

    @property
    def error(self) -> dict[str, Any] | None:
        """The error of an error answer."""
        error = json.loads(self.body).get("error") if self.body.startswith(b"{") else None
        return error if isinstance(error, dict) else None

    @property
    def text(self) -> str:
        """What the assistant says."""
        if not self.is_stream:
            content: str = json.loads(self.body)["choices"][0]["message"]["content"]
            return content
        chunks = [event.partition(b"data: ")[2] for event in self.events]
        deltas = [json.loads(chunk)["choices"][0]["delta"] for chunk in chunks if b'"delta"' in chunk]
        return "".join(delta.get("content") or "" for delta in deltas)

    def feed(self, data: bytes) -> None:
        self.raw += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self.ending != "whole":
                self.ending = "malformed"

    def finish(self) -> None:
        """The connection ended with FIN: a body without any framing is whole by that."""
        framed = "content-length" in self.headers or "transfer-encoding" in self.headers
        if self.status and not framed:
            self.ending = "whole"

    def on_message_begin(self) -> None:
        self.surplus = self.ending == "whole"
        if self.surplus:
            raise ValueError("surplus")  # stops the parser
        self.headers.clear()  # those of an informational response

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.raw_body += body

    def on_message_complete(self) -> None:
        if self.status >= 200:
            self.ending = "whole"


def request(
    *,
    stream: bool = False,
    path: str = CHAT,
    body: bytes | None = None,
    version: str = "1.1",
    fields: str = "",
) -> bytes:
    """A request for a chat, or with another body; an empty one makes it a GET."""
    if body is None:
        said = [{"role": "user", "content": "hi"}]
        body = json.dumps({"model": "mock-gpt", "messages": said, "input": "hi", "stream": stream}).encode()
    method = "POST" if body else "GET"
    head = f"{method} {path} HTTP/{version}\r\nhost: gateway\r\ncontent-type: application/json\r\n{fields}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def read(sock: socket.socket) -> Answer:
    """Read one answer to its end."""
    answer = Answer()
    while answer.ending == "cut":
        try:
            data = sock.recv(65536)
        except ConnectionResetError:
            answer.ending = "reset"
            return answer
        if not data:
            answer.finish()
            return answer
        answer.feed(data)
    return answer


def ask(port: int, **what: Any) -> Answer:
    """Make one request, of what `request` takes, on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as sock:
        sock.sendall(request(**what))
        return read(sock)
