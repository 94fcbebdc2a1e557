"""A provider: where requests go, and how they are written there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol
from urllib.parse import urlsplit

from gateway.config import schema
from gateway.resilience.plan import Policy

_VIA = b"via: 1.1 gateway\r\n"


class Inbound(Protocol):
    """What a provider needs of a client's request."""

    @property
    def method(self) -> bytes: ...
    @property
    def target(self) -> bytes: ...
    @property
    def fields(self) -> list[bytes]: ...


class Provider:
    """One upstream. Subclasses say how its format maps targets and sends its key.

    `host`, `port` and `tls` say where to connect. `secrets` are the byte strings that no client may see.
    `chain` are the providers that are asked in turn, this one first; `policies` are theirs. A provider that
    is not wrapped (see `ResilientProvider`) is a chain of itself, with one attempt.
    """

    def __init__(self, name: str, settings: schema.Provider) -> None:
        self.name = name
        self.format = settings.format
        self.timeouts = settings.timeouts
        url = urlsplit(settings.base_url or "http://mock")
        self.tls = url.scheme == "https"
        self.host = url.hostname or ""
        self.port = url.port or (443 if self.tls else 80)
        self.base_path = url.path.rstrip("/").encode()
        self.secrets = tuple(_secrets(settings))
        self.policy = Policy(name)
        self.chain: tuple[Provider, ...] = (self,)
        self.policies: tuple[Policy, ...] = (self.policy,)
        self._replaced = frozenset(field.lower().encode() for field in settings.headers) | self.key_fields()
        self._head_end = self._static_fields(settings, url.netloc.rpartition("@")[2])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def key_fields(self) -> frozenset[bytes]:
        """Lower-case names of fields that carry credentials in this format; a client's never pass."""
        return frozenset()

    def authorize(self, key: str) -> bytes:
        """The header line that carries `key`."""
        raise NotImplementedError

    def target(self, target: bytes, model: str) -> bytes:
        """The provider's request target for the gateway's own, which begins with `/v1/`."""
        raise NotImplementedError

    def head(self, request: Inbound, model: str, length: int) -> bytes:
        """The head of the request as this provider gets it, for a body of `length` bytes."""
        fields = request.fields
        if self._replaced:
            fields = self._without_replaced(fields)
        pieces = [request.method, b" ", self.target(request.target, model), self._head_end, *fields]
        if length or request.method not in (b"GET", b"HEAD", b"DELETE", b"OPTIONS"):
            pieces.append(b"content-length: %d\r\n\r\n" % length)
        else:
            pieces.append(b"\r\n")
        return b"".join(pieces)

    def _static_fields(self, settings: schema.Provider, authority: str) -> bytes:
        lines = [
            b" HTTP/1.1\r\nhost: ",
            authority.encode("idna" if not authority.isascii() else "ascii"),
            b"\r\n",
            _VIA,
        ]
        if settings.api_key is not None:
            lines.append(self.authorize(settings.api_key.reveal()))
        for name, value in settings.headers.items():
            lines.append(f"{name}: {value.reveal()}\r\n".encode())
        return b"".join(lines)

    def _without_replaced(self, fields: list[bytes]) -> list[bytes]:
        return [
            piece
            for start in range(0, len(fields), 4)
            if fields[start].lower() not in self._replaced
            for piece in fields[start : start + 4]
        ]


def _secrets(settings: schema.Provider) -> Iterator[bytes]:
    """The key, and the values of added fields whose names say that they are credentials."""
    if settings.api_key is not None:
        yield settings.api_key.reveal().encode()
    for name, value in settings.headers.items():
        if any(word in name.lower() for word in ("auth", "key", "token", "secret")):
            credential = value.reveal().rpartition(" ")[2]
            if len(credential) >= 8:  # shorter ones would be found where they are not meant
                yield credential.encode()
