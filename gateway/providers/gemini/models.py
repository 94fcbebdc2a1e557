"""What the name of a Gemini model says about the API that it takes.

Thinking is asked for by level from generation 3 on, by token budget before, and what stands beside each
changed with it. Source: https://ai.google.dev/gemini-api/docs/thinking
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

_GENERATION: Final = re.compile(r"(?:^|/)gemini-(\d{1,3})(?:\D|$)").search
_COLLECTIONS: Final = ("models/", "tunedModels/")
NEWEST: Final = 3
"""The last generation that brought a difference."""


def generation(model: str) -> int:
    """The 2 of `gemini-2.5-flash`; `NEWEST` for a name without a number (`gemini-flash-latest`)."""
    match = _GENERATION(model)
    return NEWEST if match is None else int(match[1])


def resource(model: str) -> str:
    """The resource name of a model: `models/gemini-2.5-flash`, `tunedModels/mine`."""
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def path(model: str, method: str) -> bytes:
    """The target of `method` for `model`; nothing in a name can make it another resource's."""
    collection, _, name = resource(model).partition("/")
    return f"/{collection}/{quote(name, safe='')}:{method}".encode()
