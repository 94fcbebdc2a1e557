"""Every setting, its type, its range and its default. Field names are the keys of the YAML file.

The structs are frozen: a reload makes a new `Config`. Durations are float seconds, sizes are bytes.
An annotation such as `Duration` is a plain type to whoever uses the value; to the loader it also names the
function that reads the text and knows the range (see build.py). What several settings say together is in
check.py.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from gateway.config import names, units
from gateway.config.secret import Secret

__all__ = [
    "Admin",
    "CircuitBreaker",
    "Config",
    "Format",
    "Level",
    "Limits",
    "LogFormat",
    "Logging",
    "Mock",
    "Model",
    "Pool",
    "Price",
    "Provider",
    "Retry",
    "Server",
    "ServerTimeouts",
    "Tls",
    "Tracing",
    "UpstreamTimeouts",
    "Usage",
]

Format = Literal["openai", "azure", "anthropic", "gemini", "mock"]
Level = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "console"]

Bool = Annotated[bool, units.boolean]
Count = Annotated[int, units.whole(1, 1_000_000)]
CountFromZero = Annotated[int, units.whole(0, 1_000_000)]
Delay = Annotated[float, units.duration()]
Duration = Annotated[float, units.duration(0.001)]
FieldName = Annotated[str, names.field_name]
FieldValue = Annotated[Secret, names.field_value]
Host = Annotated[str, names.host]
Key = Annotated[Secret, names.secret]
Line = Annotated[str, names.line]
Port = Annotated[int, units.whole(0, 65535)]
ProviderName = Annotated[str, names.provider_name]
Share = Annotated[float, units.number(0, 1)]
Size = Annotated[int, units.size]

DEFAULT_RETRIES = 3


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gateway accepts from its clients before it says no.

    max_connections: client connections of each worker; None = 45 % of the descriptor limit.
    max_body: bytes of one request body.
    max_header: bytes of one head, of a request or of a provider's response.
    max_buffered: bytes of request bodies that each worker holds at one time.
    """

    max_connections: Count | None = None
    max_body: Size = 32 << 20
    max_header: Size = 64 << 10
    max_buffered: Size = 256 << 20


class ServerTimeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the gateway waits for its clients, in seconds.

    header: from accept, or from the first byte of a later request, to the end of the head. Absolute.
    body: from the end of the head to the end of the body. Absolute.
    keepalive: between two requests on one connection.
    drain: from SIGTERM until requests in flight are cut; 0 = at once.
    """

    header: Duration = 10.0
    body: Duration = 60.0
    keepalive: Duration = 75.0
    drain: Delay = 30.0


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """PEM files: the server's certificate chain and its private key."""

    cert: Line
    key: Line


class Admin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the operator's pages are, and what opens them. Any subset may be set.

    host, port: a listener of their own for the pages; None = that of the server. Port 0 = any free one.
    api_key: asked for on the pages as Bearer or Basic; None = open.
    """

    host: Host | None = None
    port: Port | None = None
    api_key: Key | None = None


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The side that faces the clients.

    host, port: the TCP address to listen on; port 0 = any free one.
    workers: processes, 1 to 1024; `auto` in the file has become the number of usable cores.
    unix: path of a unix socket to listen on; at most 107 bytes.
    api_keys: a client must send one of these; empty = open to all.
    cors_origins: origins that a browser may call from; `*` = all.
    """

    host: Host = "127.0.0.1"
    port: Port = 4000
    workers: Annotated[int, units.workers] = 1
    unix: Annotated[str, names.socket_path] | None = None
    api_keys: tuple[Key, ...] = ()
    limits: Limits = Limits()
    timeouts: ServerTimeouts = ServerTimeouts()
    tls: Tls | None = None
    cors_origins: tuple[Annotated[str, names.origin], ...] = ()
    admin: Admin | None = None


class CircuitBreaker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a provider is left alone, and how it is tried again.

    max_failures: consecutive failures that open the circuit, at least 1.
    timeout: seconds from opening to half-open.
    half_open_probes: requests let through while half-open, 1 to 64.
    """

    enabled: Bool = True
    max_failures: Count = 5
    timeout: Duration = 30.0
    half_open_probes: Annotated[int, units.whole(1, 64)] = 1


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The wait before the n-th retry: min(max_delay, base_delay * multiplier ** (n - 1)), in seconds.

    multiplier: 1 to 100.
    jitter: the share of each wait that is random, 0 to 1.
    """

    base_delay: Delay = 1.0
    multiplier: Annotated[float, units.number(1, 100)] = 2.0
    max_delay: Delay = 30.0
    jitter: Share = 0.0


class UpstreamTimeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the gateway waits for a provider, in seconds.

    connect: name lookup, TCP and TLS, for each attempt.
    first_byte: from the request's last byte to the response's first, for each attempt.
    idle: between two reads of a response; it does not run while the gateway has paused reading.
    total: of the first provider: up to the first byte sent to the client, retries and waits included.
    """

    connect: Duration = 5.0
    first_byte: Duration = 120.0
    idle: Duration = 60.0
    total: Duration = 600.0


class Pool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Connections to one provider, in each worker.

    max_connections: those open at one time, at least 1.
    max_queue: requests that wait for a connection; 0 = none waits.
    queue_timeout: seconds that one waits.
    idle_timeout: seconds that an unused connection is kept; below the 5 s at which vLLM and SGLang close it.
    """

    max_connections: Count = 8192
    max_queue: CountFromZero = 1024
    queue_timeout: Delay = 5.0
    idle_timeout: Delay = 4.0


class Mock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a provider of format `mock` behaves.

    reply: the text it answers with; None = a sentence of its own.
    latency: seconds before the head.
    event_interval: seconds between two events of a stream.
    fault: what goes wrong with every request; the mock provider knows the names.
    faults: what goes wrong with the first requests, in order; `ok` = nothing.
    """

    reply: Annotated[str, names.free_text] | None = None
    latency: Delay = 0.0
    event_interval: Delay = 0.0
    fault: Line | None = None
    faults: tuple[Line, ...] = ()


class Usage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the tokens of streams are counted.

    inject: ask for the usage of a stream whose client did not, and take it out of what the client gets.
    """

    inject: Bool = False


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One upstream: where it is, what it speaks, and what is done when it fails.

    base_url: absolute http or https URL; None only where format is mock.
    api_key: sent as the format asks for it; None = no key is sent.
    api_version: of Azure; None = the /openai/v1 routes.
    ca_file: PEM file of authorities to trust; None = those of the system.
    headers: fields added to each request; their values may be credentials.
    max_retries: further attempts after the first, 0 to 100. None: see `retries`.
    fallback_provider: name of the provider that is asked when this one has failed.
    circuit_breaker: None: see `breaker`.
    """

    format: Format
    base_url: Annotated[str, names.base_url] | None = None
    api_key: Key | None = None
    api_version: Line | None = None
    ca_file: Line | None = None
    headers: dict[FieldName, FieldValue] = {}
    max_retries: Annotated[int, units.whole(0, 100)] | None = None
    fallback_provider: ProviderName | None = None
    circuit_breaker: CircuitBreaker | None = None
    retry: Retry = Retry()
    timeouts: UpstreamTimeouts = UpstreamTimeouts()
    pool: Pool = Pool()
    usage: Usage = Usage()
    mock: Mock | None = None

    @property
    def wrapped(self) -> bool:
        """Whether any resilience is configured; a provider that has none gets one attempt and no more."""
        given = (self.max_retries, self.fallback_provider, self.circuit_breaker)
        return any(setting is not None for setting in given)

    @property
    def retries(self) -> int:
        """Attempts after the first one: `max_retries` as given, else 3 for a wrapped provider, else 0."""
        if self.max_retries is not None:
            return self.max_retries
        return DEFAULT_RETRIES if self.wrapped else 0

    @property
    def breaker(self) -> CircuitBreaker | None:
        """The breaker in effect: as given unless disabled, and on by itself where there is a fallback."""
        if self.circuit_breaker is not None:
            return self.circuit_breaker if self.circuit_breaker.enabled else None
        return CircuitBreaker() if self.fallback_provider is not None else None


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where requests for one public model name or pattern go.

    model: the name that the provider knows; None = the name that the client sent.
    """

    provider: ProviderName
    model: Line | None = None


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars for a million tokens of one model, for `gateway_cost_usd_total`.

    cached_input: for input tokens that the provider had in its cache; None = as `input`.
    """

    input: Annotated[float, units.number(0, 1_000_000)]
    output: Annotated[float, units.number(0, 1_000_000)] = 0.0
    cached_input: Annotated[float, units.number(0, 1_000_000)] | None = None


class Logging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """access: one more line for each request."""

    level: Level = "info"
    format: LogFormat = "json"
    access: Bool = False


class Tracing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The export of spans by OpenTelemetry's protocol (OTLP over HTTP); needs the extra `otel`.

    endpoint: the collector's URL with its path.
    sample: the share of the traces begun here that are recorded, 0 to 1; a client's own word is kept.
    service_name: what the spans say that they come from.
    """

    enabled: Bool = False
    endpoint: Annotated[str, names.base_url] = "http://localhost:4318/v1/traces"
    sample: Share = 1.0
    service_name: Line = "gateway"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file.

    providers, models: by name, in the order of the file. A name in `models` may hold `*` anywhere.
    prices: by the name that the provider knows, or else the one that the client sends.
    default_provider: where a name goes that no rule fits; None: see the routing rules.
    """

    server: Server = Server()
    providers: dict[ProviderName, Provider] = {}
    models: dict[Line, Model] = {}
    prices: dict[Line, Price] = {}
    default_provider: ProviderName | None = None
    logging: Logging = Logging()
    tracing: Tracing = Tracing()
