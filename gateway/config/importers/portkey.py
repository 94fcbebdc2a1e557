"""Portkey's gateway config (JSON) -> ours. It routes every model, so it becomes the rule for `*`.

Reference: https://portkey.ai/docs/api-reference/inference-api/config-object
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.config import names, units
from gateway.config.importers.draft import (
    MAX_WEIGHT,
    Draft,
    Settings,
    Target,
    accepted,
    rule,
    seconds,
    standing_by,
    text,
    weighed,
)
from gateway.config.importers.foreign import Foreign
from gateway.config.importers.vendors import PORTKEY_NAMES, VENDORS
from gateway.config.problem import shown

__all__ = ["convert"]

_MILLISECONDS: Final = units.number(1, units.MAX_DURATION_S * 1000)
_DEFAULT_TOTAL_S: Final = 600.0

_REASONS: Final[Mapping[str, str]] = {
    "on_status_codes": "which statuses are tried again, and then elsewhere, is fixed (docs/resilience.md)",
    "use_retry_after_header": "Retry-After is always heeded",
    "cache": "answers are not cached",
    "conditions": "requests are routed by the name of the model",
    "default": "requests are routed by the name of the model",
    "input_guardrails": "contents are not inspected",
    "output_guardrails": "contents are not inspected",
    "before_request_hooks": "contents are not inspected",
    "after_request_hooks": "contents are not inspected",
    "forward_headers": "end-to-end headers of clients always go on, apart from their credentials",
    "override_params": "only `model` can be replaced; parameters of requests are passed on as they come",
}


def convert(root: Foreign) -> Draft:
    """Convert a whole config; what cannot be is noted in the ledger of `root`."""
    root.explain(_REASONS)
    draft = Draft()
    mode = root["strategy"]["mode"]
    if mode.text not in ("", "single", "fallback", "loadbalance"):
        mode.leave(f"{shown(mode.text)} has no counterpart; the targets are asked in turn")
    shared_out = mode.text == "loadbalance"
    targets: list[Target] = []
    weights: list[float] = []
    for entry in list(root["targets"]) or [root]:
        target = _target(entry, root, draft)
        if target is not None:
            weight = accepted(entry["weight"], units.number(0, MAX_WEIGHT)) if shared_out else None
            weights.append(1.0 if weight is None else weight)
            targets.append(target)
    targets = weighed(targets, weights) if shared_out else [*targets[:1], *map(standing_by, targets[1:])]
    if targets:
        draft.models["*"] = rule(targets, None)
    return draft


def _target(entry: Foreign, root: Foreign, draft: Draft) -> Target | None:
    """One target, whose settings may also stand at the top; None where it is left out."""
    if entry["targets"] and entry is not root:
        entry.leave("targets within a target have no counterpart")
        return None
    named = entry["provider"] or entry["virtual_key"] or root["provider"] or root["virtual_key"]
    name = _vendor(named.text)
    if name is None:
        known = ", ".join([*VENDORS, *PORTKEY_NAMES])
        entry.leave(f"the provider {shown(named.text)} is none of {known}")
        return None
    vendor = VENDORS[name]
    base_url = _base_url(entry) if entry["azure_resource_name"] or entry["custom_host"] else vendor.base_url
    if not base_url:
        entry.leave(f"{name} needs a custom_host")
        return None
    settings: Settings = {"format": vendor.format, "base_url": base_url}
    if key := _key(entry, vendor.key):
        settings["api_key"] = key
    if vendor.format == "azure" and (version := text(entry["azure_api_version"], names.line)):
        settings["api_version"] = version
    model = text(entry["override_params"]["model"] or entry["azure_deployment_id"], names.line)
    provider = draft.provider(name, settings | _resilience(entry, root))
    return Target(provider=provider, model=model) if model else Target(provider=provider)


def _vendor(text: str) -> str | None:
    """The provider that a name, or the slug of an integration such as `@openai-prod`, stands for."""
    slug = text.removeprefix("@")
    name = PORTKEY_NAMES.get(slug, slug)
    if name in VENDORS:
        return name
    first = slug.partition("-")[0]
    return first if first in VENDORS else None


def _base_url(entry: Foreign) -> str:
    if resource := accepted(entry["azure_resource_name"], names.host):
        return f"https://{resource}.openai.azure.com"
    return text(entry["custom_host"], names.base_url)


def _key(entry: Foreign, variable: str) -> str:
    """The key as the file has it, or the variable that is to hold it."""
    if key := text(entry["api_key"], names.secret):
        entry["api_key"].note("a key that is written out; ${NAME} would keep it out of the file")
        return key
    if not variable:
        return ""
    kept = entry["virtual_key"] or entry["provider"]
    if kept.text.startswith("@") or entry["virtual_key"]:
        kept.note(f"its key is in Portkey's vault; set {variable} in the environment")
    return f"${{{variable}}}"


def _resilience(entry: Foreign, root: Foreign) -> Settings:
    settings: Settings = {}
    retries = accepted((entry["retry"] or root["retry"])["attempts"], units.whole(0, 100))
    if retries is not None:
        settings["max_retries"] = retries
    breaker: Settings = {}
    for block in (root["cb_config"], root["strategy"]["cb_config"], entry["cb_config"]):
        failures = accepted(block["failure_threshold"], units.whole(1, 1_000_000))
        cooldown_ms = accepted(block["cooldown_interval"], _MILLISECONDS)
        breaker |= {} if failures is None else {"max_failures": failures}
        breaker |= {} if cooldown_ms is None else {"timeout": seconds(cooldown_ms / 1000)}
    if breaker:
        settings["circuit_breaker"] = breaker
    timeout_ms = accepted(entry["request_timeout"] or root["request_timeout"], _MILLISECONDS)
    if timeout_ms is not None:
        timeouts = settings["timeouts"] = {"first_byte": seconds(timeout_ms / 1000)}
        if timeout_ms / 1000 > _DEFAULT_TOTAL_S:
            timeouts["total"] = timeouts["first_byte"]
    return settings
