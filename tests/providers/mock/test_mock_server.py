"""The server over real sockets and both event loops: bytes in, bytes out, and how connections end."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import httptools
import pytest

from gateway.providers.mock import MockServer

if TYPE_CHECKING:
    from tests.providers.mock.conftest import Listening

CHAT: dict[str, Any] = {"model": "mock-gpt", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**CHAT, "stream": True}


def test_a_connection_serves_one_request_after_the_other(listening: Listening) -> None:
    peer = listening.connect()
    for serial in (1, 2):
        peer.ask(CHAT)
        response = peer.read()
        assert response.status == 200
        assert json.loads(response.body)["id"] == f"chatcmpl-mock-{serial}"
        assert response.headers["x-request-id"] == f"req_mock_{serial}"
        assert response.headers["openai-processing-ms"] == "0"
        assert response.headers["x-ratelimit-remaining-requests"] == "9999"
    assert listening.server.connections_made == listening.server.connections_open == 1
    assert listening.server.requests_seen == 2


def test_requests_sent_at_once_are_answered_in_order(listening: Listening) -> None:
    peer = listening.connect()
    peer.ask(STREAM, x_mock_event_interval="1ms", x_mock_reply="first")
    peer.ask(CHAT, x_mock_reply="second")
    assert b"first" in peer.read().body
    assert b"second" in peer.read().body


def test_a_request_is_kept_as_it_came(listening: Listening) -> None:
    peer = listening.connect()
    peer.send(b"POST /v1/x?y=1 HTTP/1.1\r\nHost: h\r\nX-Odd:  \xff\r\ntransfer-encoding: chunked\r\n\r\n")
    peer.send(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert peer.read().status == 404
    [request] = listening.server.requests
    assert (request.method, request.target, request.body) == ("POST", "/v1/x?y=1", b"abc")
    assert request.headers == ((b"Host", b"h"), (b"X-Odd", b"\xff"), (b"transfer-encoding", b"chunked"))
    assert request.connection_id == 1
    assert request.header("HOST") == "h"
    assert request.header("absent") is None


def test_a_request_may_come_byte_by_byte(listening: Listening) -> None:
    peer = listening.connect()
    for byte in b"GET /v1/models HTTP/1.1\r\nhost: h\r\n\r\n":
        peer.send(bytes((byte,)))
    assert peer.read().status == 200


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /v1/models HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        b"GET /v1/models HTTP/1.0\r\n\r\n",
    ],
)
def test_a_connection_closes_where_the_client_wants_it(listening: Listening, request_head: bytes) -> None:
    peer = listening.connect()
    peer.send(request_head + b"GET /v1/models HTTP/1.1\r\n")
    data, ending = peer.read_to_end()
    assert b"\r\nconnection: close\r\n" in data
    assert data.count(b"HTTP/1.1 ") == 1
    assert ending == "FIN"


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: x\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_400_and_the_end(listening: Listening, nonsense: bytes) -> None:
    peer = listening.connect()
    peer.send(nonsense)
    data, ending = peer.read_to_end()
    assert data.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert data.count(b"HTTP/1.1 4") == 1
    assert ending == "FIN"
    assert listening.server.requests_seen == 0


def test_head_is_answered_like_get_without_the_body(listening: Listening) -> None:
    peer = listening.connect()
    peer.send(b"HEAD /v1/models HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
    data, _ = peer.read_to_end()
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert data.endswith(b"\r\n\r\n")


def test_the_body_is_asked_for_where_the_client_waits(listening: Listening) -> None:
    body = json.dumps(CHAT).encode()
    peer = listening.connect()
    peer.send(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\n"
        b"content-length: %d\r\n\r\n" % len(body)
    )
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert peer.read_exactly(len(interim)) == interim
    peer.send(body)
    assert peer.read().status == 200


def test_the_header_has_precedence_over_the_queue_and_the_queue_over_the_standing_fault(
    listening: Listening,
) -> None:
    listening.server.fault = "500"
    listening.server.faults.extend(["503", "ok"])
    peer = listening.connect()
    statuses = []
    for headers in ({}, {"x_mock_fault": "429"}, {}, {}, {}):
        peer.ask(CHAT, **headers)
        statuses.append(peer.read().status)
    assert statuses == [503, 429, 200, 500, 500]


@pytest.mark.parametrize(
    ("header", "value", "complaint"),
    [
        ("x_mock_fault", "nope", "unknown fault 'nope'"),
        ("x_mock_latency", "soon", "header x-mock-latency: not a duration: 'soon'"),
        ("x_mock_event_interval", "-1", "header x-mock-event-interval: not a duration: '-1'"),
    ],
)
def test_a_wish_that_is_not_understood_is_a_400(
    listening: Listening, header: str, value: str, complaint: str
) -> None:
    peer = listening.connect()
    peer.ask(CHAT, **{header: value})
    response = peer.read()
    assert response.status == 400
    assert complaint in json.loads(response.body)["error"]["message"]


def test_latency_and_interval_pass_by_the_loop_s_clock(listening: Listening) -> None:
    peer = listening.connect()
    peer.ask(STREAM, x_mock_latency="2ms", x_mock_event_interval="1ms", x_mock_reply="a b")
    response = peer.read()
    assert response.headers["openai-processing-ms"] == "2"
    assert response.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("fault", "ending"),
    [
        ("reset", "RST"),
        ("refuse", "RST"),
        ("close", "FIN"),
        ("garbage", "FIN"),
        ("reset_in_head", "RST"),
        ("cut", "FIN"),
        ("reset_body", "RST"),
        ("malformed_chunk", "FIN"),
        ("short", "FIN"),
        ("close_delimited", "FIN"),
        ("http10", "FIN"),
    ],
)
def test_how_a_fault_ends_the_connection(listening: Listening, fault: str, ending: str) -> None:
    peer = listening.connect()
    peer.ask(STREAM, x_mock_fault=fault)
    data, ended_by = peer.read_to_end()
    assert ended_by == ending
    assert bool(data) is (fault not in ("reset", "refuse", "close"))
    listening.wait_until(lambda: listening.server.connections_open == 0)


@pytest.mark.parametrize("fault", ["stall", "stall_body;after=0"])
def test_silence_lasts_until_the_client_leaves(listening: Listening, fault: str) -> None:
    peer = listening.connect()
    peer.ask(STREAM, x_mock_fault=fault)
    listening.wait_until(lambda: listening.server.requests_seen == 1)
    if fault != "stall":
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += peer.socket.recv(1)
    assert peer.nothing_came()
    assert listening.server.connections_open == 1
    peer.socket.close()
    listening.wait_until(lambda: listening.server.connections_open == 0)
    assert len(listening.server.connection_lost_times) == 1


def test_nothing_behind_an_early_answer_is_answered(listening: Listening) -> None:
    peer = listening.connect()
    request = (
        b"POST /v1/files HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\nx-mock-fault: early;linger=0\r\n\r\n"
    )
    peer.send(request + request)
    data, _ = peer.read_to_end()
    assert data.count(b"HTTP/1.1 413 ") == 1
    assert listening.server.requests_seen == 1


@pytest.mark.parametrize(("fault", "ending"), [("stale", "FIN"), ("stale;reset=1", "RST")])
def test_a_stale_connection_goes_with_the_next_request(listening: Listening, fault: str, ending: str) -> None:
    peer = listening.connect()
    peer.ask(CHAT, x_mock_fault=fault)
    assert peer.read().status == 200
    assert peer.nothing_came()
    peer.send(b"P")
    assert peer.read_to_end() == (b"", ending)
    assert listening.server.requests_seen == 1


def test_an_early_answer_does_not_wait_for_the_body(listening: Listening) -> None:
    peer = listening.connect()
    peer.send(b"POST /v1/files HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\nx-mock-fault: early\r\n\r\nab")
    data, ending = peer.read_to_end()
    assert data.startswith(b"HTTP/1.1 413 ")
    assert ending == "FIN"
    peer.send(b"cdGET /v1/models HTTP/1.1\r\nhost: h\r\n\r\n")  # is taken and thrown away
    peer.socket.close()
    listening.wait_until(lambda: listening.server.connections_open == 0)
    assert [request.body for request in listening.server.requests] == [b""]


class Transport(asyncio.Transport):
    """A transport whose kernel buffer is full after each write, or never."""

    def __init__(
        self, protocol: asyncio.Protocol, *, full: bool, extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(extra)
        self.protocol = protocol
        self.full = full
        self.high: int | None = None
        self.writes = 0
        self.aborted = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def write(self, data: object) -> None:
        self.writes += 1
        assert self.writes < 100, "this never gives way to the other connections"
        if self.full:
            self.protocol.pause_writing()


def test_a_mistake_of_the_mock_is_not_blamed_on_the_peer() -> None:
    async def converse() -> None:
        protocol = MockServer(clock=lambda: 1 / 0).protocol()
        transport = Transport(protocol, full=False)
        protocol.connection_made(transport)
        with pytest.raises(httptools.HttpParserCallbackError):
            protocol.data_received(b"GET /v1/models HTTP/1.1\r\nhost: h\r\n\r\n")
        assert transport.writes == 0

    asyncio.run(converse())


def test_nothing_more_is_written_before_the_kernel_took_the_last_write() -> None:
    async def converse() -> None:
        protocol = MockServer(fault="endless").protocol()
        transport = Transport(protocol, full=True)
        protocol.connection_made(transport)
        assert transport.high == 0
        protocol.data_received(b"GET /v1/models HTTP/1.1\r\nhost: h\r\n\r\n")
        assert transport.writes == 1
        protocol.resume_writing()
        assert transport.writes == 2
        protocol.connection_lost(None)
        protocol.resume_writing()
        assert transport.writes == 2

    asyncio.run(converse())


def test_one_endless_stream_gives_way_to_the_other_connections() -> None:
    async def converse() -> None:
        protocol = MockServer(fault="endless").protocol()
        transport = Transport(protocol, full=False)
        protocol.connection_made(transport)
        protocol.data_received(b"GET /v1/models HTTP/1.1\r\nhost: h\r\n\r\n")
        in_the_first_turn = transport.writes
        await asyncio.sleep(0)
        assert 0 < in_the_first_turn < transport.writes
        protocol.connection_lost(None)

    asyncio.run(converse())


def test_an_endless_stream_goes_on_and_ends_with_the_client(listening: Listening) -> None:
    peer = listening.connect()
    peer.ask(STREAM, x_mock_fault="endless")
    peer.read_exactly(5_000_000)
    peer.socket.close()
    listening.wait_until(lambda: listening.server.connections_open == 0)


def test_a_server_that_refuses_resets_new_connections(listening: Listening) -> None:
    listening.server.fault = "refuse"
    with pytest.raises(ConnectionResetError):  # while connecting or when reading: whichever is first
        listening.connect().socket.recv(1)
    listening.server.fault = None
    peer = listening.connect()
    peer.ask(CHAT)
    assert peer.read().status == 200


@pytest.mark.parametrize(("fault", "refusing"), [(None, False), ("503", False), ("refuse", True)])
def test_who_dials_can_ask_whether_the_server_refuses(fault: str | None, refusing: bool) -> None:
    assert MockServer(fault=fault).refusing is refusing


def test_close_all_resets_every_connection(listening: Listening) -> None:
    peers = [listening.connect(), listening.connect()]
    listening.wait_until(lambda: listening.server.connections_open == 2)
    listening.loop.call_soon_threadsafe(listening.server.close_all)
    assert [peer.read_to_end() for peer in peers] == [(b"", "RST")] * 2


def test_close_all_does_not_wait_for_a_client_that_does_not_read() -> None:
    async def converse() -> None:
        server = MockServer(fault="endless")
        protocol = server.protocol()
        with socket.socket() as underneath:
            transport = Transport(protocol, full=True, extra={"socket": underneath})
            protocol.connection_made(transport)
            protocol.data_received(b"GET /v1/models HTTP/1.1\r\nhost: h\r\n\r\n")
            server.close_all()
        assert transport.aborted

    asyncio.run(converse())


def test_an_unknown_fault_is_refused_when_it_is_set() -> None:
    with pytest.raises(ValueError, match="unknown fault 'nope'"):
        MockServer(faults=["ok", "nope"])
    server = MockServer(fault="503")
    with pytest.raises(ValueError, match="unknown fault 'nope'"):
        server.fault = "nope"
    assert server.fault == "503"
    assert repr(server) == "<MockServer mock: fault 503, 0 connections open, 0 requests seen>"


def test_it_serves_one_end_of_a_socket_pair() -> None:
    async def converse() -> bytes:
        server = MockServer("drinnen-ü", clock=lambda: 42.0)
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        await loop.create_connection(server.protocol, sock=theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(b"GET /v1/models/mock-gpt HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        data = await reader.read()
        writer.close()
        await server.wait_until(lambda: server.connections_open == 0)
        assert server.requests[0].received_at == 42.0
        assert list(server.connection_lost_times) == [42.0]
        return data

    data = asyncio.run(converse())
    assert b"\r\nx-mock-server: drinnen-\xc3\xbc\r\n" in data
    assert data.endswith(b'{"id":"mock-gpt","object":"model","created":1700000000,"owned_by":"mock"}')
