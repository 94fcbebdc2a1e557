"""The waits between attempts, over both builds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway._speedups import backoff as pure

NAN, INFINITE = float("nan"), float("inf")
LARGEST = 1.7976931348623157e308


@pytest.fixture
def core(build: Any) -> Any:
    return build.module("backoff").BackoffCore


def test_doubles_up_to_the_cap(core: Any) -> None:
    backoff = core(1.0, 2.0, 30.0, 0.0)
    assert [backoff.delay(retry, 0.5) for retry in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize(
    ("base_s", "multiplier", "max_s", "expected"),
    [
        (0.25, 3.0, 100.0, [0.25, 0.75, 2.25, 6.75]),
        (1.0, 1.0, 30.0, [1.0, 1.0, 1.0, 1.0]),
        (5.0, 2.0, 5.0, [5.0, 5.0, 5.0, 5.0]),
        (0.0, 2.0, 30.0, [0.0, 0.0, 0.0, 0.0]),
        (0.0, LARGEST, 0.0, [0.0, 0.0, 0.0, 0.0]),
        (1.0, LARGEST, 30.0, [1.0, 30.0, 30.0, 30.0]),
        (5e-324, 2.0, LARGEST, [5e-324, 1e-323, 2e-323, 4e-323]),
        (1, 2, 30, [1.0, 2.0, 4.0, 8.0]),
    ],
)
def test_settings(core: Any, base_s: float, multiplier: float, max_s: float, expected: list[float]) -> None:
    backoff = core(base_s, multiplier, max_s, 0.0)
    assert [backoff.delay(retry, 0.0) for retry in range(4)] == expected


@pytest.mark.parametrize("retry", [64, 1023, 1024, 10**18, 2**62, 2**63, 10**400])
@pytest.mark.parametrize(("multiplier", "expected"), [(2.0, 30.0), (1.0, 1.0), (1e300, 30.0)])
def test_no_retry_is_too_late(core: Any, retry: int, multiplier: float, expected: float) -> None:
    assert core(1.0, multiplier, 30.0, 0.0).delay(retry, 0.0) == expected


@pytest.mark.parametrize(
    ("jitter", "sample", "expected"),
    [(0.0, 0.0, 4.0), (0.0, 0.9, 4.0), (1.0, 0.0, 0.0), (1.0, 0.5, 2.0), (0.25, 0.0, 3.0), (0.25, 0.5, 3.5)],
)
def test_jitter_is_the_share_that_is_random(core: Any, jitter: float, sample: float, expected: float) -> None:
    assert core(1.0, 2.0, 30.0, jitter).delay(2, sample) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # a class keeps no state
@given(
    base_s=st.floats(0.0, 1e6),
    multiplier=st.floats(1.0, 1e308),
    more_s=st.floats(0.0, 1e6),
    jitter=st.floats(0.0, 1.0),
    retry=st.integers(0, 2**70),
    sample=st.floats(0.0, 1.0, exclude_max=True),
)
def test_bounded_growing_and_the_same_in_both_builds(
    core: Any, base_s: float, multiplier: float, more_s: float, jitter: float, retry: int, sample: float
) -> None:
    max_s = base_s + more_s
    backoff = core(base_s, multiplier, max_s, jitter)
    wait = backoff.delay(retry, sample)
    assert wait == pure.BackoffCore(base_s, multiplier, max_s, jitter).delay(retry, sample)
    assert 0.0 <= wait <= max_s
    assert wait >= base_s * (1.0 - jitter)
    assert wait * (1.0 - 1e-12) <= backoff.delay(retry + 1, sample)  # but for rounding


@pytest.mark.parametrize(
    ("retry", "sample", "error"),
    [
        *[(retry, 0.0, ValueError) for retry in (-1, -(10**30))],
        *[(retry, 0.0, TypeError) for retry in (1.0, True, "1", None)],
        *[(0, sample, ValueError) for sample in (1.0, -0.1, NAN, INFINITE, 1)],
        *[(0, sample, TypeError) for sample in ("0.5", None)],
    ],
)
def test_illegal_delay(core: Any, retry: Any, sample: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        core(1.0, 2.0, 30.0, 0.5).delay(retry, sample)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (-1.0, 2.0, 30.0, 0.0),
            ValueError,
            "base_s must be a finite number of seconds, 0 or more, not -1.0",
        ),
        ((NAN, 2.0, 30.0, 0.0), ValueError, "base_s"),
        ((1.0, 0.5, 30.0, 0.0), ValueError, "multiplier must be a finite number, 1 or more, not 0.5"),
        ((1.0, INFINITE, 30.0, 0.0), ValueError, "multiplier"),
        (
            (2.0, 2.0, 1.0, 0.0),
            ValueError,
            "max_s must be a finite number of seconds, base_s=2.0 or more, not 1.0",
        ),
        ((1.0, 2.0, INFINITE, 0.0), ValueError, "max_s"),
        ((1.0, 2.0, 30.0, 1.5), ValueError, "jitter must be from 0 to 1, not 1.5"),
        ((1.0, 2.0, 30.0, NAN), ValueError, "jitter"),
        (("1", 2.0, 30.0, 0.0), TypeError, "must be real number, not str"),
    ],
)
def test_illegal_settings(
    core: Any, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        core(*arguments)
