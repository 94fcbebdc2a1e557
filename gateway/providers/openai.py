"""The `openai` format: OpenAI and everything that speaks its API (vLLM, SGLang, Ollama, Plano, OpenRouter …).

The mock provider speaks it too.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.config import schema
from gateway.providers.base import Provider

# A base URL may carry the API's prefix: `/v1`, `/openai/v1`, `/v1beta/openai` (Gemini), `/api/v3` (Ark).
_CARRIES_PREFIX: Final = re.compile(rb".*/(?:v[0-9]+(?:(?:alpha|beta)[0-9]*)?|openai)").fullmatch


class OpenAIProvider(Provider):
    """Sends `/v1/x` to the base URL's own prefix, or to `/v1/x` below it; the key is a Bearer token."""

    def __init__(self, name: str, settings: schema.Provider) -> None:
        super().__init__(name, settings)
        self._prefix = self.base_path if _CARRIES_PREFIX(self.base_path) else self.base_path + b"/v1"

    def authorize(self, key: str) -> bytes:
        """Bearer token (https://platform.openai.com/docs/api-reference/authentication)."""
        return f"authorization: Bearer {key}\r\n".encode()

    def target(self, target: bytes, model: str) -> bytes:
        """`/v1/x?y` becomes prefix + `/x?y`."""
        return self._prefix + target[3:]
