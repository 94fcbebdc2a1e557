"""Any file: it is recognised or refused, nothing of it is lost, and what is made of it passes the check."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import cli
from gateway.config import ConfigError, loads
from gateway.config.importers import convert

LITELLM = "model_list: [{model_name: m, litellm_params: {model: openai/gpt-4o, api_key: k, rpm: 5}}]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "other.yaml: the file is empty"),
        ("[1]", "other.yaml:1:1: the file is not a mapping"),
        ("{", "other.yaml:1:2: not valid YAML"),
        (
            "model: gpt-4o\n",
            "other.yaml: is of no known kind: none of LiteLLM (litellm_settings or model_list)",
        ),
    ],
)
def test_a_file_that_is_of_no_kind_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(text, "other.yaml")
    assert str(caught.value).startswith(message)


def test_the_kind_can_be_said() -> None:
    assert "Portkey" in convert("retry: {attempts: 2}\nprovider: groq\n", "x", "portkey").text
    with pytest.raises(ConfigError):
        convert("retry: {attempts: 2}\n", "x")


SCALARS = st.none() | st.booleans() | st.integers(-5, 200) | st.text("ab/*${} :#-", max_size=6)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["a", "b", "*", "groq/*", "c${x}"])
MODELS = st.sampled_from(["openai/gpt-4o", "groq/*", "gpt-*", "*", "claude-x", "bedrock/a", "ollama/b", ""])
Strategy = st.SearchStrategy[Any]


def some(known: dict[str, Strategy]) -> Strategy:
    return st.fixed_dictionaries({}, optional=known)


def litellm(value: Callable[[Strategy], Strategy]) -> Strategy:
    """Files of LiteLLM's; `value` may put something else in the place of what belongs there."""
    params = {
        "api_base": value(st.sampled_from(["http://h:1/v1", "os.environ/BASE", "h:1"])),
        "api_key": value(st.sampled_from(["k", "os.environ/KEY", "os.environ/no key", "a b"])),
        "extra_headers": value(st.dictionaries(st.sampled_from(["x-a", "host", "a b"]), SCALARS, max_size=2)),
        "weight": value(st.integers(0, 2)),
        "order": value(st.integers(0, 2)),
        "timeout": value(st.integers(-1, 90_000)),
        "max_retries": value(st.integers(-1, 101)),
    }
    chains = value(st.lists(st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=2), max_size=3))
    router = some(
        {
            "num_retries": value(st.integers(0, 5)),
            "allowed_fails": value(st.integers(0, 5)),
            "cooldown_time": value(st.floats(0, 60)),
            "routing_strategy": value(st.sampled_from(["least-busy", "cost-based-routing"])),
            "fallbacks": chains,
            "default_fallbacks": value(st.lists(NAMES, max_size=2)),
            "context_window_fallbacks": chains,
            "content_policy_fallbacks": chains,
            "model_group_alias": value(st.dictionaries(NAMES | st.just(""), NAMES, max_size=2)),
        }
    )
    model = {"model": value(MODELS)}
    entry = {"model_name": value(NAMES), "litellm_params": st.fixed_dictionaries(model, optional=params)}
    return st.fixed_dictionaries(
        {"model_list": value(st.lists(st.fixed_dictionaries(entry), min_size=1, max_size=5))},
        optional={"router_settings": router, "litellm_settings": router, "extra": JSON},
    )


def portkey(value: Callable[[Strategy], Strategy]) -> Strategy:
    """Likewise of Portkey's."""
    target = {
        "virtual_key": value(st.sampled_from(["anthropic-1", "x"])),
        "custom_host": value(st.sampled_from(["http://h", "h"])),
        "azure_resource_name": value(st.sampled_from(["acme", "a b"])),
        "weight": value(st.floats(0, 1)),
        "retry": some({"attempts": value(st.integers(0, 5))}),
        "request_timeout": value(st.integers(0, 10**9)),
        "override_params": some({"model": value(st.text(max_size=3))}),
    }
    provider = {"provider": value(st.sampled_from(["openai", "@groq-x", "azure-openai", "nobody"]))}
    targets = st.lists(st.fixed_dictionaries(provider, optional=target), min_size=1, max_size=3)
    strategy = some({"mode": value(st.sampled_from(["fallback", "loadbalance"]))})
    return st.fixed_dictionaries({"targets": value(targets)}, optional={"strategy": strategy, "x": JSON})


def as_it_should_be(value: Strategy) -> Strategy:
    return value


def or_anything(value: Strategy) -> Strategy:
    return value | JSON


class Everything(dict[str, str]):
    """An environment in which every variable is set."""

    def get(self, key: str, default: str | None = None) -> str:  # type: ignore[override]
        return "https://host"


@given(litellm(as_it_should_be) | portkey(as_it_should_be) | litellm(or_anything) | portkey(or_anything))
def test_what_is_made_of_any_file_passes_the_check(file: dict[str, Any]) -> None:
    text = convert(json.dumps(file), "other.json").text
    if "\nproviders:" in text:  # else nothing could be converted, and a note says why
        loads(text, "gateway.yaml", Everything())


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=4), SCALARS.filter(lambda x: x is not None), max_size=4
    )
)
def test_no_setting_is_lost_without_a_word(extra: dict[str, Any]) -> None:
    deployment = {"model_name": "m", "litellm_params": {"model": "gpt-4o"} | extra}
    notes = {note.path for note in convert(json.dumps({"model_list": [deployment]}), "x").notes}
    empty = {name for name, value in extra.items() if value == ""}
    assert {f"model_list[0].litellm_params.{name}" for name in set(extra) - empty} <= notes


def test_a_note_is_told_once() -> None:
    notes = convert("model_list: [{model_name: m, litellm_params: {model: {a: 1}}}]\n", "x").notes
    assert [note.path for note in notes] == ["model_list[0].litellm_params.model", "model_list[0]"]


# -- the command


def test_the_command_prints_the_file_and_warns_on_the_other_stream(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "litellm.yaml"
    path.write_text(LITELLM)
    assert cli.main(["import", str(path)]) == 0
    out, err = capsys.readouterr()
    assert [line.partition(": ")[0] for line in err.splitlines()] == [f"{path}:1", f"{path}:1"]
    assert loads(out, "gateway.yaml", {}).models["m"].model == "gpt-4o"


def test_the_command_refuses_what_cannot_be_read(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    assert [cli.main(["import", str(path)]) for path in (tmp_path / "nowhere", binary)] == [1, 1]
    missing, wrong = capsys.readouterr().err.splitlines()
    assert missing == f"{tmp_path}/nowhere: cannot be read: No such file or directory"
    assert wrong == f"{binary}: is not UTF-8 (save the file as UTF-8)"


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$defs"]["Server"]["properties"]["port"]["default"] == 4000
