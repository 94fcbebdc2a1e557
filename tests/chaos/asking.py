"""A client that believes nothing: it asks for an answer that it can check, and notes how that really ended.

A question has an id, and its answer is to be the words `id-0 id-1 id-2 …` (the mock provider says what the
field `x-mock-reply` asks for). So a word that is missing, out of order or somebody else's is seen, whatever
was done to the connections in between. `wrong_with` is the judgement, without any I/O.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, cast

import httptools
import orjson

_HEAD: Final = (
    "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
    "x-mock-reply: {reply}\r\nx-mock-event-interval: {interval:.3f}\r\ncontent-length: {length}\r\n\r\n"
)


class Ending(StrEnum):
    """How an answer ended."""

    WHOLE = "whole"
    """With the end of its framing: the last chunk, or as many bytes as announced."""
    CUT = "cut"
    """By FIN before that."""
    RESET = "reset"
    """By RST before that."""
    LEFT = "left"
    """This client closed the connection first."""
    NONE = "none"
    """Not at all, for as long as the client waited."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and how the client behaves meanwhile.

    words: length of the answer.
    interval_s: seconds between two events of a stream.
    leave_after_s: when the client leaves, in seconds after asking; None = it stays.
    nap_s: for how many seconds it does not read after each read.
    """

    id: str
    model: str
    stream: bool
    words: int
    interval_s: float = 0.0
    leave_after_s: float | None = None
    nap_s: float = 0.0

    @property
    def reply(self) -> str:
        """The text that a whole answer has."""
        return " ".join(f"{self.id}-{number}" for number in range(self.words))

    def encode(self) -> bytes:
        """The request."""
        message = {"role": "user", "content": self.id}
        body = orjson.dumps({"model": self.model, "stream": self.stream, "messages": [message]})
        return _HEAD.format(reply=self.reply, interval=self.interval_s, length=len(body)).encode() + body


@dataclass(slots=True)
class Answer:
    """What came back.

    text: what the assistant said.
    done: `[DONE]` came.
    error: an error object came, as an event or as the body.
    surplus: bytes came after the end that nobody had asked for.
    worker_killed: the process that held the connection was killed before the end.
    """

    status: int = 0
    text: str = ""
    done: bool = False
    error: bool = False
    ending: Ending = Ending.NONE
    surplus: bool = False
    worker_killed: bool = False


def wrong_with(question: Question, answer: Answer) -> str | None:
    """In what an answer is worse than a truthful failure; None when it is right, or visibly broken."""
    if answer.surplus:
        return "was answered twice"
    if not question.reply.startswith(answer.text):
        return (
            f"has words out of order or of another answer: {_first_difference(question.reply, answer.text)}"
        )
    match answer.ending:
        case Ending.NONE:
            return "had no end"
        case Ending.LEFT:
            return None
        case Ending.WHOLE:
            return _wrong_with_whole(question, answer)
        case Ending.CUT | Ending.RESET:
            told = answer.worker_killed or (question.stream and answer.error)
            return None if told else f"was {answer.ending} without a word by a worker that lives"


def _wrong_with_whole(question: Question, answer: Answer) -> str | None:
    if answer.error:
        return None
    if answer.status != 200:
        return f"has status {answer.status} without an error object"
    words = len(answer.text.split())
    if question.stream and not answer.done:
        return f"ended as if it were whole, with {words} of {question.words} words and without [DONE]"
    if words != question.words:
        return f"ended as if it were whole, with {words} of {question.words} words"
    return None


def _first_difference(expected: str, text: str) -> str:
    pairs = zip(expected.split(), text.split(), strict=False)
    expected_word, word = next((pair for pair in pairs if pair[0] != pair[1]), ("the end", text[-20:]))
    return f"{word!r} instead of {expected_word!r}"


class Client(asyncio.Protocol):
    """One connection to the gateway, for one question after the other."""

    def __init__(self) -> None:
        # connection
        self._transport = cast(asyncio.Transport, None)
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._timer: asyncio.TimerHandle | None = None
        self.port = 0
        self.is_open = False
        self.worker_killed = False
        # question
        self._question = cast(Question, None)
        self._answer = Answer(ending=Ending.WHOLE)
        self._ended: asyncio.Future[None] | None = None
        self._body: list[bytes] = []
        self._unfinished_event = b""
        self._torn_event = b""

    @classmethod
    async def connect(cls, port: int, *, receive_buffer: int = 0) -> Client:
        """Connect to a port of the loopback; `receive_buffer` bytes of the kernel's, 0 for its own choice.

        Raises OSError.
        """
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        try:
            sock.setblocking(False)
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            await loop.sock_connect(sock, ("127.0.0.1", port))
            _, client = await loop.create_connection(cls, sock=sock)
        except BaseException:
            sock.close()
            raise
        return client

    async def ask(self, question: Question, within_s: float) -> Answer:
        """Ask, and wait for the end of the answer, at most `within_s` seconds."""
        self._question = question
        self._answer = answer = Answer(worker_killed=self.worker_killed)
        self._body.clear()
        self._unfinished_event = b""
        self._torn_event = b""
        self._ended = ended = self._loop.create_future()
        if self.is_open:
            self._transport.write(question.encode())
        else:
            self._end(Ending.RESET)
        leaving = question.leave_after_s and self._loop.call_later(question.leave_after_s, self.leave)
        try:
            async with asyncio.timeout(within_s):
                await ended
        except TimeoutError:
            self._ended = None
            self.leave()
        finally:
            if leaving:
                leaving.cancel()
        return answer

    def leave(self) -> None:
        """Close the connection, whatever is under way."""
        self._end(Ending.LEFT)
        self.is_open = False
        self._transport.abort()

    def kill_worker(self) -> None:
        """Note that the process at the other end is being killed: what comes now is not its fault."""
        self.worker_killed = True
        self._answer.worker_killed |= self._ended is not None

    # -- transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.port = transport.get_extra_info("sockname")[1]
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._ended is None:
            self._answer.surplus = True
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._answer.surplus = self._ended is None
            self._transport.abort()
        if self._question.nap_s and self.is_open:
            self._transport.pause_reading()
            self._timer = self._loop.call_later(self._question.nap_s, self._transport.resume_reading)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        self._end(Ending.CUT if exc is None else Ending.RESET)

    def _end(self, ending: Ending) -> None:
        if self._ended is not None:
            self._answer.ending = ending
            self._ended.set_result(None)
            self._ended = None

    # -- parser

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        if self._answer.status == 200 and self._question.stream:
            *events, self._unfinished_event = (self._unfinished_event + data).split(b"\n\n")
            for event in events:
                self._take_event(event)
        else:
            self._body.append(data)

    def on_message_complete(self) -> None:
        if self._body:
            self._take(_loads(b"".join(self._body)), "message")
        self._end(Ending.WHOLE)
        if not self._parser.should_keep_alive():
            self._transport.close()
            self.is_open = False

    def _take_event(self, event: bytes) -> None:
        if event == b"data: [DONE]":
            self._answer.done = True
            return
        payload = _loads(event.removeprefix(b"data: "))
        if payload is None:
            self._torn_event += event
        else:
            self._take(payload, "delta")

    def _take(self, payload: Any, part: str) -> None:
        answer = self._answer
        if payload is None or "error" in payload:
            answer.error = payload is not None
        else:
            # What was torn may be followed by the error that says so, and by nothing else.
            answer.text += self._torn_event.decode("latin-1")
            answer.text += "".join(choice[part].get("content") or "" for choice in payload["choices"])


def _loads(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
