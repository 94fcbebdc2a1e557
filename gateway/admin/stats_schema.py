"""The answer of `GET /stats`, member by member: docs/stats.md and docs/stats.schema.json are made from this.

Names carry their unit: `_s` is seconds, `_per_s` a rate, `_usd` US dollars, `_at` a time in RFC 3339 (UTC). A
number is null where there is nothing to make it from. Members may be added; none changes its meaning.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Rate = Annotated[float, Meta(ge=0)] | None
Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
CircuitState = Literal["closed", "half-open", "open"]


class _Member(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An object of the answer. Strict, so that a test that reads an answer with it proves the schema."""


class Percentiles(_Member):
    """Percentiles, interpolated in the histogram's buckets; null where nothing was observed."""

    p50: Annotated[
        Seconds | None, Meta(description="Half of the observations were at most this, in seconds.")
    ]
    p90: Annotated[Seconds | None, Meta(description="90 % of them.")]
    p99: Annotated[Seconds | None, Meta(description="99 % of them.")]


class Errors(
    _Member, rename={"client": "4xx", "limited": "429", "gone": "499", "server": "5xx", "timeout": "504"}
):
    """Requests by what went wrong, as their clients saw it; each is in one class only."""

    client: Annotated[Count, Meta(description="Another 4xx: the request was at fault.")]
    limited: Annotated[Count, Meta(description="Too many requests.")]
    gone: Annotated[Count, Meta(description="The client left before its answer was whole.")]
    server: Annotated[Count, Meta(description="Another 5xx.")]
    timeout: Annotated[Count, Meta(description="The provider, or the time for the request, ran out.")]


class Attempts(_Member):
    """Attempts at a provider by what they say about its health."""

    success: Annotated[Count, Meta(description="It works.")]
    failure: Annotated[Count, Meta(description="It failed; these open circuits.")]
    neutral: Annotated[Count, Meta(description="Nothing is known: a 4xx, a client that left.")]


class Tokens(_Member):
    """Tokens by the providers' own count."""

    input: Annotated[Count, Meta(description="Of prompts.")]
    output: Annotated[Count, Meta(description="Of answers.")]
    cached: Annotated[Count, Meta(description="Those of `input` that the provider had in its cache.")]
    reasoning: Annotated[Count, Meta(description="Those of `output` that were reasoning.")]


class Traffic(_Member):
    """Data requests that ended in a window."""

    requests: Annotated[Count, Meta(description="How many ended, whatever the result.")]
    requests_per_s: Annotated[Rate, Meta(description="The same a second; null in a window of less than 1 s.")]
    errors: Annotated[Errors, Meta(description="Those that did not succeed.")]
    errors_per_s: Annotated[
        Rate, Meta(description="429, 5xx and 504 a second: what a client would want tried again.")
    ]
    latency_s: Annotated[Percentiles, Meta(description="From the whole request to the end of its answer.")]
    first_byte_s: Annotated[
        Percentiles, Meta(description="From the whole request to the first byte of its answer.")
    ]
    tokens: Annotated[Tokens, Meta(description="What the requests used, where their providers told it.")]
    tokens_per_s: Annotated[Rate, Meta(description="`input` and `output` a second.")]
    cost_usd: Annotated[
        float | None, Meta(description="By the configured prices; null where no price is known.")
    ]


class ModelTraffic(Traffic):
    """The requests of one model at one provider."""

    model: Annotated[
        str, Meta(description="As configured: its name, else the pattern that it fits, else `other`.")
    ]


class Fallbacks(_Member):
    """Requests passed on between a provider and one other."""

    peer: Annotated[str, Meta(description="The other provider.")]
    reason: Annotated[str, Meta(description="Why, as in `gateway_fallbacks_total`.")]
    count: Annotated[Count, Meta(description="How many.")]


class ProviderTraffic(Traffic):
    """The requests that a provider answered last, and what happened to its attempts."""

    provider: Annotated[str, Meta(description="Its name; it may be one that is configured no more.")]
    attempts: Annotated[
        Attempts,
        Meta(description="Attempts at this provider, the failed ones of requests too that others answered."),
    ]
    broken: Annotated[
        Count,
        Meta(description="Answers that broke off after their first bytes; in `errors` they are not."),
    ]
    retries: Annotated[
        dict[str, Count], Meta(description="Further attempts at it, by reason as in `gateway_retries_total`.")
    ]
    fallbacks_out: Annotated[
        list[Fallbacks], Meta(description="Requests that others were asked for in its place.")
    ]
    fallbacks_in: Annotated[
        list[Fallbacks], Meta(description="Requests it was asked for in another's place.")
    ]
    models: Annotated[list[ModelTraffic], Meta(description="The same by model, busiest first.")]


class Window(_Member):
    """What happened in the time up to now, over all workers."""

    seconds: Annotated[
        Seconds,
        Meta(
            description="The time really covered. Less than the window's name says while the gateway, or the"
            " worker that answers, is young; it moves in steps of 5 s."
        ),
    ]
    total: Annotated[Traffic, Meta(description="All data requests.")]
    refused: Annotated[Count, Meta(description="Those of `total` refused before a provider was chosen.")]
    overhead_s: Annotated[
        Percentiles, Meta(description="What the gateway itself added before the first byte of an answer.")
    ]
    providers: Annotated[
        list[ProviderTraffic],
        Meta(description="In the order of the file; then those that are configured no more."),
    ]


