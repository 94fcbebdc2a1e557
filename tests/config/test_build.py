"""Structural problems: each is told with its path, its value and the rule, and all are told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import pytest

from gateway.config import Config, ConfigError, Model, Secret, loads
from gateway.config.build import Builder
from gateway.config.document import compose

PROVIDER = "providers: {a: {format: mock, %s}}"
Problems = Callable[..., dict[str, str]]


def test_every_type_is_read() -> None:
    text = """
        server:
          host: "::1"
          port: 8080
          api_keys: [a, "b"]
          cors_origins: ["*"]
          unix: null
        providers:
          on: {format: mock, mock: {reply: null, fault: 503, faults: [ok, 429;retry_after=1]}}
          1: {format: azure, base_url: "https://h", api_version: 2024-10-21, api_key: 123}
        models: {"gpt-4.1": {provider: 1, model: 1.5}, no: {provider: on, model: ~}}
        default_provider: on
    """
    config = loads(text, "test.yaml", {})
    assert (config.server.host, config.server.port, config.server.unix) == ("::1", 8080, None)
    assert config.server.api_keys == (Secret("a"), Secret("b"))
    assert config.server.cors_origins == ("*",)
    assert list(config.providers) == ["on", "1"]
    assert config.providers["on"].mock is not None
    assert config.providers["on"].mock.reply is None
    assert config.providers["on"].mock.fault == "503"
    assert config.providers["on"].mock.faults == ("ok", "429;retry_after=1")
    assert config.providers["1"].api_version == "2024-10-21"
    assert config.providers["1"].api_key == Secret("123")
    assert config.models == {"gpt-4.1": Model(provider="1", model="1.5"), "no": Model(provider="on")}
    assert config.default_provider == "on"


def test_an_empty_block_is_the_default() -> None:
    text = (
        "server: {}\nmodels: {}\nlogging: {}\nproviders: {a: {format: mock, retry: {}, circuit_breaker: {}}}"
    )
    config = loads(text, "test.yaml", {})
    assert (config.server, config.models, config.logging) == (Config().server, {}, Config().logging)
    assert config.providers["a"].wrapped


@pytest.mark.parametrize(
    ("setting", "path", "message"),
    [
        ("max_retries: -1", "max_retries", '"-1" is not a whole number from 0 to 100'),
        ("max_retries: true", "max_retries", '"true" is not a whole number from 0 to 100'),
        ("max_retries: 1.5", "max_retries", '"1.5" is not a whole number from 0 to 100'),
        ("max_retries: [1]", "max_retries", "is a list (use a single value)"),
        ("max_retries: {a: 1}", "max_retries", "is a mapping (use a single value)"),
        ("max_retries:", "max_retries", "has no value (give one, or leave the key out)"),
        (
            "max_retries: !!int 3",
            "max_retries",
            "has a YAML tag (leave out the word that begins with !, or quote",
        ),
        ("max_retries: 1, max_retries: 2", "max_retries", "is given twice (first in line 1)"),
        (
            "circuit_breaker: {timeout: 30x}",
            "circuit_breaker.timeout",
            '"30x" is not a duration (use "30s", "500ms"',
        ),
        (
            "circuit_breaker: {timeout: 0}",
            "circuit_breaker.timeout",
            '"0" is out of range (from 0.001 to 86400 sec',
        ),
        ("circuit_breaker: {timeout: .nan}", "circuit_breaker.timeout", '".nan" is not a duration'),
        (
            "circuit_breaker: {max_failures: 0}",
            "circuit_breaker.max_failures",
            '"0" is not a whole number from 1',
        ),
        ("circuit_breaker: {half_open_probes: 65}", "circuit_breaker.half_open_probes", "from 1 to 64"),
        ("circuit_breaker: {enabled: maybe}", "circuit_breaker.enabled", '"maybe" is not a boolean'),
        ("circuit_breaker:", "circuit_breaker", "has no value"),
        (
            "circuit_breaker: on",
            "circuit_breaker",
            "is not a mapping (it takes enabled, max_failures, timeout, half",
        ),
        ("circuit_breaker: [on]", "circuit_breaker", "is not a mapping"),
        ("retry: null", "retry", "is null (leave the key out for the default)"),
        ("retry: {multiplier: 0.5}", "retry.multiplier", '"0.5" is not a number from 1 to 100'),
        ("retry: {jitter: 1.1}", "retry.jitter", '"1.1" is not a number from 0 to 1'),
        ("retry: {base_delay: -1s}", "retry.base_delay", '"-1s" is out of range'),
        ("headers: [x]", "headers", "is not a mapping (use `name: value`)"),
        ("headers: {X: {}}", "headers.X", "is a mapping"),
        ("headers: {Host: h}", "headers.Host", '"Host" is a header field that the gateway sets itself'),
        ('headers: {"a b": h}', 'headers."a b"', '"a b" is not a header field name'),
        ("mock: {faults: ok}", "mock.faults", "is not a list (use `[first, second]`)"),
        ('mock: {faults: [ok, "", ok]}', "mock.faults[1]", '"" is not a text of one line'),
        ("base_url: localhost", "base_url", '"localhost" is not an absolute URL (use "https://host" or'),
        ("base_urll: x", "base_urll", 'unknown key (did you mean "base_url"?)'),
        ("timeouts: {x: 1}", "timeouts.x", "unknown key (use one of connect, first_byte, idle, total)"),
        ("<<: {max_retries: 1}", '"<<"', "unknown key"),
        ("fallback_provider: [a]", "fallback_provider", "is a list"),
        ("api_keys: one", "api_keys", "is not a list (use `[first, second]`)"),
        (
            "api_keys: [one, {}]",
            "api_keys[1]",
            "is a mapping (use a single value, or {file: /run/secrets/name})",
        ),
        (
            "api_key: {file: /a, x: y}",
            "api_key",
            "is a mapping (use a single value, or {file: /run/secrets/na",
        ),
        ("api_key: {file: [x]}", "api_key.file", "is a list (use a single value)"),
        ("api_key: {file: }", "api_key.file", "has no value"),
        ("responses: translated", "responses", '"translated" is not one of native, chat'),
        ("drop_unsupported: some", "drop_unsupported", '"some" is not a boolean'),
        ('fallback_provider: "a b"', "fallback_provider", '"a b" is not a provider name'),
        ('ca_file: "a\\u001b[31m"', "ca_file", r'"a\x1b[31m" is not a text of one line'),
    ],
)
def test_a_wrong_setting(problems: Problems, setting: str, path: str, message: str) -> None:
    found = problems(PROVIDER % setting)
    assert list(found) == [f"providers.a.{path}"]
    assert found[f"providers.a.{path}"].startswith(message) or message in found[f"providers.a.{path}"]


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("providers: {a: mock}", "providers.a", "is not a mapping (it takes format, base_url"),
        ("providers: {a: {}}", "providers.a.format", "is required"),
        (
            "providers: {a: {format: mok}}",
            "providers.a.format",
            '"mok" is not one of openai, azure, anthropic',
        ),
        ("providers: {a: }", "providers.a", "has no value"),
        ("providers: {a: null}", "providers.a", "is null"),
        ("providers: {'': {format: mock}}", 'providers.""', '"" is not a provider name'),
        ("providers: {[a]: {format: mock}}", "providers", "has a key that is not plain text (quote it)"),
        ("providers: {!x a: {format: mock}}", "providers", "has a key that is not plain text (quote it)"),
        ("providers: [a]", "providers", "is not a mapping (use `name: value`)"),
        ("on: 1", "on", "unknown key (use one of server, providers, models, prices, "),
        ("provider: {}", "provider", 'unknown key (did you mean "providers"?)'),
        ("default_provider: {}", "default_provider", "is a mapping"),
        ("server: 1", "server", "is not a mapping (it takes host, port"),
        ("server: {port: 65536}", "server.port", '"65536" is not a whole number from 0 to 65535'),
        ("server: {port: yes}", "server.port", '"yes" is not a whole number from 0 to 65535'),
        ("server: {port: null}", "server.port", "is null"),
        ("server: {workers: 0}", "server.workers", '"0" is not a whole number from 1 to 1024, nor auto'),
        ("server: {api_keys: [[a]]}", "server.api_keys[0]", "is a list"),
        ("server: {api_keys: a}", "server.api_keys", "is not a list"),
        ("server: {cors_origins: [app.example]}", "server.cors_origins[0]", '"app.example" is not an origin'),
        ("server: {limits: {max_body: 1XB}}", "server.limits.max_body", '"1XB" is not a size (use "10MiB"'),
        ("server: {timeouts: {drain: -1}}", "server.timeouts.drain", '"-1" is out of range'),
        ("logging: {level: warn}", "logging.level", '"warn" is not one of debug, info, warning, error'),
        ("logging: {access: 1}", "logging.access", '"1" is not a boolean'),
        ("models: {m: a}", "models.m", "is not a mapping (it takes provider, model, targets, "),
        ("models: {m: {}}", "models.m.provider", "is required"),
        ("models: {m: {targets: {provider: a}}}", "models.m.targets", "is not a list"),
        (
            "models: {m: {targets: [a]}}",
            "models.m.targets[0]",
            "is not a mapping (it takes provider, model, wei",
        ),
        ("models: {m: {targets: [{model: a}]}}", "models.m.targets[0].provider", "is required"),
        (
            "models: {m: {targets: [{provider: a, weight: -1}]}}",
            "models.m.targets[0].weight",
            '"-1" is not a number from 0 to 1e+06',
        ),
        (
            "models: {m: {targets: [{provider: a}], strategy: random}}",
            "models.m.strategy",
            '"random" is not one of weighted, least_inflight, lowest_latency, session',
        ),
        (
            "models: {m: {targets: [{provider: a}], strategy: session, session: {header: Cookie}}}",
            "models.m.session.header",
            '"Cookie" is a header field that tells no session',
        ),
        (
            "models: {m: {provider: a, fallbacks: {context: m}}}",
            "models.m.fallbacks.context",
            'unknown key (did you mean "context_window"?)',
        ),
        ("models: {'': {provider: a}}", 'models.""', '"" is not a text of one line'),
        (
            "models: {gpt-4.1: {provider: a, model: ''}}",
            'models."gpt-4.1".model',
            '"" is not a text of one line',
        ),
    ],
)
def test_a_wrong_block(problems: Problems, text: str, path: str, message: str) -> None:
    if not text.startswith("providers"):
        text += "\nproviders: {a: {format: mock}}"
    found = problems(text)
    assert list(found) == [path]
    assert message in found[path]


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
server: {port: x, tls: {cert: /nowhere}}
default_provider: c
logging: {level: info}
logging: {level: debug}
providers:
  a:
    format: opena
    fallback_provider: b
    timeouts: {first_byte: 700, idle: x}
  b: {format: openai, fallback_provider: a}
"""
    with pytest.raises(ConfigError) as caught:
        loads(text, "test.yaml", {})
    assert [(problem.path, problem.position) for problem in caught.value.problems] == [
        ("server.port", (1, 10)),
        ("server.tls.key", (1, 19)),
        ("server.tls.cert", (1, 25)),
        ("default_provider", (2, 1)),
        ("logging", (4, 1)),
        ("providers.a.format", (7, 5)),
        ("providers.a.fallback_provider", (8, 5)),
        ("providers.a.timeouts.first_byte", (9, 16)),
        ("providers.a.timeouts.idle", (9, 33)),
        ("providers.b.base_url", (10, 3)),
    ]
    assert str(caught.value).splitlines()[0] == (
        'test.yaml:1:10: server.port: "x" is not a whole number from 0 to 65535'
    )


