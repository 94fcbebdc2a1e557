"""Where a configuration is looked for, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigError, Secret, find_config, load


def write(path: Path, provider: str) -> str:
    path.write_text(f"providers: {{{provider}: {{format: mock}}}}")
    return str(path)


def test_the_argument_goes_before_the_variable_before_the_file(tmp_path: Path) -> None:
    cwd = str(tmp_path)
    write(tmp_path / "gateway.yaml", "here")
    variable = write(tmp_path / "variable.yaml", "variable")
    write(tmp_path / "argument.yaml", "argument")
    environ = {"GATEWAY_CONFIG": variable, "OPENAI_API_KEY": "sk"}

    config, source = find_config("argument.yaml", environ, cwd)
    assert (list(config.providers), source) == (["argument"], str(tmp_path / "argument.yaml"))
    config, source = find_config(None, environ, cwd)
    assert (list(config.providers), source) == (["variable"], variable)
    config, source = find_config(None, {"GATEWAY_CONFIG": ""}, cwd)
    assert (list(config.providers), source) == (["here"], str(tmp_path / "gateway.yaml"))


def test_the_text_in_the_environment_goes_before_files_and_behind_the_argument(tmp_path: Path) -> None:
    cwd = str(tmp_path)
    write(tmp_path / "gateway.yaml", "here")
    argument = write(tmp_path / "argument.yaml", "argument")
    text = "providers: {text: {format: mock}}\ndefault_provider: ${DEFAULT}"
    environ = {"GATEWAY_CONFIG_YAML": text, "GATEWAY_CONFIG": "nowhere.yaml", "DEFAULT": "text"}

    config, source = find_config(None, environ, cwd)
    assert (list(config.providers), config.default_provider) == (["text"], "text")
    assert source == "GATEWAY_CONFIG_YAML"
    assert find_config(argument, environ, cwd).source == argument
    assert find_config(None, {"GATEWAY_CONFIG_YAML": ""}, cwd).source == str(tmp_path / "gateway.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "providers:\n  a: {format: mok}",
            'GATEWAY_CONFIG_YAML:2:7: providers.a.format: "mok" is not',
        ),
        ("${PROVIDERS}", "GATEWAY_CONFIG_YAML:1:1: the file is not a mapping"),
        ("gateway.yaml", "GATEWAY_CONFIG_YAML:1:1: the file is not a mapping"),
        ("# nothing", "GATEWAY_CONFIG_YAML: the file is empty"),
        ("a: \udcff", "GATEWAY_CONFIG_YAML:1:4: not YAML: the character U+DCFF is not allowed"),
    ],
)
def test_what_is_wrong_with_the_text_in_the_environment(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_config(None, {"GATEWAY_CONFIG_YAML": text}, str(tmp_path))
    assert str(caught.value).startswith(message)


def test_the_embedded_default_needs_no_key(tmp_path: Path) -> None:
    config, source = find_config(None, {"OPENAI_API_KEY": ""}, str(tmp_path))
    assert source == "the embedded default"
    assert {name: provider.format for name, provider in config.providers.items()} == {"mock": "mock"}
    assert config.default_provider is None


def test_the_embedded_default_with_a_key_goes_to_openai(tmp_path: Path) -> None:
    config, source = find_config(None, {"OPENAI_API_KEY": "sk-1"}, str(tmp_path))
    assert source == "the embedded default with OPENAI_API_KEY"
    assert config.default_provider == "openai"
    openai = config.providers["openai"]
    assert (openai.format, openai.base_url, openai.api_key) == (
        "openai",
        "https://api.openai.com",
        Secret("sk-1"),
    )
    assert (openai.retries, openai.fallback_provider) == (3, None)
    assert config.providers["mock"].format == "mock"


def test_a_key_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"OPENAI_API_KEY.*providers.openai.api_key.*not shown"):
        find_config(None, {"OPENAI_API_KEY": "sk-1\n"}, str(tmp_path))


@pytest.mark.parametrize(("argument", "environ"), [("no.yaml", {}), (None, {"GATEWAY_CONFIG": "no.yaml"})])
def test_a_named_file_must_exist(tmp_path: Path, argument: str | None, environ: dict[str, str]) -> None:
    write(tmp_path / "gateway.yaml", "here")
    with pytest.raises(ConfigError) as caught:
        find_config(argument, environ, str(tmp_path))
    assert str(caught.value) == f"{tmp_path}/no.yaml: cannot be read: No such file or directory"


def test_a_link_that_leads_nowhere_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="cannot be read"):
        find_config(None, {}, str(tmp_path))


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(str(tmp_path), {})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: \xff", ":1:4: is not UTF-8: byte 0xFF (save the file as UTF-8)"),
        (b"a: 1\nb: \xc3\xa9\n\xe9", ":3:1: is not UTF-8: byte 0xE9"),
        (b"\xff\xfea\x00", ":1:1: is not UTF-8"),
        (b"", ": the file is empty"),
        (b"x" * ((1 << 20) + 1), ": the file is larger than 1 MiB"),
        (b"#" * (1 << 20) + b"\xff", ": is not UTF-8"),
    ],
)
def test_a_file_that_is_not_text(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load(str(path), {})
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(b"\xef\xbb\xbfproviders: {a: {format: mock}}")
    assert list(load(str(path), {}).providers) == ["a"]


def test_the_environment_is_that_of_the_process_unless_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("providers: {a: {format: mock}}\ndefault_provider: ${DEFAULT}")
    monkeypatch.setenv("DEFAULT", "a")
    assert load(str(path)).default_provider == "a"
