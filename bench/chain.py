"""What the gateway itself spends on a request: the whole chain of callbacks, without sockets or kernel.

A request's bytes go into the client's protocol, what it sends to the provider is caught, and a response's
bytes go into the provider's protocol. Prints microseconds a request. For profiles and comparisons within
one run; a number from another machine says nothing.

    python bench/chain.py [--requests 50000] [--profile] [--unobserved]

`--unobserved` leaves out everything that an operator sees (counters, histograms, token counts, log, tracing):
the difference is what observing costs.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
import time
from collections.abc import Callable
from typing import Any

from gateway._speedups import COMPILED
from gateway.app import App
from gateway.config import loads
from gateway.server.protocol import ClientConnection
from gateway.upstream.protocol import Connection

CONFIG = """
server: {port: 0}
providers:
  a: {format: openai, base_url: "http://127.0.0.1:1", api_key: sk-0123456789abcdef, fallback_provider: b}
  b: {format: openai, base_url: "http://127.0.0.1:1"}
logging: {level: error}
"""
BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"%b"}]}' % (b"b" * 430)
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:9102\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer sk-client\r\nUser-Agent: OpenAI/Python 1.0\r\nAccept: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
ANSWER = b'{"id":"chatcmpl-1","choices":[{"message":{"content":"%b"}}],"usage":{"prompt_tokens":9}}' % (
    b"a" * 500
)
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: provider\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n%b"
    % (len(ANSWER), ANSWER)
)


class Transport(asyncio.Transport):
    """Swallows what is written and counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def write(self, data: Any) -> None:
        self.written += 1

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


def one_request(app: App) -> Callable[[], None]:
    """The chain, ready to be called again and again."""
    client = ClientConnection(app._listeners[0].site)
    client_side = Transport()
    client.connection_made(client_side)
    pool = app._pools["a"]
    upstream = Connection(pool)
    upstream.connection_made(Transport())
    pool._connections.add(upstream)
    pool.release(upstream)

    def run() -> None:
        client.data_received(REQUEST)
        upstream.data_received(RESPONSE)

    run()
    assert client_side.written == 1
    return run


class Unobserved:
    """Is told everything and does nothing."""

    def started(self, request: object) -> None:
        pass

    def finished(self, exchange: object, now: float) -> None:
        pass


async def measure(requests: int, profile: bool, unobserved: bool) -> None:
    app = App(loads(CONFIG, "bench", {}), "bench")
    await app.start()
    if unobserved:
        app._service.observer = Unobserved()  # type: ignore[assignment]
    run = one_request(app)
    for _ in range(2000):
        run()
    if profile:
        profiler = cProfile.Profile()
        profiler.enable()
        for _ in range(requests):
            run()
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(35)
    else:
        gc.disable()
        rounds = []
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(requests // 5):
                run()
            rounds.append((time.perf_counter() - start) / (requests // 5) * 1e6)
        print(f"{'compiled' if COMPILED else 'pure'}: {min(rounds):.2f} us a request (of 5 rounds, the best)")
    app.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--unobserved", action="store_true")
    options = parser.parse_args()
    asyncio.run(measure(options.requests, options.profile, options.unobserved))


if __name__ == "__main__":
    main()
