"""LiteLLM's proxy configuration -> ours.

Every deployment of `model_list` becomes a target of the model that it is listed under, at a provider; those
with the same address, key and settings share one.

Reference: https://docs.litellm.ai/docs/proxy/config_settings
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from gateway.config import names, units
from gateway.config.importers.draft import (
    MAX_WEIGHT,
    Draft,
    Settings,
    Target,
    accepted,
    escaped,
    seconds,
    text,
)
from gateway.config.importers.foreign import Foreign
from gateway.config.importers.litellm_models import Deployment, add_models, either
from gateway.config.importers.vendors import VENDORS, Vendor
from gateway.config.problem import shown

__all__ = ["convert"]

_ENVIRONMENT: Final = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
_PREFIXED: Final = re.compile(r".*/(v[0-9]+[a-z0-9]*|openai)/?")
_BY_NAME: Final = {"gpt-": "openai", "o1": "openai", "o3": "openai", "o4": "openai", "chatgpt-": "openai"} | {
    "text-embedding-": "openai",
    "claude-": "anthropic",
}
"""Which provider LiteLLM takes for a model that names none."""

_CREDENTIALS: Final = frozenset({"authorization", "api-key", "x-api-key", "x-goog-api-key"})
_RETRIES: Final = units.whole(0, 100)
_SECONDS: Final = units.number(0.001, units.MAX_DURATION_S)
_MILLION: Final = 1_000_000
_DEFAULT_TOTAL_S: Final = 600.0

_LIMITS = "rates and budgets are not limited here"
_PASSED = "parameters of requests are passed on as they come; none is added"
_SHARED = "workers share their state without a server; replicas do not share it"
_REASONS: Final[Mapping[str, str]] = {
    "rpm": _LIMITS,
    "tpm": _LIMITS,
    "max_budget": _LIMITS,
    "max_parallel_requests": f"{_LIMITS}; providers.NAME.pool bounds the connections of a provider",
    "temperature": _PASSED,
    "max_tokens": _PASSED,
    "model_info": "only prices are read from it",
    "redis_host": _SHARED,
    "redis_port": _SHARED,
    "redis_password": _SHARED,
    "redis_url": _SHARED,
    "retry_after": "waits grow from providers.NAME.retry.base_delay, or are the provider's own Retry-After",
    "retry_policy": "which errors are tried again is fixed (docs/resilience.md)",
    "allowed_fails_policy": "which errors count is fixed (docs/resilience.md)",
    "cache": "answers are not cached",
    "cache_params": "answers are not cached",
    "callbacks": "see GET /metrics, the log and docs/tracing.md",
    "success_callback": "see GET /metrics, the log and docs/tracing.md",
    "failure_callback": "see GET /metrics, the log and docs/tracing.md",
    "json_logs": "the log is JSON already",
    "set_verbose": "see logging.level",
    "database_url": "there is no database; the keys of clients stand in server.api_keys",
    "alerting": "see deploy/prometheus/alerts.yml",
    "guardrails": "contents are not inspected",
    "environment_variables": "set them in the environment",
    "include": "import that file too",
}


def convert(root: Foreign) -> Draft:
    """Convert a whole file; what cannot be is noted in the ledger of `root`."""
    root.explain(_REASONS)
    draft = Draft()
    if key := _value(root["general_settings"]["master_key"], names.secret):
        draft.server["api_keys"] = [key]
    common = _common(root)
    groups: dict[str, list[Deployment]] = {}
    for entry in root["model_list"]:
        if named := _deployment(entry, draft, common):
            groups.setdefault(named[0], []).append(named[1])
    add_models(root, draft, groups)
    return draft


# -- what holds for all providers


def _common(root: Foreign) -> Settings:
    settings: Settings = {}
    _set_retries(settings, either(root, "num_retries"))
    _set_timeout(settings, either(root, "timeout", "request_timeout"))
    fails_setting = either(root, "allowed_fails")
    allowed_fails = accepted(fails_setting, units.whole(0, MAX_WEIGHT - 1))
    cooldown_s = accepted(either(root, "cooldown_time"), _SECONDS)
    if either(root, "disable_cooldowns").is_true:
        settings["circuit_breaker"] = {"enabled": False}
    elif allowed_fails is not None or cooldown_s is not None:
        breaker = settings["circuit_breaker"] = {}
        if allowed_fails is not None:
            breaker["max_failures"] = allowed_fails + 1
            fails_setting.note(
                f"now max_failures: {allowed_fails + 1}, of failures in a row and not within a minute"
            )
        if cooldown_s is not None:
            breaker["timeout"] = seconds(cooldown_s)
    if root["litellm_settings"]["drop_params"].is_true:
        settings["drop_unsupported"] = True
    return settings


def _set_retries(settings: Settings, value: Foreign) -> None:
    retries = accepted(value, _RETRIES)
    if retries is not None:
        settings["max_retries"] = retries


def _set_timeout(settings: Settings, value: Foreign) -> None:
    """LiteLLM's timeout is for one call, of which the first byte of a plain answer is nearly the last."""
    first_byte_s = accepted(value, _SECONDS)
    if first_byte_s is not None:
        settings["timeouts"] = {"first_byte": seconds(first_byte_s)}
        if first_byte_s > _DEFAULT_TOTAL_S:
            settings["timeouts"]["total"] = seconds(first_byte_s)


# -- deployments


