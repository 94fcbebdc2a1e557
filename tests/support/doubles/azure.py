"""A double of Azure OpenAI: both surfaces of a resource, with deployments of its own names.

`/openai/deployments/{deployment}/…?api-version=…` and `/openai/…?api-version=…`, and `/openai/v1/…`. It takes
its key as `api-key` or a Microsoft Entra token as a Bearer token, and nothing else.
Source: https://learn.microsoft.com/azure/ai-services/openai/reference
"""

from __future__ import annotations

import json
from typing import Any, Final

from doubles.serving import Double, Reply, Request

KEY: Final = "a-key-of-the-azure-double"
TOKEN: Final = "a-token-of-entra"
DEPLOYMENTS: Final = {"my-gpt": "gpt-4o", "blå/1": "gpt-4o", "my-embedding": "text-embedding-3-small"}
"""What each deployment runs."""
VERSIONS: Final = ("2024-10-21", "2025-03-01-preview")
_FILTERED: Final = {"hate": {"filtered": False, "severity": "safe"}}
_USAGE: Final = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}


class AzureDouble(Double):
    """The server; what a model says is `reply`."""

    def __init__(self, reply: str = "Hello from Azure.") -> None:
        super().__init__()
        self.reply = reply

    def answer(self, request: Request) -> Reply:
        bearer = request.fields.get("authorization") == f"Bearer {TOKEN}"
        if request.fields.get("api-key") != KEY and not bearer:
            return _error(401, "401", "Access denied due to invalid subscription key or wrong API endpoint.")
        version = request.query.get("api-version")
        if request.path.startswith("/openai/v1/"):
            if version not in (None, "preview", "latest"):
                return _error(400, "BadRequest", "API version not supported")
            return self._v1(request)
        if version not in VERSIONS or "?" not in request.target or request.target.count("api-version=") != 1:
            return _error(404, "404", "Resource not found")
        if request.path.startswith("/openai/deployments/"):
            return self._deployed(request)
        if request.path in ("/openai/files", "/openai/models", "/openai/batches"):
            return _json({"object": "list", "data": []})
        return _error(404, "404", "Resource not found")

    def _v1(self, request: Request) -> Reply:
        path = request.path.removeprefix("/openai/v1")
        if path in ("/files", "/models", "/batches"):
            return _json({"object": "list", "data": []})
        return self._ask(request.json().get("model"), path, request)

    def _deployed(self, request: Request) -> Reply:
        rest = request.path.removeprefix("/openai/deployments/")
        deployment = next((name for name in DEPLOYMENTS if rest.startswith(f"{name}/")), None)
        return self._ask(deployment, rest[len(deployment or "") :], request)

    def _ask(self, deployment: str | None, path: str, request: Request) -> Reply:
        model = DEPLOYMENTS.get(deployment or "")
        if model is None:
            return _error(404, "DeploymentNotFound", "The API deployment for this resource does not exist.")
        if path == "/embeddings":
            data = [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}]
            return _json({"object": "list", "data": data, "model": model, "usage": _USAGE})
        if path != "/chat/completions":
            return _error(404, "404", "Resource not found")
        if request.json().get("stream"):
            return _streamed(self.reply, model)
        return _json(_chat(self.reply, model))


def _chat(reply: str, model: str) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": reply, "refusal": None},
        "finish_reason": "stop",
        "content_filter_results": _FILTERED,
    }
    filters = [{"prompt_index": 0, "content_filter_results": _FILTERED}]
    return _frame("chat.completion", model, [choice]) | {"usage": _USAGE, "prompt_filter_results": filters}


def _streamed(reply: str, model: str) -> Reply:
    """As Azure does it: the first event has no choice, only the filters' results."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in reply.split(" ")]
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    chunks: list[list[dict[str, Any]]] = [[], *choices, [{"index": 0, "delta": {}, "finish_reason": "stop"}]]
    made = [json.dumps(_frame("chat.completion.chunk", model, chunk)).encode() for chunk in chunks]
    return Reply(stream=[b"data: %b\n\n" % one for one in [*made, b"[DONE]"]])


def _frame(kind: str, model: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "chatcmpl-azure", "object": kind, "created": 1, "model": model, "choices": choices}


def _json(value: dict[str, Any]) -> Reply:
    return Reply(body=json.dumps(value).encode())


def _error(status: int, code: str, message: str) -> Reply:
    return Reply(status, json.dumps({"error": {"code": code, "message": message}}).encode())
