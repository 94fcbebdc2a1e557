"""By which name chat completions takes a limit of tokens: the one place that decides it for all dialects."""

from __future__ import annotations

import re
from typing import Final

# OpenAI's models that think refuse `max_tokens`; of the servers that are compatible, not all know the other
# name, and gpt-oss is what others serve.
_ONLY_COMPLETION_TOKENS: Final = re.compile(r"(?:.*/)?(?:o[1-9]|codex|gpt-(?:[5-9]|[12][0-9]))").match


def limit_name(model: str) -> str:
    """The parameter that limits what the provider's `model` generates, its thoughts included."""
    return "max_completion_tokens" if _ONLY_COMPLETION_TOKENS(model) else "max_tokens"
