"""`gateway demo`: a gateway over two mock providers, one of which fails, told step by step as it happens.

Everything runs in this process, on the loopback address. Each step checks what it tells: a demo that goes
on although something else happened would be worse than none.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, NamedTuple, TextIO

from gateway.app import App
from gateway.config import loads
from gateway.observe.log import fields_of
from gateway.providers.factory import MockProvider
from gateway.providers.mock import MockServer

_WIDTH: Final = 78
_PROBE_LATENCY_S: Final = 0.3  # longer than the other requests take, so that they meet a probe under way
_PATIENCE_S: Final = 5.0

_CONFIG: Final = """\
providers:
  primary:
    format: mock
    mock:
      reply: "The primary provider says hello, word by word."
      event_interval: {word_s:g}s
    max_retries: 3
    retry: {{base_delay: {base_delay_s:g}s, multiplier: 2}}
    circuit_breaker: {{max_failures: 5, timeout: {open_s:g}s}}
    fallback_provider: backup
  backup:
    format: mock
    mock:
      reply: "The backup provider says hello."
      event_interval: {word_s:g}s
"""


class Pace(NamedTuple):
    """How long things take, in seconds: the first delay, the circuit's timeout, a word of a stream."""

    base_delay_s: float = 1.0
    open_s: float = 5.0
    word_s: float = 0.1

    @property
    def delays_s(self) -> list[float]:
        """The waits before the three retries."""
        return [self.base_delay_s * factor for factor in (1, 2, 4)]


DEFAULT_PACE: Final = Pace()


class DemoError(Exception):
    """A step did not show what it should; the message says what was expected."""


async def run(pace: Pace = DEFAULT_PACE, out: TextIO | None = None) -> int:
    """Show everything, in about 14 seconds at the default pace; 0, or 1 when a step went otherwise.

    out: where it is told, standard output unless given.
    """
    stage = Stage(out or sys.stdout)
    config = _CONFIG.format(**pace._asdict())
    app = App(loads(f"server: {{port: 0}}\n{config}", "the demo's configuration", {}), "demo")
    try:
        await app.start()
        with stage.narrating() as events:
            await Demo(app, stage, events, pace).play(config)
    except DemoError as error:
        stage.line(f"\ngateway demo: this went wrong: expected {error}", "1;31")
        return 1
    finally:
        app.close()
    return 0


class Stage:
    """Where the demo is told: plain text, in colour on a terminal unless NO_COLOR is set (no-color.org)."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._coloured = out.isatty() and not os.environ.get("NO_COLOR")

    def heading(self, text: str) -> None:
        """Begin a step."""
        self.line(f"\n{text}", "1")

    def say(self, text: str) -> None:
        """Tell a paragraph."""
        for line in textwrap.wrap(" ".join(text.split()), _WIDTH):
            self.line(line)

    def line(self, text: str, style: str = "", end: str = "\n") -> None:
        """Write a line, or part of it; `style` is that of an ANSI sequence (ECMA-48 section 8.3.117)."""
        if style and self._coloured:
            text = f"\x1b[{style}m{text}\x1b[0m"
        print(text, end=end, file=self._out, flush=True)

    @contextmanager
    def narrating(self) -> Iterator[Narrator]:
        """Tell what the gateway logs, instead of logging it."""
        log = logging.getLogger("gateway")
        before = log.level, log.propagate
        narrator = Narrator(self)
        log.addHandler(narrator)
        log.setLevel(logging.INFO)
        log.propagate = False
        try:
            yield narrator
        finally:
            log.removeHandler(narrator)
            log.level, log.propagate = before


class Narrator(logging.Handler):
    """Tells the gateway's log events in sentences; `transitions` are the circuit's so far."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.transitions: list[str] = []
        self.began_s = time.monotonic()
        self._stage = stage

    def emit(self, record: logging.LogRecord) -> None:
        event = fields_of(record)
        if event.get("event") == "circuit":
            self.transitions.append(f"{event['from']} -> {event['to']}")
        sentence = _sentence(event)
        if sentence:
            elapsed_s = time.monotonic() - self.began_s
            with suppress(BrokenPipeError):  # the next paragraph meets it too, outside of the gateway
                self._stage.line(f"  {elapsed_s:4.1f} s  {sentence}", "33")


