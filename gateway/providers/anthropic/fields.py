"""Reading a request member by member, so that every refusal names its place and nothing is left unread.

Members are kept as the bytes that came until something asks for them: what is only handed on (a JSON schema,
the arguments of a call) is never parsed, and its numbers stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

import msgspec

from gateway.errors import GatewayError, bad_request

T = TypeVar("T")
Raw = msgspec.Raw
Read = Callable[[Raw | bytes], T]
"""Decodes one member; raises what msgspec raises."""

BOOL: Final[Read[bool]] = msgspec.json.Decoder(bool).decode
COUNT: Final[Read[int]] = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=1, le=2**53)]).decode
NUMBER: Final[Read[float]] = msgspec.json.Decoder(float).decode
TEXT: Final[Read[str]] = msgspec.json.Decoder(str).decode
LIST: Final[Read[list[Raw]]] = msgspec.json.Decoder(list[Raw]).decode
OBJECT: Final[Read[dict[str, Raw]]] = msgspec.json.Decoder(dict[str, Raw]).decode
TEXT_OR_TEXTS: Final[Read[str | list[str]]] = msgspec.json.Decoder(str | list[str]).decode
TEXT_OR_LIST: Final[Read[str | list[Raw]]] = msgspec.json.Decoder(str | list[Raw]).decode
ANY: Final[Read[Any]] = msgspec.json.Decoder().decode

_NULL: Final = Raw(b"null")
_UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_LOCATION: Final = re.compile(r"(.*) - at `\$(.*)`", re.DOTALL).fullmatch


class Refusals:
    """Says no to what cannot be expressed, unless `drop` is set: then it is left out.

    `lacking` always reads on from "the Messages API".
    """

    def __init__(self, *, drop: bool) -> None:
        self._drop = drop

    def unsupported(self, param: str, lacking: str) -> None:
        """Raises GatewayError (400) for the optional parameter `param`, or returns: it is to be left out."""
        if not self._drop:
            message = (
                f"`{param}`: the Messages API of this provider {lacking}. "
                "Leave it out, or set `drop_unsupported: true` for the provider to have the gateway do so."
            )
            raise _unsupported(param, message)

    def inexpressible(self, param: str, lacking: str) -> GatewayError:
        """The error for content, which is never left out."""
        return _unsupported(param, f"`{param}`: the Messages API of this provider {lacking}.")


class Fields:
    """The members of one object at `path`, each to be taken once; null is the same as absent."""

    def __init__(self, members: Mapping[str, Raw], path: str, refusals: Refusals) -> None:
        self.path = path
        self.refusals = refusals
        self._members = {name: raw for name, raw in members.items() if raw != _NULL}

    @classmethod
    def read(cls, raw: Raw | bytes, path: str, refusals: Refusals) -> Fields:
        """The members of the object `raw`. Raises GatewayError (400) if it is not one."""
        return cls(decode(OBJECT, raw, path), path, refusals)

    def at(self, name: str) -> str:
        """The path of a member, as errors name it."""
        return f"{self.path}.{name}" if self.path else name

    def take(self, name: str, read: Read[T]) -> T | None:
        """The member `name`, or None. Raises GatewayError (400) if it is not what `read` takes."""
        raw = self._members.pop(name, None)
        return None if raw is None else decode(read, raw, self.at(name))

    def need(self, name: str, read: Read[T]) -> T:
        """The member `name`. Raises GatewayError (400) also where there is none."""
        value = self.take(name, read)
        if value is None:
            raise wrong(self.at(name), "it is required")
        return value

    def raw(self, name: str) -> Raw | None:
        """The member `name` as the bytes that came, or None."""
        return self._members.pop(name, None)

    def rest(self) -> dict[str, Raw]:
        """All members that are left, as the bytes that came."""
        rest, self._members = self._members, {}
        return rest

    def object(self, name: str) -> Fields | None:
        """The members of the object `name`, or None."""
        raw = self._members.pop(name, None)
        return None if raw is None else Fields.read(raw, self.at(name), self.refusals)

    def need_object(self, name: str) -> Fields:
        """The members of the object `name`. Raises GatewayError (400) also where there is none."""
        return Fields(self.need(name, OBJECT), self.at(name), self.refusals)

    def objects(self, name: str) -> list[Fields]:
        """The members of each object of the list `name`; none where it is absent."""
        path = self.at(name)
        return [
            Fields.read(raw, f"{path}[{index}]", self.refusals)
            for index, raw in enumerate(self.take(name, LIST) or ())
        ]

    def ignore(self, *names: str) -> None:
        """Leaves members unread which have no bearing on the answer."""
        for name in names:
            self._members.pop(name, None)

    def close(self) -> None:
        """Refuses what nobody has taken."""
        for name in self._members:
            self.refusals.unsupported(self.at(name), "has nothing like it")


def decode(read: Read[T], raw: Raw | bytes, path: str) -> T:
    """What `read` makes of `raw`. Raises GatewayError (400), which names the place below `path`."""
    try:
        return read(raw)
    except _UNREADABLE as error:
        raise _refusal(path, error) from None


def wrong(param: str, rule: str) -> GatewayError:
    """400: `param` is not what chat completions allows; `rule` says what would be right."""
    return bad_request(f"`{param}`: {rule}.", param=param)


def _unsupported(param: str, message: str) -> GatewayError:
    return bad_request(message, code="unsupported_parameter", param=param)


def _refusal(path: str, error: Exception) -> GatewayError:
    if isinstance(error, RecursionError):
        return bad_request("The request body is nested too deeply.", param=path or None)
    located = _LOCATION(str(error))
    detail, below = located.groups() if located is not None else (str(error), "")
    param = (path + below).lstrip(".")
    subject = f"`{param}`" if param else "The request body"
    return bad_request(f"{subject}: {detail}.", param=param or None)
