"""The formats as a test sees them: a double for each, told in the same words what to answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from doubles import anthropic, azure, chat, gemini
from doubles.gemini_rules import ApiError

TINY_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
RETRY_AFTER_S = 7


class Call(NamedTuple):
    """A call of a tool."""

    id: str
    name: str
    arguments: dict[str, Any]


class Backend(NamedTuple):
    """A format: the settings of a provider at `{p}`, a model of the double, what the double can be told.

    `says`, `calls` and `fails` make what goes into the double's `script`; `fails` takes a status of OpenAI's.
    `heard` are the bodies of the requests that came. `usage` are input and output tokens of an answer.
    """

    name: str
    settings: str
    model: str
    make: Callable[[], Any]
    says: Callable[[str], Any]
    calls: Callable[[Sequence[Call]], Any]
    fails: Callable[[int], Any]
    heard: Callable[[Any], list[Any]]
    usage: tuple[int, int]
    path: str = "/v1/chat/completions"

    def config(self, settings: str = "") -> str:
        """A configuration with this provider alone, called `p`, with further `settings`."""
        return f"providers: {{p: {{{self.settings}, {settings}}}}}\n"


def _chat_calls(calls: Sequence[Call]) -> chat.Reply:
    made = (chat.ToolCall(call.id, call.name, json.dumps(call.arguments)) for call in calls)
    return chat.Reply(calls=tuple(made), finish_reason="tool_calls")


def _chat_failure(status: int) -> chat.Reply:
    return chat.Reply(status=status, error={"message": f"no: {status}", "type": "x", "code": None})


_ANTHROPIC_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
}


def _anthropic_failure(status: int) -> anthropic.Failure:
    kind = _ANTHROPIC_KINDS[status]
    fields = {"retry-after": str(RETRY_AFTER_S)} if status == 429 else {}
    return anthropic.Failure(529 if status == 503 else status, kind, f"no: {status}", fields)


_GEMINI_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def _gemini_failure(status: int) -> ApiError:
    if status == 429:
        return gemini.rate_limited(f"{RETRY_AFTER_S}s")
    return ApiError(status, _GEMINI_STATUSES[status], f"no: {status}")


def _azure(name: str, settings: str) -> Backend:
    return Backend(
        name=name,
        settings=f'format: azure, base_url: "{{p}}", api_key: {azure.KEY}{settings}',
        model="my-gpt",
        make=azure.AzureDouble,
        says=lambda text: chat.Reply(text=text),
        calls=_chat_calls,
        fails=_chat_failure,
        heard=lambda double: [one.json() for one in double.requests],
        usage=(20, 8),
    )


OPENAI = Backend(
    name="openai",
    settings=f'format: openai, base_url: "{{p}}", api_key: {chat.KEY}',
    model="llama-3.3",
    make=chat.ChatDouble,
    says=lambda text: chat.Reply(text=text),
    calls=_chat_calls,
    fails=_chat_failure,
    heard=lambda double: double.requests,
    usage=(20, 8),
)
ANTHROPIC = Backend(
    name="anthropic",
    settings=f'format: anthropic, base_url: "{{p}}", api_key: {anthropic.KEY}',
    model="claude-opus-4-8",
    make=anthropic.AnthropicDouble,
    says=lambda text: anthropic.Answer([anthropic.text(text)]),
    calls=lambda calls: anthropic.Answer(
        [anthropic.tool_use(one.id, one.name, **one.arguments) for one in calls], stop_reason="tool_use"
    ),
    fails=_anthropic_failure,
    heard=lambda double: [one.body for one in double.requests],
    usage=(10, 5),
)
GEMINI = Backend(
    name="gemini",
    settings=f'format: gemini, base_url: "{{p}}", api_key: {gemini.KEY}',
    model="gemini-3.5-flash",
    make=gemini.GeminiDouble,
    says=lambda text: gemini.Answer([gemini.text(text)]),
    calls=lambda calls: gemini.Answer(
        [gemini.call(one.name, one.arguments, id_=one.id, signed=not at) for at, one in enumerate(calls)]
    ),
    fails=_gemini_failure,
    heard=lambda double: [one.json() for one in double.requests],
    usage=(9, 5),
)
AZURE = _azure("azure", "")
AZURE_DATED = _azure("azure-dated", ", api_version: 2024-10-21")

FOREIGN = (ANTHROPIC, GEMINI, AZURE, AZURE_DATED)
"""The formats that are not OpenAI's own."""
ALL = (OPENAI, *FOREIGN)
