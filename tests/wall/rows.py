"""The table of the fault wall: a row is one fault, and what must come of it.

The provider has the fault for every request, one retry, and a breaker that has counted one failure. What
follows for the other settings is told by `Expect.view`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from gateway.providers.mock.script import Act, Step, Wait
from gateway.resilience.outcome import Outcome

FAILURE, NEUTRAL, SUCCESS = Outcome.FAILURE, Outcome.NEUTRAL, Outcome.SUCCESS

FAILURES_BEFORE: Final = 1
RETRIES: Final = 1
ALONE, FALLBACK, OPENING = "alone", "fallback", "opening"
SETTINGS: Final = (ALONE, FALLBACK, OPENING)
"""A provider alone; one with a fallback; one with that, more retries, and a circuit near to opening."""


class View(NamedTuple):
    """What a request looked like from all sides."""

    client: str
    """Status, who answered it, and how it ended where that is not as it should be."""
    attempts: int
    """What the client was told."""
    failures: int
    """What /health counts for the provider afterwards."""
    circuit: str
    asked: int
    """How many requests the provider saw."""
    kept: bool
    """Whether a connection to the provider is left for the next request."""


@dataclass(frozen=True)
class Expect:
    """What comes of a fault where the provider is alone."""

    client: str
    counted: Outcome
    """What each attempt is to the breaker."""
    retried: bool = False
    """Another attempt is made, then the fallback is asked."""
    falls_back: bool = False
    """The fallback is asked at once."""
    kept: bool = False
    seen: bool = True
    """Requests reach the provider."""

    def view(self, setting: str) -> View:
        """What must be seen in a setting."""
        attempts = 1 + (RETRIES if self.retried else 0)
        failed = self.counted is FAILURE
        failures = FAILURES_BEFORE + attempts if failed else FAILURES_BEFORE
        view = View(
            client=self.client,
            attempts=attempts,
            failures=0 if self.counted is SUCCESS else failures,
            circuit="open" if setting == OPENING and failures > FAILURES_BEFORE + RETRIES else "closed",
            asked=attempts if self.seen else 0,
            kept=self.kept,
        )
        if setting != ALONE and (self.retried or self.falls_back):
            return view._replace(client="200 of b", attempts=attempts + 1)
        return view


@dataclass(frozen=True)
class Row:
    """A fault of provider `a`, in the grammar of the mock provider or as the steps of its answer."""

    name: str
    fault: str | tuple[Step, ...]
    plain: Expect
    streamed: Expect
    address: str = "{a}"
    """Its base URL; `{full}`, `{mute}` and `{plain}` stand for dead ends."""
    silent: bool = False
    """The fault is silence: what bounds that is set to milliseconds."""
    before: str = ""
    """The fault of a request that goes before, on the same connection."""
    refuses: bool = False
    """Nobody listens."""


def fails(code: str, status: int = 502, *, kept: bool = False, seen: bool = True) -> Expect:
    """Nothing to pass on: tried again, then an error of the gateway's own."""
    return Expect(f"{status} upstream_{code}", FAILURE, retried=True, kept=kept, seen=seen)


def passes(client: str = "200 of a", *, counted: Outcome = SUCCESS, kept: bool = True) -> Expect:
    """What the provider says is what the client gets, and no other is asked."""
    return Expect(client, counted, kept=kept)


def last(status: int, counted: Outcome = FAILURE, *, kept: bool = True) -> Expect:
    """Tried again; the last response is passed on unchanged."""
    return Expect(f"{status} of a", counted, retried=True, kept=kept)


def breaks(code: str) -> Expect:
    """The beginning has gone out, so the stream ends with an error event and is cut: never tried again."""
    return Expect(f"200 of a, then upstream_{code}, cut", FAILURE)


def same(
    name: str,
    fault: str | tuple[Step, ...],
    expect: Expect,
    *,
    address: str = "{a}",
    silent: bool = False,
    before: str = "",
    refuses: bool = False,
) -> Row:
    """A fault that is the same for plain and streamed requests."""
    return Row(name, fault, expect, expect, address, silent, before, refuses)


