"""What happens to requests and circuits, as log events."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

_log = logging.getLogger("gateway")


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Labelled(Protocol):
    @property
    def label(self) -> str: ...
    @property
    def model(self) -> str: ...


class _Requested(Protocol):
    @property
    def method(self) -> bytes: ...
    @property
    def path(self) -> bytes: ...
    @property
    def received_s(self) -> float: ...


class Finished(Protocol):
    """A request that has its answer, or whose client has left (status 499)."""

    @property
    def request(self) -> _Requested: ...
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


class Events:
    """Turns facts into log events. `access` adds a line for each request."""

    def __init__(self, *, access: bool, wall_clock: Callable[[], float]) -> None:
        self.access = access
        self._wall_clock = wall_clock

    def attempt_failed(
        self, request_id: bytes, provider: str, attempt: int, reason: str, outcome: str, detail: str
    ) -> None:
        """An attempt failed or was turned away."""
        fields = {"request_id": _text(request_id), "provider": provider, "attempt": attempt}
        self._tell(logging.WARNING, "upstream_error", **fields, reason=reason, outcome=outcome, detail=detail)

    def tried_again(self, request_id: bytes, before: str, after: str, reason: str, delay_s: float) -> None:
        """A retry at the same provider, or a fallback to another."""
        fields = {"request_id": _text(request_id), "provider": before, "reason": reason}
        if before == after:
            self._tell(logging.INFO, "retry", **fields, delay_s=round(delay_s, 3))
        else:
            self._tell(logging.WARNING, "fallback", **fields, to=after)

    def stream_broken(self, request_id: bytes, provider: str, reason: str, detail: str) -> None:
        """A response broke off before the client's eyes."""
        fields = {"request_id": _text(request_id), "provider": provider}
        self._tell(logging.WARNING, "stream_broken", **fields, reason=reason, detail=detail)

    def finished(self, exchange: Finished, now: float) -> None:
        """A request is over."""
        if self.access:
            self._tell(
                logging.INFO,
                "access",
                request_id=_text(exchange.request_id),
                method=_text(exchange.request.method),
                path=_text(exchange.request.path),
                status=exchange.status,
                provider=exchange.provider.name,
                model=exchange.route.label,
                attempts=exchange.attempts,
                duration_ms=round((now - exchange.request.received_s) * 1000.0, 3),
                upstream_ms=round(exchange.upstream_s * 1000.0, 3),
            )

    def refused(self, status: int) -> None:
        """A request was refused before a provider was chosen."""
        if self.access:
            self._tell(logging.INFO, "access", status=status)

    def circuit_changed(
        self, provider: str, before: str, after: str, reason: str, failures: int, open_for_s: float
    ) -> None:
        """A circuit opened, became half-open or closed. `open_for_s` is how long it will stay open."""
        level = logging.WARNING if after == "open" else logging.INFO
        fields: dict[str, object] = {"provider": provider, "from": before, "to": after, "reason": reason}
        if open_for_s > 0.0:
            until = rfc3339(self._wall_clock() + open_for_s)
            self._tell(level, "circuit", **fields, failures=failures, until=until)
        else:
            self._tell(level, "circuit", **fields, failures=failures)

    @staticmethod
    def _tell(level: int, event: str, **fields: object) -> None:
        if _log.isEnabledFor(level):
            _log.log(level, event, extra={"event": event, **fields})


def rfc3339(at: float) -> str:
    """A time, in seconds since the epoch, as text in UTC with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(data: bytes) -> str:
    return data.decode("latin-1")
