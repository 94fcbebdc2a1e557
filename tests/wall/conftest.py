"""`--wall-table`: print what was observed as a table, one line for each row, mode and setting."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .rows import View

COLUMNS = ("fault", "mode", "setting", "client", "attempts", "failures", "circuit", "asked", "kept")
Note = Callable[[str, str, str, View], None]
SEEN = pytest.StashKey[list[tuple[str, ...]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--wall-table", action="store_true", help="print the fault wall as it was observed")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SEEN] = []


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Notes a line of the table."""
    seen = request.config.stash[SEEN]

    def note(name: str, mode: str, setting: str, view: View) -> None:
        seen.append((name, mode, setting, *(str(value) for value in view)))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--wall-table", default=False):
        return
    lines = [COLUMNS, *config.stash[SEEN]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    terminalreporter.section("the fault wall, as observed")
    for line in lines:
        terminalreporter.line("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
