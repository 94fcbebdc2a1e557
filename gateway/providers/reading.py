"""Reads a client's JSON request member by member: each error names its place, and nothing goes unread.

A member stays the bytes that came until it is asked for as some type: what is only handed on (a JSON schema,
the arguments of a call) keeps every digit of its numbers. One that is null counts as absent. What is left at
the end was not understood, and is refused rather than dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

import msgspec

from gateway.errors import GatewayError, bad_request

T = TypeVar("T")
Json = dict[str, object]
"""An object to be sent; its values may be `msgspec.Raw`."""

UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What msgspec raises for bytes that are not what was asked for."""

# The `code` of an error, as OpenAI's API has them: https://platform.openai.com/docs/guides/error-codes
UNSUPPORTED: Final = "unsupported_parameter"
INVALID_TYPE: Final = "invalid_type"
INVALID_VALUE: Final = "invalid_value"
MISSING: Final = "missing_required_parameter"

_MAX_COUNT: Final = 2**53
_SHOWN_CHARS: Final = 80
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

_NULL: Final = msgspec.Raw(b"null")
_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text: Final = msgspec.json.Decoder(str).decode
_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_TEXTS: Final = str | list[str]
_SHAPES: Final[Mapping[object, str]] = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    list[str]: "an array of strings",
    _TEXTS: "a string or an array of strings",
    dict[str, str]: "an object of strings",
    dict[str, msgspec.Raw]: "a JSON object",
}
_DECODERS: Final[Mapping[object, Callable[[msgspec.Raw], Any]]] = {
    kind: msgspec.json.Decoder(kind).decode for kind in _SHAPES
}
# msgspec names a place within: "Expected `str`, got `int` - at `$[1]`".
_WITHIN: Final = re.compile(r" - at `\$(.+)`$").search


def wrong(param: str, rule: str, code: str | None = None) -> GatewayError:
    """400: `param` is not what the client's API has there; `rule` says what would be right."""
    return bad_request(f"`{param}` {rule}.", code=code, param=param)


def refuse_content(param: str, lack: str) -> NoReturn:
    """400 for content without which the request would be another one, so that it is never left out."""
    raise wrong(param, f"cannot be put to this provider: {lack}", UNSUPPORTED)


def spelled_object(text: str) -> msgspec.Raw | None:
    """The object that `text` spells, in its own bytes; empty for a blank text, None for any other."""
    if not text.strip():
        return msgspec.Raw(b"{}")
    encoded = text.encode()
    try:
        _object(encoded)
    except UNREADABLE:
        return None
    return msgspec.Raw(encoded)


class Mode(NamedTuple):
    """How a request is read.

    drop: optional members that the provider's API lacks are left out rather than refused.
    coded: errors tell in `code`, too, what is wrong with a member.
    """

    drop: bool
    coded: bool = False


