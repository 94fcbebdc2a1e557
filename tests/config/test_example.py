"""gateway.example.yaml lists every setting with its default, and the examples of the documentation load."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

import msgspec
import pytest
import yaml

from gateway.config import CircuitBreaker, Config, ConfigError, Mock, Provider, Target, loads
from gateway.config.build import Builder
from gateway.config.document import compose

EXAMPLE = (Path(__file__).parents[2] / "gateway.example.yaml").read_text()
UNCOMMENTED = re.sub(r"^( *)#(?=[\w\"])", r"\1", EXAMPLE, flags=re.MULTILINE)
ENVIRON = {"ADMIN_KEY": "a", "PLANO_API_KEY": "b"}

# The example of the documentation, as it stands there.
DOCUMENTED = """\
server: {host: 127.0.0.1, port: 4000, workers: 1}      # these are the defaults; workers: auto = one a core
providers:
  plano:
    format: openai                     # openai | azure | anthropic | gemini | mock (needs no base_url)
    base_url: "http://localhost:8080"  # with or without the format's prefix: both lead to /v1/chat/completions
    max_retries: 3
    fallback_provider: openai
    circuit_breaker: {enabled: true, max_failures: 5, timeout: "30s"}
  openai:
    format: openai
    base_url: "https://api.openai.com"
    api_key: "..."
    max_retries: 3
models:                                # optional
  "gpt-4o": {provider: openai}
  "fast": {provider: plano, model: "llama-3.1-8b"}
  "claude-*": {provider: plano}
  "*": {provider: plano}
"""  # noqa: E501


def given(hint: Any, tree: Any) -> Iterator[tuple[type[msgspec.Struct], dict[str, Any]]]:
    """Every block of a tree that stands for a struct, with the struct."""
    members = [member for member in get_args(hint) if member is not NoneType] or [hint]
    if isinstance(tree, dict) and get_origin(hint) is dict:
        for value in tree.values():
            yield from given(members[-1], value)
    elif isinstance(tree, list) and get_origin(hint) is tuple:
        for value in tree:
            yield from given(members[0], value)
    elif isinstance(tree, dict) and isinstance(members[0], type) and issubclass(members[0], msgspec.Struct):
        yield members[0], tree
        for field in msgspec.structs.fields(members[0]):
            yield from given(field.type, tree.get(field.name))


def fields_given(text: str) -> set[tuple[str, str]]:
    tree = yaml.load(text, yaml.BaseLoader)
    return {(cls.__name__, name) for cls, block in given(Config, tree) for name in block}


def fields_known() -> dict[tuple[str, str], Any]:
    """Every field of every struct with its default; None also where it has none."""
    found: dict[tuple[str, str], Any] = {}

    def visit(hint: Any) -> None:
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            for field in msgspec.structs.fields(hint):
                is_given = field.default is not msgspec.NODEFAULT
                found[hint.__name__, field.name] = field.default if is_given else None
                visit(field.type)
        for member in get_args(hint):
            visit(member)

    visit(Config)
    return found


def test_it_loads_as_it_stands_without_any_environment() -> None:
    assert list(loads(EXAMPLE, "gateway.example.yaml", {}).providers) == ["plano", "backup"]


def test_every_setting_is_listed() -> None:
    assert fields_given(UNCOMMENTED) == set(fields_known())


def test_only_what_has_no_default_is_commented_out() -> None:
    known = fields_known()
    whole_blocks = {"CircuitBreaker", "Model", "Target"}
    assert [
        field
        for field in set(known) - fields_given(EXAMPLE)
        if known[field] is not None and field[0] not in whole_blocks
    ] == []


def test_what_is_set_is_the_default() -> None:
    root = compose(UNCOMMENTED, "gateway.example.yaml")
    builder = Builder(ENVIRON)
    config: Config = builder.build(Config, root, "", root)
    assert builder.problems == {}
    assert config.models["llama"].targets[1] == Target(provider="backup", model="llama-3.1-8b")
    plain = loads(EXAMPLE, "gateway.example.yaml", {})
    assert plain.server == Config().server
    assert plain.logging == Config().logging
    assert plain.tracing == Config().tracing
    assert plain.providers["plano"] == Provider(format="openai", base_url="http://localhost:8080")
    assert plain.providers["backup"] == Provider(format="mock", mock=Mock())
    assert config.providers["plano"].circuit_breaker == CircuitBreaker()
    assert (
        config.providers["plano"].max_retries
        == msgspec.structs.replace(Provider(format="mock"), fallback_provider="b").retries
    )


def test_what_is_commented_out_loads_too_but_for_files_that_are_elsewhere() -> None:
    with pytest.raises(ConfigError) as caught:
        loads(UNCOMMENTED, "gateway.example.yaml", ENVIRON)
    paths = [problem.path for problem in caught.value.problems]
    assert paths == ["server.tls.cert", "server.tls.key", "providers.plano.ca_file"]


def test_every_setting_is_explained() -> None:
    settings = [line for line in EXAMPLE.splitlines() if re.match(r" *#?[\w\"*-]+: ", line)]
    assert len(settings) > 50
    assert [line for line in settings if not re.search(r" # \S", line)] == []


def test_the_example_of_the_documentation_loads() -> None:
    config = loads(DOCUMENTED, "gateway.yaml", {})
    assert config.server == Config().server
    plano, openai = config.providers.values()
    assert (plano.retries, plano.fallback_provider) == (3, "openai")
    assert plano.breaker is not None
    assert (plano.breaker.max_failures, plano.breaker.timeout) == (5, 30.0)
    assert openai.api_key is not None
    assert openai.api_key.reveal() == "..."
    assert list(config.models) == ["gpt-4o", "fast", "claude-*", "*"]
    assert (config.models["fast"].provider, config.models["fast"].model) == ("plano", "llama-3.1-8b")
