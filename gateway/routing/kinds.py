"""For what a provider refused a request: whether another model would take it (`fallbacks` of a model).

No API has a status of its own for either, and few a code, so the words of the messages count too. What is not
known is no kind: the client gets the refusal as it is.

References: https://platform.openai.com/docs/guides/error-codes (`context_length_exceeded`),
https://learn.microsoft.com/azure/ai-services/openai/concepts/content-filter (`content_filter`),
https://docs.anthropic.com/en/docs/build-with-claude/context-windows ("prompt is too long"),
https://ai.google.dev/gemini-api/docs/tokens ("exceeds the maximum number of tokens"),
https://github.com/vllm-project/vllm, https://github.com/sgl-project/sglang ("context length").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.routing.route import Kind

_CODES: Final[Mapping[str, Kind]] = {
    "context_length_exceeded": "context_window",
    "exceed_context_size_error": "context_window",  # llama.cpp
    "content_filter": "content_policy",
    "content_policy_violation": "content_policy",
    "moderation_blocked": "content_policy",
}
_CONTEXT: Final = re.compile(
    "maximum context length|prompt is too long|exceeds? the maximum number of tokens"
    "|longer than the model's context length|exceeds? the context window",
    re.IGNORECASE,
).search
_POLICY: Final = re.compile(
    "content management policy|content filtering policy|content policy", re.IGNORECASE
).search


class _Error(msgspec.Struct):
    message: Any = None
    type: Any = None
    code: Any = None


class _Body(msgspec.Struct):
    error: _Error | None = None
    message: Any = None
    """Where SGLang and older vLLM put it: the error is the body."""


_decode: Final = msgspec.json.Decoder(_Body).decode


def kind_of(status: int, body: bytes) -> Kind | None:
    """The kind of the refusal with this `status` and `body`, which may be any bytes; None for any other."""
    if status not in (400, 413, 422):
        return None
    try:
        content = _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    error = content.error or _Error(content.message)
    return _kind(error.message, error.type, error.code)


def kind_of_error(error: Mapping[str, Any]) -> Kind | None:
    """The kind of the refusal with which an event stream began: its object of any members."""
    return _kind(error.get("message"), error.get("type"), error.get("code"))


def _kind(message: object, kind: object, code: object) -> Kind | None:
    for name in (code, kind):
        if isinstance(name, str) and name in _CODES:
            return _CODES[name]
    if not isinstance(message, str):
        return None
    if _CONTEXT(message):
        return "context_window"
    return "content_policy" if _POLICY(message) else None
