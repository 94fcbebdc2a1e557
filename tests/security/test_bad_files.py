"""What is said of a bad configuration names the place and the rule, and never the secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from canaries import ADMIN_KEY, CLIENT_KEY, CONFIG, ENVIRON, FIELD_OF_A, KEY_OF_A, leaks

from gateway.cli import main

GOOD = CONFIG.replace("{a}", "http://a").replace("{b}", "http://b").replace("${CLIENT_FROM_ENV}", CLIENT_KEY)
PLACES = {
    f"api_key: {KEY_OF_A}": "providers.a.api_key",
    f"api_key: {ADMIN_KEY}": "server.admin.api_key",
    f"X-Team-Token: {FIELD_OF_A}": "providers.a.headers.X-Team-Token",
}
"""How a secret is written in the file, and the setting that it is."""
SPOILT = {
    "a list": "[{value}]",
    "a mapping": "{{value: {value}}}",
    "a tag": "!key {value}",
    "an alias": "*{value}",
    "an anchor": "&{value}",
    "a control character": '"{value}\\x07"',
    "half a variable": '"{value}${{"',
    "an unset variable": '"{value}${{NOT_SET}}"',
    "a default of one": '"${{NOT_SET}}${{NOT_SET_EITHER:-{value}}}"',
    "an open quote": '"{value}',
    "an open bracket": "[{value}",
    "a second colon": "{value}: {value}",
    "a tab": '"{value}"\t{value}',
}


def said_of(text: str, command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says of such a file."""
    path = folder / "gateway.yaml"
    path.write_text(text)
    assert main([command, "--config", str(path)]) == 1
    said = capsys.readouterr()
    assert not leaks({"stdout": said.out.encode(), "stderr": said.err.encode()})
    return said.err


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("command", ["check", "serve"])
@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("written", PLACES, ids=PLACES.values())
def test_a_secret_that_is_written_wrongly(
    written: str, spoilt: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, _, value = written.partition(": ")
    assert said_of(GOOD.replace(written, f"{name}: {spoilt.format(value=value)}"), command, tmp_path, capsys)


@pytest.mark.parametrize(
    "beside", ["colour: red", "api_key: again", "max_retries: many", "headers: [x]", "x"]
)
@pytest.mark.parametrize(
    ("written", "between"), [(f"api_key: {KEY_OF_A}", "\n    "), (f"api_key: {ADMIN_KEY}", ", ")]
)
def test_what_is_wrong_beside_a_secret(
    written: str, between: str, beside: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said_of(GOOD.replace(written, f"{written}{between}{beside}"), "check", tmp_path, capsys)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f'["{CLIENT_KEY}"]', CLIENT_KEY),
        (f'["{CLIENT_KEY}"]', f'[["{CLIENT_KEY}"]]'),
        (f'["{CLIENT_KEY}"]', f'["{CLIENT_KEY} x"]'),
        ("http://a", f"http://user:{KEY_OF_A}@a"),
        ("http://a", f"http://a?key={KEY_OF_A}"),
        (f"headers: {{X-Team-Token: {FIELD_OF_A}}}", f"headers: {FIELD_OF_A}"),
        (f"headers: {{X-Team-Token: {FIELD_OF_A}}}", f"headers: [{FIELD_OF_A}]"),
        (f"admin: {{api_key: {ADMIN_KEY}}}", f"admin: {ADMIN_KEY}"),
        ("KEY_FROM_ENV", "SPOILT_FROM_ENV"),
    ],
)
def test_a_secret_in_the_wrong_place(
    old: str, new: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOILT_FROM_ENV", f"{KEY_OF_A} and a space")
    assert old in GOOD
    assert said_of(GOOD.replace(old, new), "check", tmp_path, capsys)


def test_the_place_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for written, setting in PLACES.items():
        name, _, value = written.partition(": ")
        said = said_of(GOOD.replace(written, f"{name}: [{value}]"), "check", tmp_path, capsys)
        assert f": {setting}: is a list (use a single value)" in said
