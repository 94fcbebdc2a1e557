"""How measurements are judged and told: the promise, growth, what locust says, the accelerated modules."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import growth
import micro
import pytest
import ratio
import users
from parts.figures import Interval

CHECKOUT = Path(micro.__file__).parents[1]


@pytest.mark.parametrize(
    ("line", "figure", "verdict"),
    [
        ("chat", Interval(1.2, 1.1, 1.3), "aim"),
        ("chat", Interval(1.6, 1.5, 1.9), "met"),
        ("chat", Interval(1.61, 1.2, 1.9), "missed"),
        ("resilience", Interval(1.015, 0.99, 1.03), "met"),
        ("resilience", Interval(1.015, 1.001, 1.02), "missed"),  # little, and yet more than nothing
        ("resilience", Interval(0.99, 0.97, 0.995), "aim"),
        ("resilience", Interval(1.03, 0.9, 1.2), "missed"),
    ],
)
def test_line_is_judged(line: str, figure: Interval, verdict: str) -> None:
    assert ratio.verdict(ratio.LINES[line], figure) == verdict


def test_aim_is_never_above_what_must_be() -> None:
    assert all(line.aim <= line.must for line in ratio.LINES.values())


def test_line_is_told_and_recorded_alike() -> None:
    measured = ratio.Measured(Interval(1.5, 1.25, 1.75), {"gateway_us": 30.0, "nginx_us": 20.0})
    told = ratio.told("chat", measured)
    assert "1.500 (1.250 to 1.750) x nginx, must be <= 1.6: met [gateway_us 30, nginx_us 20]" in told
    row = ratio.row("chat", measured)
    assert (row["value"], row["low"], row["high"], row["verdict"]) == (1.5, 1.25, 1.75, "met")


@pytest.mark.parametrize(
    ("allowed", "figures", "too_steep"),
    [
        (0, [5, 5, 5], False),
        (0, [5, 10, 20], True),
        (1, [10, 100, 1000], False),
        (1, [10, 1000, 100_000], True),
        (None, [10, 1000, 100_000], False),
    ],
)
def test_growth_is_judged(allowed: float | None, figures: list[float], too_steep: bool) -> None:
    curve = growth.Curve("gateway", "us", allowed)
    assert growth.judged(curve, [10, 100, 1000], figures)["too_steep"] is too_steep


def test_what_cannot_be_told_from_nothing_is_not_fitted() -> None:
    curve = growth.Curve("gateway", "KiB", 1, floor=1024)
    judged = growth.judged(curve, [1, 10, 100, 1000], [-8, 40, 2000, 20_000])
    assert judged["exponent"] == pytest.approx(1)
    assert judged["figures"] == [-8, 40, 2000, 20_000]
    assert growth.judged(curve, [1, 10], [0, 2000])["exponent"] is None


def test_dimension_takes_the_medians_of_its_starts() -> None:
    shown = iter([[1.0], [10.0], [3.0], [30.0], [2.0], [20.0]])
    curve = growth.Curve("gateway", "us", 1)
    dimension = growth.Dimension("d", "D", "sizes", (1, 10), (curve,), lambda size, seconds: next(shown))
    assert growth.measured(dimension, 3, 1)["curves"][0]["figures"] == [2.0, 20.0]


def test_every_compiled_module_has_its_lines() -> None:
    text = (CHECKOUT / "setup.py").read_text()
    modules = re.search(r"^COMPILED_MODULES = (.+)$", text, re.MULTILINE)
    assert modules
    assert set(ast.literal_eval(modules[1])) == {case.module for case in micro.CASES}


@pytest.mark.parametrize("case", micro.CASES, ids=lambda case: f"{case.module}-{case.name}")
def test_every_line_runs(case: micro.Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micro, "CALLS", 1)
    micro.nanoseconds(case, "", rounds=1)


def test_our_breaker_is_measured() -> None:
    assert len(micro.guarded_ns(micro.ours(), rounds=2, calls=10)) == 2


STATS = {
    "name": "plain",
    "num_requests": 4,
    "num_failures": 1,
    "start_time": 100.0,
    "last_request_timestamp": 102.0,
    "total_response_time": 30.0,
    "response_times": {"10": 1, "2": 2, "16": 1},
}


def test_summary_of_locust_s_figures() -> None:
    assert users.summary(STATS) == {
        "name": "plain",
        "count": 4,
        "failures": 1,
        "per_s": 2.0,
        "mean_ms": 7.5,
        "p50_ms": 2.0,
        "p99_ms": 16.0,
    }


def test_summary_of_no_requests() -> None:
    nothing = {"num_requests": 0, "num_failures": 0, "last_request_timestamp": 100.0}
    empty = users.summary(STATS | nothing | {"total_response_time": 0, "response_times": {}})
    assert (empty["per_s"], empty["mean_ms"], empty["p50_ms"]) == (0, 0, 0)


@pytest.mark.parametrize(("share", "words"), [(0.5, "used 50% of a core"), (0.97, "the rates are its own")])
def test_a_generator_that_is_the_bottleneck_is_told(share: float, words: str) -> None:
    assert users.bottleneck(share).endswith(words)