class Members:
    """The members of the object `given` at `path` of a request, whose own path is empty; each is taken once.

    Every method raises GatewayError (400, naming the path) for a value that it cannot take.
    """

    __slots__ = ("_left", "given", "mode", "path")

    def __init__(self, given: msgspec.Raw, path: str, mode: Mode) -> None:
        self.given = given
        self.path = path
        self.mode = mode
        try:
            self._left = {name: raw for name, raw in _object(given).items() if raw != _NULL}
        except UNREADABLE as error:
            raise self._not_an_object(error) from None

    @classmethod
    def of_request(cls, body: bytes, *, drop: bool, coded: bool = False) -> Members:
        """The members of a whole request, read as `Mode` says."""
        try:
            str(body, "utf-8")  # msgspec looks only into the strings that it decodes
        except UnicodeDecodeError:
            raise bad_request("The request body must be JSON in UTF-8 (RFC 8259).") from None
        return cls(msgspec.Raw(body), "", Mode(drop, coded))

    def at(self, name: str) -> str:
        """The path of the member `name`, as errors name it."""
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, rule: str, code: str = INVALID_VALUE) -> GatewayError:
        """400: the member is not what the client's API has there; `rule` says what would be right."""
        return wrong(self.at(name), rule, code if self.mode.coded else None)

    def unsupported(self, name: str, lack: str) -> None:
        """Refuses the optional member, unless such are dropped; `lack` says what the provider's API lacks."""
        if not self.mode.drop:
            hint = "Leave it out, or set `drop_unsupported: true` for the provider to have the gateway do so"
            raise wrong(self.at(name), f"cannot be put to this provider: {lack}. {hint}", UNSUPPORTED)

    def has(self, name: str) -> bool:
        """Whether the member is there and has not been taken."""
        return name in self._left

    def peek(self, name: str) -> str | None:
        """The member, which is not taken by that, where it is a string."""
        raw = self._left.get(name)
        return None if raw is None or _begins(raw) != b'"' else _text(raw)

    def raw(self, name: str) -> msgspec.Raw | None:
        """The member as it came, or None."""
        return self._left.pop(name, None)

    def raw_object(self, name: str, rule: str = "must be a JSON object") -> msgspec.Raw | None:
        """The object `name` as it came, or None."""
        raw = self.raw(name)
        if raw is not None and _begins(raw) != b"{":
            raise self.wrong(name, rule, INVALID_TYPE)
        return raw

    def need_raw_object(self, name: str, rule: str = "must be a JSON object") -> msgspec.Raw:
        """The object `name` as it came; it must be there."""
        raw = self.raw_object(name, rule)
        if raw is None:
            raise self.wrong(name, f"is missing; it {rule}", MISSING)
        return raw

    def take(self, name: str, kind: type[T], rule: str | None = None) -> T | None:
        """The member as one of `kind`, or None.

        An error names the innermost place that is not right, or, with `rule`, what the whole must be.
        """
        taken: T | None = self._take(name, kind, rule)
        return taken

    def need(self, name: str, kind: type[T]) -> T:
        """The member as one of `kind`; it must be there."""
        value = self.take(name, kind)
        if value is None:
            raise self.wrong(name, f"is missing; it must be {_SHAPES[kind]}", MISSING)
        return value

    def need_one_of(self, name: str, choices: Mapping[str, object] | tuple[str, ...]) -> str:
        """The member as a string that must be there and be one of `choices`."""
        value = self.peek(name)
        if value is None or value not in choices:
            shown = "" if value is None else f"is {value[:_SHOWN_CHARS]!r}; it "
            raise self.wrong(name, f"{shown}must be one of {', '.join(choices)}")
        self.ignore(name)
        return value

    def texts(self, name: str, rule: str | None = None) -> list[str]:
        """The member as an array of strings, of which a string alone is one; empty where it is absent."""
        value: str | list[str] | None = self._take(name, _TEXTS, rule)
        return [value] if isinstance(value, str) else value or []

    def number(self, name: str, kind: type[int] | type[float] = float) -> msgspec.Raw | None:
        """The digits of a number as they came, or None."""
        raw = self._left.get(name)
        return None if self.take(name, kind) is None else raw

    def count(self, name: str) -> int | None:
        """The member as an integer from 1 on, or None."""
        value = self.take(name, int)
        if value is not None and not 1 <= value <= _MAX_COUNT:
            raise self.wrong(name, f"must be an integer from 1 to {_MAX_COUNT}")
        return value

    def child(self, name: str) -> Members | None:
        """The object `name`, or None."""
        raw = self.raw(name)
        return None if raw is None else Members(raw, self.at(name), self.mode)

    def need_child(self, name: str, example: str = "") -> Members:
        """The object `name`, which must be there, such as `example`."""
        member = self.child(name)
        if member is None:
            shape = f"an object such as {example}" if example else "an object"
            raise self.wrong(name, f"is missing; it must be {shape}", MISSING)
        return member

    def children(self, name: str) -> list[Members]:
        """The objects of the array `name`; none where it is absent."""
        raw = self.raw(name)
        if raw is None:
            return []
        try:
            items = _array(raw)
        except UNREADABLE:
            raise self.wrong(name, "must be an array of objects", INVALID_TYPE) from None
        path = self.at(name)
        return [Members(item, f"{path}[{index}]", self.mode) for index, item in enumerate(items)]

    def need_children(self, name: str) -> list[Members]:
        """The objects of the array `name`, which must be there."""
        if name not in self._left:
            raise self.wrong(name, "is missing; it must be an array of objects", MISSING)
        return self.children(name)

    def text_or_child(self, name: str) -> str | Members | None:
        """The member as a string or as an object, or None."""
        return self._text_or(b"{", self.child, name, "must be a string or an object")

    def text_or_children(self, name: str) -> str | list[Members] | None:
        """The member as a string or as an array of objects, or None."""
        return self._text_or(b"[", self.children, name, "must be a string or an array of objects")

    def need_text_or_children(self, name: str) -> str | list[Members]:
        """The member as a string or as an array of objects; it must be there."""
        value = self.text_or_children(name)
        if value is None:
            raise self.wrong(name, "is missing; it must be a string or an array of objects", MISSING)
        return value

    def rest(self) -> dict[str, msgspec.Raw]:
        """All members that are left, as they came."""
        rest, self._left = self._left, {}
        return rest

    def ignore(self, *names: str) -> None:
        """Leaves members unread that have no bearing on the answer."""
        for name in names:
            self._left.pop(name, None)

    def finish(self, lacks: Mapping[str, str] = _NOTHING, defaults: Mapping[str, object] = _NOTHING) -> None:
        """Refuses what has not been taken, but for members that say what is so without them.

        `lacks` tells of some names what the provider's API has not, `defaults` the values that ask for
        nothing.
        """
        for name, raw in self._left.items():
            if name in defaults:
                if _says(raw, defaults[name]):
                    continue
                lack = f"it can only be `{msgspec.json.encode(defaults[name]).decode()}`"
            else:
                lack = "its API has nothing like it"
            self.unsupported(name[:_SHOWN_CHARS], lacks.get(name, lack))

    def _take(self, name: str, kind: object, rule: str | None = None) -> Any:
        raw = self.raw(name)
        if raw is None:
            return None
        try:
            return _DECODERS[kind](raw)
        except UNREADABLE as error:
            within = _WITHIN(str(error))
        if rule is None and within is not None:
            raise self.wrong(f"{name}{within[1]}", "must be a string", INVALID_TYPE)
        raise self.wrong(name, rule or f"must be {_SHAPES[kind]}", INVALID_TYPE)

    def _text_or(self, start: bytes, take: Callable[[str], T], name: str, rule: str) -> str | T | None:
        raw = self._left.get(name)
        if raw is None:
            return None
        begin = _begins(raw)
        if begin == b'"':
            return self.take(name, str)
        if begin != start:
            raise self.wrong(name, rule, INVALID_TYPE)
        return take(name)

    def _not_an_object(self, error: Exception) -> GatewayError:
        subject = f"`{self.path}`" if self.path else "The request body"
        code = None
        if isinstance(error, RecursionError):
            rule = "is nested too deeply"
        elif isinstance(error, msgspec.ValidationError):
            rule = "must be a JSON object"
            code = INVALID_TYPE if self.path and self.mode.coded else None
        else:
            rule = "must be JSON in UTF-8 (RFC 8259)"
        return bad_request(f"{subject} {rule}.", code=code, param=self.path or None)


def _says(raw: msgspec.Raw, value: object) -> bool:
    """Whether `raw` is `value`; 0 is not false."""
    try:
        given = msgspec.json.decode(raw)
    except UNREADABLE:
        return False
    return bool(given == value) and isinstance(given, bool) == isinstance(value, bool)


def _begins(raw: msgspec.Raw) -> bytes:
    """The byte that tells what kind of JSON value it is."""
    return bytes(memoryview(raw)[:1])  # by a view: an image in base64 is not copied for it
