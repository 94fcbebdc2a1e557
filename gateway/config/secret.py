"""A string that must not be seen: API keys of providers and of clients."""

from __future__ import annotations

import hmac
from typing import NoReturn

__all__ = ["Secret", "SensitiveValueError"]


class SensitiveValueError(ValueError):
    """A setting is wrong, and its text may be a credential: no message may quote it."""


class Secret:
    """A value that no repr, log, format string or serialiser shows; only `reveal()` gives it.

    Equality takes the same time wherever the values differ, so that a client's key can be compared with it.
    It is not hashable: a table lookup would not be constant time.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself. Call it only where the value goes onto the wire or is compared."""
        return self._value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    # Defining __eq__ alone would do the same without saying so.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")
