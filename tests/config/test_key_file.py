"""Keys that stand in files of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.config import ConfigError, Secret, loads
from gateway.config.key_file import MAX_BYTES, key_file
from gateway.config.secret import SensitiveValueError

KEY = "sk-canary-0123456789"


def written(folder: Path, data: bytes) -> str:
    path = folder / "key"
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"], ids=repr)
def test_line_breaks_at_the_end_are_left_out(tmp_path: Path, end: bytes) -> None:
    assert key_file(written(tmp_path, KEY.encode() + end)) == Secret(KEY)


def test_what_looks_like_a_variable_is_a_key_as_it_stands(tmp_path: Path) -> None:
    assert key_file(written(tmp_path, b"${HOME}")) == Secret("${HOME}")


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b" " + KEY.encode(), f"{KEY}\n{KEY}".encode(), f"{KEY}é".encode(), b"\xff" + KEY.encode()],
    ids=repr,
)
def test_a_file_without_a_usable_key(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^is a file without a usable key \(it may hold one: ") as caught:
        key_file(written(tmp_path, data))
    assert not isinstance(caught.value, SensitiveValueError)  # the name of the file may be shown
    assert "canary" not in str(caught.value)


def test_size_is_bounded(tmp_path: Path) -> None:
    assert key_file(written(tmp_path, b"k" * MAX_BYTES)) == Secret("k" * MAX_BYTES)
    with pytest.raises(ValueError, match="is larger than 8192 bytes"):
        key_file(written(tmp_path, b"k" * (MAX_BYTES + 1)))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in [
        (tmp_path / "nowhere", "cannot be read: No such file or directory"),
        (tmp_path, r"is not a file \(a key stands in a plain file of its own\)"),
        (tmp_path / "pipe", "is not a file"),  # nobody writes: to open it would never end
    ]:
        with pytest.raises(ValueError, match=message):
            key_file(str(path))
    with pytest.raises(ValueError, match="is not a text of one line"):
        key_file("/a\x00b")


@pytest.mark.parametrize("text", [KEY, "", "~/key", "key.txt", "file:///key"])
def test_what_does_not_look_like_a_path_is_not_shown_and_not_looked_for(text: str) -> None:
    with pytest.raises(SensitiveValueError, match="is not the path of a file"):
        key_file(text)


def test_a_path_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, b"one")
    monkeypatch.chdir(tmp_path)
    assert key_file("./key") == Secret("one")
    assert key_file(f"../{tmp_path.name}/key") == Secret("one")


def test_every_key_may_stand_in_a_file(tmp_path: Path) -> None:
    for name in ("client", "admin", "one", "two", "three"):
        (tmp_path / name).write_text(f"{name}\n")
    text = """
        server: {api_keys: [{file: "${DIR}/client"}, plain], admin: {api_key: {file: "${DIR}/admin"}}}
        providers:
          a: {format: mock, api_key: {file: "${DIR}/one"}}
          b: {format: mock, api_keys: [{file: "${DIR}/two"}, {file: "${DIR}/three"}, plain]}
    """
    config = loads(text, "test.yaml", {"DIR": str(tmp_path)})
    assert config.server.api_keys == (Secret("client"), Secret("plain"))
    assert config.server.admin is not None
    assert config.server.admin.api_key == Secret("admin")
    assert config.providers["a"].api_key == Secret("one")
    assert config.providers["b"].api_keys == (Secret("two"), Secret("three"), Secret("plain"))
    assert KEY not in repr(config)


def test_the_message_names_the_setting_its_place_and_the_file() -> None:
    text = "providers:\n  a:\n    format: mock\n    api_key: {file: /nowhere/key}\n"
    with pytest.raises(ConfigError) as caught:
        loads(text, "test.yaml", {})
    assert str(caught.value) == (
        'test.yaml:4:15: providers.a.api_key.file: "/nowhere/key" cannot be read: No such file or directory'
        " (name a file that holds the key)"
    )


def test_other_settings_do_not_stand_in_files() -> None:
    with pytest.raises(ConfigError, match=r"headers.X: is a mapping \(use a single value\)"):
        loads("providers: {a: {format: mock, headers: {X: {file: /etc/hostname}}}}", "test.yaml", {})
