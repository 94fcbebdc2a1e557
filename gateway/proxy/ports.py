"""What an exchange needs of its two sides; `server` and `upstream` provide it, `app` brings them together."""

from __future__ import annotations

from typing import Protocol

from gateway.errors import Fault, GatewayError
from gateway.observe.observer import Finished
from gateway.observe.tracing import Trace


class RequestHead(Protocol):
    """The head of a client's request; fields: name, `: `, value, CRLF in turn, end-to-end ones only.

    It may stand for many requests, and keeps in `sent_as` what a provider made of it.
    """

    sent_as: object

    @property
    def method(self) -> bytes: ...
    @property
    def target(self) -> bytes: ...
    @property
    def path(self) -> bytes: ...
    @property
    def fields(self) -> list[bytes]: ...
    @property
    def content_type(self) -> bytes | None: ...
    @property
    def request_id(self) -> bytes | None: ...


class Request(Protocol):
    """A client's request, whole."""

    @property
    def head(self) -> RequestHead: ...
    @property
    def method(self) -> bytes: ...
    @property
    def path(self) -> bytes: ...
    @property
    def request_id(self) -> bytes | None: ...
    @property
    def body(self) -> bytes: ...
    @property
    def received_s(self) -> float: ...
    @property
    def traceparent(self) -> bytes | None: ...
    @property
    def tracestate(self) -> bytes | None: ...


class Client(Protocol):
    """The way back to the client. Exactly one of `respond`, `refuse`, `end` and `cut` ends an answer."""

    def respond(self, status: int, fields: list[bytes], body: bytes, length: int | None = None) -> None:
        """Answer whole, in one write; `length` is that of the body which an answer to HEAD does not have."""

    def refuse(self, error: GatewayError, fields: list[bytes]) -> None:
        """Answer with an error of our own."""

    def start(self, status: int, fields: list[bytes], length: int | None, data: bytes) -> None:
        """Begin an answer of `length` bytes, None if that is not known, with its first `data`."""

    def write(self, data: bytes) -> None:
        """Pass on more of the body; never empty."""

    def end(self, data: bytes) -> None:
        """Pass on the rest of the body, maybe empty: it was whole."""

    def cut(self, data: bytes = b"") -> None:
        """End a body that is not whole so that the client can tell, after `data`."""

    def date_field(self) -> tuple[bytes, ...]:
        """The Date field for a response that has none."""


class ResponseHead(Protocol):
    """The head of a provider's response.

    It may stand for many, and keeps in `passed_as` what the relay made of it.
    """

    passed_as: object

    @property
    def status(self) -> int: ...
    @property
    def fields(self) -> list[bytes]: ...
    @property
    def content_type(self) -> bytes: ...
    @property
    def content_length(self) -> int | None: ...
    @property
    def content_encoding(self) -> bytes | None: ...
    @property
    def coding(self) -> bytes | None: ...
    @property
    def retry_after(self) -> bytes | None: ...
    @property
    def retry_after_ms(self) -> bytes | None: ...
    @property
    def request_id(self) -> bytes | None: ...
    @property
    def date(self) -> bool: ...


class Upstream(Protocol):
    """Who waits for a provider: for a connection, then for a response."""

    def on_connected(self, connection: Connection) -> None: ...
    def on_not_connected(self, fault: Fault, detail: str) -> None: ...
    def on_head(self, head: ResponseHead) -> None: ...
    def on_whole(self, head: ResponseHead, body: bytes) -> None: ...
    def on_body(self, data: bytes, complete: bool) -> None: ...
    def on_failure(self, fault: Fault, detail: str) -> None: ...


class Connection(Protocol):
    """A connection to a provider."""

    @property
    def reused(self) -> bool: ...
    @property
    def received(self) -> bool: ...
    def send(
        self, user: Upstream, head: bytes, body: bytes, bodiless: bool, deadline_s: float, limit_s: float
    ) -> None: ...
    def commit(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def abandon(self) -> None: ...


class Pool(Protocol):
    """The connections to one provider."""

    def acquire(self, user: Upstream, fresh: bool = False) -> Connection | None: ...
    def cancel(self, user: Upstream) -> None: ...


class Observer(Protocol):
    """Who is told what happened. Facts only: formatting, counting and writing are its own business."""

    def attempt_failed(
        self, request_id: bytes, provider: str, attempt: int, reason: str, outcome: str, detail: str
    ) -> None:
        """An attempt brought nothing that a client wants, unless it was the last."""

    def tried_again(self, request_id: bytes, before: str, after: str, reason: str, delay_s: float) -> None:
        """Another attempt follows `reason`: a retry where `after` is `before`, else a fallback."""

    def stream_broken(self, request_id: bytes, provider: str, reason: str, detail: str) -> None:
        """A response broke off after its beginning had gone to the client."""

    def started(self, request: Request) -> Trace | None:
        """A request begins to be answered; the result is the trace that it belongs to."""

    def finished(self, exchange: Finished, now: float) -> None:
        """A request has its answer, or its client has left."""

    def turned_away(self, status: int, code: str) -> None:
        """A connection got an answer before anything of a request was known."""

    def refused(self, request: Request, request_id: bytes, status: int, code: str, now: float) -> None:
        """A request was refused before a provider was chosen."""
