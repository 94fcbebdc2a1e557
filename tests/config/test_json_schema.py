"""The JSON Schema of the configuration: never stricter than the check, and as strict as a schema can be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ConfigError, loads
from gateway.config.json_schema import json_schema

EXAMPLE = (Path(__file__).parents[2] / "gateway.example.yaml").read_text(encoding="utf-8")
UNCOMMENTED = re.sub(r"^( *)#(?=[\w\"])", r"\1", EXAMPLE, flags=re.MULTILINE)
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class Yaml12(yaml.SafeLoader):
    """Reads scalars as an editor does, by YAML 1.2's core schema: `no` is a text, 1:30 and a date too."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - overrides what PyYAML has per class


for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)


def accepted(text: str) -> bool:
    """Whether the schema accepts the text of a file."""
    return bool(VALIDATOR.is_valid(yaml.load(text, Yaml12)))


def checked(text: str) -> bool:
    """Whether the gateway does."""
    try:
        loads(text, "test.yaml", {"NAME": "4001", "KEY": "k"})
    except ConfigError:
        return False
    return True


def with_server(settings: str) -> str:
    return f"server: {{{settings}}}\nproviders: {{a: {{format: mock}}}}\n"


def with_provider(settings: str) -> str:
    return f"providers: {{a: {{format: mock, {settings}}}}}\n"


def properties() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{name}.{key}", schema)
        for name, definition in SCHEMA["$defs"].items()
        for key, schema in definition["properties"].items()
    ]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "text", [EXAMPLE, UNCOMMENTED], ids=["as it stands", "with all that is commented out"]
)
def test_the_example_is_valid(text: str) -> None:
    assert list(VALIDATOR.iter_errors(yaml.load(text, Yaml12))) == []


def test_every_setting_is_described() -> None:
    assert [path for path, schema in properties() if not schema["description"]] == []


def test_editors_are_told_where_it_is() -> None:
    hint = re.fullmatch(r"# yaml-language-server: \$schema=(.*)", EXAMPLE.splitlines()[0])
    assert hint is not None
    assert json.loads((Path(__file__).parents[2] / hint[1]).read_text(encoding="utf-8")) == SCHEMA


def test_no_description_speaks_the_language_of_the_code() -> None:
    assert [
        path for path, schema in properties() if re.search(r"\b(None|True|False)\b", schema["description"])
    ] == []


def test_defaults_are_as_a_file_says_them() -> None:
    found = dict(properties())
    assert found["Limits.max_body"]["default"] == "32MiB"
    assert found["ServerTimeouts.drain"]["default"] == "30s"
    assert found["Server.port"]["default"] == 4000
    assert found["Server.api_keys"]["default"] == []
    assert "default" not in found["Provider.max_retries"]
    for path, schema in found.items():
        if "default" in schema:
            alone = {"$defs": SCHEMA["$defs"], **schema}
            jsonschema.validate(schema["default"], alone), path


