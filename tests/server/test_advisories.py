"""What other servers, proxies and LLM gateways were hit by, each under the id of its advisory."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from conversation import HEAD, TIMEOUTS, Conversation, post
from harness import running

from gateway.config.schema import Limits
from gateway.providers.mock import MockServer

GET = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n"
SMUGGLED = b"DELETE /v1/files/all HTTP/1.1\r\nhost: gw\r\n\r\n"
CONFIG = 'providers: {a: {format: openai, base_url: "{a}"}}'
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


def refused(request: bytes, **settings: Any) -> int:
    """The status with which a request is refused; what stands behind it never becomes a request."""
    talk = Conversation(**settings).says(request + SMUGGLED)
    assert talk.requests == []
    (answer,) = talk.heard
    assert answer.closes
    return answer.status


def test_haproxy_cve_2021_40346_name_that_only_begins_like_content_length() -> None:
    name = b"Content-Length0" + b"a" * 255
    talk = Conversation().says(HEAD + name + b":\r\ncontent-length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED)
    (exchange,) = talk.requests
    assert exchange.summary == (b"POST", b"/v1/chat/completions", name + b": \r\n", SMUGGLED)


def test_haproxy_cve_2023_40225_empty_content_length() -> None:
    assert refused(HEAD + b"content-length:\r\n\r\n") == 400
    assert refused(HEAD + b"content-length: \r\ncontent-length: 0\r\n\r\n") == 400


@pytest.mark.parametrize(
    "coding",
    [
        b"transfer-encoding: \x0bchunked",
        b"transfer-encoding: \x0cchunked",
        b"transfer-encoding: chunked\x0b",
        b"transfer-encoding:\x00chunked",
        b"transfer-encoding : chunked",
        b" transfer-encoding: chunked",
        b"transfer-encoding: xchunked",
        b"transfer-encoding: chunkedx",
        b"transfer-encoding: chunked, identity",
        b"transfer-encoding:\r\n chunked",
        b"transfer-encoding\n: chunked",
        b"x: x\ntransfer-encoding: chunked",
    ],
)
def test_haproxy_cve_2019_18277_obscured_transfer_encoding(coding: bytes) -> None:
    assert refused(HEAD + coding + b"\r\ncontent-length: 5\r\n\r\n0\r\n\r\n") == 400
    assert refused(HEAD + coding + b"\r\n\r\n0\r\n\r\n") == 400


def test_transfer_encoding_of_another_name_is_a_field_like_others() -> None:
    for name in (b"transfer_encoding", b"transfer-encoding2", b"x-transfer-encoding"):
        (exchange,) = Conversation().says(post(SMUGGLED, name + b": chunked")).requests
        assert exchange.request.body == SMUGGLED


@pytest.mark.parametrize("junk", [b"XX", b"\r\r", b"\n\n", b"0\n", b"\n\r"])
def test_h11_cve_2025_43859_two_bytes_behind_chunk_data(junk: bytes) -> None:
    assert refused(CHUNKED + b"1\r\na" + junk + b"0\r\n\r\n") == 400


@pytest.mark.parametrize(
    "line",
    [
        b"x: a\rtransfer-encoding: chunked",
        b"x: a\r\rtransfer-encoding: chunked",
        b"\rtransfer-encoding: chunked",
        b"x:\rcontent-length: 5",
        b"content-length\r: 5",
        b" content-length: 5",
        b"content-length : 5",
    ],
)
def test_aiohttp_cve_2023_37276_llhttp_cve_2023_30589_cve_2024_27982_bare_cr(line: bytes) -> None:
    assert refused(HEAD + line + b"\r\n\r\n") == 400


@pytest.mark.parametrize("size", [b"+5", b"-5", b"5_0", b"0x5", b" 5", b"5 ", b"\xb2", b"5.0", b""])
def test_aiohttp_cve_2023_47627_sizes_that_only_python_reads(size: bytes) -> None:
    assert refused(CHUNKED + size + b"\r\nabcde\r\n0\r\n\r\n") == 400
    if size.strip() != b"5":  # blanks around a field's value are no part of it
        assert refused(HEAD + b"content-length: " + size + b"\r\n\r\nabcde") == 400


def test_aiohttp_cve_2024_52304_line_feed_in_a_chunk_extension() -> None:
    assert refused(CHUNKED + b"1;a\nb\r\nx\r\n0\r\n\r\n") == 400


def test_go_cve_2023_39326_endless_chunk_extensions() -> None:
    talk = Conversation().says(CHUNKED)
    sent = 0
    while not talk.ended:
        talk.says(b"1;" + b"a" * 4000 + b"\r\nx\r\n")
        sent += 4000
        assert sent < 500_000
    assert [answer.status for answer in talk.heard] == [431]
    assert talk.requests == []


def test_nghttp2_2809_upgrade_with_a_body() -> None:
    talk = Conversation().says(post(SMUGGLED, b"connection: upgrade", b"upgrade: websocket") + GET)
    assert [exchange.request.body for exchange in talk.requests] == [SMUGGLED, b""]
    assert [answer.status for answer in talk.heard] == [200, 200]  # not 101


@pytest.mark.parametrize("line", [b"user-agent: \x1b[31m", b"x-request-id: 1\x00", b"x-request-id: \x08"])
def test_envoy_cve_2024_45808_control_bytes_never_reach_a_log(line: bytes) -> None:
    assert refused(HEAD + line + b"\r\n\r\n") == 400


def test_envoy_cve_2024_45806_a_client_cannot_speak_as_a_proxy() -> None:
    lines = (b"x-forwarded-for: 10.0.0.1", b"x-real-ip: 10.0.0.1", b"forwarded: for=10.0.0.1")
    (exchange,) = Conversation().says(post(b"", *lines)).requests
    assert exchange.request.fields == []


def test_envoy_cve_2024_53270_reset_behind_a_reply_to_overload() -> None:
    first = Conversation(max_connections=1)
    second = Conversation(site=first.site)
    second.says(GET)
    second.leaves(ConnectionResetError())
    assert [answer.status for answer in second.heard] == [503]
    assert first.site.connections == {first.connection}


def test_envoy_cve_2024_53271_rest_of_a_request_that_was_answered_early() -> None:
    limits = Limits(max_body=10)
    assert refused(HEAD + b"content-length: 100\r\n\r\n", limits=limits) == 413
    assert refused(CHUNKED + b"64\r\n" + b"x" * 50, limits=limits) == 413


def test_litellm_cve_2024_6587_portkey_cve_2025_66405_a_client_cannot_choose_where_to_connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        url = f"http://127.0.0.1:{trap.getsockname()[1]}"
        body = b'{"model": "m", "messages": [], "api_base": "%b", "base_url": "%b"}' % ((url.encode(),) * 2)
        lines = [f"{name}: {url}" for name in ("x-portkey-custom-host", "x-litellm-api-base", "base-url")]
        head = ["POST /v1/chat/completions HTTP/1.1", f"host: {url[7:]}", "connection: close", *lines]
        with running(CONFIG, a=MockServer("a")) as gateway, gateway.connect() as client:
            client.send("\r\n".join([*head, f"content-length: {len(body)}\r\n\r\n"]).encode() + body)
            assert b"x-gateway-provider: a\r\n" in client.receive_all()
        trap.setblocking(False)
        with pytest.raises(BlockingIOError):
            trap.accept()


@pytest.mark.parametrize("host", [b"x/#@y", b"x?y", b"x@y", b"x\\y", b"localhost/v1/models"])
def test_litellm_cve_2026_49468_host_that_would_be_taken_for_a_path(host: bytes) -> None:
    request = b"GET /v1/models HTTP/1.1\r\nhost: %b\r\n\r\n" % host
    assert refused(request, keys=(b"sk-key",)) == 400
    request = b"GET http://%b/v1/models HTTP/1.1\r\nhost: gw\r\n\r\n" % host
    assert refused(request, keys=(b"sk-key",)) in (400, 401, 404)


@pytest.mark.parametrize("key", [b"' OR 1=1 --", b"sk-key'", b"%", b"*", b"sk-key\\", b'{"$ne": 1}'])
def test_litellm_ghsa_r75f_5x8p_qvmc_key_that_is_a_query(key: bytes) -> None:
    request = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\nauthorization: Bearer %b\r\n\r\n" % key
    assert refused(request, keys=(b"sk-key",)) == 401


@pytest.mark.parametrize("request_bytes", [GET, post(b"x" * 200)])
def test_xinference_5213_slowloris(request_bytes: bytes) -> None:
    talk = Conversation()
    waited_s = 0.0
    for at in range(len(request_bytes)):
        talk.says(request_bytes[at : at + 1])
        talk.waits(1.0)
        waited_s += 1.0
        if talk.ended:
            break
    assert [answer.status for answer in talk.heard] == [408]
    assert waited_s <= TIMEOUTS.header + TIMEOUTS.body
    assert talk.requests == []
