"""Where requests to Gemini's native API go, and which of them are translated."""

from __future__ import annotations

from typing import Final

from gateway.config import schema
from gateway.errors import bad_request, refused
from gateway.providers.base import Provider
from gateway.providers.gemini import embeddings, request
from gateway.providers.gemini.embeddings import EmbeddingsTranslator
from gateway.providers.gemini.response import ChatTranslator
from gateway.providers.translation import Translation

_VERSIONS: Final = (b"/v1", b"/v1beta", b"/v1alpha")
_DEFAULT_VERSION: Final = b"/v1beta"  # it has all that v1 has, and what is in preview
_CHAT: Final = b"/v1/chat/completions"
_EMBEDDINGS: Final = b"/v1/embeddings"
_LISTING: Final = b"/v1/models"


class GeminiProvider(Provider):
    """Sends `/v1/x` to the base URL's own version, or to `/v1beta/x` below it.

    Chat completions and embeddings are translated, the listing of models is Gemini's own, and the rest is
    refused.
    """

    translated_paths = frozenset({_CHAT, _EMBEDDINGS})

    def __init__(self, name: str, settings: schema.Provider) -> None:
        super().__init__(name, settings)
        path = self.base_path
        if path.endswith(b"/openai"):
            raise ValueError("base_url is that of the OpenAI-compatible API (use format: openai for it)")
        self._prefix = path if path.endswith(_VERSIONS) else path + _DEFAULT_VERSION

    def authorize(self, key: str) -> bytes:
        """The key in its own field (https://ai.google.dev/gemini-api/docs/api-key)."""
        return f"x-goog-api-key: {key}\r\n".encode()

    def target(self, target: bytes, model: str) -> bytes:
        """`/v1/x?y` becomes prefix + `/x?y`."""
        return self._prefix + target[3:]

    def adapts(self, path: bytes) -> bool:
        """Every request: `translate` looks at it."""
        return True

    def translate(self, target: bytes, body: bytes, model: str, now: int) -> Translation | None:
        """The request as Gemini has it; None for the listing of models.

        `now` is seconds since the epoch. Raises GatewayError: 404 for an endpoint that the API lacks, 400 for
        a request that cannot be put to it.
        """
        path = target.partition(b"?")[0]
        if path == _CHAT:
            return self._chat(body, _named(model), now)
        if path == _EMBEDDINGS:
            return self._embeddings(body, _named(model))
        if path == _LISTING or path.startswith(_LISTING + b"/"):
            return None
        raise refused(
            404,
            "unsupported_endpoint",
            f"The provider {self.name!r} speaks Gemini's API: it has chat completions and embeddings only.",
        )

    def _chat(self, body: bytes, model: str, now: int) -> Translation:
        chat = request.read(body, model, drop=self.drop_unsupported)
        translator = ChatTranslator(model, now, usage_asked=chat.usage_asked)
        return Translation(chat.target, chat.body, translator)

    def _embeddings(self, body: bytes, model: str) -> Translation:
        batch = embeddings.read(body, model, drop=self.drop_unsupported)
        translator = EmbeddingsTranslator(model, batch.inputs, as_base64=batch.as_base64)
        return Translation(batch.target, batch.body, translator)


def _named(model: str) -> str:
    if not model:
        raise bad_request("`model` is missing; it must name one of Gemini's models.", param="model")
    return model
