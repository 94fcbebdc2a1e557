"""The model in a JSON body: found without parsing the rest, and replaced without changing the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.proxy.peek import STRICT_PATHS, model_of, with_model

CHAT = b"/v1/chat/completions"
IMAGES = b"/v1/images/generations"
JSON = b"application/json"


def refusal(body: bytes, path: bytes = CHAT) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        model_of(path, JSON, body)
    return caught.value


# Found.


@pytest.mark.parametrize("path", [CHAT, b"/v1/completions", b"/v1/embeddings", b"/v1/responses"])
@pytest.mark.parametrize("content_type", [None, JSON, b"text/plain", b"multipart/form-data; boundary=x"])
def test_on_strict_paths_every_body_is_read_as_json(path: bytes, content_type: bytes | None) -> None:
    assert path in STRICT_PATHS
    assert model_of(path, content_type, b'{"model": "gpt-4o"}') == "gpt-4o"


@pytest.mark.parametrize(
    ("content_type", "model"),
    [
        (b"application/json", "m"),
        (b"APPLICATION/JSON; charset=utf-8", "m"),
        (b"text/plain", None),
        (None, None),
    ],
)
def test_elsewhere_a_body_is_read_that_says_it_is_json(content_type: bytes | None, model: str | None) -> None:
    assert model_of(IMAGES, content_type, b'{"model": "m"}') == model


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b"{}", None),
        (b'{"messages": []}', None),
        (b'{"model": ""}', ""),
        (b' \r\n\t{"model":"m"}\n ', "m"),
        (b'{"messages": [{"model": "inner"}], "model": "outer"}', "outer"),
        (b'{"x": "\\"model\\": \\"fake\\"", "model": "m"}', "m"),
        (b'{"m\\u006fdel": "m"}', "m"),
        ('{"model": "größe-模型"}'.encode(), "größe-模型"),
        (b'{"model": "\\ud83d\\ude00"}', "😀"),
        (b'{"model": "first", "model": "last"}', "last"),  # as Python's and JavaScript's parsers have it
        # What the gateway does not need, it does not judge.
        (b'{"model": "m", "stream": "true"}', "m"),
        (b'{"model": "m", "stream": 1, "temperature": "hot"}', "m"),
        (b'{"model": "m", "seed": %s}' % (b"9" * 10_000), "m"),
        (b'{"model": "m", "x": 1e999}', "m"),
        (b'{"model": "m", "x": %s%s}' % (b"[" * 500, b"]" * 500), "m"),
        (b'{"model": "m", "x": "\xff"}', "m"),
    ],
)
def test_the_model_that_a_body_names(body: bytes, model: str | None) -> None:
    assert model_of(CHAT, JSON, body) == model
    assert model_of(IMAGES, JSON, body) == model


# Refused.


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b"true", b'[{"model": "m"}]'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    error = refusal(body)
    assert (error.status, error.kind, error.param) == (400, "invalid_request_error", None)
    assert error.message == "The request body must be a JSON object."


@pytest.mark.parametrize("value", [b"null", b"1", b"true", b"{}", b'["m"]', b"1.5"])
def test_a_model_that_is_no_string_is_refused(value: bytes) -> None:
    error = refusal(b'{"model": %s}' % value)
    assert (error.status, error.kind, error.param) == (400, "invalid_request_error", "model")
    assert error.message == "`model` must be a string."


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request body is empty; it must be a JSON object."),
        (b'{"model": "\xff"}', "The request body is not valid UTF-8."),
        (b'{"x": %s' % (b"[" * 100_000), "The request body is nested too deeply."),
        (
            b'{"model": "\\ud800"}',
            "The request body is not valid JSON: it is cut short, or has half of a surrogate pair"
            " (RFC 8259 section 8.2).",
        ),
        (b'{"model": "m"', "The request body is not valid JSON: Input data was truncated."),
        (
            b'{"model": m}',
            "The request body is not valid JSON: JSON is malformed: invalid character (byte 10).",
        ),
    ],
)
def test_the_refusal_says_what_is_wrong(body: bytes, message: str) -> None:
    assert refusal(body).message == message


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"}",
        b"model=m",
        b"{'model': 'm'}",
        b'{"model": m}',
        b'{"model": "m",}',
        b'{"model": "m" "x": 1}',
        b'{"model": "m", "x": NaN}',
        b'{"model": "m", "x": 01}',
        b'{"model": "m", "x": "\n"}',
        b'{"model": "m", "x": "\\q"}',
        b'{"model": "m"}{"model": "n"}',
        b'\xef\xbb\xbf{"model": "m"}',
        '{"model": "m"}'.encode("utf-16"),
        b'{"model": "m", // comment\n "x": 1}',
        b"\x00",
    ],
)
def test_what_is_no_json_is_refused_on_strict_paths_and_names_no_model_elsewhere(body: bytes) -> None:
    assert refusal(body).message.startswith("The request body is not valid JSON: ")
    assert model_of(IMAGES, JSON, body) is None


def test_the_refusal_does_not_repeat_the_body() -> None:
    assert "secret" not in refusal(b'{"prompt": "secret", "model": 1}').message
    assert "secret" not in refusal(b'{"prompt": "secret').message


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
BODIES = (
    st.binary()
    | JSON_VALUES.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(["model", "stream", "x"]), JSON_VALUES).map(
        lambda members: json.dumps(members).encode()
    )
    | st.binary().map(lambda noise: b'{"model": "m", "x": "' + noise + b'"}')
)


@settings(deadline=None)
@given(
    BODIES, st.sampled_from([CHAT, IMAGES]), st.sampled_from([JSON, b"multipart/form-data; boundary=b", None])
)
@example(b"[" * 1_000_000, CHAT, JSON)
@example(b'{"a":' * 1_000_000, IMAGES, JSON)
def test_no_body_causes_anything_but_a_400(body: bytes, path: bytes, content_type: bytes | None) -> None:
    try:
        model = model_of(path, content_type, body)
        if model is not None:
            model.encode()  # half a surrogate pair would fail later
            with_model(content_type, body, "new")
    except GatewayError as error:
        answer = error
    else:
        return
    assert answer.status == 400
    assert json.loads(answer.body())["error"]["type"] == "invalid_request_error"


# Replaced.


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"m"}', b'{"model":"new"}'),
        (b'{"a":1,"model":"m","b":2}', b'{"a":1,"model":"new","b":2}'),
        # Other values as they came: numbers are not read, texts not normalised.
        (
            b'{"model":"m","x":1.0,"y":1e999,"z":123456789012345678901234567890}',
            b'{"model":"new","x":1.0,"y":1e999,"z":123456789012345678901234567890}',
        ),
        (b'{"model":"m","x":"\\u00e4\\/"}', b'{"model":"new","x":"\\u00e4\\/"}'),
        (b'{"model":"m","x":{ "a" : [ 1 ] }}', b'{"model":"new","x":{ "a" : [ 1 ] }}'),
        (b'{"model":"m","messages":[{"model":"m"}]}', b'{"model":"new","messages":[{"model":"m"}]}'),
        (b'{"model":"one","model":"two"}', b'{"model":"new"}'),
    ],
)
def test_only_the_model_changes(body: bytes, expected: bytes) -> None:
    assert with_model(JSON, body, "new") == expected


@pytest.mark.parametrize("name", ['say "hi"', "back\\slash", "größe", "line\nbreak"])
def test_any_name_can_be_put_in(name: str) -> None:
    assert json.loads(with_model(JSON, b'{"model": "m"}', name)) == {"model": name}


@settings(deadline=None)
@given(
    members=st.dictionaries(st.text(), JSON_VALUES.filter(lambda value: value == value), max_size=5),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]),
    ascii_only=st.booleans(),
)
def test_every_other_member_is_kept_byte_for_byte(
    members: dict[str, Any], separators: tuple[str, str], ascii_only: bool
) -> None:
    def written(value: Any) -> bytes:
        return json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode(
            "utf-8", "surrogatepass"
        )

    members = {"before": members, "model": "m", **members, "after": 1}
    members["model"] = "m"
    try:
        if model_of(CHAT, JSON, written(members)) is None:
            return
    except GatewayError:
        return  # NaN, half a surrogate pair
    changed = with_model(JSON, written(members), "new")
    assert list(json.loads(changed)) == list(members)
    assert json.loads(changed)["model"] == "new"
    for name, value in members.items():
        if name != "model":
            assert written(value) in changed


def test_member_names_that_are_not_utf_8_are_refused_where_they_must_be_read() -> None:
    body = b'{"model": "m", "\xff": 1}'
    assert model_of(CHAT, JSON, body) == "m"  # goes through as it is
    with pytest.raises(GatewayError, match=r"The request body is not valid UTF-8\."):
        with_model(JSON, body, "new")


def test_json_that_is_declared_a_form_is_changed_as_json() -> None:
    body = b'{"model": "m"}'
    content_type = b"multipart/form-data; boundary=x"
    assert model_of(CHAT, content_type, body) == "m"
    assert with_model(content_type, body, "new") == b'{"model":"new"}'
