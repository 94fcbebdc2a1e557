"""For what a request was refused, by the answers of the providers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.kinds import kind_of, kind_of_error


def error(message: str, **members: Any) -> bytes:
    return json.dumps({"error": {"message": message, **members}}).encode()


@pytest.mark.parametrize(
    "body",
    [
        error("Your input exceeds …", type="invalid_request_error", code="context_length_exceeded"),
        error("the request exceeds the available context size", code=400, type="exceed_context_size_error"),
        error(
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens", code=400
        ),
        b'{"object": "error", "message": "This model has a maximum context length of 4096.", "code": 400}',
        error("The input (5000 tokens) is longer than the model's context length (4096 tokens)."),
        error("prompt is too long: 210000 tokens > 200000 maximum", type="invalid_request_error"),
        error("The input token count (2000000) exceeds the maximum number of tokens allowed (1048576)."),
        error("Your input exceeds the context window of this model. Please adjust your input and try again."),
    ],
)
def test_too_long_for_the_model(body: bytes) -> None:
    assert kind_of(400, body) == "context_window"


@pytest.mark.parametrize(
    "body",
    [
        error("The response was filtered …", type=None, param="prompt", code="content_filter", status=400),
        error(
            "as a result of our safety system",
            type="image_generation_user_error",
            code="moderation_blocked",
        ),
        error("Your request was rejected …", code="content_policy_violation"),
        error("The prompt triggered Azure OpenAI's content management policy."),
        error("Output blocked by content filtering policy", type="invalid_request_error"),
    ],
)
def test_stopped_by_a_filter(body: bytes) -> None:
    assert kind_of(400, body) == "content_policy"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, error("Unknown parameter: 'x'.", code="unknown_parameter")),
        (400, error("max_tokens is too large: 99999", code="invalid_value")),
        (400, b""),
        (400, b"prompt is too long"),
        (400, b'"content_filter"'),
        (400, b'{"error": "content_filter"}'),
        (400, b'{"error": {"message": ["prompt is too long"], "code": {}, "type": 1}}'),
        (400, b'{"error": null}'),
        (400, b"{}"),
        (400, b"[" * 100_000),
        (200, error("", code="context_length_exceeded")),
        (401, error("", code="context_length_exceeded")),
        (429, error("", code="context_length_exceeded")),
        (500, error("", code="context_length_exceeded")),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_neither(status: int, body: bytes) -> None:
    assert kind_of(status, body) is None


@pytest.mark.parametrize("status", [400, 413, 422])
def test_each_status_of_a_refusal(status: int) -> None:
    assert kind_of(status, error("", code="context_length_exceeded")) == "context_window"


@given(st.integers(100, 599), st.binary())
def test_any_answer_may_come(status: int, body: bytes) -> None:
    assert kind_of(status, body) is None


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"code": "context_length_exceeded"}, "context_window"),
        ({"message": "prompt is too long", "code": 400}, "context_window"),
        ({"type": "content_filter", "message": None}, "content_policy"),
        ({"message": ["prompt is too long"]}, None),
        ({}, None),
    ],
)
def test_the_first_event_of_a_stream_may_say_it_too(members: dict[str, Any], kind: str | None) -> None:
    assert kind_of_error(members) == kind
