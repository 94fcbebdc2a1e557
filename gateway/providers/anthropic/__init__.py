"""The `anthropic` format: Anthropic's Messages API, and all who speak it (DeepSeek, Kimi, MiniMax, vLLM …).

Chat completions are translated; requests to the API's own endpoints are passed on as they are.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.config import schema
from gateway.errors import INVALID_REQUEST, GatewayError
from gateway.providers.anthropic.request import translate
from gateway.providers.base import Inbound, Provider
from gateway.providers.translation import Translation

# https://platform.claude.com/docs/en/api/versioning. Not the latest, 2026-10-21: its Messages API is the same
# except that it knows no `temperature`, which older models still take.
_VERSION_FIELD: Final = b"anthropic-version"
_VERSION: Final = b"anthropic-version: 2023-06-01\r\n"

_CHAT: Final = b"/v1/chat/completions"
_CARRIES_PREFIX: Final = re.compile(rb".*/v[0-9]+").fullmatch

# Endpoints of OpenAI's API which Anthropic's has nothing like. What it has itself under other names
# (`/v1/messages/batches`) is asked for by those.
_ABSENT: Final = frozenset(
    {
        b"assistants",
        b"audio",
        b"chat",
        b"completions",
        b"conversations",
        b"embeddings",
        b"evals",
        b"fine_tuning",
        b"images",
        b"moderations",
        b"realtime",
        b"responses",
        b"threads",
        b"uploads",
        b"vector_stores",
        b"videos",
    }
)


class AnthropicProvider(Provider):
    """Sends `/v1/x` to the base URL's `/v1`; the key goes in `x-api-key`."""

    translated_paths = frozenset({_CHAT})

    def __init__(self, name: str, settings: schema.Provider) -> None:
        super().__init__(name, settings)
        self._prefix = self.base_path if _CARRIES_PREFIX(self.base_path) else self.base_path + b"/v1"
        self._drop_unsupported = settings.drop_unsupported
        self._sets_version = any(field.lower().encode() == _VERSION_FIELD for field in settings.headers)

    def authorize(self, key: str) -> bytes:
        """The key by itself (https://platform.claude.com/docs/en/api/overview)."""
        return f"x-api-key: {key}\r\n".encode()

    def target(self, target: bytes, model: str) -> bytes:
        """`/v1/x?y` becomes prefix + `/x?y`."""
        return self._prefix + target[3:]

    def head(self, request: Inbound, model: str, length: int, lines: bytes = b"") -> bytes:
        """As every provider's, with a version of the API unless the client or the configuration names one."""
        if not self._sets_version and not _names_version(request.fields):
            lines += _VERSION
        return super().head(request, model, length, lines)

    def adapts(self, path: bytes) -> bool:
        """Every request: `translate` looks at it."""
        return True

    def translate(self, target: bytes, body: bytes, model: str, now: int) -> Translation | None:
        """A request for a chat completion as one to the Messages API; None for what is passed on.

        Raises GatewayError: 400 for a body that cannot be expressed, 404 for an endpoint that the API lacks.
        """
        path = target.partition(b"?")[0]
        if path == _CHAT:
            return translate(body, model, now=now, drop_unsupported=self._drop_unsupported)
        endpoint = path.removeprefix(b"/v1/").partition(b"/")[0]
        if endpoint in _ABSENT:
            message = (
                f"The API of provider `{self.name}` (format anthropic) has no {path.decode('latin-1')}; "
                "it has /v1/chat/completions and /v1/messages."
            )
            raise GatewayError(404, INVALID_REQUEST, "unsupported_endpoint", message)
        return None


def _names_version(fields: list[bytes]) -> bool:
    return any(name.lower() == _VERSION_FIELD for name in fields[::4])
