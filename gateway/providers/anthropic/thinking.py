"""How much a model thinks, and how it picks its words: `reasoning_effort`, `temperature`, `top_p`, `top_k`.

`reasoning_effort`, by what the model has (see models.py):

- adaptive thinking: `thinking` is turned on, and `output_config.effort` is the same word; the next lower one
  where the model has not that one, `low` for `minimal`.
- thinking with a budget: a share of the token limit, 1,024 to 32,000 tokens: `minimal` 10 %, `low` 20 %,
  `medium` 50 %, `high` 80 %, `xhigh` and `max` 95 %.
- `none` turns thinking off. Some models cannot; that is not supported then.
- Where `tool_choice` asks for a call, the API lets no model think first: effort alone is set.

The text of the thoughts is asked for where it would not come by itself. `thinking`, an object as in the
Messages API, is handed on as it is, as Anthropic's own endpoint for chat completions does.

`temperature` and `top_p` of 1 are the default on both sides and left out. Others go to models that take them
while they do not think; above 1 the Messages API has nothing, so leaving it out there gives 1.

https://platform.claude.com/docs/en/build-with-claude/thinking
https://platform.claude.com/docs/en/build-with-claude/effort
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from gateway.providers.anthropic.models import Traits
from gateway.providers.reading import Members

_SHARES: Final[Mapping[str, float]] = {
    "minimal": 0.1,
    "low": 0.2,
    "medium": 0.5,
    "high": 0.8,
    "xhigh": 0.95,
    "max": 0.95,
}
_LEVELS: Final = tuple(_SHARES)
_MIN_BUDGET: Final = 1_024
_MAX_BUDGET: Final = 32_000
_EFFORT: Final = "reasoning_effort"


class Thinking(NamedTuple):
    """Members of the request to the Messages API, those of its `output_config`, and whether it thinks."""

    members: Mapping[str, object] = {}
    output_config: Mapping[str, object] = {}
    on: bool = False


def read_thinking(request: Members, traits: Traits, max_tokens: int, *, forced: bool) -> Thinking:
    """Takes all that is about thinking out of `request`; `forced`: a tool must be called.

    Raises GatewayError (400).
    """
    effort = request.take(_EFFORT, str)
    if effort is not None and effort != "none" and effort not in _LEVELS:
        raise request.wrong(_EFFORT, f"must be one of none, {', '.join(_LEVELS)}")
    given = request.child("thinking")
    if given is not None:
        kind = given.need("type", str)
        members = {"thinking": {"type": kind, **given.rest()}}
        return Thinking(members, _output_config(effort, traits), on=kind in ("enabled", "adaptive"))
    if effort is None:
        return Thinking()
    if effort == "none":
        return _off(request, traits)
    return _on(request, traits, effort, max_tokens, forced=forced)


def read_sampling(request: Members, traits: Traits, *, thinks: bool) -> dict[str, object]:
    """Takes `temperature`, `top_p` and `top_k` out of `request`. Raises GatewayError (400)."""
    lacking = _no_sampling(traits, thinks=thinks)
    given: dict[str, object] = {}
    for name, highest in (("temperature", 2), ("top_p", 1)):
        value = request.take(name, float)
        if value is None or value == 1:
            continue
        if not 0 <= value <= highest:
            raise request.wrong(name, f"must be between 0 and {highest}")
        missing = lacking or _too_much(value, given, traits)
        if missing:
            request.unsupported(name, missing)
        else:
            given[name] = value
    top_k = request.count("top_k")
    if top_k is not None and lacking:
        request.unsupported("top_k", lacking)
    elif top_k is not None:
        given["top_k"] = top_k
    return given


def _no_sampling(traits: Traits, *, thinks: bool) -> str:
    if traits.sampling == "none":
        return "its API no longer takes it for this model"
    return "its API does not take it while the model thinks" if thinks else ""


def _too_much(value: float, given: Mapping[str, object], traits: Traits) -> str:
    if value > 1:
        return "its API takes no value above 1"
    return (
        "its API takes only one of `temperature` and `top_p` for this model"
        if given and traits.sampling == "one"
        else ""
    )


def _off(request: Members, traits: Traits) -> Thinking:
    if traits.off == "always":
        request.unsupported(_EFFORT, "its API cannot turn the thinking of this model off")
        return Thinking()
    return Thinking() if traits.off is None else Thinking({"thinking": {"type": traits.off}})


def _on(request: Members, traits: Traits, effort: str, max_tokens: int, *, forced: bool) -> Thinking:
    output_config = _output_config(effort, traits)
    if traits.thinking == "adaptive":
        if forced:
            return Thinking({}, output_config)
        display = {"display": "summarized"} if traits.display else {}
        return Thinking({"thinking": {"type": "adaptive", **display}}, output_config, on=True)
    if traits.thinking == "none":
        lacking = "its API has no thinking for this model"
    elif forced:
        lacking = "its API lets no model think where `tool_choice` asks for a call"
    elif max_tokens <= _MIN_BUDGET:
        lacking = f"its API lets a model think only with a limit of more than {_MIN_BUDGET} tokens"
    else:
        budget = min(max(int(max_tokens * _SHARES[effort]), _MIN_BUDGET), _MAX_BUDGET)
        enabled = {"type": "enabled", "budget_tokens": budget}
        return Thinking({"thinking": enabled}, output_config, on=True)
    if not output_config:
        request.unsupported(_EFFORT, lacking)
    return Thinking({}, output_config)


def _output_config(effort: str | None, traits: Traits) -> dict[str, object]:
    """The level of the model that is nearest to `effort` from below, or else its lowest; none for `none`."""
    if effort is None or effort == "none" or not traits.efforts:
        return {}
    up_to = _LEVELS[: _LEVELS.index(effort) + 1]
    level = next((level for level in reversed(up_to) if level in traits.efforts), traits.efforts[0])
    return {"effort": level}
