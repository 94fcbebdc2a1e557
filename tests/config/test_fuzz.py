"""Whatever the text, it loads or it is a ConfigError."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import ConfigError, loads

EXAMPLE = (Path(__file__).parents[2] / "gateway.example.yaml").read_text()

PIECES = st.sampled_from(
    [
        *"[]{}:,-?&*!|>'\"%@`#~<=$\n\t \\\x00\x85\ud800",
        *(
            ": ",
            "- ",
            "\n  ",
            "---\n",
            "...\n",
            "<<",
            "&a ",
            "*a",
            "!!int ",
            "!<",
            "${",
            "${X}",
            "$${",
            '"\\U',
        ),
        *(
            "providers",
            "models",
            "server",
            "format",
            "mock",
            "null",
            "true",
            "1e999",
            ".nan",
            "30s",
            "9" * 400,
        ),
        *("%YAML 1.1\n", "%TAG ! x\n", "0b_", "1:30", "2024-10-21", "\ufeff", "é"),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES | st.text(max_size=3)).map("".join))


def check(text: str) -> None:
    problems = None
    try:
        assert loads(text, "fuzz.yaml", {"X": "[${X}: "}).providers
    except ConfigError as error:
        problems = error
    if problems is not None:
        assert all(problem.message for problem in problems.problems)
        assert str(problems).encode()


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_any_text(text: str) -> None:
    check(text)


@given(st.integers(0, len(EXAMPLE)), st.integers(0, 60), TEXTS)
@settings(max_examples=150, deadline=None)
def test_a_damaged_file(start: int, length: int, text: str) -> None:
    check(EXAMPLE[:start] + text + EXAMPLE[start + length :])
