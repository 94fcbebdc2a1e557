"""OpenAI's Responses API (`POST /v1/responses`) for providers with chat completions; nothing is stored."""

from __future__ import annotations

import msgspec

from gateway.errors import bad_request
from gateway.providers.dialects.responses import request
from gateway.providers.dialects.responses.translator import ResponsesTranslator
from gateway.providers.reading import Members
from gateway.providers.translation import Translation

__all__ = ["translate"]


def translate(body: bytes, model: str, now: int, *, drop_unsupported: bool = False) -> Translation:
    """The request in `body` put to chat completions of `model`, and who makes a response of the answer.

    `now` is in seconds since the epoch. The module `request` tells what becomes of each parameter. What
    cannot be put to chat completions is refused, unless it is optional and `drop_unsupported` leaves it out.

    Raises GatewayError (400) for what is wrong or not supported; `param` is where.
    """
    try:
        members = Members.of_request(body, drop=drop_unsupported, coded=True)
        chat, told_back = request.translated(members, model)
        sent = msgspec.json.encode(chat)
        translator = ResponsesTranslator(model, now, told_back)
    except RecursionError:
        raise bad_request("The request body is nested too deeply.") from None
    return Translation(b"/chat/completions", sent, translator)
