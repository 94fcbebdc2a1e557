"""What the gateway says itself: the error for each fault of a provider, and the fields on every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.errors import SERVER, TIMEOUT, UNAVAILABLE, UPSTREAM, Fault, GatewayError

if TYPE_CHECKING:
    from gateway.providers.base import Provider

# Milliseconds of all that most requests cost the gateway, ready to be written.
_MILLISECONDS: Final = tuple(b"%d.%03d" % divmod(us, 1000) for us in range(2048))
_TIMED_OUT: Final = {"first_byte": "sent no response", "idle": "sent nothing more", "total": "was not done"}


def fault_error(fault: Fault, detail: str, provider: Provider, first: Provider) -> GatewayError:
    """The answer where an attempt at `provider` ended in `fault`, and nothing more is tried.

    `detail` is the setting that ran out for a TIMEOUT (`total` is that of `first` in the chain), else a
    sentence without its stop.
    """
    name = provider.name
    if fault is Fault.TIMEOUT:
        owner = first if detail == "total" else provider
        limit_s = getattr(owner.timeouts, detail)
        setting = f"providers.{owner.name}.timeouts.{detail}"
        message = f"Provider '{name}' {_TIMED_OUT[detail]} within {limit_s:g} s ({setting})."
        return GatewayError(504, TIMEOUT, "upstream_timeout", message)
    if fault is Fault.SATURATED:
        message = f"Provider '{name}' is used to capacity: {detail} (providers.{name}.pool)."
        return GatewayError(503, UNAVAILABLE, "overloaded", message, retry_after_s=1.0)
    return GatewayError(502, UPSTREAM, f"upstream_{fault.value}", f"Provider '{name}' failed: {detail}.")


def internal_error() -> GatewayError:
    """The answer where the gateway itself failed."""
    message = "The gateway could not handle the answer; its log says why."
    return GatewayError(500, SERVER, "internal_error", message)


def shutting_down() -> GatewayError:
    """The answer to what is still under way when the time to drain is over."""
    message = "The gateway is being shut down, and the time for the answer is over; send the request again."
    return GatewayError(503, UNAVAILABLE, "shutting_down", message, retry_after_s=1.0)


def stream_error(error: dict[str, Any]) -> GatewayError:
    """The answer where a stream began with `error`, as 502 and otherwise unchanged."""
    code, param = error.get("code"), error.get("param")
    return GatewayError(
        502,
        str(error.get("type") or UPSTREAM),
        None if code is None else str(code),
        str(error.get("message") or "The provider's stream began with an error."),
        param=None if param is None else str(param),
    )


def own_fields(
    name_field: bytes,
    attempts: int,
    gateway_s: float,
    upstream_s: float,
    waited_s: float,
    request_id: bytes | None,
) -> bytes:
    """The header lines that the gateway adds to every answer: who gave it, and what it cost.

    `gateway_s` is the gateway's own share of the time, `upstream_s` that of the providers, `waited_s` the
    delays between attempts; in `server-timing` they stand in milliseconds. `request_id` is for an answer
    that has none of the provider's.
    """
    us = int(gateway_s * 1e6)
    gateway = _MILLISECONDS[us] if 0 <= us < 2048 else _milliseconds(gateway_s)
    us = int(upstream_s * 1e6)
    upstream = _MILLISECONDS[us] if 0 <= us < 2048 else _milliseconds(upstream_s)
    if request_id is not None and not waited_s:
        return b"%b%d\r\nserver-timing: gateway;dur=%b, upstream;dur=%b\r\nx-request-id: %b\r\n" % (
            name_field,
            attempts,
            gateway,
            upstream,
            request_id,
        )
    timing = b"server-timing: gateway;dur=%b, upstream;dur=%b" % (gateway, upstream)
    lines = b"%b%d\r\n%b" % (name_field, attempts, timing)
    if waited_s:
        lines += b", backoff;dur=" + _milliseconds(waited_s)
    if request_id is not None:
        lines += b"\r\nx-request-id: " + request_id
    return lines + b"\r\n"


def _milliseconds(seconds: float) -> bytes:
    return b"%.3f" % max(0.0, seconds * 1e3)
