"""What several settings must agree on. What one setting may be by itself stands in schema.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import msgspec

from gateway.config.check_models import check_models, known_provider
from gateway.config.cycles import find_cycles
from gateway.config.formats import WAYS
from gateway.config.problem import Problem, child, shown
from gateway.config.schema import Admin, Config, Provider, Server, Tracing

__all__ = ["check"]

_ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - they are compared with, not listened on


def check(config: Config) -> list[Problem]:
    """Return every disagreement; none if the configuration can be used.

    It reads no clock and no network; of the file system only whether what is named exists.
    """
    return [
        *_server(config.server),
        *_providers(config.providers),
        *_cycles(config.providers),
        *known_provider(config.default_provider, "default_provider", config.providers),
        *check_models(config.models, config.providers),
        *_tracing(config.tracing),
    ]


def _server(server: Server) -> Iterator[Problem]:
    yield from _not_above(server.limits, "server.limits", "max_body", "max_buffered")
    if server.tls is not None:
        yield from _file(server.tls.cert, "server.tls.cert")
        yield from _file(server.tls.key, "server.tls.key")
    if server.admin is not None and server.unix is None:
        yield from _admin(server, server.admin)


def _admin(server: Server, admin: Admin) -> Iterator[Problem]:
    """Refuse a listener for the operator's pages where the public one already is."""
    host = server.host if admin.host is None else admin.host
    port = server.port if admin.port is None else admin.port
    moved = admin.host is not None or admin.port is not None
    overlap = host == server.host or not _ANY_ADDRESS.isdisjoint((host, server.host))
    if moved and overlap and port == server.port != 0:
        name = "host" if admin.port is None else "port"
        yield Problem(
            child("server.admin", name),
            f"puts the pages on {host} port {port}, where the API is (use another port; to leave them there, "
            "leave out host and port)",
            reads=("server.host", "server.port", "server.admin.host", "server.admin.port"),
        )


def _providers(providers: dict[str, Provider]) -> Iterator[Problem]:
    if not providers:
        yield Problem("providers", "there is none (name at least one, such as `local: {format: mock}`)")
    for name, provider in providers.items():
        path = child("providers", name)
        yield from _format(provider, path)
        yield from _keys(provider, path)
        yield from _headers(provider, path)
        yield from known_provider(provider.fallback_provider, child(path, "fallback_provider"), providers)
        yield from _not_above(provider.retry, child(path, "retry"), "base_delay", "max_delay")
        yield from _not_above(provider.timeouts, child(path, "timeouts"), "connect", "total")
        yield from _not_above(provider.timeouts, child(path, "timeouts"), "first_byte", "total")
        if provider.ca_file is not None:
            yield from _file(provider.ca_file, child(path, "ca_file"))


def _format(provider: Provider, path: str) -> Iterator[Problem]:
    """Refuse settings that the provider's format lacks or does not know."""
    reads = (child(path, "format"),)
    if provider.base_url is None and provider.format != "mock":
        message = f'is required where format is {provider.format} (use "https://host" or "http://host:port")'
        yield Problem(child(path, "base_url"), message, reads=reads)
    if provider.api_version is not None and provider.format != "azure":
        message = f"is for format azure, and format is {provider.format} (leave it out)"
        yield Problem(child(path, "api_version"), message, reads=reads)
    if provider.mock is not None and provider.format != "mock":
        message = f"is for format mock, and format is {provider.format} (leave it out)"
        yield Problem(child(path, "mock"), message, reads=reads)
    ways = WAYS.get(provider.format)
    if ways is None:
        return  # the stand-in for a format that was refused
    for name, way, known in (
        ("responses", provider.responses, ways.responses),
        ("messages", provider.messages, ways.messages),
    ):
        if way is not None and way not in known:
            message = f"cannot be {way} where format is {provider.format} (leave it out: it is {known[0]})"
            yield Problem(child(path, name), message, reads=reads)


def _keys(provider: Provider, path: str) -> Iterator[Problem]:
    """Refuse keys beside a key, and one that is given twice: it would be in use while it rests."""
    where = child(path, "api_keys")
    if provider.api_key is not None and provider.api_keys:
        message = "is set, and api_key is too (leave one of them out)"
        yield Problem(where, message, reads=(child(path, "api_key"),))
    for index, key in enumerate(provider.api_keys):
        first = provider.api_keys.index(key)
        if first != index:
            yield Problem(child(where, index), f"is the same key as {child(where, first)} (leave it out)")


def _headers(provider: Provider, path: str) -> Iterator[Problem]:
    """Refuse names that differ only in case (RFC 9110 5.1: they are one field)."""
    first: dict[str, str] = {}
    for name in provider.headers:
        other = first.setdefault(name.lower(), name)
        if other != name:
            where = child(path, "headers", name)
            yield Problem(where, f"is the same field as {shown(other)} (leave one of them out)")


def _cycles(providers: dict[str, Provider]) -> Iterator[Problem]:
    """Refuse fallbacks that lead back to where they began; each cycle is told once."""
    fallbacks = {
        name: () if provider.fallback_provider is None else (provider.fallback_provider,)
        for name, provider in providers.items()
    }
    for cycle in find_cycles(fallbacks):
        rule = "names itself" if len(cycle) == 1 else "forms a cycle"
        yield Problem(
            child("providers", cycle[0], "fallback_provider"),
            f"{rule}: {' -> '.join([*cycle, cycle[0]])}"
            " (a chain of fallbacks must end in a provider without one)",
        )


def _tracing(tracing: Tracing) -> Iterator[Problem]:
    if tracing.enabled and not _can_export():
        message = "needs OpenTelemetry, which is not installed (pip install '.[otel]')"
        yield Problem("tracing.enabled", message)


def _can_export() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def _not_above(block: msgspec.Struct, path: str, name: str, bound: str) -> Iterator[Problem]:
    """Refuse a setting that another one makes pointless.

    A default is never refused: to set the bound alone is the plain way to say what is wanted.
    """
    value, limit = getattr(block, name), getattr(block, bound)
    if value > limit and value != getattr(type(block)(), name):
        message = f"{value:.12g} is more than {bound}, which is {limit:.12g} (lower it, or raise {bound})"
        yield Problem(child(path, name), message, reads=(child(path, bound),))


def _file(name: str, path: str) -> Iterator[Problem]:
    if not os.path.isfile(name):
        yield Problem(path, f"{shown(name)} is not a file (a path is relative to the working directory)")
