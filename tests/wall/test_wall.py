"""Every row of the wall, plain and streamed, in every setting in which something else follows from it."""

from __future__ import annotations

import pytest

from .conftest import Note
from .observe import KEY, observe
from .rows import FAILURE, OPENING, ROWS, SETTINGS, Row

CASES = [
    pytest.param(row, mode, setting, id=f"{row.name}, {mode}, {setting}")
    for row in ROWS
    for mode, expect in (("plain", row.plain), ("streamed", row.streamed))
    for setting in SETTINGS
    if setting != OPENING or (expect.retried and expect.counted is FAILURE)
]


@pytest.mark.parametrize(("row", "mode", "setting"), CASES)
def test_wall(row: Row, mode: str, setting: str, note: Note) -> None:
    expect = row.streamed if mode == "streamed" else row.plain
    view, answer = observe(row, setting, stream=mode == "streamed")
    note(row.name, mode, setting, view)
    assert view == expect.view(setting)
    assert not answer.surplus
    assert KEY.encode() not in answer.raw
    assert view.client.startswith("200 of") or b"[DONE]" not in answer.raw
    assert ", cut" not in view.client or b"[DONE]" not in answer.raw
