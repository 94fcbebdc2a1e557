"""${NAME} in values."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.config import Secret, loads
from gateway.config.environment import expand

ENVIRON = {"NAME": "value", "EMPTY": "", "NESTED": "${NAME}", "_x1": "y", "YAML": "a: [b, &c"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("plain", "plain"),
        ("$", "$"),
        ("$NAME", "$NAME"),
        ("$$", "$$"),
        ("${NAME}", "value"),
        ("a${NAME}b${_x1}", "avaluebye"[:-1]),
        ("${EMPTY}", ""),
        ("${NOPE:-default}", "default"),
        ("${NOPE:-}", ""),
        ("${EMPTY:-default}", "default"),
        ("${NAME:-default}", "value"),
        ("${NOPE:-http://h:1/{x}", "http://h:1/{x"),
        ("$${NAME}", "${NAME}"),
        ("$$${NAME}", "$${NAME}"),
        ("$${", "${"),
        ("${NESTED}", "${NAME}"),
        ("${YAML}", "a: [b, &c"),
    ],
)
def test_expands(text: str, result: str) -> None:
    assert expand(text, ENVIRON) == result


@pytest.mark.parametrize(
    "text", ["${", "${}", "${NAME", "${NAME:-x", "${1A}", "${A B}", "${NAME:x}", "a ${ b"]
)
def test_refuses_what_is_not_a_reference(text: str) -> None:
    with pytest.raises(ValueError, match=r"write \$\$\{ for a literal"):
        expand(text, ENVIRON)


def test_names_the_variable_that_is_not_set() -> None:
    with pytest.raises(ValueError, match=r"variable NOPE is not set .* \$\{NOPE:-default\}"):
        expand("${NAME}${NOPE}", ENVIRON)


def test_every_kind_of_setting_takes_a_variable() -> None:
    text = """
        server: {port: "${PORT}", api_keys: ["${KEY}"], limits: {max_body: "${SIZE}"}}
        logging: {access: "${FLAG}", level: "${LEVEL:-debug}"}
        providers:
          a:
            format: ${FORMAT}
            base_url: http://${HOST}:${PORT}/v1
            timeouts: {connect: "${TIME}"}
            retry: {jitter: "${JITTER}"}
            headers: {X-Mixed: "a-${KEY}"}
    """
    environ = {"PORT": "81", "KEY": "k", "SIZE": "1MiB", "FLAG": "true", "FORMAT": "openai", "HOST": "h"}
    config = loads(text, "test.yaml", environ | {"TIME": "2s", "JITTER": "0.5"})
    provider = config.providers["a"]
    assert (config.server.port, config.server.limits.max_body) == (81, 1 << 20)
    assert config.server.api_keys == (Secret("k"),)
    assert (config.logging.access, config.logging.level) == (True, "debug")
    assert (provider.format, provider.base_url) == ("openai", "http://h:81/v1")
    assert (provider.timeouts.connect, provider.retry.jitter) == (2.0, 0.5)
    assert provider.headers == {"X-Mixed": Secret("a-k")}


def test_a_value_cannot_add_to_the_file() -> None:
    text = 'providers: {a: {format: mock, mock: {reply: "${REPLY}"}}}'
    config = loads(text, "test.yaml", {"REPLY": "x}\n  b: {format: mock}"})
    assert list(config.providers) == ["a"]
    assert config.providers["a"].mock is not None
    assert config.providers["a"].mock.reply == "x}\n  b: {format: mock}"


def test_what_is_wrong_with_a_reference_is_told_with_its_path(
    problems: Callable[..., dict[str, str]],
) -> None:
    text = 'providers: {a: {format: mock, api_key: "${KEY}", headers: {X: "${"}}}\nserver: {port: "${PORT}"}'
    found = problems(text, {"PORT": "http"})
    assert "KEY is not set" in found["providers.a.api_key"]
    assert "write $${" in found["providers.a.headers.X"]
    assert found["server.port"] == '"http" is not a whole number from 0 to 65535'


def test_keys_and_unused_text_are_not_expanded(problems: Callable[..., dict[str, str]]) -> None:
    assert list(problems('models: {"${X}": {provider: a}}\nproviders: {a: {format: mock}}')) == []
