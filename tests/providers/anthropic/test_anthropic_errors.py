"""Errors of the Messages API as those of chat completions, and the tables for the other way.

https://platform.claude.com/docs/en/api/errors
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.anthropic import errors

Case = tuple[int, str, str, int, str, str | None]


def answer(status: int, kind: str, message: str) -> tuple[int, dict[str, str | None]]:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011"}
    status, made = errors.answer_to_chat(status, json.dumps(body).encode())
    return status, json.loads(made)["error"]


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected_status", "expected_type", "code"),
    [
        (400, "invalid_request_error", "max_tokens: Field required", 400, "invalid_request_error", None),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 210000 tokens > 200000 maximum",
            400,
            "invalid_request_error",
            "context_length_exceeded",
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 190000 + 64000 > 200000",
            400,
            "invalid_request_error",
            "context_length_exceeded",
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            400,
            "invalid_request_error",
            "insufficient_quota",
        ),
        (401, "authentication_error", "invalid x-api-key", 401, "authentication_error", "invalid_api_key"),
        (402, "billing_error", "Check your payment.", 402, "insufficient_quota", "insufficient_quota"),
        (403, "permission_error", "No.", 403, "permission_error", "permission_denied"),
        (404, "not_found_error", "model: claude-9", 404, "invalid_request_error", "model_not_found"),
        (404, "not_found_error", "Not found", 404, "invalid_request_error", "not_found"),
        (413, "request_too_large", "Too large.", 413, "invalid_request_error", "request_too_large"),
        (429, "rate_limit_error", "Slow down.", 429, "rate_limit_error", "rate_limit_exceeded"),
        (500, "api_error", "Internal server error", 500, "server_error", None),
        (504, "timeout_error", "Timed out.", 504, "timeout_error", "timeout"),
        (529, "overloaded_error", "Overloaded", 503, "service_unavailable_error", "overloaded"),
        (418, "novelty_error", "Tea.", 418, "novelty_error", None),
    ],
)
def test_errors(
    status: int, kind: str, message: str, expected_status: int, expected_type: str, code: str | None
) -> None:
    expected = {"message": message, "type": expected_type, "param": None, "code": code}
    assert answer(status, kind, message) == (expected_status, expected)


@given(st.integers(400, 599), st.binary(max_size=60))
def test_any_answer_has_an_error(status: int, body: bytes) -> None:
    got, made = errors.answer_to_chat(status, body)
    error = json.loads(made)["error"]
    assert got == (503 if status == 529 else status)
    assert str(status) in error["message"]
    assert error["type"]


def test_deep_nesting_is_no_other_error() -> None:
    assert errors.answer_to_chat(500, b'{"error":' + b"[" * 9000)[0] == 500


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (422, "invalid_request_error"),
        (502, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_types_of_statuses(status: int, kind: str) -> None:
    assert errors.type_of_status(status) == kind


def test_every_type_of_the_table_is_known_both_ways() -> None:
    assert set(errors.TYPE_OF_STATUS.values()) == set(errors.KIND_OF_TYPE)
    assert {there: back for back, there in errors.STATUS_FROM_ANTHROPIC.items()} == errors.STATUS_TO_ANTHROPIC
