"""A provider: where requests go, and how they are written there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final, Protocol
from urllib.parse import urlsplit

from gateway.config import schema
from gateway.providers.keys import KeyRing
from gateway.providers.translation import Translation
from gateway.resilience.plan import Policy

# Via stands behind the fields of those who had the request before (RFC 9110 section 7.6.3).
_VIA: Final = b"via: 1.1 gateway\r\n"
_USUAL_PATHS: Final = (b"/v1/chat/completions", b"/v1/completions", b"/v1/embeddings", b"/v1/responses")
_BODILESS: Final = (b"GET", b"HEAD", b"DELETE", b"OPTIONS")
_MIN_SECRET: Final = 8


class Inbound(Protocol):
    """What a provider needs of the head of a client's request. `sent_as` is for it to keep what it made."""

    sent_as: object

    @property
    def method(self) -> bytes: ...
    @property
    def target(self) -> bytes: ...
    @property
    def fields(self) -> list[bytes]: ...


class _SentAs:
    """What a request's head became the last time: requests with the same head go the same way mostly."""

    __slots__ = ("head", "model", "provider")

    def __init__(self, provider: Provider, model: str, head: bytes) -> None:
        self.provider = provider
        self.model = model
        self.head = head

    def __repr__(self) -> str:
        return f"<_SentAs {self.provider.name} {self.model!r}>"  # not the head: our key is in it


def name_field(provider: str) -> bytes:
    """The beginning of the gateway's own lines on an answer of `provider`, up to the number of attempts."""
    return b"x-gateway-provider: %b\r\nx-gateway-attempts: " % provider.encode()


class Provider(ABC):
    """One upstream. Subclasses say how its format maps targets and sends its key.

    `host`, `port` and `tls` say where to connect. `secrets` are the byte strings that no client may see, the
    longest first, since one may be the beginning of another.
    `chain` are the providers that are asked in turn, this one first; `policies` are theirs. A provider that
    is not wrapped (see `ResilientProvider`) is a chain of itself, with one attempt.
    `ring` are its keys where it has several; `has_responses` and `has_messages` say on which of the APIs
    beside chat completions it is asked itself. On `plain_paths` requests go as they came, but for the head.

    On `translated_paths` every request is made another one.

    Raises ValueError for settings that cannot be sent.
    """

    translated_paths: frozenset[bytes] = frozenset()

    def __init__(self, name: str, settings: schema.Provider) -> None:
        self.name = name
        self.format = settings.format
        self.name_field = name_field(name)
        self.timeouts = settings.timeouts
        self.total_s = settings.timeouts.total
        self.first_byte_s = settings.timeouts.first_byte
        self.inject_usage = settings.usage.inject
        self.drop_unsupported = settings.drop_unsupported
        self.has_responses = settings.has_responses
        self.has_messages = settings.has_messages
        url = urlsplit(settings.base_url or "http://mock")
        self.tls = url.scheme == "https"
        self.host = url.hostname or ""
        self.port = url.port or (443 if self.tls else 80)
        self.base_path = url.path.rstrip("/").encode()
        self.secrets = tuple(sorted(set(_secrets(settings)), key=len, reverse=True))
        self.policy = Policy(name)
        self.chain: tuple[Provider, ...] = (self,)
        self.policies: tuple[Policy, ...] = (self.policy,)
        lines = [self.authorize(key.reveal()) for key in settings.keys]
        self.ring = KeyRing(lines) if len(lines) > 1 else None
        self._replaced = frozenset(field.lower().encode() for field in settings.headers)
        self._head_end = self._static_fields(settings, url.netloc, lines)
        self.plain_paths = frozenset(path for path in _USUAL_PATHS if not self.alters(path))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @abstractmethod
    def authorize(self, key: str) -> bytes:
        """The header line that carries `key`."""

    @abstractmethod
    def target(self, target: bytes, model: str) -> bytes:
        """The provider's request target for the gateway's own, which begins with `/v1/`."""

    def alters(self, path: bytes) -> bool:
        """Whether requests for `path` may need more than a head of this provider's."""
        return self.ring is not None or self.inject_usage or self.adapts(path)

    def adapts(self, path: bytes) -> bool:
        """Whether requests for `path` have to go through `translating.translated`."""
        if path.startswith(b"/v1/messages"):
            return not self.has_messages
        return not self.has_responses and path.startswith(b"/v1/responses")

    def translate(self, target: bytes, body: bytes, model: str, now: int) -> Translation | None:
        """A request on an API that is not the provider's own, as that has it; None where it is its own.

        `target` is the gateway's, `now` in seconds since the epoch. Raises GatewayError for what the provider
        does not have (404) or cannot express (400).
        """
        return None

    def head(self, request: Inbound, model: str, length: int, lines: bytes = b"") -> bytes:
        """The head of the request as this provider gets it, for a body of `length` bytes.

        `lines` are whole header lines that only this attempt has.
        """
        sent_as = request.sent_as
        if type(sent_as) is not _SentAs or sent_as.provider is not self or sent_as.model != model:
            sent_as = request.sent_as = _SentAs(self, model, self._head(request, model))
        if length or request.method not in _BODILESS:
            return b"%b%bcontent-length: %d\r\n\r\n" % (sent_as.head, lines, length)
        return b"%b%b\r\n" % (sent_as.head, lines)

    def _head(self, request: Inbound, model: str) -> bytes:
        fields = request.fields
        if self._replaced:
            fields = self._without_replaced(fields)
        target = self.target(request.target, model)
        return b"".join([request.method, b" ", target, self._head_end, *fields, _VIA])

    def _static_fields(self, settings: schema.Provider, authority: str, keys: list[bytes]) -> bytes:
        lines = [f" HTTP/1.1\r\nhost: {authority}\r\n".encode()]
        for line in keys:
            if line.partition(b":")[0] in self._replaced:
                field = line.partition(b":")[0].decode()
                setting = "api_keys" if settings.api_keys else "api_key"
                raise ValueError(f"headers and {setting} both set {field} (leave one of them out)")
        if self.ring is None:
            lines += keys
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
    """The key, and the values of added fields whose names say that they are credentials.

    Short ones ("none", "EMPTY") are no secrets, and would be found where they are not meant.
    """
    credentials = [key.reveal() for key in settings.keys]
    for name, value in settings.headers.items():
        if any(word in name.lower() for word in ("auth", "key", "token", "secret")):
            credentials.append(value.reveal().rpartition(" ")[2])
    return (credential.encode() for credential in credentials if len(credential) >= _MIN_SECRET)
