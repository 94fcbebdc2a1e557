"""TLS on the listener: real handshakes with a certificate made here, and files that are no use."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from listening import WAIT_S, connected, listening, port_of, run

from gateway.config.schema import Limits, ServerTimeouts, Tls
from gateway.server.listener import ListenError, load_certificate, tls_context

OPENSSL = shutil.which("openssl")
GET = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n"


def openssl(*arguments: str) -> None:
    assert OPENSSL, "this test makes its certificates with the openssl command: install it"
    subprocess.run([OPENSSL, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a self-signed certificate of localhost, its key, and others that do not fit."""
    folder = tmp_path_factory.mktemp("tls")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    openssl("req", "-x509", *curve, "-nodes", "-days", "2", *names, "-out", cert, "-keyout", key)
    openssl(
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-out",
        str(folder / "other.pem"),
    )
    openssl("ec", "-in", key, "-aes128", "-passout", "pass:secret", "-out", str(folder / "locked.pem"))
    (folder / "text.pem").write_text("no PEM")
    return folder


def settings(folder: Path, cert: str = "cert.pem", key: str = "key.pem") -> Tls:
    return Tls(cert=str(folder / cert), key=str(folder / key))


def trusting(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def test_https_is_served(files: Path) -> None:
    async def scenario() -> None:
        async with listening(tls=tls_context(settings(files))) as (_, listener):
            assert listener.addresses == [f"https://127.0.0.1:{port_of(listener)}"]
            reader, writer = await asyncio.open_connection(
                "localhost", port_of(listener), ssl=trusting(files), family=2
            )
            ssl_object = writer.get_extra_info("ssl_object")
            assert ssl_object.version() in ("TLSv1.2", "TLSv1.3")
            assert ssl_object.selected_alpn_protocol() == "http/1.1"
            writer.write(GET + GET)
            assert (await reader.readuntil(b"answer")).startswith(b"HTTP/1.1 200 OK\r\n")
            assert (await reader.readuntil(b"answer")).startswith(b"HTTP/1.1 200 OK\r\n")
            writer.close()
            await writer.wait_closed()

    run(scenario())


def test_refusal_reaches_a_client_that_is_still_uploading(files: Path) -> None:
    def upload(port: int) -> int:
        connection = http.client.HTTPSConnection("localhost", port, timeout=WAIT_S, context=trusting(files))
        connection.request("POST", "/v1/files", b"x" * 20_000_000)
        with connection.getresponse() as response:
            response.read()
        connection.close()
        return response.status

    async def scenario() -> None:
        limits = Limits(max_body=1000)
        async with listening(tls=tls_context(settings(files)), limits=limits) as (served, listener):
            assert await asyncio.to_thread(upload, port_of(listener)) == 413
            assert served.exchanges == []
            await served.until(lambda: not served.site.connections)

    run(scenario())


def test_client_that_leaves_is_noticed(files: Path) -> None:
    async def scenario() -> None:
        async with listening(tls=tls_context(settings(files)), body=None) as (served, listener):
            _, writer = await asyncio.open_connection("localhost", port_of(listener), ssl=trusting(files))
            writer.write(GET)
            await served.until(lambda: bool(served.exchanges))
            writer.close()
            await served.until(lambda: served.exchanges[0].told == ["gone"])
            await served.until(lambda: not served.site.connections)
            await writer.wait_closed()

    run(scenario())


@pytest.mark.parametrize("sent", [b"", GET, b"\x16\x03\x01"], ids=["silence", "plain HTTP", "half a hello"])
def test_client_without_a_handshake_is_closed(files: Path, sent: bytes) -> None:
    async def scenario() -> None:
        timeouts = ServerTimeouts(header=0.1)
        async with (
            listening(tls=tls_context(settings(files)), timeouts=timeouts) as (served, listener),
            connected(listener) as (reader, writer),
        ):
            writer.write(sent)
            with contextlib.suppress(ConnectionResetError):
                assert b"HTTP" not in await reader.read()
            assert served.exchanges == []

    run(scenario())


@pytest.mark.parametrize(
    ("cert", "key", "reason"),
    [
        ("missing.pem", "key.pem", r"cannot read .*missing\.pem \(server\.tls\): No such file or directory"),
        ("cert.pem", "missing.pem", r"cannot read .*missing\.pem \(server\.tls\): No such file or directory"),
        ("text.pem", "key.pem", r"the certificate .*text\.pem .*must be PEM"),
        ("cert.pem", "text.pem", r"the key .*text\.pem .*must be PEM"),
        ("cert.pem", "other.pem", r"the key .*other\.pem .*the certificate's own"),
        ("cert.pem", "locked.pem", r"the key .*locked\.pem .*not encrypted"),
        (".", "key.pem", r"cannot read .*: Is a directory"),
    ],
)
def test_files_of_no_use_are_named(files: Path, cert: str, key: str, reason: str) -> None:
    with pytest.raises(ListenError, match=reason):
        tls_context(settings(files, cert, key))


def test_certificate_can_be_replaced_while_serving(files: Path) -> None:
    context = tls_context(settings(files))
    with pytest.raises(ListenError):
        load_certificate(context, settings(files, "text.pem"))
    load_certificate(context, settings(files))
