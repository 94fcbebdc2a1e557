"""The OpenAI SDK in tests: both of its clients behind one set of calls, and what a test asks of an answer."""

from __future__ import annotations

import asyncio
import inspect
import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

from harness import Running

MODEL = "mock-gpt"
HI: Any = [{"role": "user", "content": "hi"}]
REPLY = "one two three"

Connect = Callable[..., Any]
"""Makes a client for a URL; keyword arguments are those of `openai.OpenAI`."""


class Blocking:
    """An async client, or a part of it, with the calls of the sync one: what it would await is waited for."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self._target = target
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        return self._wrapped(getattr(self._target, name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._wrapped(self._waited_for(self._target(*args, **kwargs)))

    def __iter__(self) -> Iterator[Any]:
        items = aiter(self._target)
        end = object()
        while (item := self._waited_for(anext(items, end))) is not end:
            yield item

    def _waited_for(self, value: Any) -> Any:
        async def wait() -> Any:
            return await value

        return self._runner.run(wait()) if inspect.isawaitable(value) else value

    def _wrapped(self, value: Any) -> Any:
        package = type(value).__module__.split(".")[:2]
        is_part = callable(value) or (package[0] == "openai" and package != ["openai", "types"])
        return Blocking(value, self._runner) if is_part else value


class Answer(NamedTuple):
    """What a call brought: the header, the body's bytes (none of a stream), and what the SDK made of them."""

    headers: Mapping[str, str]
    body: bytes
    parsed: Any

    @property
    def provider(self) -> str:
        return self.headers["x-gateway-provider"]

    @property
    def attempts(self) -> int:
        return int(self.headers["x-gateway-attempts"])


def call(client: Any, method: str, **arguments: Any) -> Answer:
    """Call a method of the SDK, such as `chat.completions.create`; a stream is read to its end."""
    *path, name = method.split(".")
    resource = reduce(getattr, path, client)
    raw = getattr(resource.with_raw_response, name)(**arguments)
    if arguments.get("stream"):
        return Answer(raw.headers, b"", list(raw.parse()))
    return Answer(raw.headers, raw.content, raw.parse())


def chat(client: Any, *, stream: bool = False) -> Answer:
    """Say hi."""
    return call(client, "chat.completions.create", model=MODEL, messages=HI, stream=stream)


def text_of(answer: Answer) -> str:
    """What the assistant says in an answer to `chat`, plain or streamed."""
    if isinstance(answer.parsed, list):
        return "".join(chunk.choices[0].delta.content or "" for chunk in answer.parsed)
    return answer.parsed.choices[0].message.content or ""


def get(gateway: Running, path: str) -> Any:
    """The JSON of one of the gateway's own pages, whatever its status."""
    opener = urllib.request.build_opener(_TakesErrors())
    with opener.open(gateway.url + path, timeout=5) as response:
        return json.load(response)


def health_of(gateway: Running, name: str) -> Any:
    """What /health says of a provider."""
    providers = get(gateway, "/health")["provider_health"]
    return next(provider for provider in providers if provider["name"] == name)


class _TakesErrors(urllib.request.HTTPErrorProcessor):
    def http_response(self, request: Any, response: Any) -> Any:
        return response
