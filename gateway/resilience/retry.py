"""When a provider may be asked again: the Retry-After that it sends, and the cooldown that follows."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

MAX_COOLDOWN_S: Final = 300.0
MAX_COOLED_MODELS: Final = 1024
MAX_COOLED_NAME: Final = 256


def parse_retry_after(
    retry_after: bytes | None, retry_after_ms: bytes | None, wall_time: float
) -> float | None:
    """Seconds to wait, or None where the provider named no time that can be read.

    `retry-after-ms` (OpenAI, Azure) is the more exact and wins; `Retry-After` is delay-seconds or an
    HTTP-date (RFC 9110 section 10.2.3), compared with `wall_time`, in seconds since the epoch. A date that
    has passed is 0.
    """
    if retry_after_ms is not None:
        seconds = _number(retry_after_ms)
        if seconds is not None:
            return seconds / 1000.0
    if retry_after is None:
        return None
    seconds = _number(retry_after)
    if seconds is not None:
        return seconds
    try:
        date = parsedate_to_datetime(retry_after.decode("ascii"))
    except (ValueError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)  # asctime-date names no zone, and means UTC
    return max(0.0, date.timestamp() - wall_time)


def _number(text: bytes) -> float | None:
    # float() also takes "nan", "inf", "1_0" and signs, none of which is a delay.
    text = text.strip()
    if len(text) > 15 or not text.replace(b".", b"", 1).isdigit():
        return None
    return float(text)


class Cooldowns:
    """Until when one provider asks to be left alone, for each upstream model.

    A cooldown lasts at most `MAX_COOLDOWN_S` and is only ever extended. Model names come from clients, so
    what is kept of them is bounded: the cooldown that ends first makes room, and a name of more than
    `MAX_COOLED_NAME` characters has none. `until` has the ends by model, in seconds of the monotonic clock.
    """

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Cooldowns of {len(self.until)} models>"

    def extend(self, model: str, seconds: float, now: float) -> None:
        """Leave `model` alone for `seconds` from `now`, unless it is left alone for longer already."""
        until = now + min(seconds, MAX_COOLDOWN_S)
        if until <= self.until.get(model, now) or len(model) > MAX_COOLED_NAME:
            return
        if model not in self.until and len(self.until) >= MAX_COOLED_MODELS:
            del self.until[min(self.until, key=self.until.__getitem__)]
        self.until[model] = until

    def remaining(self, model: str, now: float) -> float:
        """Seconds until `model` may be asked again; 0.0 when it may be asked now."""
        if not self.until:
            return 0.0
        until = self.until.get(model)
        if until is None:
            return 0.0
        if until <= now:
            del self.until[model]
            return 0.0
        return until - now
