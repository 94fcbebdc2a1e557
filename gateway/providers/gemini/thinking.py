"""`reasoning_effort` as Gemini's `thinkingConfig`.

The table is Google's own for its OpenAI-compatible API. A model of generation 2 has a budget of tokens, a
later one a level; only budgets can turn thinking off, and Pro models have no level below `low`. Whoever asks
for an effort also gets the summary of the thoughts (`reasoning_content`): it costs no further tokens.

Source: https://ai.google.dev/gemini-api/docs/openai#thinking, https://ai.google.dev/gemini-api/docs/thinking
"""

from __future__ import annotations

from typing import Final

from gateway.providers.gemini import models
from gateway.providers.reading import Json, Members

_BUDGETS: Final = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,  # the most that every model takes
}
_LEVELS: Final = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "XHIGH",
}


def read(request: Members, google: Members | None, model: str) -> object | None:
    """The `thinkingConfig`, or None; `extra_body.google.thinking_config` goes as it came.

    Raises GatewayError (400) for an effort that the model cannot have, and where both are given.
    """
    effort = request.take("reasoning_effort", str)
    given = None if google is None else google.raw("thinking_config")
    if given is not None:
        if effort is not None:
            raise request.wrong("reasoning_effort", "cannot stand beside `extra_body.google.thinking_config`")
        return given
    if effort is None:
        return None
    if effort not in _BUDGETS:
        raise request.wrong("reasoning_effort", f"must be one of {', '.join(_BUDGETS)}")
    if models.generation(model) < models.NEWEST:
        budget: Json = {"thinkingBudget": _BUDGETS[effort]}
        return {**budget, "includeThoughts": True} if effort != "none" else budget
    if effort == "none":
        request.unsupported("reasoning_effort", "thinking cannot be turned off for this model")
        return None
    level = "low" if effort == "minimal" and "-pro" in model else effort
    return {"thinkingLevel": _LEVELS[level], "includeThoughts": True}
