"""The `azure` format: Azure OpenAI, which speaks OpenAI's API under targets and with a key of its own.

Two surfaces. With a dated `api_version` (`2024-10-21`) what a model does is addressed to its deployment,
`/openai/deployments/{model}/chat/completions?api-version=…`, and the rest to `/openai/files?api-version=…`.
Without one, or with a name of the newer surface (`preview`), it is `/openai/v1/…`, as OpenAI has it.
Nothing is translated. Instead of a key, a Microsoft Entra token can stand in `headers: {Authorization: …}`.

Source: https://learn.microsoft.com/azure/ai-services/openai/reference,
https://learn.microsoft.com/azure/ai-services/openai/api-version-lifecycle
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from gateway.config import schema
from gateway.errors import bad_request
from gateway.providers.base import Provider
from gateway.providers.translation import Translation

# The same that OpenAI's own SDK sends to a deployment.
_OF_DEPLOYMENTS: Final = frozenset(
    {
        b"/completions",
        b"/chat/completions",
        b"/embeddings",
        b"/audio/transcriptions",
        b"/audio/translations",
        b"/audio/speech",
        b"/images/generations",
        b"/images/edits",
    }
)
_NO_NAMES: Final = ("", ".", "..")  # the last two would lead to another target
_PREFIXES: Final = (b"/openai/v1", b"/openai")


class AzureProvider(Provider):
    """Sends `/v1/x` to the surface for `api_version`; the base URL may carry `/openai` or `/openai/v1`."""

    def __init__(self, name: str, settings: schema.Provider) -> None:
        super().__init__(name, settings)
        root = self.base_path
        for prefix in _PREFIXES:
            root = root.removesuffix(prefix)
        version = settings.api_version or ""
        self._dated = version[:1].isdigit()
        self._prefix = root + (b"/openai" if self._dated else b"/openai/v1")
        self._version = f"api-version={quote(version, safe='')}".encode() if version else b""

    def authorize(self, key: str) -> bytes:
        """The key in its own field (https://learn.microsoft.com/azure/ai-services/openai/reference)."""
        return f"api-key: {key}\r\n".encode()

    def adapts(self, path: bytes) -> bool:
        """Every request: `translate` looks at it."""
        return True

    def translate(self, target: bytes, body: bytes, model: str, now: int) -> Translation | None:
        """None: nothing is translated. Raises GatewayError (400) where a deployment has to be named."""
        self.target(target, model)  # refused here, before a connection is taken
        return None

    def target(self, target: bytes, model: str) -> bytes:
        """The target on this resource; `api-version` is the configured one, the rest of the query is kept.

        Raises GatewayError (400) where a deployment is needed and `model` names none.
        """
        path, _, query = target[3:].partition(b"?")
        if self._dated and path in _OF_DEPLOYMENTS:
            if model in _NO_NAMES:
                raise bad_request("`model` must name a deployment on Azure.", param="model")
            path = b"/deployments/" + quote(model, safe="").encode() + path
        queries = query.split(b"&") if query else []
        if self._version:
            queries = [self._version, *(one for one in queries if not one.startswith(b"api-version="))]
        query = b"&".join(queries)
        return self._prefix + path + (b"?" + query if query else b"")
