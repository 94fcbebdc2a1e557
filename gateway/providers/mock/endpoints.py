"""Every path that the mock provider answers, and the endpoints short enough to stand here.

https://platform.openai.com/docs/api-reference. Paths have the ``/v1`` prefix; any other is the API's 404.
"""

from __future__ import annotations

import base64
import hashlib
import math
from array import array
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from gateway.providers.mock.answer import (
    CREATED,
    Answer,
    ApiError,
    Call,
    Json,
    count_words,
    decode,
    json_answer,
    texts_of,
)
from gateway.providers.mock.chat import chat_completion, completion
from gateway.providers.mock.media import image, speech, transcription
from gateway.providers.mock.multipart import read_form
from gateway.providers.mock.responses import response

MODELS: Final = ("mock-gpt", "mock-embedding")

_DIMENSIONS: Final = 256
_MAX_DIMENSIONS: Final = 4096

_CATEGORIES: Final = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


class EmbeddingRequest(msgspec.Struct):
    """The body of ``POST /v1/embeddings``, as far as the mock reads it."""

    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=_MAX_DIMENSIONS)] | None = None


class ModerationRequest(msgspec.Struct):
    """The body of ``POST /v1/moderations``; its model may be left out."""

    input: str | list[Any]
    model: str = "omni-moderation-latest"


def answer(call: Call) -> Answer:
    """Answer any call; a refusal is an answer too. HEAD is answered as GET, body included."""
    method = "GET" if call.method == "HEAD" else call.method
    collection = call.path.rpartition("/")[0]
    endpoint = _ENDPOINTS.get((method, call.path)) or _ITEM_ENDPOINTS.get((method, collection))
    try:
        return endpoint(call) if endpoint else _nowhere(call)
    except ApiError as error:
        return error.answer()


def embedding(call: Call) -> Answer:
    """Answer ``POST /v1/embeddings``: for each input a vector of length 1 made from its hash.

    Raises:
        ApiError: the request does not fit.
    """
    request = decode(call, EmbeddingRequest)
    texts = texts_of(request.input)
    as_base64 = request.encoding_format == "base64"
    data = []
    for index, text in enumerate(texts):
        vector = embed(text, request.dimensions or _DIMENSIONS)
        value = base64.b64encode(vector.tobytes()).decode() if as_base64 else vector.tolist()
        data.append({"object": "embedding", "index": index, "embedding": value})
    tokens = count_words(texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json_answer({"object": "list", "data": data, "model": request.model, "usage": usage})


def embed(text: str, dimensions: int) -> array[float]:
    """A vector of 32-bit floats with Euclidean length 1 that depends on the text only."""
    digest = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(dimensions)
    # Odd numbers, so that no component, and never the length, is zero.
    components = [2 * byte - 255 for byte in digest]
    length = math.hypot(*components)
    return array("f", (component / length for component in components))


def models(call: Call) -> Answer:
    """Answer ``GET /v1/models``."""
    return json_answer({"object": "list", "data": [_model(name) for name in MODELS]})


def model(call: Call) -> Answer:
    """Answer ``GET /v1/models/{id}``.

    Raises:
        ApiError: 404, there is no such model.
    """
    name = _leaf(call.path)
    if name not in MODELS:
        raise ApiError(404, f"The model '{name}' does not exist", param="model", code="model_not_found")
    return json_answer(_model(name))


def moderation(call: Call) -> Answer:
    """Answer ``POST /v1/moderations``: nothing is ever flagged.

    Raises:
        ApiError: the request does not fit.
    """
    request = decode(call, ModerationRequest)
    result = {
        "flagged": False,
        "categories": dict.fromkeys(_CATEGORIES, False),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.0),
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }
    inputs = 1 if isinstance(request.input, str) else len(request.input)
    results = [result] * inputs
    return json_answer({"id": f"modr-mock-{call.serial}", "model": request.model, "results": results})


def files(call: Call) -> Answer:
    """Answer ``GET /v1/files``: always the same one file, since the mock keeps nothing."""
    return json_answer(_list([_file("file-mock-0", "mock.jsonl", 0, "batch")]))


def upload_file(call: Call) -> Answer:
    """Answer ``POST /v1/files``.

    Raises:
        ApiError: 400, the body is not a form with a file.
    """
    form = read_form(call)
    upload = form.file()
    purpose = form.fields.get("purpose", "user_data")
    return json_answer(_file(f"file-mock-{call.serial}", upload.filename, len(upload.data), purpose))


def delete_file(call: Call) -> Answer:
    """Answer ``DELETE /v1/files/{id}``, whatever the id."""
    return json_answer({"id": _leaf(call.path), "object": "file", "deleted": True})


def batches(call: Call) -> Answer:
    """Answer ``GET /v1/batches``: there are none."""
    return json_answer(_list([]))


def _nowhere(call: Call) -> Answer:
    raise ApiError(404, f"Invalid URL ({call.method} {call.path})")


def _leaf(path: str) -> str:
    return path.rpartition("/")[2]


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "mock"}


def _file(identifier: str, filename: str, size: int, purpose: str) -> Json:
    return {
        "id": identifier,
        "object": "file",
        "bytes": size,
        "created_at": CREATED,
        "filename": filename,
        "purpose": purpose,
        "status": "processed",
    }


def _list(data: list[Json]) -> Json:
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": False}


_ENDPOINTS: Final[Mapping[tuple[str, str], Callable[[Call], Answer]]] = {
    ("POST", "/v1/chat/completions"): chat_completion,
    ("POST", "/v1/completions"): completion,
    ("POST", "/v1/responses"): response,
    ("POST", "/v1/embeddings"): embedding,
    ("POST", "/v1/audio/transcriptions"): transcription,
    ("POST", "/v1/audio/speech"): speech,
    ("POST", "/v1/images/generations"): image,
    ("POST", "/v1/moderations"): moderation,
    ("GET", "/v1/models"): models,
    ("GET", "/v1/files"): files,
    ("POST", "/v1/files"): upload_file,
    ("GET", "/v1/batches"): batches,
}

_ITEM_ENDPOINTS: Final[Mapping[tuple[str, str], Callable[[Call], Answer]]] = {
    ("GET", "/v1/models"): model,
    ("DELETE", "/v1/files"): delete_file,
}