def _sentence(event: dict[str, Any]) -> str:
    match event:
        case {"event": "upstream_error", "provider": provider, "detail": detail}:
            return f"{provider} fails: {detail}"
        case {"event": "retry", "provider": provider, "delay_s": delay_s}:
            return f"{provider} will be asked again in {delay_s:g} s"
        case {"event": "fallback", "provider": provider, "to": to, "reason": "circuit_open"}:
            return f"{provider} is not asked; {to} is, at once"
        case {"event": "fallback", "to": to}:
            return f"{to} is asked instead"
        case {"event": "circuit", "provider": provider, "from": before, "to": after}:
            return f"the circuit of {provider} changes from {before} to {after}"
    return ""


class Reply(NamedTuple):
    """What the client got: who answered, after how many attempts, the text, and how long it all took."""

    provider: str
    attempts: int
    text: str
    seconds: float


class Demo:
    """The steps, over a running gateway; `events` has heard what it logged."""

    def __init__(self, app: App, stage: Stage, events: Narrator, pace: Pace) -> None:
        self._stage = stage
        self._events = events
        self._pace = pace
        self._url = app.addresses[0]
        self._primary = _mock(app, "primary")
        self._backup = _mock(app, "backup")

    async def play(self, config: str) -> None:
        """Show one step after the other. Raises DemoError."""
        began_s = time.monotonic()
        self._introduce(config)
        await self._show_requests()
        await self._show_retries()
        await self._show_opening()
        await self._show_open()
        await self._show_recovery()
        self._stage.heading("The end")
        self._stage.say(
            f"That took {time.monotonic() - began_s:.0f} seconds. The primary provider was down for most of "
            "them, and every request had its answer."
        )

    def _introduce(self, config: str) -> None:
        stage = self._stage
        stage.heading("A gateway, and two providers behind it")
        stage.say(
            "Both providers are imitations of the OpenAI API that live in this process, so this needs no key "
            f"and no network. The gateway listens on {self._url} until the demo is over; this is its "
            "configuration:"
        )
        stage.line("")
        for line in config.splitlines():
            stage.line(f"    {line}", "2")

    # -- the steps

    async def _show_requests(self) -> None:
        stage = self._stage
        stage.heading("1. A request")
        stage.say("The client is this demo. With curl it would be:")
        stage.line(f"    curl {self._url}/v1/chat/completions \\")
        stage.line("""      -d '{"model": "any", "messages": [{"role": "user", "content": "Hello"}]}'""")
        reply = await self._ask()
        self._expect(reply, "primary", attempts=1)
        stage.heading("2. The same, streamed")
        stage.say("The answer comes word by word, and each word is passed on as it comes:")
        self._expect(await self._ask(stream=True), "primary", attempts=1)

    async def _show_retries(self) -> None:
        stage = self._stage
        stage.heading("3. The primary provider breaks, and is asked again")
        waits = ", ".join(f"{delay_s:g} s" for delay_s in self._pace.delays_s)
        stage.say(
            f"""From now on it answers every request with 503. Many failures pass by themselves, so
            the gateway waits and asks again, each time waiting twice as long: {waits}. Only then
            it asks the backup."""
        )
        self._primary.fault = "503"
        reply = await self._ask()
        self._expect(reply, "backup", attempts=5)
        if reply.seconds < sum(self._pace.delays_s):
            raise DemoError(f"three waits of {waits}, but it took {reply.seconds:.1f} s in all")
        stage.say("The client got its answer. It noticed nothing but the wait.")

    async def _show_opening(self) -> None:
        self._stage.heading("4. The circuit opens")
        self._stage.say(
            f"""Nobody should wait like that twice. The gateway counts failures in a row, and the
            fifth one opens the circuit, as a fuse does: for {self._pace.open_s:g} s the primary
            provider is not asked at all. (That is shortened here; 30 s is the default.) It spares the
            clients the wait, and the provider the load."""
        )
        self._expect(await self._ask(), "backup", attempts=2)
        self._expect_transition("closed -> open")

    async def _show_open(self) -> None:
        self._stage.heading("5. While it is open")
        self._stage.say("The next request goes to the backup without a detour. A streamed one does too:")
        seen = self._primary.requests_seen
        self._expect(await self._ask(), "backup", attempts=1)
        self._expect(await self._ask(stream=True), "backup", attempts=1)
        if self._primary.requests_seen != seen:
            raise DemoError("no request at the primary provider while the circuit is open")
        health = await self._health()
        self._stage.say(
            f"""GET /health says of the primary provider: circuit_state "{health["circuit_state"]}",
            failures {health["failures"]}, retry_in_s {health["retry_in_s"]:.1f}."""
        )

    async def _show_recovery(self) -> None:
        stage = self._stage
        stage.heading("6. Half-open: one request tries")
        stage.say(
            f"""The primary provider is repaired now, which the gateway cannot know. When the
            {self._pace.open_s:g} s are over, the circuit is half-open: one request is let through as
            a probe, and all others still go to the backup. Three requests at the same time:"""
        )
        self._primary.fault = None
        self._primary.latency = _PROBE_LATENCY_S
        await self._until_half_open()
        seen = self._primary.requests_seen
        replies = await asyncio.gather(*(self._ask() for _ in range(3)))
        if sorted(reply.provider for reply in replies) != ["backup", "backup", "primary"]:
            raise DemoError(f"one answer of primary and two of backup, not {replies}")
        if self._primary.requests_seen != seen + 1:
            raise DemoError("exactly one request at the primary provider")
        self._expect_transition("half-open -> closed")
        stage.heading("7. Back to normal")
        stage.say("The probe succeeded and closed the circuit, so everybody is served as in the beginning:")
        self._primary.latency = 0.0
        self._expect(await self._ask(), "primary", attempts=1)
        if (await self._health())["circuit_state"] != "closed":
            raise DemoError('circuit_state "closed" at /health')

    # -- what the steps are made of

    def _expect(self, reply: Reply, provider: str, *, attempts: int) -> None:
        if (reply.provider, reply.attempts) != (provider, attempts) or provider not in reply.text:
            raise DemoError(f"an answer of {provider} after {attempts} attempts, not {reply}")

    def _expect_transition(self, transition: str) -> None:
        if self._events.transitions[-1:] != [transition]:
            raise DemoError(f"the circuit to change {transition}, not {self._events.transitions}")

    async def _ask(self, *, stream: bool = False) -> Reply:
        """Say hello to the gateway; what it logs meanwhile and what it answers are told."""
        self._events.began_s = began_s = time.monotonic()
        messages = [{"role": "user", "content": "Hello"}]
        body = json.dumps({"model": "any", "messages": messages, "stream": stream}).encode()
        async with self._sent(b"POST /v1/chat/completions", body) as reader:
            status, fields = await _read_head(reader)
            if status != 200:
                raise DemoError(f"an answer, not {status} {(await reader.read()).decode()}")
            text = await self._tell_stream(reader) if stream else _text(json.loads(await reader.read()))
        provider, attempts = fields["x-gateway-provider"], int(fields["x-gateway-attempts"])
        reply = Reply(provider, attempts, text, time.monotonic() - began_s)
        tried = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        if not stream:
            self._stage.line(f"    {text}", "32")
        self._stage.line(f"  {reply.seconds:4.1f} s  200 from {provider} after {tried}", "1;32")
        return reply

    async def _tell_stream(self, reader: asyncio.StreamReader) -> str:
        text = ""
        self._stage.line("    ", end="")
        async for line in reader:
            if line.startswith(b"data: {"):
                word = _text(json.loads(line.removeprefix(b"data: ")))
                self._stage.line(word, "32", end="")
                text += word
        self._stage.line("")
        return text

    async def _health(self) -> dict[str, Any]:
        """What /health says of the primary provider."""
        async with self._sent(b"GET /health") as reader:
            await _read_head(reader)
            primary: dict[str, Any] = json.loads(await reader.read())["provider_health"][0]
        return primary

    async def _until_half_open(self) -> None:
        await asyncio.sleep((await self._health())["retry_in_s"])
        deadline_s = time.monotonic() + _PATIENCE_S
        while (state := (await self._health())["circuit_state"]) != "half-open":
            if time.monotonic() > deadline_s:
                raise DemoError(f"a half-open circuit after its timeout, not {state}")
            await asyncio.sleep(0.01)

    @asynccontextmanager
    async def _sent(self, request: bytes, body: bytes = b"") -> AsyncIterator[asyncio.StreamReader]:
        """A request on its way; what can be read is the answer."""
        host, _, port = self._url.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            # To HTTP/1.0 a body of unknown length is sent without chunks: it ends with the connection.
            writer.write(b"%b HTTP/1.0\r\ncontent-length: %d\r\n\r\n%b" % (request, len(body), body))
            yield reader
        finally:
            writer.close()
            await writer.wait_closed()


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    _, _, rest = (await reader.readline()).partition(b" ")
    if not rest:
        raise DemoError("an answer, not the end of the connection")
    fields: dict[str, str] = {}
    while line := (await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(": ")
        fields[name] = value
    return int(rest[:3]), fields


def _text(answer: dict[str, Any]) -> str:
    """The text in a completion or in a chunk of one."""
    [choice] = answer["choices"]
    return (choice.get("message") or choice["delta"]).get("content") or ""


def _mock(app: App, name: str) -> MockServer:
    provider = app.providers[name].chain[0]
    assert isinstance(provider, MockProvider)
    return provider.server
