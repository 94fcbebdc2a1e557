"""A secret is not seen, wherever it is put."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable

import msgspec
import orjson
import pytest

from gateway.config import Config, ConfigError, Provider, Secret, loads

CANARY = "sk-canary-0123456789"


@pytest.mark.parametrize(
    "show",
    [repr, str, ascii, format, "{}".format, "{!r}".format, "%s".__mod__, "%r".__mod__],
)
def test_no_text_form_shows_it(show: Callable[[object], str]) -> None:
    assert "canary" not in show(Secret(CANARY))


def test_no_holder_shows_it() -> None:
    provider = Provider(format="openai", api_key=Secret(CANARY))
    assert "canary" not in repr(Config(providers={"a": provider}))


@pytest.mark.parametrize(
    "serialise",
    [
        json.dumps,
        orjson.dumps,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
    ],
)
def test_no_serialiser_takes_it(serialise: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as caught:
        serialise(Secret(CANARY))
    assert "canary" not in str(caught.value)


def test_it_has_no_dict_and_gives_the_value_when_asked() -> None:
    secret = Secret(CANARY)
    assert not hasattr(secret, "__dict__")
    assert secret.reveal() == CANARY


def test_equality() -> None:
    assert Secret(CANARY) == Secret(CANARY)
    assert Secret(CANARY) != Secret(CANARY + "0")
    assert Secret(CANARY) != CANARY
    assert Secret("é") == Secret("é")


def test_it_is_not_hashable() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret(CANARY))


@pytest.mark.parametrize(
    "text",
    [
        "providers: {a: {format: mock, api_key: 'CANARY x'}}",
        'providers: {a: {format: mock, api_key: "CANARY\\n"}}',
        "providers: {a: {format: mock, api_key: [CANARY]}}",
        "providers: {a: {format: mock, api_key: {file: CANARY}}}",
        "providers: {a: {format: mock, api_key: {file: '${FROM_ENV}'}}}",
        "providers: {a: {format: mock, api_key: {CANARY: x}}}",
        "providers: {a: {format: mock, api_key: {file: /x, CANARY: x}}}",
        "providers: {a: {format: mock, api_keys: CANARY}}",
        "providers: {a: {format: mock, api_keys: [CANARY, CANARY]}}",
        "providers: {a: {format: mock, api_keys: [CANARY], api_key: CANARY}}",
        "providers: {a: {format: mock, api_keys: [x, [CANARY]]}}",
        "providers: {a: {format: mock, api_key: !CANARY x}}",
        "providers: {a: {format: mock, api_key: *CANARY}}",
        "providers: {a: {format: mock, api_key: !CANARY!x y}}",
        "providers: {a: {format: mock, api_key: &CANARY x, base_url: &CANARY y}}",
        "providers: {a: {format: mock, api_key: '${CANARY'}}",
        "providers: {a: {format: mock, api_key: 'CANARY${NOT_SET}'}}",
        "providers: {a: {format: mock, api_key: '${NOT_SET}${NOT_SET_EITHER:-CANARY}'}}",
        "providers: {a: {format: mock, api_key: '${FROM_ENV}'}}",
        "providers: {a: {format: mock, api_key: CANARY: CANARY}}",
        "providers: {a: {format: mock, apikey: CANARY}}",
        "providers: {a: {format: openai, base_url: 'https://x:CANARY@h'}}",
        "providers: {a: {format: openai, base_url: 'https://h?key=CANARY'}}",
        "providers: {a: {format: mock, headers: {X-Key: 'CANARY\té'}}}",
        "providers: {a: {format: mock, headers: {X-Key: {CANARY: x}}}}",
        "providers: {a: CANARY}",
        "providers: [CANARY]",
        "providers: {a: {format: mock}}\nserver: {api_keys: CANARY}",
        "providers: {a: {format: mock}}\nserver: {api_keys: ['CANARY x']}",
        "providers: {a: {format: mock}}\nserver: {admin: {api_key: 'CANARY x'}}",
        "providers: {a: {format: mock}}\nserver: {admin: CANARY}",
        "CANARY",
        "- CANARY",
    ],
)
def test_no_message_shows_a_key(text: str) -> None:
    text = text.replace("CANARY", CANARY)
    with pytest.raises(ConfigError) as caught:
        loads(text, "test.yaml", {"FROM_ENV": f"{CANARY} with a space"})
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(caught.value)
    assert caught.value.__cause__ is None
