"""What the generations of Claude accept: how much output, which sampling parameters, how they think.

The API refuses what a model does not have, so a request for one model cannot be that for another.
A name that is not known is taken for a model of the newest generation, since that is what new names are.

https://platform.claude.com/docs/en/about-claude/models/overview
https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting
https://platform.claude.com/docs/en/build-with-claude/effort
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

_UP_TO_HIGH: Final = ("low", "medium", "high")
_UP_TO_MAX: Final = ("low", "medium", "high", "xhigh", "max")


class Traits(NamedTuple):
    """What a model accepts; the defaults are the newest generation's.

    max_output: tokens, the upper limit of `max_tokens`.
    sampling: which of `temperature`, `top_p` and `top_k` it takes: all, one of the first two, or none.
    thinking: `adaptive`, with a `budget` of tokens, or none.
    display: whether the text of its thoughts must be asked for.
    efforts: the levels of `output_config.effort`; empty where it has no such setting.
    off: the type of `thinking` that turns it off; None: leaving it out does; `always`: nothing does.
    forced_tools: whether `tool_choice` may ask for a call.
    """

    max_output: int = 128_000
    sampling: Literal["all", "one", "none"] = "none"
    thinking: Literal["adaptive", "budget", "none"] = "adaptive"
    display: bool = True
    efforts: tuple[str, ...] = _UP_TO_MAX
    off: Literal["disabled", "between_tools", "always"] | None = "disabled"
    forced_tools: bool = True


# By family (empty: all) and lowest version; the first row that fits is it.
_GENERATIONS: Final = (
    ("fable", (5, 1), Traits(off="always", forced_tools=False)),
    ("mythos", (5, 1), Traits(off="always", forced_tools=False)),
    ("fable", (0, 0), Traits(off="always")),
    ("mythos", (0, 0), Traits(off="always")),
    ("opus", (5, 5), Traits(off="always", forced_tools=False)),
    ("sonnet", (5, 5), Traits(off="between_tools", forced_tools=False)),
    ("", (5, 0), Traits()),
    ("", (4, 7), Traits(off=None)),
    ("", (4, 6), Traits(sampling="one", display=False, efforts=(*_UP_TO_HIGH, "max"), off=None)),
    ("opus", (4, 5), Traits(64_000, "one", "budget", display=False, efforts=_UP_TO_HIGH, off=None)),
    ("opus", (4, 0), Traits(32_000, "one", "budget", display=False, efforts=(), off=None)),
    ("", (4, 0), Traits(64_000, "one", "budget", display=False, efforts=(), off=None)),
    ("", (3, 7), Traits(64_000, "all", "budget", display=False, efforts=(), off=None)),
    ("", (3, 5), Traits(8_192, "all", "none", display=False, efforts=(), off=None)),
    ("", (0, 0), Traits(4_096, "all", "none", display=False, efforts=(), off=None)),
)
_NEWEST: Final = (99, 0)

OTHER: Final = Traits(8_192, "all", "budget", display=False, efforts=(), off=None)
"""A model of another maker behind the same API: what the API had before Claude 4.6."""

_FAMILY: Final = re.compile(r"opus|sonnet|haiku|fable|mythos|instant").search
_DATE: Final = re.compile(r"[0-9]{6}")
_NUMBER: Final = re.compile(r"(?<![0-9a-z])[0-9]{1,2}(?![0-9])").findall


def traits(model: str) -> Traits:
    """The traits of `model`, in its maker's spelling or a cloud's (`anthropic.claude-opus-4-7-v1`)."""
    _, claude, name = model.lower().partition("claude")
    if not claude:
        return OTHER
    family = _FAMILY(name)
    numbers = [int(number) for number in _NUMBER(_DATE.split(name)[0])[:2]]
    version = (numbers[0], numbers[1] if len(numbers) > 1 else 0) if numbers else _NEWEST
    return next(
        found
        for of, lowest, found in _GENERATIONS
        if version >= lowest and of in ("", family[0] if family is not None else "")
    )
