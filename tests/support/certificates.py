"""Certificates for tests, made by the `openssl` command: an authority, and servers that it signed."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Certificates(NamedTuple):
    """PEM files in `folder`; the servers' certificates are for `localhost` and `127.0.0.1`."""

    folder: Path

    @property
    def authority(self) -> str:
        return str(self.folder / "authority.pem")

    def server(self, name: str) -> ssl.SSLContext:
        """A server that shows the certificate `name`: good, expired, or other (for another host)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context


def make(folder: Path) -> Certificates:
    """Make them all; skips the test where there is no `openssl`."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    authority = ("-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=authority", "-days", "2")
    _openssl(folder, "req", "-x509", *_KEY, *authority)
    _sign(folder, "good", "DNS:localhost,IP:127.0.0.1", days=2)
    _sign(folder, "other", "DNS:other.example", days=2)
    _sign(folder, "expired", "DNS:localhost,IP:127.0.0.1", days=-1)
    return Certificates(folder)


def _sign(folder: Path, name: str, names: str, *, days: int) -> None:
    request = ("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    _openssl(folder, "req", *_KEY, *request, "-addext", f"subjectAltName={names}")
    signing = ("-CA", "authority.pem", "-CAkey", "authority.key", "-copy_extensions", "copy")
    _openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", *signing, "-days", str(days), "-out", f"{name}.pem"
    )


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
