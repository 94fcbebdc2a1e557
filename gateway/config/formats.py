"""The formats that providers speak, and how one of each is asked on the APIs beside chat completions."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

__all__ = ["WAYS", "Format", "Way", "Ways"]

Format = Literal["openai", "azure", "anthropic", "gemini", "mock"]
Way = Literal["native", "chat"]
"""How an API is served: by the provider itself, or translated to chat completions."""


class Ways(NamedTuple):
    """The ways that a format has for /v1/responses and /v1/messages; the first unless told otherwise."""

    responses: tuple[Way, ...]
    messages: tuple[Way, ...]


WAYS: Final[dict[Format, Ways]] = {
    "openai": Ways(responses=("native", "chat"), messages=("chat", "native")),
    "azure": Ways(responses=("native", "chat"), messages=("chat",)),
    "anthropic": Ways(responses=("chat",), messages=("native",)),
    "gemini": Ways(responses=("chat",), messages=("chat",)),
    "mock": Ways(responses=("native", "chat"), messages=("chat",)),
}