def _deployment(entry: Foreign, draft: Draft, common: Settings) -> tuple[str, Deployment] | None:
    """The public name of an entry and its deployment; None where it is left out, or needs no rule."""
    params = entry["litellm_params"]
    name = accepted(entry["model_name"], names.line)
    vendor_name, model = _vendor(params)
    vendor = VENDORS.get(vendor_name)
    if not name or not model or vendor is None:
        known = f"the provider of {shown(params['model'].text)} is none of {', '.join(VENDORS)}"
        entry.leave(known if name and model else "needs a model_name and a litellm_params.model")
        return None
    address = params["api_base"] or params["base_url"]
    base_url = _value(address, names.base_url) if address else vendor.base_url
    if not base_url:
        entry.leave(f"{vendor_name} needs an api_base")
        return None
    if "*" in model and name not in (model, f"{vendor_name}/{model}"):
        entry.leave("what a pattern stands for cannot be renamed")
        return None
    provider = draft.provider(vendor_name, _provider(params, vendor, base_url) | common | _own(params))
    _set_price(draft, entry, model)
    if "*" in model and name != model:
        if provider != vendor_name:
            entry.note(f"reached as {provider}/{model}")
        return None  # every provider is reached as provider/model without a rule
    target = Target(provider=provider)
    if model != name:
        target["model"] = escaped(model)
    order = accepted(params["order"], units.number(0, MAX_WEIGHT)) or 0.0
    return name, Deployment(target, order, _shares(params))


def _vendor(params: Foreign) -> tuple[str, str]:
    """The provider and its name for the model: `azure/gpt-4o`, or known by how the model is called."""
    whole = accepted(params["model"], names.line) or ""
    prefix, slash, model = whole.partition("/")
    if given := params["custom_llm_provider"].text:
        return given, model if prefix == given else whole
    if slash and prefix in VENDORS:
        return prefix, model
    return next((vendor for start, vendor in _BY_NAME.items() if whole.startswith(start)), prefix), whole


def _provider(params: Foreign, vendor: Vendor, base_url: str) -> Settings:
    settings: Settings = {"format": vendor.format, "base_url": base_url}
    headers = _headers(params)
    if key := _key(params["api_key"], vendor, headers):
        settings["api_key"] = key
    if vendor.format == "azure" and (version := _value(params["api_version"], names.line)):
        settings["api_version"] = version
    if headers:
        settings["headers"] = headers
    address = params["api_base"] or params["base_url"]
    unversioned = "${" not in base_url and not _PREFIXED.fullmatch(base_url)
    if vendor.format == "openai" and address and unversioned and not vendor.base_url.startswith("http://"):
        address.note(f"requests go to {base_url.rstrip('/')}/v1/…; LiteLLM adds no /v1 to an api_base")
    return settings


def _key(setting: Foreign, vendor: Vendor, headers: Settings) -> str:
    """The key, or the variable that LiteLLM looks at; none beside a header field that carries one."""
    if not _CREDENTIALS.isdisjoint(map(str.lower, headers)):
        return ""
    key = _value(setting, names.secret)
    if key and not key.startswith("${"):
        setting.note("a key that is written out; ${NAME} would keep it out of the file")
    return key or (f"${{{vendor.key}}}" if vendor.key else "")


def _headers(params: Foreign) -> Settings:
    headers = {}
    for name, setting in params["extra_headers"].entries():
        try:
            names.field_name(name)
        except ValueError as error:
            setting.leave(f"the name {error}")
        else:
            headers[name] = _value(setting, names.field_value)
    if organization := _value(params["organization"], names.field_value):
        headers["OpenAI-Organization"] = organization
    return {name: value for name, value in headers.items() if value}


def _own(params: Foreign) -> Settings:
    """What a deployment sets in the place of what holds for all."""
    settings: Settings = {}
    _set_retries(settings, params["max_retries"] or params["num_retries"])
    _set_timeout(settings, params["timeout"] or params["stream_timeout"])
    return settings


def _set_price(draft: Draft, entry: Foreign, model: str) -> None:
    prices: Settings = {}
    for name, setting in (
        ("input", "input_cost_per_token"),
        ("output", "output_cost_per_token"),
        ("cached_input", "cache_read_input_token_cost"),
    ):
        cost = accepted(entry["model_info"][setting] or entry["litellm_params"][setting], _cost)
        if cost is not None:
            prices[name] = round(cost * _MILLION, 9)
    if "input" in prices:
        draft.prices[model] = prices


def _cost(text: str) -> float:
    """US dollars for one token, which YAML mostly has as 2.5e-06."""
    with suppress(ValueError):
        if 0 <= (cost := float(text)) <= 1:
            return cost
    raise ValueError("is not a price of one token (use 0 to 1)")


def _shares(params: Foreign) -> dict[str, float]:
    shares = {}
    for name in ("weight", "rpm", "tpm"):
        share = accepted(params[name], units.number(0, MAX_WEIGHT))
        if share is not None:
            shares[name] = share
            if name != "weight":
                params[name].note("a share of the requests beside other targets, and no limit")
    return shares


def _value(setting: Foreign, parse: Callable[[str], object]) -> str:
    """A text that `parse` accepts, or `${NAME}` for `os.environ/NAME`; empty where there is neither."""
    if not setting.text.startswith("os.environ/"):
        return text(setting, parse)
    if (reference := _ENVIRONMENT.fullmatch(setting.text)) is None:
        setting.leave("is no name of an environment variable")
        return ""
    return f"${{{reference[1]}}}"
