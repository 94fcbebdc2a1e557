"""Portkey's config becomes the rule for every model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Import = Callable[[str], Any]

# The shape of https://portkey.ai/docs/api-reference/inference-api/config-object.
FALLBACK = {
    "strategy": {"mode": "fallback", "on_status_codes": [429, 503], "cb_config": {"failure_threshold": 3}},
    "retry": {"attempts": 3, "on_status_codes": [429]},
    "request_timeout": 30000,
    "targets": [
        {"provider": "openai", "api_key": "sk-1", "override_params": {"model": "gpt-4o", "temperature": 0}},
        {"virtual_key": "anthropic-prod", "override_params": {"model": "claude-sonnet-4-5"}},
    ],
}


def test_a_fallback_becomes_targets_that_stand_by(imported: Import) -> None:
    result = imported(json.dumps(FALLBACK, indent="\t"))
    assert result.targets("*") == [("openai", "gpt-4o", 1), ("anthropic", "claude-sonnet-4-5", 0)]
    openai = result.config.providers["openai"]
    assert (openai.max_retries, openai.timeouts.first_byte) == (3, 30.0)
    assert openai.circuit_breaker.max_failures == 3


def test_what_is_left_out_is_noted(imported: Import) -> None:
    result = imported(json.dumps(FALLBACK, indent="\t"))
    assert set(result.notes) == {
        "strategy.on_status_codes",
        "retry.on_status_codes",
        "targets[0].api_key",
        "targets[0].override_params.temperature",
        "targets[1].virtual_key",
    }
    assert "set ANTHROPIC_API_KEY" in result.notes["targets[1].virtual_key"]
    assert result.lines["strategy.on_status_codes"] == 4


def test_weights_are_shares(imported: Import) -> None:
    targets = [{"provider": "openai", "weight": 0.7}, {"provider": "google", "weight": 0.3}]
    result = imported(json.dumps({"strategy": {"mode": "loadbalance"}, "targets": targets}))
    assert result.targets("*") == [("openai", None, 0.7), ("gemini", None, 0.3)]


def test_one_provider_without_targets(imported: Import) -> None:
    config = {"provider": "azure-openai", "azure_resource_name": "acme", "azure_deployment_id": "prod"}
    result = imported(json.dumps(config | {"azure_api_version": "2024-10-21", "retry": {"attempts": 5}}))
    azure = result.config.providers["azure"]
    assert (azure.base_url, azure.api_version) == ("https://acme.openai.azure.com", "2024-10-21")
    assert azure.max_retries == 5
    assert (result.config.models["*"].provider, result.config.models["*"].model) == ("azure", "prod")


def test_targets_of_their_own_settings(imported: Import) -> None:
    targets = [{"provider": "ollama", "custom_host": "http://gpu:11434", "request_timeout": 900_000}]
    ollama = imported(json.dumps({"targets": targets})).config.providers["ollama"]
    assert (ollama.base_url, ollama.timeouts.first_byte, ollama.timeouts.total) == (
        "http://gpu:11434",
        900,
        900,
    )


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ({"provider": "@bedrock-x"}, 'the provider "@bedrock-x" is none of'),
        ({"provider": "hosted_vllm"}, "hosted_vllm needs a custom_host"),
        ({"strategy": {"mode": "fallback"}, "targets": [{"provider": "openai"}]}, "targets within a target"),
    ],
)
def test_a_target_that_cannot_be_is_left_out(imported: Import, target: object, reason: str) -> None:
    result = imported(json.dumps({"targets": [target, {"provider": "groq"}]}))
    assert result.notes["targets[0]"].startswith(f"not converted: {reason}")
    assert (result.config.models["*"].provider, result.config.models["*"].targets) == ("groq", ())


def test_a_strategy_without_a_counterpart(imported: Import) -> None:
    text = json.dumps(
        {
            "strategy": {"mode": "conditional", "conditions": [{"query": {}}]},
            "targets": [{"provider": "groq"}],
        }
    )
    notes = imported(text).notes
    assert '"conditional" has no counterpart' in notes["strategy.mode"]
