"""The judgement of answers and figures: what is wrong is seen, and what is only bad luck is not."""

from __future__ import annotations

import pytest
from asking import Answer, Ending, Question, wrong_with
from proc import slope
from report import MAX_SHOWN, Report

STREAM = Question("q1", "a", stream=True, words=3)
PLAIN = Question("q1", "a", stream=False, words=3)
TEXT = "q1-0 q1-1 q1-2"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (STREAM, Answer(200, TEXT, done=True, ending=Ending.WHOLE)),
        (PLAIN, Answer(200, TEXT, ending=Ending.WHOLE)),
        (STREAM, Answer(503, error=True, ending=Ending.WHOLE)),
        (PLAIN, Answer(503, error=True, ending=Ending.WHOLE)),
        (STREAM, Answer(200, "q1-0 q1-1", error=True, ending=Ending.CUT)),
        (STREAM, Answer(200, "q1-0", error=True, ending=Ending.WHOLE)),
        (STREAM, Answer(200, "q1-0", ending=Ending.CUT, worker_killed=True)),
        (PLAIN, Answer(ending=Ending.RESET, worker_killed=True)),
        (STREAM, Answer(200, "q1-0", ending=Ending.LEFT)),
    ],
)
def test_a_right_answer_and_a_truthful_failure_are_well(question: Question, answer: Answer) -> None:
    assert wrong_with(question, answer) is None


@pytest.mark.parametrize(
    ("question", "answer", "wrong"),
    [
        (STREAM, Answer(200, TEXT, done=True, ending=Ending.WHOLE, surplus=True), "twice"),
        (STREAM, Answer(200, "q1-0 q2-1", ending=Ending.LEFT), "'q2-1' instead of 'q1-1'"),
        (STREAM, Answer(200, "q1-0 q1-2", error=True, ending=Ending.CUT), "'q1-2' instead of 'q1-1'"),
        (STREAM, Answer(200, TEXT + " q1-3", done=True, ending=Ending.WHOLE), "out of order"),
        (STREAM, Answer(200, "q1-0", ending=Ending.NONE), "no end"),
        (STREAM, Answer(200, TEXT, ending=Ending.WHOLE), "without [DONE]"),
        (STREAM, Answer(200, "q1-0", done=True, ending=Ending.WHOLE), "1 of 3 words"),
        (PLAIN, Answer(200, "q1-0", ending=Ending.WHOLE), "1 of 3 words"),
        (PLAIN, Answer(502, ending=Ending.WHOLE), "502 without an error object"),
        (STREAM, Answer(200, "q1-0", ending=Ending.CUT), "cut without a word"),
        (PLAIN, Answer(ending=Ending.RESET), "reset without a word"),
    ],
)
def test_what_lies_or_never_ends_is_told(question: Question, answer: Answer, wrong: str) -> None:
    assert wrong in str(wrong_with(question, answer))


def test_a_slope_is_that_of_the_line_nearest_to_the_points() -> None:
    assert slope([(0.0, 5.0), (1.0, 7.0), (2.0, 9.0)]) == pytest.approx(2.0)
    assert slope([(0.0, 1.0), (1.0, -1.0), (2.0, -1.0), (3.0, 1.0)]) == pytest.approx(0.0)


def test_a_report_tells_figures_and_the_first_violations() -> None:
    report = Report()
    report.expect("figure", 1.25, "at most 1", holds=False)
    report.violations += ["another"] * MAX_SHOWN
    first, second, *_, last = str(report).splitlines()
    assert first.split() == ["figure", "1.2"]
    assert second == "VIOLATION: figure: 1.25 (at most 1)"
    assert last == "and 1 more"
