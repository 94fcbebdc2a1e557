"""Where providers are that other gateways know by name, and which of our formats they speak.

Addresses and the environment variables of keys are those that the vendors' own SDKs and LiteLLM use
(https://docs.litellm.ai/docs/providers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["PORTKEY_NAMES", "VENDORS", "Vendor"]


class Vendor(NamedTuple):
    """A provider as it is by itself.

    base_url: empty where it is somebody's own server, whose address the file must give.
    key: the environment variable that holds its key; empty where it needs none.
    """

    format: str
    base_url: str
    key: str


VENDORS: Final[Mapping[str, Vendor]] = {
    "openai": Vendor("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "azure": Vendor("azure", "${AZURE_API_BASE}", "AZURE_API_KEY"),
    "anthropic": Vendor("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    "gemini": Vendor("gemini", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY"),
    "cerebras": Vendor("openai", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "deepinfra": Vendor("openai", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "deepseek": Vendor("openai", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "fireworks_ai": Vendor("openai", "https://api.fireworks.ai/inference/v1", "FIREWORKS_AI_API_KEY"),
    "groq": Vendor("openai", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": Vendor("openai", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "nvidia_nim": Vendor("openai", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "openrouter": Vendor("openai", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "together_ai": Vendor("openai", "https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "xai": Vendor("openai", "https://api.x.ai/v1", "XAI_API_KEY"),
    "ollama": Vendor("openai", "http://localhost:11434", ""),
    "ollama_chat": Vendor("openai", "http://localhost:11434", ""),
    "hosted_vllm": Vendor("openai", "", ""),
    "litellm_proxy": Vendor("openai", "", ""),
    "llamafile": Vendor("openai", "", ""),
    "lm_studio": Vendor("openai", "", ""),
    "openai_like": Vendor("openai", "", ""),
    "vllm": Vendor("openai", "", ""),
}

PORTKEY_NAMES: Final[Mapping[str, str]] = {
    "azure-openai": "azure",
    "fireworks-ai": "fireworks_ai",
    "google": "gemini",
    "mistral-ai": "mistral",
    "together-ai": "together_ai",
    "x-ai": "xai",
}
"""Portkey's names of providers (https://portkey.ai/docs/integrations/llms) that differ from those above."""
