"""Effort, thinking and sampling, by what each generation of models takes.

Models: https://platform.claude.com/docs/en/about-claude/models/overview
"""

import json
from typing import Any

import pytest
from doubles.anthropic_rules import MODELS, check

from gateway.errors import GatewayError
from gateway.providers.anthropic.models import OTHER, traits
from gateway.providers.anthropic.request import translate

TOOLS = [{"type": "function", "function": {"name": "f"}}]


def put(model: str, *, drop: bool = False, **members: Any) -> dict[str, Any]:
    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}], **members}).encode()
    return check(translate(body, model, now=0, drop_unsupported=drop).body, "2023-06-01")


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("claude-opus-4-8", "minimal", ("adaptive", "low")),
        ("claude-opus-4-8", "xhigh", ("adaptive", "xhigh")),
        ("claude-opus-5-5", "max", ("adaptive", "max")),
        ("claude-sonnet-4-6", "medium", ("adaptive", "medium")),
        ("claude-sonnet-4-6", "xhigh", ("adaptive", "high")),
        ("claude-sonnet-4-6", "max", ("adaptive", "max")),
        ("claude-sonnet-4-5", "low", ("enabled", None)),
        ("claude-opus-4-8", "none", (None, None)),
        ("claude-sonnet-4-5", "none", (None, None)),
        ("claude-sonnet-5-5", "none", ("between_tools", None)),
    ],
)
def test_effort(model: str, effort: str, expected: tuple[str | None, str | None]) -> None:
    request = put(model, reasoning_effort=effort)
    got = (request.get("thinking", {}).get("type"), request.get("output_config", {}).get("effort"))
    assert got == expected


@pytest.mark.parametrize(
    ("effort", "limit", "budget"),
    [
        ("minimal", 20_000, 2_000),
        ("minimal", 4_000, 1_024),
        ("low", 10_000, 2_000),
        ("medium", 10_000, 5_000),
        ("high", 10_000, 8_000),
        ("max", 10_000, 9_500),
        ("high", 64_000, 32_000),
        ("high", 1_025, 1_024),
    ],
)
def test_budget(effort: str, limit: int, budget: int) -> None:
    request = put("claude-sonnet-4-5", reasoning_effort=effort, max_tokens=limit)
    assert request["thinking"] == {"type": "enabled", "budget_tokens": budget}


@pytest.mark.parametrize(
    ("model", "members"),
    [
        ("claude-opus-5-5", {"reasoning_effort": "none"}),
        ("claude-3-5-haiku-20241022", {"reasoning_effort": "high"}),
        ("claude-sonnet-4-5", {"reasoning_effort": "high", "max_tokens": 1024}),
        ("claude-sonnet-4-5", {"reasoning_effort": "high", "tools": TOOLS, "tool_choice": "required"}),
    ],
)
def test_thinking_that_a_model_lacks_is_refused_or_dropped(model: str, members: dict[str, Any]) -> None:
    with pytest.raises(GatewayError) as caught:
        put(model, **members)
    assert (caught.value.param, caught.value.code) == ("reasoning_effort", "unsupported_parameter")
    assert "thinking" not in put(model, drop=True, **members)


def test_a_forced_call_comes_without_thoughts() -> None:
    request = put("claude-sonnet-4-6", reasoning_effort="high", tools=TOOLS, tool_choice="required")
    assert "thinking" not in request
    assert request["output_config"] == {"effort": "high"}


def test_hidden_thoughts_are_asked_for() -> None:
    assert put("claude-opus-4-8", reasoning_effort="low")["thinking"]["display"] == "summarized"
    assert "display" not in put("claude-sonnet-4-6", reasoning_effort="low")["thinking"]


def test_thinking_in_the_terms_of_the_messages_api() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    request = put("claude-sonnet-4-6", thinking=thinking, reasoning_effort="low")
    assert request["thinking"] == thinking
    assert request["output_config"] == {"effort": "low"}
    with pytest.raises(GatewayError, match="temperature"):
        put("claude-sonnet-4-6", thinking=thinking, temperature=0.5)


