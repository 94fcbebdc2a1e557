"""Shared by the tests of the gemini format: requests as they are sent, and refusals as they are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.providers.gemini import request

Sent = dict[str, Any]


@pytest.fixture
def sent() -> Callable[..., Sent]:
    """What Gemini gets for the parameters of a request; its `messages` are one of a user unless given."""

    def send(*, model: str = "gemini-3.5-flash", drop: bool = False, **parameters: Any) -> Sent:
        body = {"messages": [{"role": "user", "content": "Hi"}], **parameters}
        made: Sent = json.loads(request.read(json.dumps(body).encode(), model, drop=drop).body)
        return made

    return send


@pytest.fixture
def refusal(sent: Callable[..., Sent]) -> Callable[..., GatewayError]:
    """The error that a request is refused with."""

    def refuse(**parameters: Any) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            sent(**parameters)
        assert (caught.value.status, caught.value.kind) == (400, "invalid_request_error")
        return caught.value

    return refuse
