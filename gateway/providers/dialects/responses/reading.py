"""A request's objects, read strictly: each error names the path, and what chat completions lacks is found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, TypeVar

import msgspec

from gateway.errors import GatewayError, bad_request

Json = dict[str, Any]

# msgspec's messages: "Expected `str`, got `int` - at `$.text`", "Object missing required field `text`".
_MISFIT: Final = re.compile(r"(.*?)(?: - at (?:`key` in )?`\$\.?(.*)`)?", re.DOTALL)
_SHOWN_CHARS: Final = 80
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")


class Given(msgspec.Struct):
    """An object of a request: its fields are what can be put to chat completions; null is as good as absent.

    `moot` are further fields of the API that ask nothing of a provider. `idle` are fields that chat
    completions lacks, each with the value that asks for nothing.
    """

    moot: ClassVar[frozenset[str]] = frozenset()
    idle: ClassVar[Mapping[str, object]] = {}

    def fields(self) -> Json:
        """The fields that were given, by name."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not None}


G = TypeVar("G", bound=Given)


class Reader:
    """Reads the objects of one request; `drop_unsupported` leaves out what chat completions lacks."""

    def __init__(self, drop_unsupported: bool) -> None:
        self._drop = drop_unsupported

    def read(self, value: object, kind: type[G], path: str) -> G:
        """`value`, which stands at `path` (empty: the body), as `kind`.

        Raises GatewayError (400) where a type is wrong, a field missing or not supported.
        """
        if isinstance(value, dict):
            value = {name: given for name, given in value.items() if given is not None}
            for name, given in value.items():
                if name not in kind.__struct_fields__ and name not in kind.moot:
                    self._check(name, given, kind.idle, path)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise _misfit(str(error), path) from None

    def _check(self, name: str, given: object, idle: Mapping[str, object], path: str) -> None:
        param = join(path, name[:_SHOWN_CHARS])
        if name not in idle:
            self.lacks(param)
        elif not _same(given, idle[name]):
            self.lacks(param, f"it can only be `{msgspec.json.encode(idle[name]).decode()}`")

    def lacks(self, param: str, what: str = "there is nothing like it") -> None:
        """Tell of an optional `param` that asks for what chat completions lacks, unless such are dropped."""
        if not self._drop:
            hint = "Leave it out, or set `drop_unsupported: true` for the provider."
            raise unsupported(param, what, hint)


def join(path: str, name: str) -> str:
    """The path of the field `name` of the object at `path`."""
    return f"{path}.{name}" if path else name


def unsupported(param: str, what: str, hint: str = "") -> GatewayError:
    """400 for what chat completions cannot say; `what` goes on after "chat completions, where"."""
    message = (
        f"`{param}` is not supported: this is put to the provider as chat completions, where {what}. {hint}"
    )
    return bad_request(message.rstrip(), code="unsupported_parameter", param=param)


def not_one_of(param: str, value: object, choices: Iterable[str]) -> GatewayError:
    """400 for a `value` that is none of `choices`."""
    message = f"`{param}` is {_shown(value)}; it must be one of {', '.join(choices)}."
    return bad_request(message, code="invalid_value", param=param)


def _same(one: object, other: object) -> bool:
    """Equal and of one type: 0 is not false."""
    return type(one) is type(other) and one == other


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else type(value).__name__
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _misfit(reason: str, path: str) -> GatewayError:
    """Word msgspec's message for whoever sent the object at `path`."""
    parts = _MISFIT.fullmatch(reason)
    what, where = (parts[1], parts[2]) if parts else (reason, None)
    param = join(path, where) if where else path
    missing = _MISSING.fullmatch(what)
    if missing:
        param = join(param, missing[1])
        return bad_request(f"`{param}` is missing.", code="missing_required_parameter", param=param)
    subject = f"`{param}`" if param else "The request body"
    return bad_request(f"{subject}: {what[:1].lower()}{what[1:]}.", code="invalid_type", param=param or None)
