"""Clients that do not read: memory stays bounded, and the provider feels that nobody takes what it sends.

    python tests/chaos/slow_readers.py [--readers 1000]

A provider sends streams without end, as fast as it can, to clients that read a first piece and then stop. The
provider's bytes must cease to flow, and what the gateway then holds is divided by the connections. A few
clients read on and must be served on. Then all leave, and all must be closed. The allocator keeps some of
the memory, so there is a second wave, which must not need more. Ends with 1, and says why, when anything was
wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import sys
import time
from dataclasses import dataclass

import proc
import uvloop
from asking import Question
from provider_process import SEGMENT, Provider
from report import Report
from stand import Stand, stand

CONFIG = """
server: {port: 0}
providers:
  a: {format: openai, base_url: "{a}", timeouts: {idle: 500ms}, pool: {idle_timeout: 500ms}}
"""
MAX_KIB_A_READER = 512
"""At most 64 KiB wait for the client, then comes one more read of the provider, of at most 256 KiB."""
MAX_MORE_KIB = 32 * 1024
"""How much larger the gateway may be after the last wave than after the first."""
READ_ON_BYTES = 16 * 1024 * 1024
"""More than all buffers between the provider and a client can hold."""
WITHIN_S = 30.0
QUIET_S = 1.0
"""Longer than the idle time of the provider: it must not run while the gateway does not read."""
_RECEIVE_BUFFER = 4096
_LOOK_S = 0.25


@dataclass(frozen=True)
class Settings:
    """How many clients do not read, how many of them read on after a while, and how often that is done."""

    readers: int = 1000
    read_on: int = 5
    waves: int = 2


def run(settings: Settings) -> Report:
    """Set everything up, look, judge, clean up."""
    report = Report()
    with stand(CONFIG, "a") as place:
        place.gateway.wait_for("started")
        place.providers["a"].tell("fault endless")
        kept_kib = [uvloop.run(_wave(place, settings, report)) for _ in range(settings.waves)]
        more_kib = kept_kib[-1] - kept_kib[0]
        rule = f"at most {MAX_MORE_KIB // 1024}: what is kept is used again"
        report.expect("MiB that the later waves added", more_kib / 1024, rule, holds=more_kib <= MAX_MORE_KIB)
        code = place.gateway.end()
        report.expect("exit code", code, "0 after SIGTERM", holds=code == 0)
    return report


async def _wave(place: Stand, settings: Settings, report: Report) -> int:
    """Readers come, stand still, read on, leave; the result is how many KiB the gateway has then."""
    before = proc.Usage.of(place.processes()[0])
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(socket.socket()) for _ in range(settings.readers)]
        await _judge_standstill(place, readers, before, report)
        began_s = time.monotonic()
        async with asyncio.timeout(WITHIN_S):
            await asyncio.gather(*(_read_on(reader) for reader in readers[: settings.read_on]))
        name = f"seconds in which {settings.read_on} read {READ_ON_BYTES >> 20} MiB each"
        report.note(name, time.monotonic() - began_s)
    return await _judge_end(place, before, report)


async def _judge_standstill(
    place: Stand, readers: list[socket.socket], before: proc.Usage, report: Report
) -> None:
    """Nobody reads on: nothing flows, little is held, nothing breaks."""
    provider = place.providers["a"]
    count = len(readers)
    sent_before = provider.count().bytes_sent
    kernel_before_kib = proc.tcp_memory_kib()
    await asyncio.gather(*(_begin(reader, place.port) for reader in readers))
    took_s = await _until_quiet(provider)
    usage = proc.Usage.of(place.processes()[0])
    counts = provider.count()
    report.note("readers", count)
    rule = f"within {WITHIN_S:g} s"
    report.expect("seconds until the provider stood still", took_s, rule, holds=took_s < WITHIN_S)
    report.note("KiB that it sent, a reader", (counts.bytes_sent - sent_before) / 1024 / count)
    report.note("KiB that the kernel holds, a reader", (proc.tcp_memory_kib() - kernel_before_kib) / count)
    held_kib = (usage.rss_kib - before.rss_kib) / count
    rule = f"at most {MAX_KIB_A_READER}"
    report.expect("KiB that the gateway holds, a reader", held_kib, rule, holds=held_kib <= MAX_KIB_A_READER)
    rule = "a provider that is made to wait is not idle"
    left = counts.connections_open
    report.expect("streams that are still there", left, rule, holds=left == count)


async def _judge_end(place: Stand, before: proc.Usage, report: Report) -> int:
    """All have left: everything is closed, within a while; the result is the memory in KiB."""
    began_s = time.monotonic()
    while (took_s := time.monotonic() - began_s) < WITHIN_S:
        connections = place.providers["a"].count().connections_open
        usage = proc.Usage.of(place.processes()[0])
        if not connections and usage.descriptors <= before.descriptors:
            break
        await asyncio.sleep(_LOOK_S)
    report.note("seconds until all was closed", took_s)
    report.expect("provider connections left", connections, "none", holds=not connections)
    more = usage.descriptors - before.descriptors
    report.expect("descriptors more than before", more, "none", holds=more <= 0)
    report.note("MiB more than before", (usage.rss_kib - before.rss_kib) / 1024)
    return usage.rss_kib


async def _begin(reader: socket.socket, port: int) -> None:
    """Ask for a stream, and read its beginning."""
    loop = asyncio.get_running_loop()
    reader.setblocking(False)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    await loop.sock_connect(reader, ("127.0.0.1", port))
    await loop.sock_sendall(reader, Question("q", "m", stream=True, words=1).encode())
    beginning = await loop.sock_recv(reader, _RECEIVE_BUFFER)
    if not beginning.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"no stream, but {beginning!r}")


async def _read_on(reader: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    received = 0
    while received < READ_ON_BYTES:
        data = await loop.sock_recv(reader, 65536)
        if not data:
            raise RuntimeError("the stream ended")
        received += len(data)


async def _until_quiet(provider: Provider) -> float:
    """Wait until the provider sends no more; the result is how many seconds it did."""
    began_s = stopped_s = time.monotonic()
    sent = -1
    while time.monotonic() - stopped_s < QUIET_S and stopped_s - began_s < WITHIN_S:
        await asyncio.sleep(_LOOK_S)
        if sent != (sent := provider.count().bytes_sent):
            stopped_s = time.monotonic()
    return stopped_s - began_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--readers", type=int, default=Settings.readers, help="clients at one time")
    options = parser.parse_args()
    proc.prepare_command()
    report = run(Settings(readers=options.readers))
    print(report)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
