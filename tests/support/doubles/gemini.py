"""A double of Gemini's native API: checks requests as the API does, and answers by a script.

`generateContent`, `streamGenerateContent?alt=sse`, `batchEmbedContents` and the listing of models, under
`/v1beta` and `/v1`. Plain answers are indented and streams have CRLF, as those of the API.
Source: https://ai.google.dev/api/generate-content, https://ai.google.dev/api/embeddings
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from doubles.gemini_rules import EMBED, SIGNATURE, ApiError, check_generate, invalid, known
from doubles.serving import Double, Reply, Request

KEY: Final = "AIza-a-key-of-the-double"
MODELS: Final = {"gemini-2.5-flash": 2, "gemini-3.5-flash": 3, "gemini-3.5-pro": 3, "gemini-embedding-001": 2}
"""The models that it has, and their generations."""
_PATH: Final = re.compile(r"/v1(?:beta)?/models(?:/([^:]+):([A-Za-z]+))?").fullmatch
_USAGE: Final = {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14}


@dataclass
class Answer:
    """One answer of the model. Its stream is `cut` before the last event, or has `fault` instead of that."""

    parts: Sequence[dict[str, Any]]
    finish_reason: str = "STOP"
    usage: dict[str, Any] = field(default_factory=lambda: dict(_USAGE))
    cut: bool = False
    fault: ApiError | None = None


def text(value: str) -> dict[str, Any]:
    """A part of text."""
    return {"text": value}


def thought(value: str) -> dict[str, Any]:
    """A part of the summary of a thought."""
    return {"text": value, "thought": True}


def call(name: str, args: dict[str, Any], *, id_: str | None = None, signed: bool = False) -> dict[str, Any]:
    """A call of a function; the first of several is the one that is `signed`."""
    made: dict[str, Any] = {"functionCall": {"name": name, "args": args}}
    if id_ is not None:
        made["functionCall"]["id"] = id_
    return made | ({"thoughtSignature": SIGNATURE} if signed else {})


def rate_limited(delay: str) -> ApiError:
    """429, with the delay after which to ask again."""
    return ApiError(
        429,
        "RESOURCE_EXHAUSTED",
        f"You exceeded your current quota. Please retry in {delay}.",
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerMinute"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    )


class GeminiDouble(Double):
    """The server; `script` is what the model says next, in turn, and then an answer that says so."""

    def __init__(self) -> None:
        super().__init__()
        self.script: deque[Answer | ApiError] = deque()

    def answer(self, request: Request) -> Reply:
        try:
            return self._answer(request)
        except ApiError as error:
            return Reply(error.code, _indented(error.body()))

    def _answer(self, request: Request) -> Reply:
        _authorize(request)
        path = _PATH(request.path)
        if path is None or request.method != ("GET" if path[1] is None else "POST"):
            raise ApiError(404, "NOT_FOUND", "Requested entity was not found.")
        name, method = path.groups()
        if name is None:
            return Reply(body=_indented({"models": [_model(name) for name in MODELS]}))
        if name not in MODELS:
            raise ApiError(404, "NOT_FOUND", f"models/{name} is not found for API version v1beta.")
        try:
            body = request.json()
        except ValueError:
            raise invalid("Invalid JSON payload received.") from None
        match method:
            case "generateContent":
                return Reply(body=_indented(_whole(self._next(body, name), name)))
            case "streamGenerateContent" if request.query.get("alt") == "sse":
                return _streamed(self._next(body, name), name)
            case "batchEmbedContents":
                return Reply(body=_indented(_embeddings(body, name)))
        raise ApiError(404, "NOT_FOUND", f"Unknown method {method!r}.")

    def _next(self, body: Any, model: str) -> Answer:
        check_generate(body, MODELS[model])
        answer = self.script.popleft() if self.script else Answer([text("nothing is scripted")])
        if isinstance(answer, ApiError):
            raise answer
        return answer


def _authorize(request: Request) -> None:
    key = request.fields.get("x-goog-api-key")
    if key is None:
        raise ApiError(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.")
    if key != KEY:
        detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        raise ApiError(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", detail)


def _model(name: str) -> dict[str, Any]:
    method = "embedContent" if "embedding" in name else "generateContent"
    return {"name": f"models/{name}", "version": "1", "supportedGenerationMethods": [method]}


def _response(model: str, candidate: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": model,
        "responseId": "response-1",
    }


def _content(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"parts": list(parts), "role": "model"}


def _whole(answer: Answer, model: str) -> dict[str, Any]:
    candidate = {"content": _content(answer.parts), "finishReason": answer.finish_reason, "index": 0}
    return _response(model, candidate, answer.usage)


def events(answer: Answer, model: str) -> list[dict[str, Any]]:
    """The events by which an answer is streamed: texts in pieces, calls whole, the finishReason last."""
    pieces = [piece for part in answer.parts for piece in _pieces(part)]
    usage = {"promptTokenCount": 9, "totalTokenCount": 9}
    made = [_response(model, {"content": _content([piece]), "index": 0}, usage) for piece in pieces]
    last = {"content": _content([text("")]), "finishReason": answer.finish_reason, "index": 0}
    return [*made, _response(model, last, answer.usage)]


def _pieces(part: dict[str, Any]) -> list[dict[str, Any]]:
    value = part.get("text", "")
    return [part | {"text": value[start : start + 7]} for start in range(0, len(value), 7)] or [part]


def _streamed(answer: Answer, model: str) -> Reply:
    made = events(answer, model)
    if answer.cut or answer.fault is not None:
        del made[-1]
    if answer.fault is not None:
        made.append(answer.fault.body())
    return Reply(stream=[b"data: %b\r\n\r\n" % json.dumps(one).encode() for one in made], cut=answer.cut)


def _embeddings(body: Any, model: str) -> dict[str, Any]:
    """A vector tells the length of its text: [length, 0.5, -1.0, …]."""
    vectors = []
    for one in known(body, EMBED).get("requests", []):
        if one.get("model") != f"models/{model}":
            raise invalid("* BatchEmbedContentsRequest.requests[0].model: unexpected model name format")
        size = sum(len(part["text"]) for part in one["content"]["parts"])
        vectors.append(([float(size), 0.5, -1.0] + [0.0] * 3072)[: one.get("outputDimensionality", 3072)])
    if not vectors:
        raise invalid("* BatchEmbedContentsRequest.requests: at least one request is required")
    return {"embeddings": [{"values": vector} for vector in vectors]}


def _indented(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode()