GOOD = [
    with_server("port: 0"),
    with_server('port: "4000"'),
    with_server("port: '${NAME}'"),
    with_server('port: "${NAME:-80}"'),
    with_server("workers: auto"),
    with_server("limits: {max_body: 10MiB, max_header: 65536, max_buffered: 1.5 GB}"),
    with_server("timeouts: {header: 500ms, body: 90, keepalive: 2m, drain: 0}"),
    with_server("api_keys: [a, 123, true]"),
    with_server('host: "::1"'),
    with_server("cors_origins: ['*', 'https://app.example']"),
    with_server("unix: /run/gateway.sock"),
    with_server("admin: {port: 4001}"),
    with_provider("max_retries: null, fallback_provider: ~"),
    with_provider("circuit_breaker: {enabled: no}"),
    with_provider("circuit_breaker: {enabled: 'ON', timeout: 1h}"),
    with_provider("retry: {multiplier: 1.5, jitter: '0.2'}"),
    with_provider("mock: {reply: 1.5, faults: [503, ok]}"),
    with_provider("headers: {X-Team: search, x-n: 1}"),
    with_provider("base_url: 'HTTPS://host/v1'"),
    "providers: {a: {format: '${MISSING:-mock}'}}\n",
    "providers: {'1': {format: mock}}\nmodels: {'*': {provider: 1, model: 2024-10-21}}\n",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_the_gateway_accepts_is_valid(text: str) -> None:
    assert checked(text)
    assert accepted(text)


BAD = [
    "{}\n",
    "providers: []\n",
    "servers: {}\nproviders: {a: {format: mock}}\n",
    "providers: {a: {}}\n",
    "providers: {a: {format: smtp}}\n",
    "providers: {a b: {format: mock}}\n",
    "providers: {none: {format: mock}}\n",
    "providers: {a: {format: mock}}\nmodels: {m: a}\n",
    with_server("prot: 4000"),
    with_server("port: 65536"),
    with_server("port: -1"),
    with_server("port: 1.5"),
    with_server("port: x"),
    with_server("port: [1]"),
    with_server("port: null"),
    with_server("workers: many"),
    with_server("host: 'a b'"),
    with_server("api_keys: secret"),
    with_server("api_keys: ['two words']"),
    with_server("limits: {max_body: 10MB/s}"),
    with_server("limits: {max_body: 0}"),
    with_server("timeouts: {header: 5 minutes}"),
    with_server("timeouts: {header: 0}"),
    with_server("tls: {cert: a}"),
    with_server("cors_origins: ['app.example']"),
    with_provider("base_url: localhost:8080"),
    with_provider("base_url: 'https://me:secret@host'"),
    with_provider("max_retries: 101"),
    with_provider("max_retries: 1.5"),
    with_provider("circuit_breaker: {max_failures: 0}"),
    with_provider("circuit_breaker: {half_open_probes: 65}"),
    with_provider("circuit_breaker: true"),
    with_provider("retry: {multiplier: 0.5}"),
    with_provider("retry: {jitter: 1.1}"),
    with_provider("headers: {'x y': 1}"),
    with_provider("headers: {x: ' y'}"),
    with_provider("usage: {inject: 2}"),
]


@pytest.mark.parametrize("text", BAD)
def test_what_the_structure_forbids_is_not_valid(text: str) -> None:
    assert not checked(text)
    if text != "{}\n":  # that there must be a provider is a rule of the check
        assert not accepted(text)


# What only `gateway check` can know; the docstring of json_schema.py and docs/configuration.md say so.
BEYOND_A_SCHEMA = {
    "a range in quotes": with_server('port: "65536"'),
    "a range with a unit": with_server("timeouts: {header: 48h}"),
    "what a variable holds": with_server("port: '${KEY}'"),
    "a variable that is not set": with_server("port: '${MISSING}'"),
    "a port in an address": with_server("host: 'localhost:80'"),
    "a port in a URL": with_provider("base_url: 'http://host:99999'"),
    "fields that are the gateway's own": with_provider("headers: {Host: a}"),
    "who is meant": with_provider("fallback_provider: b"),
    "circles": with_provider("fallback_provider: a"),
    "what belongs to a format": with_provider("api_version: v"),
    "what another setting bounds": with_provider("retry: {base_delay: 9s, max_delay: 1s}"),
    "that a rule leads somewhere": "providers: {a: {format: mock}}\nmodels: {m: {}}\n",
    "that a file exists": with_provider("ca_file: /nowhere"),
}


@pytest.mark.parametrize("text", BEYOND_A_SCHEMA.values(), ids=BEYOND_A_SCHEMA)
def test_what_a_schema_cannot_say_is_left_to_the_check(text: str) -> None:
    assert accepted(text)
    assert not checked(text)


PLAIN = "0 1 -1 4000 1.5 1e3 5s 5S 100ms 2h 10MiB 1k true No on auto a é mock ::1 ~ null ${NAME} $${ 1:30"
ODD = ("", "5 s", "1 gb", "a b", "http://h", "https://h:1/p", "https://me@h", "2024-10-21")
WORDS = st.sampled_from([*PLAIN.split(), *ODD]) | st.text(st.characters(exclude_categories=["C"]), max_size=5)
SETTINGS = """
    server.port server.host server.workers server.limits.max_body server.timeouts.header logging.level
    providers.a.max_retries providers.a.retry.jitter providers.a.base_url providers.a.api_key
    providers.a.usage.inject providers.a.mock.reply tracing.sample tracing.service_name
"""


def file_with(path: str, scalar: str) -> str:
    """A file in which one setting is written like this."""
    keys = path.split(".")
    lines = [f"{'  ' * depth}{key}:" for depth, key in enumerate(keys)]
    lines[-1] += f" {scalar}"
    mock = "    format: mock" if keys[0] == "providers" else "providers: {a: {format: mock}}"
    return "\n".join([*lines[:2], mock, *lines[2:]] if keys[0] == "providers" else [mock, *lines])


@given(st.sampled_from(SETTINGS.split()), WORDS, st.booleans())
def test_it_is_never_stricter_than_the_check(path: str, word: str, quoted: bool) -> None:
    text = file_with(path, json.dumps(word) if quoted else word)
    if checked(text):
        assert accepted(text)