class Windows(_Member, rename={"minute": "1m", "five_minutes": "5m"}):
    """The windows, each up to now."""

    minute: Annotated[Window, Meta(description="The last minute.")]
    five_minutes: Annotated[Window, Meta(description="The last 5 minutes.")]
    start: Annotated[Window, Meta(description="Since the start of the gateway.")]


class Connections(_Member):
    """Open connections of all workers."""

    client: Annotated[Count, Meta(description="From clients.")]
    upstream: Annotated[Count, Meta(description="To providers.")]


class Pool(_Member):
    """The connections to a provider, of all workers; sampled twice a second."""

    connections: Annotated[Count, Meta(description="Open ones, in use or not.")]
    queued: Annotated[Count, Meta(description="Requests that wait for one.")]


class LastError(_Member):
    """The last attempt that failed."""

    message: Annotated[str, Meta(description="The reason and what was seen; never a prompt or a key.")]
    at: Annotated[Time, Meta(description="When.")]


class Transition(_Member, rename={"before": "from", "after": "to"}):
    """A change of a circuit's state."""

    at: Annotated[Time, Meta(description="When.")]
    before: Annotated[CircuitState, Meta(description="The state that ended.")]
    after: Annotated[CircuitState, Meta(description="The state that began.")]
    reason: Annotated[str, Meta(description="What caused it: that of the last attempt, or `timeout`.")]
    failures: Annotated[Count, Meta(description="Failures in a row by then.")]


class Provider(_Member):
    """A configured provider as it is now."""

    name: Annotated[str, Meta(description="Its key in the file.")]
    format: Annotated[str, Meta(description="What it speaks.")]
    healthy: Annotated[bool, Meta(description="Its circuit is closed, or it has none.")]
    circuit_state: Annotated[CircuitState | None, Meta(description="Null where there is no breaker.")]
    failures: Annotated[Count, Meta(description="Failures in a row.")]
    retry_in_s: Annotated[
        Seconds, Meta(description="Until a probe is let through; 0 where none is waited for.")
    ]
    state_since: Annotated[
        Time | None, Meta(description="Since when the circuit is in its state; null where it never changed.")
    ]
    in_state_s: Annotated[Seconds | None, Meta(description="The same in seconds up to now.")]
    opened: Annotated[Count, Meta(description="How often its circuit has opened since the start.")]
    transitions: Annotated[list[Transition], Meta(description="The last changes, newest first; at most 20.")]
    fallback_provider: Annotated[str | None, Meta(description="Who is asked when it fails.")]
    last_error: Annotated[LastError | None, Meta(description="Null where no attempt has failed.")]
    inflight_requests: Annotated[Count, Meta(description="Requests it is answering; sampled twice a second.")]
    pool: Annotated[Pool, Meta(description="Its connections.")]


class Curves(_Member):
    """One value for each step of the series."""

    requests_per_s: Annotated[list[float], Meta(description="Requests that ended.")]
    errors_per_s: Annotated[list[float], Meta(description="429, 5xx and 504.")]
    tokens_per_s: Annotated[list[float], Meta(description="Input and output.")]
    p50_s: Annotated[list[float | None], Meta(description="Latency; null in a step without a request.")]
    p99_s: Annotated[list[float | None], Meta(description="Latency; null in a step without a request.")]


class ProviderCurves(Curves):
    """The curves of one provider."""

    provider: Annotated[
        str, Meta(description="Its name; providers without a request in 5 minutes are left out.")
    ]


class Series(_Member):
    """The last 5 minutes in steps, oldest first, as far as the worker that answers was there."""

    step_s: Annotated[Seconds, Meta(description="Length of a step.")]
    at: Annotated[list[Time], Meta(description="The end of each step; at most 60.")]
    total: Annotated[Curves, Meta(description="All data requests.")]
    providers: Annotated[list[ProviderCurves], Meta(description="By the provider that answered last.")]


class Stats(_Member):
    """The whole answer."""

    version: Annotated[str, Meta(description="Of the gateway.")]
    speedups: Annotated[Literal["compiled", "pure"], Meta(description="Which build runs.")]
    generated_at: Annotated[Time, Meta(description="When this answer was made.")]
    uptime_s: Annotated[Seconds, Meta(description="Since the start of the gateway, not of one worker.")]
    workers: Annotated[Annotated[int, Meta(ge=1)], Meta(description="Processes that serve.")]
    status: Annotated[
        Literal["healthy", "degraded", "unhealthy"], Meta(description="As `GET /health` says it.")
    ]
    overhead_s: Annotated[
        Percentiles, Meta(description="What the gateway itself added, over the window `5m`.")
    ]
    inflight_requests: Annotated[Count, Meta(description="Data requests being answered.")]
    open_connections: Annotated[Connections, Meta(description="By side; sampled twice a second.")]
    providers: Annotated[list[Provider], Meta(description="How each one is now, in the order of the file.")]
    windows: Annotated[Windows, Meta(description="What happened, over three lengths of time.")]
    series: Annotated[Series, Meta(description="For charts.")]
