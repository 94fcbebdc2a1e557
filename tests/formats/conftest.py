"""Lets the tests import the modules beside them, and gives them SDKs that connect wherever they are told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from harness import WAIT_S

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def openai_sdk() -> Iterator[Callable[..., openai.OpenAI]]:
    """Makes clients of the gateway at a URL, without retries of their own."""
    with ExitStack() as stack:

        def connect(url: str, **options: Any) -> openai.OpenAI:
            # Without TLS there is nothing to verify, and loading the authorities takes most of a test's time.
            http_client = openai.DefaultHttpxClient(verify=False)
            options = {
                "base_url": f"{url}/v1",
                "api_key": "sk-client",
                "max_retries": 0,
                "timeout": WAIT_S,
                **options,
            }
            return stack.enter_context(openai.OpenAI(http_client=http_client, **options))

        yield connect


@pytest.fixture
def anthropic_sdk() -> Iterator[Callable[..., anthropic.Anthropic]]:
    """Makes clients of the gateway at a URL, without retries of their own."""
    with ExitStack() as stack:

        def connect(url: str, **options: Any) -> anthropic.Anthropic:
            http_client = anthropic.DefaultHttpxClient(verify=False)
            options = {
                "base_url": url,
                "api_key": "sk-client",
                "max_retries": 0,
                "timeout": WAIT_S,
                **options,
            }
            return stack.enter_context(anthropic.Anthropic(http_client=http_client, **options))

        yield connect
