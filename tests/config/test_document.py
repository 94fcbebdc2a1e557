"""YAML that is none, and YAML that asks for too much."""

from __future__ import annotations

import pytest

from gateway.config import ConfigError, document, loads
from gateway.config.document import MAX_BYTES, MAX_DEPTH, MAX_VALUES

MINIMAL = "providers: {a: {format: mock}}\n"


def error_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loads(text, "test.yaml", {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "test.yaml: the file is empty"),
        ("# nothing\n", "test.yaml: the file is empty"),
        ("---\n", "test.yaml: the file is empty"),
        ("- a\n", "test.yaml:1:1: the file is not a mapping"),
        ("\n  text", "test.yaml:2:3: the file is not a mapping"),
        ("null", "test.yaml:1:1: the file is not a mapping"),
        ("a: b: c", "test.yaml:1:5: not valid YAML: mapping values are not allowed here"),
        ("a: 1\nb: [1,\n", "test.yaml:3:1: not valid YAML: while parsing a flow"),
        ("a: 'x", "test.yaml:1:6: not valid YAML: while scanning a quoted scalar: found unexpected end"),
        ("a:\n\t- b", "test.yaml:2:1: not valid YAML"),
        ("a: *bc", "test.yaml:1:4: not valid YAML: found undefined alias (name not shown)"),
        ("a: 1\n--- \nb: 1", "test.yaml:2:1: not valid YAML: expected a single document"),
        ("a: 1\nb: \x07", "test.yaml:2:4: not YAML: the character U+0007 is not allowed"),
        ("\ud800", "test.yaml:1:1: not YAML: the character U+D800 is not allowed"),
        ('a: "\\UFFFFFFFF"', "not valid YAML: an escape or a version number is out of range"),
        ('a: "\\U00110000"', "not valid YAML: an escape or a version number is out of range"),
        (f"%YAML {'9' * 5000}.1\n---\na: 1", "not valid YAML: an escape or a version number is out of range"),
        ("[\x85", "test.yaml:2:1: not valid YAML: while parsing a flow node"),
        ("a: {k: ${KEY}}", 'write "${NAME}" in quotes'),
    ],
)
def test_says_where_and_what(text: str, message: str) -> None:
    assert message in error_of(text)


def test_an_alias_stands_for_what_it_names() -> None:
    text = "providers: {a: {format: mock, retry: &r {base_delay: 2s}}, b: {format: mock, retry: *r}}"
    config = loads(text, "test.yaml", {})
    assert config.providers["b"].retry.base_delay == 2.0


def test_a_problem_behind_an_alias_is_told_for_each_use() -> None:
    text = "providers:\n  a: {format: mock, retry: &r {jitter: x}}\n  b:\n    format: mock\n    retry: *r\n"
    lines = error_of(text).splitlines()
    assert [line.partition(": ")[2].partition(": ")[0] for line in lines] == [
        "providers.a.retry.jitter",
        "providers.b.retry.jitter",
    ]


def test_size_is_bounded() -> None:
    text = MINIMAL + "#" * (MAX_BYTES - len(MINIMAL))
    assert loads(text, "test.yaml", {}).providers
    assert error_of(text + "#") == "test.yaml: the file is larger than 1 MiB"
    assert error_of(MINIMAL + "#" + "é" * (MAX_BYTES // 2)) == "test.yaml: the file is larger than 1 MiB"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth_is_bounded(opening: str) -> None:
    assert f"not valid YAML: more than {MAX_DEPTH} levels" in error_of("a:\n " + opening * 5000)


@pytest.mark.parametrize("text", ["a: &x [*x]", "a: &x {b: [*x]}", "&x {a: *x}", "a: &x {*x : b}"])
def test_an_alias_of_itself_is_refused(text: str) -> None:
    assert "not valid YAML: an alias stands inside of what it names" in error_of(text)


def test_what_aliases_multiply_is_bounded() -> None:
    levels = ["a0: &a0 x"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    message = error_of("\n".join(levels))
    assert message.startswith("test.yaml:6:")
    assert message.endswith(f"more than {MAX_VALUES} values, counted again for each alias")


def test_values_are_counted_once_for_each_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "providers: {p: &p {format: mock, mock: {faults: [ok, ok]}}, q: *p}"
    # The two mappings outside, their three keys; and twice the nine nodes of p.
    monkeypatch.setattr(document, "MAX_VALUES", 23)
    assert list(loads(text, "test.yaml", {}).providers) == ["p", "q"]
    monkeypatch.setattr(document, "MAX_VALUES", 22)
    assert "more than 22 values" in error_of(text)


def test_values_are_counted_while_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_VALUES", 100)
    assert error_of("a: [" + "b,\n" * 1000).startswith("test.yaml:100:")
