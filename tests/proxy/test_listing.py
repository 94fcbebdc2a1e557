"""The lists of models that providers send, each in the shape of its API."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.proxy.listing import LIST_TARGETS, parse

OPENAI = b"""{"object": "list", "data": [
  {"id": "gpt-4o", "object": "model", "created": 1715367049, "owned_by": "system"},
  {"id": "o1", "object": "model", "created": 1734375816, "owned_by": "system"}]}"""
"""https://platform.openai.com/docs/api-reference/models/list"""

ANTHROPIC = b"""{"data": [
  {"type": "model", "id": "claude-opus-4-20250514", "display_name": "Claude Opus 4",
   "created_at": "2025-05-14T00:00:00Z"},
  {"type": "model", "id": "old", "display_name": "Old", "created_at": "1970-01-01T00:00:00Z"}],
  "first_id": "claude-opus-4-20250514", "has_more": false, "last_id": "old"}"""
"""https://docs.anthropic.com/en/api/models-list"""

GEMINI = b"""{"models": [
  {"name": "models/gemini-2.5-pro", "version": "2.5", "inputTokenLimit": 1048576,
   "supportedGenerationMethods": ["generateContent", "countTokens"]},
  {"name": "models/gemini-embedding-001", "supportedGenerationMethods": ["embedContent"]},
  {"name": "models/imagen-4", "supportedGenerationMethods": ["predict"]},
  {"name": "tunedModels/mine"}], "nextPageToken": "x"}"""
"""https://ai.google.dev/api/models#method:-models.list"""


def parsed(body: bytes) -> list[dict[str, Any]]:
    """The models as a client reads them."""
    models: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(parse(body)))
    return models


def test_openai_s_shape_is_passed_on() -> None:
    assert parsed(OPENAI) == msgspec.json.decode(OPENAI)["data"]


def test_anthropic_s_models_get_the_time_as_a_number() -> None:
    first, second = parsed(ANTHROPIC)
    assert first == msgspec.json.decode(ANTHROPIC)["data"][0] | {"created": 1747180800}
    assert second["created"] == 0


@pytest.mark.parametrize("time", ["unknown", "", "9999-99-99", "0001-01-01T00:00:00Z"])
def test_a_time_that_is_none_counts_as_unknown(time: str) -> None:
    body = msgspec.json.encode({"data": [{"id": "m", "created_at": time}]})
    assert parsed(body) == [{"id": "m", "created_at": time, "created": 0}]


def test_gemini_s_models_get_the_name_that_requests_use() -> None:
    models = parsed(GEMINI)
    assert [model["id"] for model in models] == ["gemini-2.5-pro", "gemini-embedding-001", "tunedModels/mine"]
    assert models[0]["inputTokenLimit"] == 1048576


def test_of_two_shapes_in_one_answer_openai_s_counts() -> None:
    assert parsed(b'{"models": [{"name": "/path/m.gguf"}], "data": [{"id": "m"}]}') == [{"id": "m"}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"data": {}}',
        b'{"data": [{"name": "m"}]}',
        b'{"data": [{"id": 1}]}',
        b'{"data": [{"id": "m", "created_at": 1}]}',
        b'{"models": [{"id": "m"}]}',
        b'{"models": [{"name": "m", "supportedGenerationMethods": "generateContent"}]}',
        b'{"data": [{"id": "\xff"}]}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a list of models"):
        parse(body)


def test_who_is_asked_and_where() -> None:
    assert LIST_TARGETS == {
        "openai": b"/v1/models",
        "mock": b"/v1/models",
        "anthropic": b"/v1/models?limit=1000",
        "gemini": b"/v1/models?pageSize=1000",
    }
