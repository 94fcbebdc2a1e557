"""Tool calls of the mock provider: when it calls a function, which, and with what arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.providers.mock.answer import ApiError

_MAX_DEPTH: Final = 8
"""Schemas nested deeper than this get an empty value there: recursion must not depend on the client."""

_DELTA_CHARS: Final = 8

_SAMPLES: Final[Mapping[str, Any]] = {
    "string": "mock",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
}


class Function(msgspec.Struct):
    """A function that the client offers, with the JSON schema of its arguments."""

    name: str
    parameters: dict[str, Any] | None = None


def choose(functions: Sequence[Function], choice: str, named: str | None, prompt: str) -> Function | None:
    """The function that the mock calls, or None for an answer in text.

    Args:
        functions: what the request offers.
        choice: ``tool_choice`` where it is a word: ``auto``, ``none`` or ``required``.
        named: the function that ``tool_choice`` names, if it does.
        prompt: the text of the last message where the user wrote it, else empty. With ``auto``, the word
            "tool" in it makes the mock call the first function.

    Raises:
        ApiError: 400, when ``tool_choice`` names a function that is not offered.
    """
    if named is not None:
        for function in functions:
            if function.name == named:
                return function
        raise ApiError(400, f"Tool choice '{named}' not found in 'tools' parameter.", param="tool_choice")
    if not functions or choice == "none":
        return None
    if choice == "required" or re.search(r"\btools?\b", prompt, re.IGNORECASE):
        return functions[0]
    return None


def arguments(function: Function) -> str:
    """Arguments that fit the function's schema, as JSON text."""
    return msgspec.json.encode(_sample(function.parameters or {"type": "object"}, 0)).decode()


def deltas(text: str) -> list[str]:
    """Arguments in the short pieces in which a stream sends them."""
    return [text[start : start + _DELTA_CHARS] for start in range(0, len(text), _DELTA_CHARS)]


def _sample(schema: object, depth: int) -> Any:
    """A value that fits a JSON schema, as far as types, enums and properties go."""
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    allowed = schema.get("enum")
    if isinstance(allowed, list) and allowed:
        return allowed[0]
    properties = schema.get("properties")
    if isinstance(properties, dict):
        return {name: _sample(inner, depth + 1) for name, inner in properties.items()}
    kind = schema.get("type", "object")
    if kind == "object":
        return {}
    return _SAMPLES.get(kind) if isinstance(kind, str) else None
