"""The page that is made of recorded results."""

from __future__ import annotations

from typing import Any

import growth
import pytest
import ratio
import render
from parts.figures import Interval

ORIGIN = {
    "date": "2026-01-02T03:04:05+00:00",
    "commit": "0123456789ab",
    "machine": {"cpu": "AMD EPYC", "cores": 2, "memory_gib": 24, "kernel": "6.1"},
    "versions": {"python": "3.11.7"},
    "options": {"starts": 4},
}


def result(data: Any) -> dict[str, Any]:
    return {**ORIGIN, "data": data}


GROWTH = result(
    [
        {
            "name": "streams",
            "title": "Streams",
            "axis": "streams",
            "sizes": [1, 10, 100],
            "curves": [
                growth.judged(growth.Curve("gateway", "us", 0), [1, 10, 100], [5.0, 50.0, 500.0]),
                growth.judged(growth.Curve("nginx", "us", None), [1, 10, 100], [1.0, -1.0, 1.0]),
                growth.judged(growth.Curve("gateway", "KiB", 1, 10), [1, 10, 100], [1.0, 2.0, 3.0]),
            ],
        }
    ]
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1,234"),
        (123456, "123,456"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (-0.5, "-0.50"),
        (None, "-"),
        ("x", "x"),
    ],
)
def test_numbers_have_the_digits_that_matter(value: object, text: str) -> None:
    assert render.cell(value) == text


def test_numbers_stand_to_the_right() -> None:
    assert render.table(["name", "us"], [["a", 1.0], ["b", None]]).splitlines() == [
        "| name | us |",
        "| --- | ---: |",
        "| a | 1.00 |",
        "| b | - |",
    ]


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    text = f"before\n{render.BEGIN}\nold\n{render.END}\nafter\n"
    new = render.spliced(text, "new")
    assert new == f"before\n{render.BEGIN}\n\nnew\n\n{render.END}\nafter\n"
    assert render.spliced(new, "new") == new


@pytest.mark.parametrize("text", ["", render.BEGIN, render.END, f"{render.END}{render.BEGIN}"])
def test_text_without_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="needs a line"):
        render.spliced(text, "new")


def test_the_page_has_its_markers() -> None:
    assert render.spliced(render.README.read_text(), "new") != render.README.read_text()


def test_results_tell_their_origin() -> None:
    row = ratio.row("chat", ratio.Measured(Interval(1.5, 1.4, 1.6), {"nginx_us": 20.0}))
    text = render.ratio(result([row]))
    assert "2026-01-02, commit `0123456789ab`; starts 4." in text
    assert "**1.50** x nginx | 1.40 to 1.60 | <= 1.6 | 1.25 | met | nginx us 20.0" in text


def test_parts_of_one_machine_are_told_together() -> None:
    other = result([]) | {"versions": {"python": "3.12.1"}}
    assert render.where({"ratio": result([]), "micro": result([]), "users": other}).splitlines() == [
        "- `ratio.py`, `micro.py`: AMD EPYC, 2 cores, 24 GiB, Linux 6.1; python 3.11.7.",
        "- `users.py`: AMD EPYC, 2 cores, 24 GiB, Linux 6.1; python 3.12.1.",
    ]


def test_growth_is_told_with_its_exponents() -> None:
    text = render.growth(GROWTH)
    assert "| 100 | 500 | 1.00 | 3.00 |" in text
    assert "| **exponent** | 1.00, at most 0: **too steep** | 0.00 | - |" in text
    assert "![Streams: us](plots/streams-1.svg)" in text
    assert "![Streams: KiB](plots/streams-2.svg)" in text


def test_peers_are_compared_with_nginx_and_the_missing_are_named() -> None:
    one = {
        "name": "nginx",
        "version": "",
        "settings": "plain",
        "cpu_us": 20.0,
        "requests_per_s": 50_000.0,
        "p50_us": 1.0,
        "p99_us": 2.0,
        "single_p50_us": 3.0,
        "single_p99_us": 4.0,
        "memory_mib": 11.0,
    }
    text = render.peers(
        result({"rows": [one, one | {"name": "smg", "cpu_us": 50.0}], "skipped": {"litellm": "no"}})
    )
    assert "| smg | 50.0 | 2.50 | 50,000 | 1 | 2 | 3 | 4 | 11.0 | plain |" in text
    assert "Skipped: litellm: no" in text


def test_load_tells_failures_and_the_generator() -> None:
    request = {"name": "plain", "per_s": 100.0, "p50_ms": 1.0, "p99_ms": 2.0, "failures": 7}
    bounds = {"value": 1.01, "low": 0.99, "high": 1.03}
    closed = {
        "response_time": bounds,
        "cpu_under_locust": bounds,
        "cpu_under_wrk": bounds | {"verdict": "met"},
        "generator_share": 0.95,
    }
    scenario = {"scenario": "failing", "generator_share": 0.5, "requests": [request]}
    text = render.users(result({"scenarios": [scenario], "closed": closed}))
    assert "| failing | plain | 100 | 1.00 | 2.00 | 7 | 50% |" in text
    assert "by turns: met" in text
    assert "used 95% of a core" in text
    assert "1.010 | 0.990 to 1.030" in text
    assert "by turns" not in render.users(result({"scenarios": [scenario]}))


@pytest.mark.parametrize(
    ("figures", "labels"),
    [([2.0, 300.0], [1, 10, 100, 1000]), ([1.0], [1, 10]), ([10.0, 100.0], [10, 100]), ([0.5], [0.1, 1])],
)
def test_axis_has_the_powers_of_ten_around(figures: list[float], labels: list[float]) -> None:
    assert render.decades(figures) == pytest.approx(labels)


def test_the_same_results_draw_the_same_plot() -> None:
    pytest.importorskip("pygal")
    dimension = GROWTH["data"][0]
    first, second = (
        [render.plot(*chart[:2], dimension, chart[2]) for chart in render.charts(dimension)] for _ in "ab"
    )
    assert first == second
    assert len(first) == 2
    assert "gateway" in first[0]
    assert "nginx" in first[0]
    assert "<script" not in first[0]
