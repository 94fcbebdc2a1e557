"""A client that does not read: its provider is read no further, and in the end everything arrives."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.providers.mock import MockServer
from gateway.providers.mock.connection import MockRequest
from gateway.providers.mock.faults import Fault
from gateway.providers.mock.script import Step

from .client import WAIT_S, Answer, request
from .gateways import gateway_over, pool_of

PIECE = 64 * 1024
PIECES = 1600
"""100 MiB in all: more than the kernel's buffers on the way can hold."""
MAX_TAKEN = 80 * 1024 * 1024
"""What the buffers of four sockets may hold together, at most 4 MiB of what is sent and 32 of what came."""
MAX_HELD = 16 * 1024 * 1024
"""What the process may grow by meanwhile: well below a MiB for the gateway, the rest for the allocator."""
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
BODY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (PIECE * PIECES)


class Counting(MockServer):
    """A provider of many pieces, each with its number, that counts how many were taken from it."""

    def __init__(self, head: bytes) -> None:
        super().__init__("a")
        self.taken = 0
        self._head = head

    def perform(
        self, request: MockRequest, fault: Fault, *, keep_alive: bool, http_1_0: bool
    ) -> Iterator[Step]:
        super().perform(request, fault, keep_alive=keep_alive, http_1_0=http_1_0)
        return self._pieces()

    def _pieces(self) -> Iterator[Step]:
        yield self._head
        for number in range(PIECES):
            self.taken = number * PIECE
            piece = piece_of(number)
            yield b"%x\r\n%b\r\n" % (len(piece), piece) if self._head == STREAM else piece
        if self._head == STREAM:
            yield b"0\r\n\r\n"


def piece_of(number: int) -> bytes:
    return (b"data: %08d " % number).ljust(PIECE - 2, b"x") + b"\n\n"


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def stalled(a: Counting) -> int:
    """How many bytes were taken, once no more are."""
    deadline = time.monotonic() + WAIT_S
    before = -1
    while a.taken != before or not a.taken:
        assert time.monotonic() < deadline, "the provider is read without end"
        before = a.taken
        time.sleep(0.1)
    return a.taken


@pytest.mark.parametrize("head", [STREAM, BODY], ids=["stream", "body"])
def test_a_client_that_stops_reading_stops_the_provider_and_may_go_on(head: bytes) -> None:
    a = Counting(head)
    with gateway_over(a, "timeouts: {idle: 50ms}") as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port), WAIT_S) as client:
            before = resident()
            client.sendall(request(stream=True))
            assert stalled(a) < MAX_TAKEN  # for much longer than `idle`, which does not run meanwhile
            assert resident() - before < MAX_HELD
            answer = Answer()
            body = bytearray()
            while answer.ending == "cut":
                data = client.recv(1 << 20)
                assert data, "the answer was cut"
                answer.feed(data)
                answer.raw = b""
                body += answer.raw_body
                answer.raw_body = b""
        assert answer.ending == "whole"
        assert len(body) == PIECE * PIECES
        assert all(
            body[number * PIECE : number * PIECE + 14] == b"data: %08d" % number for number in range(PIECES)
        )
        gateway.until(lambda: a.connections_open == pool_of(gateway).connections == 1)


def test_a_client_that_leaves_while_it_does_not_read_frees_the_provider() -> None:
    a = Counting(STREAM)
    with gateway_over(a) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port), WAIT_S) as client:
            client.sendall(request(stream=True))
            stalled(a)
            started = time.monotonic()
        gateway.until(lambda: a.connections_open == 0)
        assert a.connection_lost_times[-1] - started < 0.05


def test_a_provider_that_breaks_off_while_nobody_reads_is_told_in_the_end() -> None:
    a = Counting(STREAM)
    with gateway_over(a) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port), WAIT_S) as client:
            client.sendall(request(stream=True))
            stalled(a)
            gateway.call(a.close_all)
            tail = b""
            while data := client.recv(1 << 20):
                tail = (tail + data)[-1000:]
        assert b'data: {"error"' in tail
        assert not tail.endswith(b"0\r\n\r\n")


def test_the_second_of_two_pipelined_requests_is_held_back_too() -> None:
    a = Counting(STREAM)
    with gateway_over(a) as gateway, socket.create_connection(("127.0.0.1", gateway.port), WAIT_S) as client:
        client.sendall(request(stream=True) * 2)
        stalled(a)
        while a.requests_seen < 2:
            assert client.recv(1 << 20)
        a.taken = 0
        assert stalled(a) < MAX_TAKEN
