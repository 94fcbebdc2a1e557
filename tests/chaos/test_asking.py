"""The client that believes nothing, driven with bytes: what it notes is what came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from asking import Answer, Client, Ending, Question

STREAM = Question("q1", "a", stream=True, words=2)
PLAIN = Question("q1", "a", stream=False, words=2)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error": {"message": "broken"}}\n\n'
TORN = b'data: {"choices": [{"del\n\n'
KILLED = Answer(200, ending=Ending.CUT, worker_killed=True)


def event(text: str) -> bytes:
    return b'data: {"choices": [{"delta": {"content": "%b"}}]}\n\n' % text.encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class FakeTransport(asyncio.Transport):
    """Takes what is written, and says nothing by itself."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 50000)})
        self.written = b""
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True


def answered(question: Question, received: bytes, act: Callable[[Client], None]) -> Answer:
    """What the client notes when it receives these bytes, in two reads, and then something happens to it."""

    async def ask() -> Answer:
        transport = FakeTransport()
        client = Client()
        client.connection_made(transport)
        asking = asyncio.ensure_future(client.ask(question, 0.05))
        await asyncio.sleep(0)
        assert transport.written == question.encode()
        half = len(received) // 2
        client.data_received(received[:half])
        client.data_received(received[half:])
        act(client)
        return await asking

    return asyncio.run(ask())


def stay(client: Client) -> None:
    pass


def close(client: Client) -> None:
    client.connection_lost(None)


def die(client: Client) -> None:
    client.kill_worker()
    client.connection_lost(None)


def reset(client: Client) -> None:
    client.connection_lost(ConnectionResetError())


def send_more(client: Client) -> None:
    client.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("sent", "act", "answer"),
    [
        (
            HEAD + chunk(event("q1-0")) + chunk(event(" q1-1") + DONE) + LAST_CHUNK,
            stay,
            Answer(200, "q1-0 q1-1", done=True, ending=Ending.WHOLE),
        ),
        (HEAD + chunk(event("q1-0")[:20]), close, Answer(200, ending=Ending.CUT)),
        (HEAD + chunk(event("q1-0")), stay, Answer(200, "q1-0", ending=Ending.NONE)),
        (HEAD + chunk(event("q1-0") + ERROR), close, Answer(200, "q1-0", error=True, ending=Ending.CUT)),
        (HEAD + chunk(TORN + ERROR), close, Answer(200, error=True, ending=Ending.CUT)),
        (
            HEAD + chunk(TORN + event("q1-0")),
            close,
            Answer(200, TORN.decode().strip() + "q1-0", ending=Ending.CUT),
        ),
        (HEAD + LAST_CHUNK, send_more, Answer(200, ending=Ending.WHOLE, surplus=True)),
        (HEAD, reset, Answer(200, ending=Ending.RESET)),
        (HEAD, Client.leave, Answer(200, ending=Ending.LEFT)),
        (HEAD, die, KILLED),
    ],
)
def test_a_stream_is_noted_as_it_came(sent: bytes, act: Callable[[Client], None], answer: Answer) -> None:
    assert answered(STREAM, sent, act) == answer


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (200, b'{"choices": [{"message": {"content": "q1-0"}}]}', Answer(200, "q1-0", ending=Ending.WHOLE)),
        (503, b'{"error": {"message": "no"}}', Answer(503, error=True, ending=Ending.WHOLE)),
        (502, b"<html>", Answer(502, ending=Ending.WHOLE)),
    ],
)
def test_a_plain_answer_is_noted_as_it_came(status: int, body: bytes, answer: Answer) -> None:
    head = b"HTTP/1.1 %d x\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
    assert answered(PLAIN, head + body, stay) == answer


def test_who_is_to_leave_leaves() -> None:
    question = Question("q1", "a", stream=True, words=2, leave_after_s=0.01)
    assert answered(question, HEAD, stay).ending is Ending.LEFT


def test_a_connection_that_is_gone_before_the_question_was_reset() -> None:
    async def ask() -> Answer:
        client = Client()
        client.connection_made(FakeTransport())
        client.connection_lost(None)
        return await client.ask(PLAIN, 0.05)

    assert asyncio.run(ask()).ending is Ending.RESET
