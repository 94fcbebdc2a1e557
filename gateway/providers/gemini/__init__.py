"""The `gemini` format: Google's native API, spoken to behind chat completions and embeddings.

- request.py, messages.py, parts.py, tools.py, thinking.py, models.py: a chat completions request becomes a
  `generateContent` one.
- response.py, answer.py, errors.py: the answer becomes a chat completion, plain or streamed.
- embeddings.py: both directions of embeddings.

Its OpenAI-compatible API needs none of this: `format: openai` with `…/v1beta/openai` as the base URL.
"""

from gateway.providers.gemini.provider import GeminiProvider

__all__ = ["GeminiProvider"]
