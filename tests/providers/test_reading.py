"""How a client's request is read: values by their type, errors by their place, and nothing left unread."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.providers.reading import Members, refuse_content, spelled_object


def members(*, drop: bool = False, coded: bool = False, **given: Any) -> Members:
    """The members of a request, which stand in its `a`, the second item of an array."""
    body = json.dumps({"a": [{}, given]}).encode()
    return Members.of_request(body, drop=drop, coded=coded).children("a")[1]


def refusal(act: Callable[[], object]) -> tuple[str | None, str | None, str]:
    """Param, code and message of the error."""
    with pytest.raises(GatewayError) as refused:
        act()
    error = refused.value
    assert (error.status, error.kind) == (400, "invalid_request_error")
    return error.param, error.code, error.message


def test_a_member_is_taken_once_and_null_is_none() -> None:
    request = members(x="y", none=None)
    assert not request.has("none")
    assert request.take("none", str) is None
    assert (request.peek("x"), request.take("x", str), request.take("x", str)) == ("y", "y", None)
    request.finish()


@pytest.mark.parametrize(
    ("act", "place", "code", "rule"),
    [
        (lambda it: it.take("n", str), "n", "invalid_type", "must be a string"),
        (lambda it: it.number("s"), "s", "invalid_type", "must be a number"),
        (lambda it: it.take("n", list[str]), "n", "invalid_type", "must be an array of strings"),
        (lambda it: it.take("mixed", list[str]), "mixed[1]", "invalid_type", "must be a string"),
        (lambda it: it.texts("mixed"), "mixed[1]", "invalid_type", "must be a string"),
        (lambda it: it.texts("mixed", "must be texts"), "mixed", "invalid_type", "must be texts"),
        (lambda it: it.child("s"), "s", "invalid_type", "must be a JSON object"),
        (lambda it: it.children("mixed"), "mixed[0]", "invalid_type", "must be a JSON object"),
        (lambda it: it.text_or_child("n"), "n", "invalid_type", "must be a string or an object"),
        (lambda it: it.count("n"), "n", "invalid_value", "must be an integer from 1 to 9007199254740992"),
        (lambda it: it.need_one_of("s", ("a", "b")), "s", "invalid_value", "is 'x'; it must be one of a, b"),
        (lambda it: it.need_one_of("n", ("a", "b")), "n", "invalid_value", "must be one of a, b"),
        (
            lambda it: it.need("no", int),
            "no",
            "missing_required_parameter",
            "is missing; it must be an integer",
        ),
        (
            lambda it: it.need_child("no", '{"b": 1}'),
            "no",
            "missing_required_parameter",
            'is missing; it must be an object such as {"b": 1}',
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_path(
    act: Callable[[Members], object], place: str, code: str, rule: str
) -> None:
    given = {"n": 0, "s": "x", "mixed": ["x", 1]}
    param = f"a[1].{place}"
    assert refusal(lambda: act(members(coded=True, **given))) == (param, code, f"`{param}` {rule}.")
    assert refusal(lambda: act(members(**given)))[:2] == (param, None)


def test_what_is_left_unread_is_refused_or_dropped() -> None:
    lacks = {"known": "its API has no such thing"}
    param, code, message = refusal(lambda: members(known=1).finish(lacks))
    assert (param, code) == ("a[1].known", "unsupported_parameter")
    assert "its API has no such thing. Leave it out, or set `drop_unsupported: true`" in message
    assert refusal(lambda: members(other=1).finish(lacks))[0] == "a[1].other"
    assert refusal(lambda: members(**{"x" * 1000: 1}).finish())[0] == "a[1]." + "x" * 80
    members(drop=True, known=1, other=1).finish(lacks)


@pytest.mark.parametrize(
    ("default", "same", "other"),
    [
        (False, False, 0),
        (0, 0.0, False),
        ({}, {}, []),
        (["text"], ["text"], ["audio"]),
        ("auto", "auto", "x"),
    ],
)
def test_a_member_that_says_what_is_so_without_it_is_no_matter(default: Any, same: Any, other: Any) -> None:
    members(x=same).finish(defaults={"x": default})
    assert "it can only be `" in refusal(lambda: members(x=other).finish(defaults={"x": default}))[2]


def test_content_is_refused_though_such_be_dropped() -> None:
    param, code, message = refusal(lambda: refuse_content("a[0].type", "its API has no audio"))
    assert (param, code) == ("a[0].type", "unsupported_parameter")
    assert "drop_unsupported" not in message


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"", "must be JSON in UTF-8 (RFC 8259)"),
        (b'{"a": "\xff"}', "must be JSON in UTF-8 (RFC 8259)"),
        (b'{"a": {"b": "\\ud800"}}', "must be JSON in UTF-8 (RFC 8259)"),
        (b"[]", "must be a JSON object"),
        (b'{"a": ' + b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_body_that_is_no_object(body: bytes, rule: str) -> None:
    told = refusal(lambda: Members.of_request(body, drop=True, coded=True))
    assert told == (None, None, f"The request body {rule}.")


def test_bytes_that_are_handed_on_stay_as_they_came() -> None:
    body = b'{"t": 0.30000000000000004441, "schema": { "max": 123456789012345678901, "x": 1.10 }}'
    request = Members.of_request(body, drop=False)
    assert bytes(request.number("t") or b"") == b"0.30000000000000004441"
    assert bytes(request.need_raw_object("schema")) == b'{ "max": 123456789012345678901, "x": 1.10 }'


@pytest.mark.parametrize(
    ("text", "spelled"), [('{"x": 1.10}', b'{"x": 1.10}'), (" ", b"{}"), ("[1]", None), ("{", None)]
)
def test_an_object_that_a_text_spells(text: str, spelled: bytes | None) -> None:
    found = spelled_object(text)
    assert spelled == (None if found is None else bytes(found))