@pytest.mark.parametrize(
    ("model", "members", "expected"),
    [
        ("claude-sonnet-4-5", {"temperature": 0}, {"temperature": 0}),
        ("claude-sonnet-4-5", {"temperature": 0.25, "top_k": 3}, {"temperature": 0.25, "top_k": 3}),
        ("claude-sonnet-4-6", {"top_p": 0.9, "temperature": 1}, {"top_p": 0.9}),
        ("claude-3-5-haiku-20241022", {"top_p": 0.9, "temperature": 0.5}, {"top_p": 0.9, "temperature": 0.5}),
    ],
)
def test_sampling(model: str, members: dict[str, Any], expected: dict[str, Any]) -> None:
    request = put(model, **members)
    assert {name: request[name] for name in ("temperature", "top_p", "top_k") if name in request} == expected


@pytest.mark.parametrize(
    ("model", "members", "param", "left"),
    [
        ("claude-opus-4-8", {"temperature": 0}, "temperature", {}),
        ("claude-sonnet-4-5", {"temperature": 1.2}, "temperature", {}),
        ("claude-sonnet-4-5", {"temperature": 0.2, "top_p": 0.5}, "top_p", {"temperature": 0.2}),
        ("claude-sonnet-4-5", {"temperature": 0.2, "reasoning_effort": "low"}, "temperature", {}),
        ("claude-sonnet-4-6", {"top_k": 4, "reasoning_effort": "low"}, "top_k", {}),
    ],
)
def test_sampling_that_a_model_lacks_is_refused_or_dropped(
    model: str, members: dict[str, Any], param: str, left: dict[str, Any]
) -> None:
    with pytest.raises(GatewayError) as caught:
        put(model, **members)
    assert (caught.value.param, caught.value.code) == (param, "unsupported_parameter")
    request = put(model, drop=True, **members)
    assert {name: request[name] for name in ("temperature", "top_p", "top_k") if name in request} == left


@pytest.mark.parametrize(
    ("name", "same_as"),
    [
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("us.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("claude-opus-4-20250514", "claude-opus-4-0"),
        ("anthropic.claude-opus-4-20250514-v1:0", "claude-opus-4-1"),
        ("claude-opus-4-1@20250805", "claude-opus-4-1"),
        ("claude-3-5-sonnet-latest", "claude-3-5-haiku-20241022"),
        ("Claude-Opus-4.8", "claude-opus-4-8"),
        ("claude-mythos-preview", "claude-mythos-5-2"),
        ("claude-saga-9", "claude-sonnet-5"),
        ("claude-opus-12", "claude-opus-5-5"),
    ],
)
def test_names_of_one_generation(name: str, same_as: str) -> None:
    assert traits(name) == traits(same_as)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("claude-opus-5-5", 128_000),
        ("claude-sonnet-4-6", 128_000),
        ("claude-opus-4-5", 64_000),
        ("claude-haiku-4-5", 64_000),
        ("claude-sonnet-4-0", 64_000),
        ("claude-opus-4-1", 32_000),
        ("claude-3-7-sonnet-20250219", 64_000),
        ("claude-3-5-haiku-20241022", 8_192),
        ("claude-3-haiku-20240307", 4_096),
        ("deepseek-chat", 8_192),
    ],
)
def test_the_limit_of_tokens_is_the_models_own(name: str, limit: int) -> None:
    assert traits(name).max_output == limit


def test_models_of_others_take_what_the_api_once_had() -> None:
    assert traits("kimi-k2") is OTHER


def test_the_double_knows_the_same_models() -> None:
    for name, model in MODELS.items():
        found = traits(name)
        assert (found.max_output, found.efforts, found.forced_tools) == (
            model.max_tokens,
            model.efforts,
            model.forced_tools,
        )
        assert ["none", "one", "all"].index(found.sampling) == model.samplers
        assert (found.thinking == "adaptive") == ("adaptive" in model.thinking)