@pytest.mark.parametrize(
    ("text", "path"),
    [
        # What depends on a setting that is wrong itself is not told: it may be right once that one is.
        ("providers: {a: {format: mok, api_version: '1', mock: {}}}", "providers.a.format"),
        (
            "providers: {a: {format: mock, timeouts: {first_byte: 700, total: x}}}",
            "providers.a.timeouts.total",
        ),
        (
            "providers: {a: {format: mock, timeouts: {first_byte: x, total: 10}}}",
            "providers.a.timeouts.first_byte",
        ),
        ("providers: {a: 1, b: {format: mock, fallback_provider: a}}", "providers.a"),
        ("providers: 1\ndefault_provider: 1 2", "default_provider"),
        ("server: {port: x, admin: {port: 4000}}\nproviders: {a: {format: mock}}", "server.port"),
        ("server: {tls: {cert: [], key: /}}\nproviders: {a: {format: mock}}", "server.tls.cert"),
        ("models: {m: {provider: {}}}\nproviders: {a: {format: mock}}", "models.m.provider"),
        ("models: {m: {targets: {}}}\nproviders: {a: {format: mock}}", "models.m.targets"),
        ("models: {m: {targets: [x]}}\nproviders: {a: {format: mock}}", "models.m.targets[0]"),
        (
            "models: {m: {targets: [{provider: a}], strategy: x, session: {}}}\n"
            "providers: {a: {format: mock}}",
            "models.m.strategy",
        ),
        ("providers: {a: {format: mok, responses: native, messages: native}}", "providers.a.format"),
    ],
)
def test_one_mistake_is_not_told_as_two(problems: Problems, text: str, path: str) -> None:
    assert [found for found in problems(text) if found not in ("providers", "server.tls.key")] == [path]


def test_a_type_that_does_not_say_how_it_is_read_is_a_programming_error() -> None:
    root = compose("a: 1", "test.yaml")
    with pytest.raises(TypeError, match="does not say how its text is read"):
        Builder({}).build(dict[Annotated[str, str], int], root, "", root)
