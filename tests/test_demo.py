"""The demo shows what it promises, at a faster pace here; and it says so when something else happens."""

from __future__ import annotations

import io
import logging

import pytest
import uvloop

from gateway import demo
from gateway.demo import Narrator, Pace, Stage
from gateway.providers.mock import MockServer

FAST = Pace(base_delay_s=0.01, open_s=0.5, word_s=0.001)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def play(pace: Pace = FAST) -> tuple[int, str]:
    out = io.StringIO()
    return uvloop.run(demo.run(pace, out)), out.getvalue()


def test_everything_is_shown_in_order_and_within_80_columns() -> None:
    code, text = play()
    assert code == 0, text
    shown = [
        "curl http://127.0.0.1:",
        "200 from primary after 1 attempt",
        "2. The same, streamed",
        "200 from primary after 1 attempt",
        "primary fails: status 503",
        "primary will be asked again in 0.01 s",
        "primary will be asked again in 0.02 s",
        "primary will be asked again in 0.04 s",
        "backup is asked instead",
        "200 from backup after 5 attempts",
        "the circuit of primary changes from closed to open",
        "200 from backup after 2 attempts",
        "primary is not asked; backup is, at once",
        "200 from backup after 1 attempt",
        'circuit_state "open", failures 5',
        "the circuit of primary changes from open to half-open",
        "200 from backup after 1 attempt",
        "the circuit of primary changes from half-open to closed",
        "200 from primary after 1 attempt",
        "The end",
    ]
    at = 0
    for words in shown:
        at = text.find(words, at)
        assert at >= 0, f"{words!r} is missing, or out of order:\n{text}"
    assert max(map(len, text.splitlines())) <= 80
    assert text.isascii()
    assert "\x1b" not in text


def test_the_default_pace_stays_under_20_seconds() -> None:
    pace = demo.DEFAULT_PACE
    words = 30  # of both streams together
    assert sum(pace.delays_s) + pace.open_s + words * pace.word_s < 18


def test_a_provider_that_cannot_be_broken_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_mock", lambda app, name: MockServer(name))  # not the one that answers
    code, text = play()
    assert code == 1
    assert text.splitlines()[-1].startswith(
        "gateway demo: this went wrong: expected an answer of backup after 5 attempts, not Reply("
    )


def test_a_circuit_that_stays_closed_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_CONFIG", demo._CONFIG.replace("max_failures: 5", "max_failures: 50"))
    code, text = play()
    assert code == 1
    assert "expected an answer of backup after 2 attempts" in text


def test_the_gateway_s_log_is_as_it_was_afterwards() -> None:
    log = logging.getLogger("gateway")
    before = (log.level, log.propagate, list(log.handlers))
    play()
    assert (log.level, log.propagate, log.handlers) == before


@pytest.mark.parametrize(
    ("out", "no_color", "expected"),
    [
        (io.StringIO(), "", "text\n"),
        (Terminal(), "", "\x1b[1mtext\x1b[0m\n"),
        (Terminal(), "1", "text\n"),
    ],
    ids=["no terminal", "terminal", "NO_COLOR"],
)
def test_colours_are_for_terminals(
    monkeypatch: pytest.MonkeyPatch, out: io.StringIO, no_color: str, expected: str
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    Stage(out).line("text", "1")
    assert out.getvalue() == expected


def test_events_that_are_no_part_of_the_story_are_not_told() -> None:
    out = io.StringIO()
    record = logging.makeLogRecord({"event": "reload", "changed": []})
    Narrator(Stage(out)).emit(record)
    assert out.getvalue() == ""
