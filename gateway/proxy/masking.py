"""No provider's key reaches a client where the provider echoes it: in a header field or in an error.

The content of an answer that is none goes through byte for byte, whatever it says.
A key is replaced by as many asterisks, so that no length changes. Content in a coding other than gzip and
deflate, or of more than 1 MiB, cannot be looked into.
"""

from __future__ import annotations

import contextlib
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.proxy.ports import Client, ResponseHead

_MAX_INFLATED: Final = 1024 * 1024


def reveals(data: bytes, secrets: tuple[bytes, ...]) -> bool:
    """One of our own `secrets` stands in `data`."""
    return any(secret in data for secret in secrets)


def masked(data: bytes, secrets: tuple[bytes, ...]) -> bytes:
    """`data` with every secret replaced by asterisks."""
    for secret in secrets:
        data = data.replace(secret, b"*" * len(secret))
    return data


def fields_without(fields: list[bytes], secrets: tuple[bytes, ...]) -> list[bytes]:
    """Header `fields` with every secret masked."""
    if reveals(b"".join(fields), secrets):
        return [masked(piece, secrets) for piece in fields]
    return fields


def without_secrets(
    head: ResponseHead, data: bytes, secrets: tuple[bytes, ...], complete: bool
) -> tuple[list[bytes], bytes]:
    """The header fields and the body so far of an error, with every secret masked.

    One in gzip or deflate is decoded where it reveals one; without a secret in it no byte changes.
    """
    fields = fields_without(head.fields, secrets)
    if head.content_encoding is None:
        return fields, masked(data, secrets)
    if head.status >= 400 and complete:
        text = inflated(data, head.content_encoding, _MAX_INFLATED)
        if text is not None and reveals(text, secrets):
            return _without_field(fields, b"content-encoding"), masked(text, secrets)
    return fields, data


class MaskingClient:
    """Masks the body that goes through it to `client`, wherever the reads divide it."""

    def __init__(self, client: Client, secrets: tuple[bytes, ...]) -> None:
        self._client = client
        self._secrets = secrets
        self._kept = b""
        self.respond = client.respond
        self.refuse = client.refuse
        self.date_field = client.date_field

    def start(self, status: int, fields: list[bytes], length: int | None, data: bytes) -> None:
        self._client.start(status, fields, length, self._mask(data))

    def write(self, data: bytes) -> None:
        ready = self._mask(data)
        if ready:
            self._client.write(ready)

    def end(self, data: bytes) -> None:
        self._client.end(masked(self._kept + data, self._secrets))

    def cut(self, data: bytes = b"") -> None:
        self._client.cut(data)

    def _mask(self, data: bytes) -> bytes:
        """What can go out now: all but an end in which a secret may have begun."""
        data = masked(self._kept + data, self._secrets)
        keep = 0
        for secret in self._secrets:
            for length in range(min(len(secret) - 1, len(data)), keep, -1):
                if data.endswith(secret[:length]):
                    keep = length
                    break
        self._kept = data[len(data) - keep :]
        return data[: len(data) - keep]


def inflated(data: bytes, content_encoding: bytes, most: int) -> bytes | None:
    """`data` out of gzip or deflate; None where it is in neither, or comes to more than `most` bytes."""
    if content_encoding.strip().lower() not in (b"gzip", b"x-gzip", b"deflate"):
        return None
    for wbits in (47, -15):  # 32 + 15: a gzip or a zlib header; some call it deflate that has none
        inflate = zlib.decompressobj(wbits)
        with contextlib.suppress(zlib.error):
            text = inflate.decompress(data, most)
            return None if inflate.unconsumed_tail else text
    return None


def _without_field(fields: list[bytes], name: bytes) -> list[bytes]:
    return [
        piece
        for start in range(0, len(fields), 4)
        if fields[start].lower() != name
        for piece in fields[start : start + 4]
    ]
