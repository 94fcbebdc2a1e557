"""How a request becomes one on the provider's API: from the client's API first, then to the provider's."""

from __future__ import annotations

from typing import Final

from gateway.errors import INVALID_REQUEST, GatewayError, refused
from gateway.providers.base import Provider
from gateway.providers.dialects import messages, responses
from gateway.providers.translation import Chained, Translation

CHAT: Final = b"/v1/chat/completions"
_MESSAGES: Final = b"/v1/messages"
_RESPONSES: Final = b"/v1/responses"


def translated(
    provider: Provider, method: bytes, target: bytes, body: bytes, model: str, now: int
) -> Translation | None:
    """The request as `provider` wants it; None where it is passed on as it is. `now` is since the epoch.

    Raises GatewayError: 400 for what the provider's API cannot express, 404 for an endpoint that it lacks,
    405 for what is not a POST where that is all that can be translated.
    """
    path = target.partition(b"?")[0]
    if not provider.has_messages and _is_at(path, _MESSAGES):
        _only(_MESSAGES, method, path, provider)
        far = messages.translate(body, model, drop_unsupported=provider.drop_unsupported)
    elif not provider.has_responses and _is_at(path, _RESPONSES):
        _only(_RESPONSES, method, path, provider)
        far = responses.translate(body, model, now, drop_unsupported=provider.drop_unsupported)
    else:
        if path in provider.translated_paths:
            _only(path, method, path, provider)
        return provider.translate(target, body, model, now)
    try:
        near = provider.translate(CHAT, far.body, model, now)
    except GatewayError as error:
        raise _of_hub(error, path) from None
    if near is None:
        return far
    return Translation(near.target, near.body, Chained(near.translator, far.translator))


def _of_hub(error: GatewayError, path: bytes) -> GatewayError:
    """A refusal of what was made of the client's request: it names members that the client may not know."""
    message = f"{error.message} (This is said of the chat completions that {path.decode()} was put to.)"
    return GatewayError(error.status, error.kind, error.code, message, param=error.param)


def _is_at(path: bytes, endpoint: bytes) -> bool:
    return path == endpoint or path.startswith(endpoint + b"/")


def _only(endpoint: bytes, method: bytes, path: bytes, provider: Provider) -> None:
    if path != endpoint:
        message = (
            f"Provider '{provider.name}' (format {provider.format}) has no {path.decode('latin-1')}:"
            f" it is asked for chat completions, and {endpoint.decode()} itself is all that is made of them."
        )
        raise GatewayError(404, INVALID_REQUEST, "unsupported_endpoint", message)
    if method != b"POST":
        message = (
            f"Requests with {method.decode('latin-1')} for {path.decode()} cannot be translated for provider"
            f" '{provider.name}' (format {provider.format}); only POST can."
        )
        raise refused(405, "method_not_allowed", message, allow="POST")
