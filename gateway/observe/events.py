"""What happens to requests and circuits, as log events."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

from gateway.observe.log import tell

_MAX_TEXT: Final = 256


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Labelled(Protocol):
    @property
    def label(self) -> str: ...
    @property
    def model(self) -> str: ...


class Requested(Protocol):
    """What is written of a client's request; `received_s` is in seconds of the monotonic clock."""

    @property
    def method(self) -> bytes: ...
    @property
    def path(self) -> bytes: ...
    @property
    def received_s(self) -> float: ...


class Finished(Protocol):
    """A request that has its answer, or whose client has left (status 499)."""

    @property
    def request(self) -> Requested: ...
    @property
    def route(self) -> _Labelled: ...
    @property
    def provider(self) -> _Named: ...
    @property
    def request_id(self) -> bytes: ...
    @property
    def status(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def upstream_s(self) -> float: ...
    @property
    def provider_request_id(self) -> bytes | None: ...


CLIENT_LEFT: Final = 499
"""The status under which a request is told whose client left (nginx's): it never goes on a wire."""


class Events:
    """Turns facts into log events. `access` adds a line for each request.

    What clients and providers wrote is cut to a bounded length; of a path the query is left out.
    """

    def __init__(self, *, access: bool, wall_clock: Callable[[], float]) -> None:
        self.access = access
        self._wall_clock = wall_clock

    def attempt_failed(
        self, request_id: bytes, provider: str, attempt: int, reason: str, outcome: str, detail: str
    ) -> None:
        """An attempt failed or was turned away."""
        fields = {"request_id": _text(request_id), "provider": provider, "attempt": attempt}
        fields |= {"reason": reason, "outcome": outcome, "detail": detail[:_MAX_TEXT]}
        tell(logging.WARNING, "upstream_error", **fields)

    def tried_again(self, request_id: bytes, before: str, after: str, reason: str, delay_s: float) -> None:
        """A retry at the same provider, or a fallback to another."""
        fields = {"request_id": _text(request_id), "provider": before, "reason": reason}
        if before == after:
            tell(logging.INFO, "retry", **fields, delay_s=round(delay_s, 3))
        else:
            tell(logging.WARNING, "fallback", **fields, to=after)

    def stream_broken(self, request_id: bytes, provider: str, reason: str, detail: str) -> None:
        """A response broke off before the client's eyes."""
        fields = {"request_id": _text(request_id), "provider": provider}
        tell(logging.WARNING, "stream_broken", **fields, reason=reason, detail=detail[:_MAX_TEXT])

    def finished(self, exchange: Finished, now: float) -> None:
        """A request is over: told with `access`, or where the client left before it had its answer."""
        if self.access:
            fields = _of_exchange(exchange, now)
            if exchange.provider_request_id is not None:
                fields["provider_request_id"] = _text(exchange.provider_request_id)
            tell(logging.INFO, "access", **fields)
        elif exchange.status == CLIENT_LEFT:
            tell(logging.INFO, "client_left", **_of_exchange(exchange, now))

    def turned_away(self, status: int, code: str) -> None:
        """A connection got an answer before anything of a request was known."""
        tell(logging.WARNING, "turned_away", status=status, code=code)

    def refused(self, request: Requested, request_id: bytes, status: int, code: str, now: float) -> None:
        """A request was refused before a provider was chosen."""
        if self.access:
            tell(logging.INFO, "access", **_of_request(request, request_id, status, now), code=code)

    def circuit_changed(
        self, provider: str, before: str, after: str, reason: str, failures: int, open_for_s: float
    ) -> None:
        """A circuit opened, became half-open or closed. `open_for_s` is how long it will stay open."""
        level = logging.WARNING if after == "open" else logging.INFO
        fields: dict[str, object] = {"provider": provider, "from": before, "to": after, "reason": reason}
        if open_for_s > 0.0:
            until = rfc3339(self._wall_clock() + open_for_s)
            tell(level, "circuit", **fields, failures=failures, until=until)
        else:
            tell(level, "circuit", **fields, failures=failures)


def rfc3339(at: float) -> str:
    """A time, in seconds since the epoch, as text in UTC with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _of_request(request: Requested, request_id: bytes, status: int, now: float) -> dict[str, object]:
    return {
        "request_id": _text(request_id),
        "method": _text(request.method),
        "path": _text(request.path),
        "status": status,
        "duration_ms": _milliseconds(now - request.received_s),
    }


def _of_exchange(exchange: Finished, now: float) -> dict[str, object]:
    fields = _of_request(exchange.request, exchange.request_id, exchange.status, now)
    fields |= {"provider": exchange.provider.name, "model": exchange.route.label}
    fields |= {"attempts": exchange.attempts, "upstream_ms": _milliseconds(exchange.upstream_s)}
    return fields


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000.0, 3)


def _text(data: bytes) -> str:
    return data[:_MAX_TEXT].decode("latin-1")
