"""A double of Azure OpenAI: both surfaces of a resource, with deployments of its own names.

`/openai/deployments/{deployment}/…?api-version=…` and `/openai/…?api-version=…`, and `/openai/v1/…`. It takes
its key as `api-key` or a Microsoft Entra token as a Bearer token, and nothing else. What a model says is that
of the double of chat completions, with the results of the content filters besides.
Source: https://learn.microsoft.com/azure/ai-services/openai/reference
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any, Final

from doubles import chat
from doubles.chat_rules import RequestError, checked
from doubles.serving import Double, Reply, Request

KEY: Final = "a-key-of-the-azure-double"
TOKEN: Final = "a-token-of-entra"
DEPLOYMENTS: Final = {"my-gpt": "gpt-4o", "blå/1": "gpt-4o", "my-embedding": "text-embedding-3-small"}
"""What each deployment runs."""
VERSIONS: Final = ("2024-10-21", "2025-03-01-preview")
_FILTERED: Final = {"hate": {"filtered": False, "severity": "safe"}}
_USAGE: Final = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}


class AzureDouble(Double):
    """The server; `script` is what its models say next, in turn, and then `reply`."""

    def __init__(self, reply: str = "Hello from Azure.") -> None:
        super().__init__()
        self.script: deque[chat.Reply] = deque()
        self.reply = chat.Reply(text=reply)

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
        try:
            asked = checked(request.body, ())
        except RequestError as refusal:
            return _error(400, refusal.code, refusal.message, refusal.param)
        reply = self.script.popleft() if self.script else self.reply
        if reply.error is not None and reply.after is None:
            return Reply(reply.status, json.dumps({"error": reply.error}).encode())
        if asked.stream:
            return Reply(stream=[_first_event(model), *chat.events(reply, asked)])
        filters = [{"prompt_index": 0, "content_filter_results": _FILTERED}]
        return _json(chat.completion(reply, model) | {"prompt_filter_results": filters})


def _first_event(model: str) -> bytes:
    """What Azure's streams begin with: no choice, only the filters' results."""
    chunk = {"id": "", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": []}
    filters = [{"prompt_index": 0, "content_filter_results": _FILTERED}]
    return b"data: %b\n\n" % json.dumps(chunk | {"prompt_filter_results": filters}).encode()


def _json(value: dict[str, Any]) -> Reply:
    return Reply(body=json.dumps(value).encode())


def _error(status: int, code: str | None, message: str, param: str | None = None) -> Reply:
    error = {"code": code, "message": message} | ({"param": param} if param else {})
    return Reply(status, json.dumps({"error": error}).encode())
