"""LiteLLM's configuration becomes ours: what each setting turns into, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

# The shape of https://docs.litellm.ai/docs/proxy/configs, /docs/proxy/reliability and /docs/routing.
FLEET = """\
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: os.environ/AZURE_EU_BASE
      api_key: os.environ/AZURE_EU_KEY
      api_version: "2024-10-21"
      rpm: 60
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, rpm: 30}
    model_info: {mode: chat, input_cost_per_token: 2.5e-06, output_cost_per_token: 0.00001}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: llama
    litellm_params: {model: hosted_vllm/meta/llama-3.1-8b, api_base: "http://vllm:8000/v1", timeout: 20}
  - model_name: "groq/*"
    litellm_params: {model: "groq/*"}
litellm_settings:
  drop_params: true
  num_retries: 2
  request_timeout: 60
  context_window_fallbacks: [{llama: [gpt-4o]}]
  content_policy_fallbacks: [{gpt-4o: [claude]}]
router_settings:
  routing_strategy: least-busy
  allowed_fails: 3
  cooldown_time: 30
  fallbacks: [{"gpt-4o": [claude]}]
  model_group_alias: {gpt-4: gpt-4o}
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
"""

Import = Callable[[str], Any]


def one(params: str, rest: str = "") -> str:
    """A file with one deployment."""
    return f"model_list: [{{model_name: m, litellm_params: {{{params}}}}}]\n{rest}"


def test_providers_have_the_address_the_key_and_the_settings(imported: Import) -> None:
    providers = imported(FLEET).config.providers
    assert list(providers) == ["azure", "openai", "anthropic", "hosted_vllm", "groq"]
    azure = providers["azure"]
    assert (azure.format, azure.base_url, azure.api_version) == (
        "azure",
        "https://azure-eu-base.example",
        "2024-10-21",
    )
    assert azure.api_key.reveal() == "https://azure-eu-key.example"
    assert providers["openai"].api_key.reveal() == "https://openai-api-key.example"
    assert providers["hosted_vllm"].api_key is None
    assert providers["groq"].base_url == "https://api.groq.com/openai/v1"
    assert {one.drop_unsupported for one in providers.values()} == {True}
    assert {one.max_retries for one in providers.values()} == {2}


def test_cooldowns_become_breakers_and_timeouts_those_of_the_first_byte(imported: Import) -> None:
    result = imported(FLEET)
    openai = result.config.providers["openai"]
    assert (openai.circuit_breaker.max_failures, openai.circuit_breaker.timeout) == (4, 30.0)
    assert (openai.timeouts.first_byte, openai.timeouts.total) == (60.0, 600.0)
    assert result.config.providers["hosted_vllm"].timeouts.first_byte == 20.0
    assert "in a row" in result.notes["router_settings.allowed_fails"]


def test_deployments_become_targets_and_fallbacks_stand_by(imported: Import) -> None:
    result = imported(FLEET)
    assert result.targets("gpt-4o") == [
        ("azure", "gpt-4o-eu", 60),
        ("openai", None, 30),
        ("anthropic", "claude-sonnet-4-5", 0),
    ]
    assert result.config.models["gpt-4o"].strategy == "least_inflight"
    assert result.targets("gpt-4") == [
        ("azure", "gpt-4o-eu", 60),
        ("openai", "gpt-4o", 30),
        ("anthropic", "claude-sonnet-4-5", 0),
    ]
    claude = result.config.models["claude"]
    assert (claude.provider, claude.model, claude.targets) == ("anthropic", "claude-sonnet-4-5", ())


def test_fallbacks_by_kind(imported: Import) -> None:
    models = imported(FLEET).config.models
    assert models["llama"].fallbacks.context_window == "gpt-4o"
    assert models["gpt-4o"].fallbacks.content_policy == "claude"


def test_the_master_key_and_the_prices(imported: Import) -> None:
    config = imported(FLEET).config
    assert [key.reveal() for key in config.server.api_keys] == ["https://litellm-master-key.example"]
    assert (config.prices["gpt-4o"].input, config.prices["gpt-4o"].output) == (2.5, 10.0)


def test_a_whole_provider_needs_no_rule(imported: Import) -> None:
    assert "groq/*" not in imported(FLEET).config.models


def test_what_is_left_out_is_noted_once_with_its_line_and_a_reason(imported: Import) -> None:
    result = imported(
        one(
            "model: gpt-4o, api_key: k, temperature: 0.2, tpm: 100000",
            "litellm_settings: {cache: true, cache_params: {type: redis, ttl: 60}}\n"
            "router_settings:\n  redis_host: redis\n  made_up: {a: [1, {b: 2}]}\n",
        )
    )
    assert result.notes == {
        "model_list[0].litellm_params.api_key": result.notes["model_list[0].litellm_params.api_key"],
        "model_list[0].litellm_params.tpm": "a share of the requests beside other targets, and no limit",
        "model_list[0].litellm_params.temperature": "not converted: parameters of requests are passed on as "
        "they come; none is added",
        "litellm_settings.cache": "not converted: answers are not cached",
        "litellm_settings.cache_params": "not converted: answers are not cached",
        "router_settings.redis_host": "not converted: workers share their state without a server; replicas "
        "do not share it",
        "router_settings.made_up": "not converted",
    }
    assert result.lines["router_settings.made_up"] == 5
    assert "#   line 5: router_settings.made_up: not converted\n" in result.text


def test_an_empty_block_and_a_null_say_nothing(imported: Import) -> None:
    assert (
        imported(one("model: gpt-4o", "general_settings: {}\nrouter_settings: {redis_host: null}\n")).notes
        == {}
    )


def test_no_note_tells_a_key(imported: Import) -> None:
    text = one(
        "model: openai/gpt-4o, api_key: 'sk canary', extra_headers: {x-key: \"sk-canary\\n\"}",
        "general_settings: {master_key: 'sk canary', database_url: 'postgres://sk-canary@db'}\n",
    )
    result = imported(text)
    assert "canary" not in result.text
    assert len(result.notes) == 4
    assert "canary" not in str(result.notes)


def test_a_key_that_is_written_out_is_kept_and_told(imported: Import) -> None:
    result = imported(one("model: gpt-4o, api_key: 'sk-${x}'"))
    assert result.config.providers["openai"].api_key.reveal() == "sk-${x}"
    assert "sk-" not in result.notes["model_list[0].litellm_params.api_key"]


@pytest.mark.parametrize(
    ("model", "provider", "upstream"),
    [
        ("gpt-4o", "openai", "gpt-4o"),
        ("o3-mini", "openai", "o3-mini"),
        ("claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
        ("gemini/gemini-2.5-pro", "gemini", "gemini-2.5-pro"),
        ("openrouter/meta-llama/llama-3", "openrouter", "meta-llama/llama-3"),
        ("ollama_chat/llama3.2", "ollama_chat", "llama3.2"),
    ],
)
def test_which_provider_is_meant(imported: Import, model: str, provider: str, upstream: str) -> None:
    rule = imported(one(f"model: {model}")).config.models["m"]
    assert (rule.provider, rule.model) == (provider, upstream)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ("model: bedrock/claude, aws_region_name: us-east-1", 'the provider of "bedrock/claude" is none of'),
        ("model: hosted_vllm/llama", "hosted_vllm needs an api_base"),
        ("model: 'openai/gpt-*'", "what a pattern stands for cannot be renamed"),
        ("api_key: k", "needs a model_name and a litellm_params.model"),
    ],
)
def test_a_deployment_that_cannot_be_is_left_out_as_a_whole(
    imported: Import, params: str, reason: str
) -> None:
    others = f"{one(params)[:-2]}, {{model_name: n, litellm_params: {{model: gpt-4o}}}}]\n"
    result = imported(others)
    [(path, message)] = [(path, text) for path, text in result.notes.items() if path == "model_list[0]"]
    assert (path, message.startswith(f"not converted: {reason}")) == ("model_list[0]", True)
    assert list(result.config.models) == ["n"]


def test_an_address_that_is_none_never_becomes_the_vendors_own(imported: Import) -> None:
    result = imported(
        one("model: openai/a, api_base: 'vllm:8000'")[:-2]
        + ", {model_name: n, litellm_params: {model: gpt-4o}}]\n"
    )
    assert list(result.config.models) == ["n"]
    assert "is not an absolute URL" in result.notes["model_list[0].litellm_params.api_base"]


def test_the_same_provider_with_another_key_is_another(imported: Import) -> None:
    result = imported(
        "model_list:\n"
        "- {model_name: m, litellm_params: {model: openai/m, api_key: os.environ/A}}\n"
        "- {model_name: m, litellm_params: {model: openai/m, api_key: os.environ/B}}\n"
        "- {model_name: n, litellm_params: {model: openai/n, api_key: os.environ/A}}\n"
    )
    assert list(result.config.providers) == ["openai", "openai-2"]
    assert result.targets("m") == [("openai", None, 1), ("openai-2", None, 1)]
    assert result.config.models["n"].provider == "openai"


def test_a_later_order_stands_by(imported: Import) -> None:
    result = imported(
        "model_list:\n"
        "- {model_name: m, litellm_params: {model: openai/m, order: 2}}\n"
        "- {model_name: m, litellm_params: {model: groq/m, order: 1}}\n"
    )
    assert result.targets("m") == [("groq", None, 1), ("openai", None, 0)]


def test_an_api_base_without_a_version_is_told(imported: Import) -> None:
    notes = imported(one("model: openai/m, api_base: 'http://host:8000/'")).notes
    assert "requests go to http://host:8000/v1/" in notes["model_list[0].litellm_params.api_base"]
    assert imported(one("model: openai/m, api_base: 'http://host:8000/v1'")).notes == {}


def test_a_merge_of_yaml_is_followed(imported: Import) -> None:
    result = imported(
        "defaults: &defaults {api_base: 'http://host/v1', timeout: 5}\n"
        "model_list:\n"
        "- {model_name: m, litellm_params: {<<: *defaults, model: openai/m, timeout: 9}}\n"
    )
    openai = result.config.providers["openai"]
    assert (openai.base_url, openai.timeouts.first_byte) == ("http://host/v1", 9.0)


def test_the_router_goes_before_the_library(imported: Import) -> None:
    result = imported(
        one("model: gpt-4o", "litellm_settings: {num_retries: 1}\nrouter_settings: {num_retries: 4}\n")
    )
    assert result.config.providers["openai"].max_retries == 4
    assert "router_settings.num_retries goes before it" in result.notes["litellm_settings.num_retries"]


def test_circles_are_broken(imported: Import) -> None:
    two = (
        "model_list:\n"
        "- {model_name: a, litellm_params: {model: openai/a}}\n"
        "- {model_name: b, litellm_params: {model: openai/b}}\n"
    )
    result = imported(two + "litellm_settings: {context_window_fallbacks: [{a: [b]}, {b: [a]}]}\n")
    assert result.config.models["a"].fallbacks.context_window == "b"
    assert result.config.models["b"].fallbacks.context_window is None
    assert [note for note in result.notes.values() if "leads back" in note] != []
    result = imported(two + "router_settings: {fallbacks: [{a: [b]}, {b: [a]}]}\n")
    assert result.targets("a") == [("openai", None, 1), ("openai", "b", 0)]
    assert result.targets("b") == [("openai", None, 1), ("openai", "a", 0)]


@pytest.mark.parametrize("value", ["-1", "101", "many", "[1]"])
def test_a_number_that_is_none_is_told(imported: Import, value: str) -> None:
    result = imported(one("model: gpt-4o", f"router_settings: {{num_retries: {value}}}\n"))
    assert result.config.providers["openai"].max_retries is None
    assert result.notes["router_settings.num_retries"].startswith("not converted: ")


def test_a_long_timeout_raises_the_total(imported: Import) -> None:
    timeouts = imported(one("model: gpt-4o, timeout: 6000")).config.providers["openai"].timeouts
    assert (timeouts.first_byte, timeouts.total) == (6000.0, 6000.0)


def test_disabled_cooldowns_disable_the_breaker(imported: Import) -> None:
    result = imported(one("model: gpt-4o", "router_settings: {disable_cooldowns: true, cooldown_time: 5}\n"))
    assert result.config.providers["openai"].breaker is None


def test_a_header_that_carries_the_key_stands_alone(imported: Import) -> None:
    result = imported(
        one("model: gpt-4o, api_key: k, organization: acme, extra_headers: {Authorization: Bearer x}")
    )
    openai = result.config.providers["openai"]
    assert openai.api_key is None
    assert list(openai.headers) == ["Authorization", "OpenAI-Organization"]
    assert result.notes["model_list[0].litellm_params.api_key"] == "not converted"


def test_the_same_deployment_twice_is_one(imported: Import) -> None:
    result = imported(
        "model_list:\n"
        "- {model_name: m, litellm_params: {model: openai/m, weight: 2}}\n"
        "- {model_name: m, litellm_params: {model: openai/m, weight: 3}}\n"
        "- {model_name: m, litellm_params: {model: groq/m, weight: 1}}\n"
    )
    assert result.targets("m") == [("openai", None, 5), ("groq", None, 1)]


def test_weights_that_are_all_zero_are_equal(imported: Import) -> None:
    result = imported(
        "model_list:\n"
        "- {model_name: m, litellm_params: {model: openai/m, weight: 0}}\n"
        "- {model_name: m, litellm_params: {model: groq/m, weight: 0}}\n"
    )
    assert result.targets("m") == [("openai", None, 1), ("groq", None, 1)]
