"""What becomes of each parameter where APIs are translated: the tables of the modules that do it."""

from __future__ import annotations

from types import ModuleType

from gateway.providers.anthropic import request as anthropic_request
from gateway.providers.anthropic import response as anthropic_response
from gateway.providers.dialects import messages
from gateway.providers.dialects.responses import items
from gateway.providers.dialects.responses import request as responses_request
from gateway.providers.gemini import embeddings as gemini_embeddings
from gateway.providers.gemini import request as gemini_request


def anthropic() -> str:
    """Chat completions put to Anthropic's API."""
    return _table_in(anthropic_request)


def anthropic_answers() -> str:
    """Anthropic's answers as chat completions."""
    return _table_in(anthropic_response)


def gemini() -> str:
    """Chat completions put to Gemini's API."""
    return _table_in(gemini_request)


def embeddings() -> str:
    """Embeddings put to Gemini's API."""
    return _table_in(gemini_embeddings)


def of_messages() -> str:
    """The Messages API put to chat completions."""
    return _table_in(messages)


def of_responses() -> str:
    """The Responses API put to chat completions."""
    return _table_in(responses_request)


def response_items() -> str:
    """The items of the Responses API's `input` as messages."""
    return _table_in(items)


def _table_in(module: ModuleType) -> str:
    """The table in the docstring of `module`, as it stands there."""
    rows = [line for line in (module.__doc__ or "").splitlines() if line.startswith("|")]
    assert rows, f"{module.__name__} has no table"
    return "\n".join([*rows, ""])
