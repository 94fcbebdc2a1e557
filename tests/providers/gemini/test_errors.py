"""Errors of Gemini's API as OpenAI's.

https://ai.google.dev/gemini-api/docs/troubleshooting, https://google.aip.dev/193
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.providers.gemini import errors


def status(code: int, name: str, message: str = "It failed.", *details: dict[str, Any]) -> bytes:
    error = {"code": code, "message": message, "status": name, "details": list(details)}
    return json.dumps({"error": error}, indent=2).encode()


@pytest.mark.parametrize(
    ("code", "name", "kind", "expected"),
    [
        (400, "INVALID_ARGUMENT", "invalid_request_error", "invalid_argument"),
        (400, "FAILED_PRECONDITION", "invalid_request_error", "failed_precondition"),
        (401, "UNAUTHENTICATED", "invalid_request_error", "invalid_api_key"),
        (403, "PERMISSION_DENIED", "invalid_request_error", "permission_denied"),
        (404, "NOT_FOUND", "invalid_request_error", "model_not_found"),
        (429, "RESOURCE_EXHAUSTED", "rate_limit_error", "rate_limit_exceeded"),
        (499, "CANCELLED", "invalid_request_error", "cancelled"),
        (500, "INTERNAL", "server_error", "internal_error"),
        (503, "UNAVAILABLE", "service_unavailable_error", "overloaded"),
        (504, "DEADLINE_EXCEEDED", "timeout_error", "timeout"),
        # What has no name that is known goes by its status.
        (429, "", "rate_limit_error", "rate_limit_exceeded"),
        (503, "MADE_UP", "service_unavailable_error", "overloaded"),
        (413, "", "invalid_request_error", "invalid_argument"),
        (502, "", "server_error", "internal_error"),
    ],
)
def test_by_status(code: int, name: str, kind: str, expected: str) -> None:
    sent, body = errors.translate(code, status(code, name))
    assert sent == code
    assert json.loads(body) == {
        "error": {"message": "It failed.", "type": kind, "param": None, "code": expected}
    }


def test_a_key_that_is_not_known_is_an_authentication_error() -> None:
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "x"}
    sent, body = errors.translate(400, status(400, "INVALID_ARGUMENT", "API key not valid.", detail))
    assert sent == 401
    assert json.loads(body)["error"]["code"] == "invalid_api_key"


def test_a_prompt_that_is_too_long() -> None:
    message = "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."
    sent, body = errors.translate(400, status(400, "INVALID_ARGUMENT", message))
    error = json.loads(body)["error"]
    assert (sent, error["code"], error["message"]) == (400, "context_length_exceeded", message)


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        ("37s", 37.0),
        ("0.5s", 0.5),
        ("12.345678901s", 12.345678901),
        ("", None),
        ("soon", None),
    ],
)
def test_when_to_ask_again(delay: str, seconds: float | None) -> None:
    details = (
        {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"url": "https://x"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    )
    error = errors.read(status(429, "RESOURCE_EXHAUSTED", "Slow down.", *details), 429)
    assert error is not None
    assert error.retry_after_s == seconds


def test_an_array_of_one() -> None:
    # A stream without `alt=sse` fails so.
    body = b"[" + status(404, "NOT_FOUND") + b"]"
    assert json.loads(errors.translate(404, body)[1])["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    "body", [b"", b"<html>502</html>", b"[]", b"{}", b'{"error": "x"}', b"\xff", b"[" * 100_000]
)
def test_what_comes_from_something_in_between(body: bytes) -> None:
    sent, made = errors.translate(502, body)
    assert sent == 502
    assert json.loads(made)["error"] == {
        "message": "The provider answered with status 502.",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }


def test_the_status_within_a_stream_is_the_error_s_own() -> None:
    for body in (status(0, "RESOURCE_EXHAUSTED"), status(429, "")):
        error = errors.read(body)
        assert error is not None
        assert (error.status, error.code) == (429, "rate_limit_exceeded")
