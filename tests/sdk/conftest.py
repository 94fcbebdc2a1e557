"""The `sdk` fixture: the official OpenAI SDK, sync and async in turn, pointed wherever a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest
from clients import Blocking, Connect


@pytest.fixture(params=["sync", "async"])
def sdk(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of the gateway or the provider at a URL, without retries of their own."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner()) if request.param == "async" else None

        def connect(url: str, **options: Any) -> Any:
            options = {"base_url": f"{url}/v1", "api_key": "sk-client", "max_retries": 0, **options}
            # Without TLS there is nothing to verify, and loading the authorities takes most of a test's time.
            if runner is None:
                client: Any = openai.OpenAI(http_client=openai.DefaultHttpxClient(verify=False), **options)
            else:
                http_client = openai.DefaultAsyncHttpxClient(verify=False)
                client = Blocking(openai.AsyncOpenAI(http_client=http_client, **options), runner)
            stack.callback(client.close)
            return client

        yield connect
