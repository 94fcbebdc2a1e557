"""Where the arguments of a call end, found without keeping them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.dialects.messages.blocks import ObjectEnd

INPUTS = st.dictionaries(
    st.text(), st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner, max_size=3)), max_size=3
)


@given(INPUTS, st.text(max_size=3), st.integers(1, 7), st.booleans())
def test_the_end_of_an_object_is_found_when_it_comes(
    value: dict[str, Any], behind: str, size: int, escaped: bool
) -> None:
    end = ObjectEnd()
    encoded = json.dumps(value, ensure_ascii=escaped)
    pieces = [encoded[start : start + size] for start in range(0, len(encoded), size)]
    for piece in pieces:
        assert not end.reached
        end.feed(piece)
    assert end.reached
    end.feed(behind)
    assert end.reached


@pytest.mark.parametrize(
    "text", ["", " ", "null", "12", '"{}"', "{", '{"a": "}', '{"a": "\\"}', '{"a": [}', "[{}"]
)
def test_what_is_no_whole_object_has_no_end(text: str) -> None:
    end = ObjectEnd()
    for character in text:
        end.feed(character)
    assert not end.reached
