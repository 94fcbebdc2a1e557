"""How a problem is told."""

from __future__ import annotations

import pytest

from gateway.config import ConfigError, Position, Problem
from gateway.config.problem import child, did_you_mean, shown


@pytest.mark.parametrize(
    ("path", "keys", "result"),
    [
        ("", ("server",), "server"),
        ("server", ("timeouts", "body"), "server.timeouts.body"),
        ("providers", ("plano-2_x",), "providers.plano-2_x"),
        ("models", ("gpt-4.1", "provider"), 'models."gpt-4.1".provider'),
        ("models", ('a"b\n',), r'models."a\"b\n"'),
        ("server", ("api_keys", 0), "server.api_keys[0]"),
    ],
)
def test_paths(path: str, keys: tuple[str | int, ...], result: str) -> None:
    assert child(path, *keys) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("30x", '"30x"'),
        ('a"b\\', r'"a\"b\\"'),
        ("größe", '"größe"'),
        ("a\nb\x1b\x9b\u2028", r'"a\nb\x1b\x9b\u2028"'),
        ("\ud800", r'"\ud800"'),
        ("x" * 80, f'"{"x" * 80}"'),
        ("x" * 81, f'"{"x" * 80}..."'),
    ],
)
def test_a_value_is_shown_on_one_line(text: str, result: str) -> None:
    assert shown(text) == result
    assert shown(text).encode()


@pytest.mark.parametrize(
    ("word", "known", "result"),
    [
        ("prot", ["host", "port"], '(did you mean "port"?)'),
        ("zzz", ["host", "port"], "(use one of host, port)"),
        ("zzz", [], "(there is none)"),
        ("zzz", list("abcdefghijklmnop"), "(use one of a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)"),
        (
            "zzz",
            list("abcdefghijklmnopq"),
            "(use one of a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ...)",
        ),
    ],
)
def test_suggestions(word: str, known: list[str], result: str) -> None:
    assert did_you_mean(word, known) == result


def test_an_error_has_a_line_for_each_problem() -> None:
    problems = [
        Problem("server.port", "is wrong", Position(3, 7)),
        Problem("providers", "is missing"),
        Problem("", "the file is wrong"),
    ]
    assert str(ConfigError(problems, "gateway.yaml")).splitlines() == [
        "gateway.yaml:3:7: server.port: is wrong",
        "gateway.yaml: providers: is missing",
        "gateway.yaml: the file is wrong",
    ]
    assert str(ConfigError(problems[:1])) == "server.port: is wrong"
    assert ConfigError(problems).problems == tuple(problems)