def chunk(data: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


NO_NAME: Final = "x" * 64 + ".invalid"
"""A name too long to be asked for, so that nothing depends on the network (RFC 1035 section 2.3.4)."""
LATER: Final = "Fri, 31 Dec 2100 23:59:59 GMT"
PAST: Final = "Sun, 06 Nov 1994 08:49:37 GMT"
HALF_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: applica"
UNTIL_FIN: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
CHUNKED_STREAM: Final = UNTIL_FIN[:-2] + b"transfer-encoding: chunked\r\n\r\n"
PAGE: Final = b"HTTP/1.1 500 Oops\r\ncontent-type: text/html\r\ncontent-length: 99999\r\n"
LONG_ERROR: Final = Expect("500 of a, cut", FAILURE, retried=True)
EVENT: Final = b'data: {"choices": [{"delta": {"content": "one"}, "finish_reason": null}]}\n\n'


def connecting() -> Iterator[Row]:
    yield same("refused", "ok", fails("connect_error", seen=False), refuses=True)
    yield same("unreachable", "ok", fails("connect_error", seen=False), address="http://255.255.255.255")
    yield same("no such name", "ok", fails("dns_error", seen=False), address=f"http://{NO_NAME}")
    yield same("no TLS there", "ok", fails("tls_error", seen=False), address="https://{plain}")
    timeout = fails("connect_timeout", seen=False)
    yield same("no answer", "ok", timeout, address="http://{full}", silent=True)
    yield same("no handshake", "ok", timeout, address="https://{mute}", silent=True)


def before_the_head() -> Iterator[Row]:
    yield same("reset", "reset", fails("connection_reset"))
    yield same("FIN", "close", fails("connection_closed"))
    yield same("silence", "stall", fails("timeout", 504), silent=True)
    yield same("reused, then FIN", "ok", passes(), before="stale")
    yield same("reused, then reset", "ok", passes(), before="stale;reset=1")


def in_the_head() -> Iterator[Row]:
    yield same("reset", "reset_in_head", fails("connection_reset"))
    yield same("FIN", (HALF_HEAD, Act.CLOSE), fails("connection_closed"))
    yield same("silence", (HALF_HEAD, Act.HANG), fails("timeout", 504), silent=True)
    yield same("garbage", "garbage", fails("protocol_error"))
    yield same("without end", "endless_head", fails("protocol_error"))
    yield same("NUL in a field", "nul_header", fails("protocol_error"))
    yield same("length and chunks", "cl_te", fails("protocol_error"))
    yield same("two lengths", "two_cl", fails("protocol_error"))
    yield same("HTTP/2", (b"HTTP/2.0 200 OK\r\n\r\n", Act.HANG), fails("protocol_error"))
    yield same("status 99", (b"HTTP/1.1 99 X\r\n\r\n", Act.HANG), fails("protocol_error"))
    yield same("101", "switching", fails("protocol_error"))
    yield same("100 without end", (b"HTTP/1.1 100 Continue\r\n\r\n" * 99,), fails("protocol_error"))
    yield same("100 and 103, then the answer", "informational;n=3", passes())


def in_the_body() -> Iterator[Row]:
    for name, fault, code in (
        ("FIN", "cut", "connection_closed"),
        ("reset", "reset_body", "connection_reset"),
        ("bad chunk", "malformed_chunk", "protocol_error"),
    ):
        yield same(f"{name} before its first byte", f"{fault};after=0", fails(code))
        yield Row(f"{name} in it", f"{fault};after=1", fails(code), breaks(code))
        if fault != "malformed_chunk":
            yield Row(f"{name} inside an event", f"{fault};after=1;part=1", fails(code), breaks(code))
    timeout = fails("timeout", 504)
    yield same("silence before its first byte", "stall_body;after=0", timeout, silent=True)
    yield Row("silence in it", "stall_body;after=1", timeout, breaks("timeout"), silent=True)
    yield Row("silence inside an event", "stall_body;after=1;part=1", timeout, breaks("timeout"), silent=True)
    closed = breaks("connection_closed")
    yield Row("shorter than its length", "short", fails("connection_closed"), closed)
    yield same("longer than its length", "long", passes(kept=False))
    yield same("an answer nobody asked for behind it", "unasked", passes(kept=False))
    yield same("byte by byte", "slow_drip;interval=0", passes())
    yield same("gzip", "gzip", passes())
    yield same("larger than what is held", "big;size=300000", passes())
    yield same("until FIN", "close_delimited", passes(kept=False))
    yield same("until FIN, without [DONE]", "close_delimited;terminal=0", passes(kept=False))
    yield same("until FIN, before the last event", (UNTIL_FIN, EVENT, Act.CLOSE), closed)
    yield same("until reset", (UNTIL_FIN, EVENT, Wait(0.02), Act.RESET), breaks("connection_reset"))
    yield same("HTTP/1.0 until FIN", "http10", passes(kept=False))
    yield same("no event", "empty_stream", fails("empty_stream", kept=True))
    yield same("comments only", "comment_only;n=3", fails("empty_stream", kept=True))
    yield same("no [DONE]", "no_done", passes())
    yield same("an event that is not JSON", "bad_json_event", passes())


def error_events() -> Iterator[Row]:
    callers = passes("200 of a", counted=NEUTRAL)
    for name in ("type=server_error", "code=500", "code=429", "code=408"):
        failure = Expect(f"502 {name.partition('=')[2]}", FAILURE, retried=True, kept=True)
        yield same(name, f"error_event;{name}", failure)
    yield same("code=404", "error_event;code=404", callers)
    yield same("type=invalid_request_error", "error_event;type=invalid_request_error", callers)
    stays_open = (CHUNKED_STREAM, chunk(b'data: {"error": {"type": "server_error"}}\n\n'), Act.HANG)
    yield same("more would come", stays_open, Expect("502 server_error", FAILURE, retried=True))
    first = Expect("502 server_error", FAILURE, retried=True, kept=True)
    yield Row("not the first event", "error_event;after=2", first, passes())


def statuses() -> Iterator[Row]:
    for status in (400, 401, 403, 404, 413, 422, 409, 418):
        yield same(f"{status}", f"{status}", passes(f"{status} of a", counted=NEUTRAL))
    yield same("401 that repeats our key", "401;echo_key=1", passes("401 of a", counted=NEUTRAL))
    for status in (408, 500, 502, 503, 504, 529):
        yield same(f"{status}", f"{status}", last(status))
    yield same("500, cut short", (PAGE + b"\r\n<p>", Act.CLOSE), fails("connection_closed"))
    yield same(
        "500, too long to hold, then silence",
        (PAGE + b"\r\n" + b"x" * 70_000, Act.HANG),
        LONG_ERROR,
        silent=True,
    )
    yield same("429", "429", last(429, NEUTRAL))
    for name, wait in (("ms", "retry_after_ms=4"), ("date that is past", f"retry_after={PAST}")):
        yield same(f"429, {name}", f"429;{wait}", last(429, NEUTRAL))
    at_once = Expect("429 of a", NEUTRAL, falls_back=True, kept=True)
    for name, wait in (
        ("seconds", "retry_after=9"),
        ("ms", "retry_after_ms=9000"),
        ("date", f"retry_after={LATER}"),
    ):
        yield same(f"429, {name}: longer than max_delay", f"429;{wait}", at_once)
    yield same("503 with Retry-After", "503;retry_after_ms=4", last(503))
    later = Expect("503 of a", FAILURE, falls_back=True, kept=True)
    yield same("503, longer than max_delay", "503;retry_after=9", later)
    yield same("302", "redirect", passes("302 of a"))
    yield same("204", "no_content", passes("204 of a"))
    yield same("304", (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",), passes("304 of a"))
    yield same("999", (b"HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n",), last(999))
    yield same("before the request was read", "early", passes("413 of a", counted=NEUTRAL, kept=False))


ROWS: Final = tuple(
    replace(row, name=f"{phase}: {row.name}")
    for phase, rows in (
        ("connecting", connecting()),
        ("before the head", before_the_head()),
        ("in the head", in_the_head()),
        ("body", in_the_body()),
        ("error as first event", error_events()),
        ("status", statuses()),
    )
    for row in rows
)
