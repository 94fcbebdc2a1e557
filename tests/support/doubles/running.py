"""Doubles for tests that are not asynchronous: they run in the event loop of a thread of their own.

with over(CONFIG, a=AnthropicDouble()) as gateway:
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key="x", max_retries=0)

`{a}` in the configuration stands for the address of double `a`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Protocol

from harness import WAIT_S, Running, running


class Double(Protocol):
    """A server that runs while it is entered, at `url`."""

    url: str

    async def __aenter__(self) -> Any: ...
    async def __aexit__(self, *_: object) -> None: ...


@contextmanager
def over(config: str, **doubles: Double) -> Iterator[Running]:
    """A gateway over `doubles`, each on a port of its own, until the block ends."""
    with listening(*doubles.values()):
        for name, double in doubles.items():
            config = config.replace(f"{{{name}}}", double.url)
        with running(config) as gateway:
            yield gateway


@contextmanager
def listening(*doubles: Double) -> Iterator[None]:
    """The doubles, running until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    stack = AsyncExitStack()

    async def start() -> None:
        for double in doubles:
            await stack.enter_async_context(double)

    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result(WAIT_S)
        yield
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(WAIT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_S)
        loop.close()
