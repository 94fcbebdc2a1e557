"""Numbers as they are written: counts, ratios, booleans, durations (seconds) and sizes (bytes).

Each function takes the text of a setting and returns its value, or raises ValueError as build.py describes;
those that take a range return such a function.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.config import cpus

__all__ = ["boolean", "duration", "number", "size", "whole", "workers"]

MAX_DURATION_S = 24 * 3600.0
MAX_SIZE = 1 << 40
MAX_WORKERS = 1024

# The digits are limited so that neither int() nor float() can overflow or crawl.
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_QUANTITY = re.compile(r"([+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?) ?([A-Za-z]*)")
_SECONDS_PER = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES_PER = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
}
# YAML 1.1 reads all of these as booleans and YAML 1.2 only the first pair: people write either.
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}


def boolean(text: str) -> bool:
    """Read true or false; also yes, no, on, off; in any case."""
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise ValueError("is not a boolean (use true or false)")
    return value


def whole(low: int, high: int) -> Callable[[str], int]:
    """Read a whole number from `low` to `high`, both included."""

    def parse(text: str) -> int:
        if _WHOLE.fullmatch(text) is None or not low <= int(text) <= high:
            raise ValueError(f"is not a whole number from {low} to {high}")
        return int(text)

    return parse


def number(low: float, high: float) -> Callable[[str], float]:
    """Read a decimal number from `low` to `high`, both included."""

    def parse(text: str) -> float:
        match = _QUANTITY.fullmatch(text)
        if match is None or match[2] or not low <= float(match[1]) <= high:
            raise ValueError(f"is not a number from {low:g} to {high:g}")
        return float(match[1])

    return parse


def duration(low: float = 0.0) -> Callable[[str], float]:
    """Read a duration from `low` seconds to 24 hours: "500ms", "30s", "2m", "1h" or a number of seconds."""

    def parse(text: str) -> float:
        match = _QUANTITY.fullmatch(text)
        if match is None or match[2] not in _SECONDS_PER:
            raise ValueError('is not a duration (use "30s", "500ms", "2m")')
        seconds = float(match[1]) * _SECONDS_PER[match[2]]
        if not low <= seconds <= MAX_DURATION_S:
            raise ValueError(f"is out of range (from {low:g} to {MAX_DURATION_S:g} seconds)")
        return seconds

    return parse


def size(text: str) -> int:
    """Read a size from 1 byte to 1 TiB: "10MiB", "64KiB", "1GB" (powers of 1000) or a number of bytes."""
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2].lower() not in _BYTES_PER:
        raise ValueError('is not a size (use "10MiB", "64KiB" or a number of bytes)')
    count = float(match[1]) * _BYTES_PER[match[2].lower()]
    if not 1 <= count <= MAX_SIZE:
        raise ValueError(f"is out of range (from 1 to {MAX_SIZE} bytes)")
    return int(count)


def workers(text: str) -> int:
    """Read a number of processes, or `auto`: one for each core that this process may use (see cpus.py)."""
    if text == "auto":
        return cpus.usable()
    try:
        return whole(1, MAX_WORKERS)(text)
    except ValueError as error:
        raise ValueError(f"{error}, nor auto") from None
