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
from gateway.config.formats import WAYS, Format, Way
from gateway.config.key_file import key_file
from gateway.config.secret import Secret

__all__ = [
    "Admin",
    "CircuitBreaker",
    "Config",
    "Fallbacks",
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
    "Session",
    "Strategy",
    "Target",
    "Tls",
    "Tracing",
    "UpstreamTimeouts",
    "Usage",
]

Strategy = Literal["weighted", "least_inflight", "lowest_latency", "session"]
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
Key = Annotated[Secret, names.secret, key_file]
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
    """Makes the listener speak TLS; a reload reads the files anew.

    cert: file with the certificate chain, PEM.
    key: file with its private key, PEM, not encrypted.
    """

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
    workers: processes, 1 to 1024; `auto` in the file becomes the number of usable cores.
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

    enabled: False = off, even where there is a fallback.
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

    base_delay: the first wait.
    multiplier: how much longer each wait is than the one before, 1 to 100.
    max_delay: the longest wait; a Retry-After beyond it is not waited for.
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

    format: the API that it speaks; `mock` lives in the gateway itself.
    base_url: absolute http or https URL, with or without the format's prefix; None only where format is mock.
    api_key: sent as the format asks for it; None = no key is sent.
    api_keys: several keys, sent in turn; one that the provider refuses rests. Not beside `api_key`.
    api_version: of Azure; None = the /openai/v1 routes.
    ca_file: PEM file of authorities to trust; None = those of the system.
    headers: fields added to each request; their values may be credentials.
    responses: how /v1/responses is served: `native` = by the provider itself, `chat` = translated to chat
        completions. None: native where the format has it.
    messages: how /v1/messages is served, likewise. None: native where format is anthropic.
    drop_unsupported: leave out parameters that a translation cannot express; False = refuse them with a 400.
    max_retries: further attempts after the first, 0 to 100; None = 3 with a fallback or a breaker, else 0.
    fallback_provider: name of the provider that is asked when this one has failed.
    circuit_breaker: None = one with its defaults where there is a fallback, else none.
    mock: for format `mock` only.
    """

    format: Format
    base_url: Annotated[str, names.base_url] | None = None
    api_key: Key | None = None
    api_keys: tuple[Key, ...] = ()
    api_version: Line | None = None
    ca_file: Line | None = None
    headers: dict[FieldName, FieldValue] = {}
    responses: Way | None = None
    messages: Way | None = None
    drop_unsupported: Bool = False
    max_retries: Annotated[int, units.whole(0, 100)] | None = None
    fallback_provider: ProviderName | None = None
    circuit_breaker: CircuitBreaker | None = None
    retry: Retry = Retry()
    timeouts: UpstreamTimeouts = UpstreamTimeouts()
    pool: Pool = Pool()
    usage: Usage = Usage()
    mock: Mock | None = None

    @property
    def keys(self) -> tuple[Secret, ...]:
        """The keys to send in turn; none where no key is sent."""
        return self.api_keys if self.api_key is None else (self.api_key,)

    @property
    def has_responses(self) -> bool:
        """Whether the provider is asked on /v1/responses itself: `responses` as given, else by its format."""
        return (self.responses or WAYS[self.format].responses[0]) == "native"

    @property
    def has_messages(self) -> bool:
        """Whether the provider is asked on /v1/messages itself: `messages` as given, else by its format."""
        return (self.messages or WAYS[self.format].messages[0]) == "native"

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


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of several places where requests for a model go.

    provider: its name.
    model: the name that the provider knows; None = the name that the client sent.
    weight: its share beside the other targets' weights, 0 to 1000000; 0 = only when no other is left.
    """

    provider: ProviderName
    model: Line | None = None
    weight: Annotated[float, units.number(0, 1_000_000)] = 1.0


class Session(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes requests one session, which stays with one target.

    header: the request's field whose value names the session; without it the `user` of the body does.
    """

    header: Annotated[str, names.session_field] | None = None


class Fallbacks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model that is asked instead when a provider refuses a request for what is in it.

    A name under `models`, or `provider/model`.

    context_window: when the request is longer than the model's context.
    content_policy: when a content filter has stopped it.
    """

    context_window: Line | None = None
    content_policy: Line | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where requests for one public model name or pattern go: to a `provider`, or to one of `targets`.

    provider: its name; None where there are targets.
    model: the name that the provider knows; None = the name that the client sent.
    targets: one of them is chosen, and the others are asked when it has failed.
    strategy: how one of the targets is chosen; None = weighted.
    session: for strategy `session`; None = by the `user` of the body.
    fallbacks: by kind of refusal, beside the `fallback_provider` for failures.
    """

    provider: ProviderName | None = None
    model: Line | None = None
    targets: tuple[Target, ...] = ()
    strategy: Strategy | None = None
    session: Session | None = None
    fallbacks: Fallbacks = Fallbacks()


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars for a million tokens of one model, for `gateway_cost_usd_total`.

    input: for input tokens.
    output: for output tokens.
    cached_input: for input tokens that the provider had in its cache; None = as `input`.
    """

    input: Annotated[float, units.number(0, 1_000_000)]
    output: Annotated[float, units.number(0, 1_000_000)] = 0.0
    cached_input: Annotated[float, units.number(0, 1_000_000)] | None = None


class Logging(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is logged, and how it looks.

    level: the least important events to log.
    format: one JSON object a line, or lines for a person.
    access: one more line for each request.
    """

    level: Level = "info"
    format: LogFormat = "json"
    access: Bool = False


class Tracing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The export of spans by OpenTelemetry's protocol (OTLP over HTTP); needs the extra `otel`.

    enabled: record a span for each request and one for each attempt.
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

    providers: by name; the first one is the default provider unless `default_provider` names another.
    models: by public name, in which `*` is any text; without any rule, all names go to the default provider.
    prices: by the name that the provider knows, or else the one that the client sends.
    default_provider: where a name goes that no rule fits; None = nowhere, where there are rules.
    """

    server: Server = Server()
    providers: dict[ProviderName, Provider] = {}
    models: dict[Line, Model] = {}
    prices: dict[Line, Price] = {}
    default_provider: ProviderName | None = None
    logging: Logging = Logging()
    tracing: Tracing = Tracing()
