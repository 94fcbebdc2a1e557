"""Reads the objects of a request member by member: each error names its place, and nothing goes unread.

A member stays the bytes that came until it is asked for as some type: what is only handed on (a JSON schema,
the input of a tool) keeps every digit of its numbers.
"""

from __future__ import annotations

from typing import Final, NoReturn, TypeVar

import msgspec

from gateway.errors import GatewayError, bad_request

T = TypeVar("T")
Json = dict[str, object]
"""An object to be sent; its values may be `msgspec.Raw`."""

UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What msgspec raises for bytes that are not what was asked for."""

_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_UNSUPPORTED: Final = "unsupported_parameter"
_NAMES: Final[dict[type, str]] = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    list[str]: "an array of strings",
}


def refuse_content(param: str, lacking: str) -> NoReturn:
    """400 for content, which is never left out."""
    raise bad_request(f"`{param}`: {lacking}.", code=_UNSUPPORTED, param=param)


class Members:
    """The members of the object `raw`, each to be taken once; one that is null counts as absent.

    `path` tells where the object stands in the request, whose own path is empty. `drop` leaves out what chat
    completions lacks instead of refusing it. All methods raise GatewayError (400).
    """

    __slots__ = ("_drop", "_left", "_path")

    def __init__(self, raw: bytes | msgspec.Raw, path: str = "", *, drop: bool) -> None:
        self._path = path
        self._drop = drop
        try:
            self._left = {name: value for name, value in _object(raw).items() if _begins(value) != b"n"}
        except UNREADABLE as error:
            raise self._not_an_object(error) from None

    @classmethod
    def of_request(cls, body: bytes, *, drop: bool) -> Members:
        """The members of a whole request."""
        try:
            body.decode()  # msgspec looks into those strings alone which it decodes
        except UnicodeDecodeError:
            raise bad_request("The request body must be JSON in UTF-8 (RFC 8259 section 8.1).") from None
        return cls(body, drop=drop)

    def at(self, name: str) -> str:
        """The path of a member, as errors name it."""
        return f"{self._path}.{name}" if self._path else name

    def wrong(self, name: str, rule: str) -> GatewayError:
        """400: a member is not what the Messages API has there."""
        return bad_request(f"`{self.at(name)}` {rule}.", param=self.at(name))

    def unsupported(self, name: str, lacking: str) -> None:
        """Refuses an optional member, or returns: it is to be left out. `lacking` is a clause."""
        if self._drop:
            return
        hint = "Leave it out, or set `drop_unsupported: true` for the provider to have the gateway do so."
        param = self.at(name)
        raise bad_request(f"`{param}`: {lacking}. {hint}", code=_UNSUPPORTED, param=param)

    def raw(self, name: str) -> msgspec.Raw | None:
        """The member as it came, or None."""
        return self._left.pop(name, None)

    def raw_object(self, name: str, rule: str) -> msgspec.Raw:
        """The object `name` as it came; `rule` says what it has to be."""
        raw = self.raw(name)
        if raw is None or _begins(raw) != b"{":
            raise self.wrong(name, rule)
        return raw

    def take(self, name: str, kind: type[T]) -> T | None:
        """The member as a `kind`, or None."""
        raw = self.raw(name)
        if raw is None:
            return None
        try:
            return msgspec.json.decode(raw, type=kind)
        except UNREADABLE:
            raise self.wrong(name, f"must be {_NAMES[kind]}") from None

    def need(self, name: str, kind: type[T]) -> T:
        """The member as a `kind`; it must be there."""
        value = self.take(name, kind)
        if value is None:
            raise self.wrong(name, f"is missing: it must be {_NAMES[kind]}")
        return value

    def number(self, name: str) -> msgspec.Raw | None:
        """The digits of a number as they came, or None."""
        raw = self._left.get(name)
        return None if self.take(name, float) is None else raw

    def child(self, name: str) -> Members | None:
        """The object `name`, or None."""
        raw = self.raw(name)
        return None if raw is None else Members(raw, self.at(name), drop=self._drop)

    def children(self, name: str) -> list[Members]:
        """The objects of the array `name`; none where it is absent."""
        raw = self.raw(name)
        if raw is None:
            return []
        try:
            items = _array(raw)
        except UNREADABLE:
            raise self.wrong(name, "must be an array of objects") from None
        return [Members(item, f"{self.at(name)}[{i}]", drop=self._drop) for i, item in enumerate(items)]

    def text_or_children(self, name: str) -> str | list[Members] | None:
        """The member as a string or as an array of objects, or None."""
        raw = self._left.get(name)
        match None if raw is None else _begins(raw):
            case None | b'"':
                return self.take(name, str)
            case b"[":
                return self.children(name)
            case _:
                raise self.wrong(name, "must be a string or an array of objects")

    def ignore(self, *names: str) -> None:
        """Leaves members unread that have no bearing on the answer."""
        for name in names:
            self._left.pop(name, None)

    def finish(self, lacking: dict[str, str] | None = None) -> None:
        """Refuses what nobody has taken; `lacking` has clauses for some names."""
        for name in self._left:
            self.unsupported(name, (lacking or {}).get(name, "chat completions has nothing like it"))

    def _not_an_object(self, error: Exception) -> GatewayError:
        subject = f"`{self._path}`" if self._path else "The request body"
        if isinstance(error, RecursionError):
            rule = "is nested too deeply"
        elif isinstance(error, msgspec.ValidationError):
            rule = "must be a JSON object"
        else:
            rule = "must be JSON (RFC 8259)"
        return bad_request(f"{subject} {rule}.", param=self._path or None)


def _begins(raw: msgspec.Raw) -> bytes:
    """The byte that tells what kind of JSON value it is (`n` for null)."""
    return bytes(memoryview(raw)[:1])
