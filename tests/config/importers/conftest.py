"""What the tests of the importers share: a text, our configuration of it, and what was noted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.config import Config, loads
from gateway.config.importers import convert


class Everything(dict[str, str]):
    """An environment in which every variable is set, to a text that can stand for a key and for a URL."""

    def get(self, key: str, default: str | None = None) -> str:  # type: ignore[override]
        return f"https://{key.lower().replace('_', '-')}.example"


class Result:
    """Our configuration, which has passed the check, and the notes by path."""

    def __init__(self, text: str) -> None:
        imported = convert(text, "other.yaml")
        self.text = imported.text
        self.config: Config = loads(imported.text, "gateway.yaml", Everything())
        self.notes = {note.path: note.message for note in imported.notes}
        self.lines = {note.path: note.line for note in imported.notes}

    def targets(self, model: str) -> list[tuple[str, str | None, float]]:
        return [(one.provider, one.model, one.weight) for one in self.config.models[model].targets]


@pytest.fixture
def imported() -> Callable[[str], Result]:
    return Result
