"""Embeddings by Gemini's `batchEmbedContents`, one request for each input.

| parameter | becomes |
|---|---|
| `input` | texts; tokens are refused, since the API takes none |
| `dimensions` | `outputDimensionality` |
| `encoding_format` | done here: `base64` is little-endian float32, as OpenAI's |
| `user` | nothing |

Where the API tells no number of tokens, `usage` has zeros: the SDKs need the member.
Source: https://ai.google.dev/api/embeddings, https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

import base64
import struct
from typing import Final, NamedTuple

import msgspec

from gateway.providers.gemini import errors, models
from gateway.providers.reading import UNREADABLE, Json, Members
from gateway.providers.translation import TranslationError


class EmbeddingsRequest(NamedTuple):
    """The request as Gemini has it, and what its answer depends on."""

    target: bytes
    body: bytes
    inputs: int
    as_base64: bool


def read(body: bytes, model: str, *, drop: bool) -> EmbeddingsRequest:
    """The request for `model`; `drop` leaves out what the API lacks. Raises GatewayError (400)."""
    request = Members.of_request(body, drop=drop)
    request.ignore("model", "user")
    texts = _texts(request)
    encoding = request.take("encoding_format", str) or "float"
    if encoding not in ("float", "base64"):
        raise request.wrong("encoding_format", "must be float or base64")
    common: Json = {"model": models.resource(model)}
    dimensions = request.number("dimensions", int)
    if dimensions is not None:
        common["outputDimensionality"] = dimensions
    request.finish()
    requests = [common | {"content": {"parts": [{"text": text}]}} for text in texts]
    encoded = msgspec.json.encode({"requests": requests})
    return EmbeddingsRequest(
        models.path(model, "batchEmbedContents"), encoded, len(texts), encoding == "base64"
    )


def _texts(request: Members) -> list[str]:
    rule = "must be a string or an array of strings: this provider's API takes no tokens"
    texts = request.texts("input", rule)
    if not texts:
        raise request.wrong("input", rule)
    return texts


class _Embedding(msgspec.Struct):
    values: list[float]


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int = 0


class _Answer(msgspec.Struct, rename="camel"):
    embeddings: list[_Embedding]
    usage_metadata: _Usage | None = None


_answer_of: Final = msgspec.json.Decoder(_Answer).decode


class EmbeddingsTranslator:
    """Translates the answer for a number of `inputs`; see `gateway.providers.translation.Translator`."""

    def __init__(self, model: str, inputs: int, *, as_base64: bool) -> None:
        self._model = model
        self._inputs = inputs
        self._as_base64 = as_base64

    def whole(self, body: bytes) -> bytes:
        """The list of embeddings. Raises TranslationError."""
        try:
            answer = _answer_of(body)
        except UNREADABLE:
            raise TranslationError("its answer is not a BatchEmbedContentsResponse") from None
        if len(answer.embeddings) != self._inputs:
            raise TranslationError("its answer has not one embedding for each input")
        data = [
            {"object": "embedding", "index": index, "embedding": self._encoded(embedding.values)}
            for index, embedding in enumerate(answer.embeddings)
        ]
        tokens = 0 if answer.usage_metadata is None else answer.usage_metadata.prompt_token_count
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return msgspec.json.encode({"object": "list", "data": data, "model": self._model, "usage": usage})

    def error(self, status: int, body: bytes) -> tuple[int, bytes]:
        """The client's error."""
        return errors.translate(status, body)

    def feed(self, data: bytes) -> bytes:
        """Raises TranslationError: embeddings are not streamed."""
        raise TranslationError("it streams embeddings, which its API does not")

    def end(self) -> bytes:
        """Raises TranslationError: embeddings are not streamed."""
        raise TranslationError("it streams embeddings, which its API does not")

    def _encoded(self, vector: list[float]) -> str | list[float]:
        if not self._as_base64:
            return vector
        try:
            return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        except OverflowError:
            raise TranslationError("its answer has a number that is no float32") from None
