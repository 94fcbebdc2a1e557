"""Reads the JSON objects of a client's request member by member, and tells what is wrong by its path.

Each value is decoded when it is asked for, as the type that is asked for; one that is only passed on stays
the bytes that came (`msgspec.Raw`), so that no number is rounded on its way. A member that is null counts
as absent. What is left at the end was not understood, and is refused rather than dropped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

import msgspec

from gateway.errors import INVALID_REQUEST, GatewayError, bad_request

T = TypeVar("T")
Json = dict[str, object]
"""An object on its way to the provider; its values may be `msgspec.Raw`."""

UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What msgspec raises for bytes that are not what was asked for."""

_members_of: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items_of: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_texts_of: Final = msgspec.json.Decoder(str | list[str]).decode
_NULL: Final = b"null"
_KINDS: Final[dict[type, str]] = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    dict[str, msgspec.Raw]: "a JSON object",
}


def refuse_content(param: str, lack: str) -> NoReturn:
    """400 for content without which the request would be another one, so that it cannot be left out."""
    message = f"`{param}` cannot be put to this provider: {lack}."
    raise bad_request(message, code="unsupported_parameter", param=param)


def members_of_body(body: bytes, *, drop: bool) -> Members:
    """The members of a request. Raises GatewayError (400) for what is not a JSON object."""
    try:
        str(body, "utf-8")  # msgspec looks only into the strings that it decodes
    except UnicodeDecodeError:
        raise bad_request("The request body is not valid UTF-8.") from None
    return Members(body, "", drop=drop)


class Members:
    """One JSON object at `path` of a request; the request itself has the empty path.

    `drop`: what the provider's API lacks is left out rather than refused.
    Every method raises GatewayError (400, naming the path) for a value that it cannot take.
    """

    __slots__ = ("_left", "drop", "path")

    def __init__(self, raw: bytes, path: str, *, drop: bool) -> None:
        self.path = path
        self.drop = drop
        try:
            self._left = _members_of(raw)
        except UNREADABLE as error:
            raise self._not_an_object(error) from None

    def at(self, name: str) -> str:
        """The path of the member `name`."""
        return f"{self.path}.{name}" if self.path else name

    def raw(self, name: str) -> msgspec.Raw | None:
        """The member as it came, or None."""
        raw = self._left.pop(name, None)
        return None if raw is None or _begins(raw, _NULL) else raw

    def take(self, name: str, kind: type[T]) -> T | None:
        """The member as one of `kind`, or None."""
        raw = self.raw(name)
        if raw is None:
            return None
        try:
            return msgspec.json.decode(raw, type=kind)
        except UNREADABLE:
            raise self.wrong(name, f"must be {_KINDS[kind]}") from None

    def need(self, name: str, kind: type[T]) -> T:
        """The member as one of `kind`; it must be there."""
        value = self.take(name, kind)
        if value is None:
            raise self.wrong(name, f"is missing; it must be {_KINDS[kind]}")
        return value

    def number(self, name: str, kind: type[int] | type[float]) -> msgspec.Raw | None:
        """The digits of a number as they came, or None."""
        raw = self._left.get(name)
        return None if self.take(name, kind) is None else raw

    def child(self, name: str) -> Members | None:
        """The member as an object, or None."""
        raw = self.raw(name)
        return None if raw is None else Members(raw, self.at(name), drop=self.drop)

    def need_child(self, name: str, example: str) -> Members:
        """The member as an object, which must be there, such as `example`."""
        member = self.child(name)
        if member is None:
            raise self.wrong(name, f"is missing; it must be an object such as {example}")
        return member

    def children(self, name: str) -> list[Members] | None:
        """The member as an array of objects, or None."""
        raw = self.raw(name)
        if raw is None:
            return None
        try:
            items = _items_of(raw)
        except UNREADABLE:
            raise self.wrong(name, "must be an array of objects") from None
        path = self.at(name)
        return [Members(item, f"{path}[{index}]", drop=self.drop) for index, item in enumerate(items)]

    def texts(self, name: str, rule: str = "must be a string or an array of strings") -> list[str]:
        """The member as an array of strings, of which a string alone is one; empty where it is absent."""
        raw = self.raw(name)
        if raw is None:
            return []
        try:
            value = _texts_of(raw)
        except UNREADABLE:
            raise self.wrong(name, rule) from None
        return [value] if isinstance(value, str) else value

    def text_or_child(self, name: str) -> str | Members | None:
        """The member as a string or as an object, or None."""
        return self._text_or(b"{", self.child, name, "must be a string or an object")

    def text_or_children(self, name: str) -> str | list[Members] | None:
        """The member as a string or as an array of objects, or None."""
        return self._text_or(b"[", self.children, name, "must be a string or an array of objects")

    def ignore(self, *names: str) -> None:
        """Leave out members that have no bearing on the answer."""
        for name in names:
            self._left.pop(name, None)

    def ignore_default(self, name: str, default: object) -> None:
        """Leave out a member that says what is so without it."""
        raw = self._left.get(name)
        with contextlib.suppress(*UNREADABLE):
            if raw is not None and msgspec.json.decode(raw) == default:
                del self._left[name]

    def wrong(self, name: str, message: str) -> GatewayError:
        """400: the member is not what the API of the client promises."""
        param = self.at(name)
        return bad_request(f"`{param}` {message}.", param=param)

    def unsupported(self, name: str, lack: str) -> None:
        """Refuse the optional member, unless such are dropped; `lack` says what the provider's API lacks."""
        if self.drop:
            return
        param = self.at(name)
        message = f"`{param}` cannot be put to this provider: {lack}. `drop_unsupported: true` leaves it out."
        raise GatewayError(400, INVALID_REQUEST, "unsupported_parameter", message, param=param)

    def finish(self, lacks: dict[str, str] | None = None) -> None:
        """Refuse what has not been read; `lacks` says of some members what the provider's API has not."""
        for name in [*self._left]:
            if self.raw(name) is not None:
                self.unsupported(name, (lacks or {}).get(name, "its API has nothing like it"))

    def _text_or(self, start: bytes, take: Callable[[str], T | None], name: str, rule: str) -> str | T | None:
        raw = self._left.get(name, _NULL)
        if _begins(raw, b'"'):
            return self.take(name, str)
        if _begins(raw, start) or _begins(raw, _NULL):
            return take(name)
        raise self.wrong(name, rule)

    def _not_an_object(self, error: Exception) -> GatewayError:
        what = f"`{self.path}`" if self.path else "The request body"
        if isinstance(error, RecursionError):
            problem = "is nested too deeply"
        elif isinstance(error, msgspec.ValidationError):
            problem = "must be a JSON object"
        else:
            problem = "is not valid JSON in UTF-8 (RFC 8259)"
        return bad_request(f"{what} {problem}.", param=self.path or None)


def _begins(raw: bytes, start: bytes) -> bool:
    # By a view: an image in base64 is not copied for it.
    return bytes(memoryview(raw)[: len(start)]) == start
