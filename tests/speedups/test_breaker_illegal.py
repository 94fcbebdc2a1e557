"""An illegal call raises the same class in both builds, says what is wrong, and changes nothing."""

from __future__ import annotations

from array import array
from types import ModuleType
from typing import Any

import pytest

from gateway.resilience.outcome import Outcome

NAN, INFINITE = float("nan"), float("inf")
HUGE = 10**400  # an int that no float can hold
NOT_FINITE: list[Any] = [NAN, INFINITE, -INFINITE]
NOT_NUMBERS: list[Any] = ["0", None, [], 1j]
SITUATIONS = ("closed", "failing", "open", "half-open", "probing")


def in_situation(breaker: ModuleType, situation: str, cells: array[float]) -> tuple[Any, int, float]:
    """A breaker in that situation, a permit of it and the time."""
    circuit = breaker.CircuitBreaker(max_failures=2, cells=cells)
    permit = circuit.acquire(0.0)
    now = 0.0
    if situation != "closed":
        circuit.record(permit, Outcome.FAILURE, now)
    if situation not in ("closed", "failing"):
        circuit.record(permit, Outcome.FAILURE, now)
    if situation in ("half-open", "probing"):
        now = 31.0
    if situation == "probing":
        permit = circuit.acquire(now)
    return circuit, permit, now


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        *[("permit", value, ValueError) for value in (0, -1, -4, 1, 6, 98, 99, 2**53, 2**64, HUGE, -HUGE)],
        *[("permit", value, TypeError) for value in (True, 2.0, "2", None, NAN)],
        *[("outcome", value, ValueError) for value in (3, -1, 2**64, -HUGE)],
        *[("outcome", value, TypeError) for value in (True, False, 0.0, 1.0, "success", None)],
        *[("now", value, ValueError) for value in NOT_FINITE],
        *[("now", value, TypeError) for value in NOT_NUMBERS],
        ("now", HUGE, OverflowError),
    ],
)
def test_illegal_record(
    breaker: ModuleType, situation: str, field: str, value: Any, error: type[Exception]
) -> None:
    cells = array("d", bytes(8 * breaker.cell_count(1)))
    circuit, permit, now = in_situation(breaker, situation, cells)
    before = bytes(cells)
    for outcome in Outcome:
        arguments = {"permit": permit, "outcome": outcome, "now": now} | {field: value}
        with pytest.raises(error, match=None if field == "now" else field):
            circuit.record(**arguments)
        assert bytes(cells) == before


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("method", ["acquire", "state", "retry_in"])
@pytest.mark.parametrize(
    ("now", "error"),
    [
        *[(value, ValueError) for value in NOT_FINITE],
        *[(value, TypeError) for value in NOT_NUMBERS],
        (HUGE, OverflowError),
    ],
)
def test_illegal_now(
    breaker: ModuleType, situation: str, method: str, now: Any, error: type[Exception]
) -> None:
    cells = array("d", bytes(8 * breaker.cell_count(1)))
    circuit, _, _ = in_situation(breaker, situation, cells)
    before = bytes(cells)
    with pytest.raises(error):
        getattr(circuit, method)(now)
    assert bytes(cells) == before


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"max_failures": 0}, ValueError, "max_failures must be from 1 to 1000000000, not 0"),
        ({"max_failures": -1}, ValueError, "max_failures must be"),
        ({"max_failures": 10**30}, ValueError, "max_failures must be"),
        ({"max_failures": 1.0}, TypeError, "max_failures must be an int, not 1.0"),
        ({"max_failures": True}, TypeError, "max_failures must be"),
        ({"max_failures": None}, TypeError, "max_failures must be"),
        ({"half_open_probes": 0}, ValueError, "half_open_probes must be from 1 to 64, not 0"),
        ({"half_open_probes": 65}, ValueError, "half_open_probes must be"),
        ({"half_open_probes": "1"}, TypeError, "half_open_probes must be an int, not '1'"),
        ({"timeout": 0}, ValueError, "timeout must be a finite number of seconds, more than 0, not 0"),
        ({"timeout": -1.0}, ValueError, "timeout must be"),
        ({"timeout": NAN}, ValueError, "timeout must be"),
        ({"timeout": INFINITE}, ValueError, "timeout must be"),
        ({"timeout": "30"}, TypeError, "must be real number, not str"),
        ({"cells": 5}, TypeError, "memoryview"),
        ({"cells": array("d", bytes(48))}, ValueError, r"at least 7 float64 .* and shape \(6,\)"),
        ({"cells": array("f", bytes(56))}, ValueError, "not writable memory of format 'f'"),
        ({"cells": array("q", bytes(56))}, ValueError, "of format 'q'"),
        ({"cells": bytearray(56)}, ValueError, "of format 'B'"),
        ({"cells": memoryview(bytes(56)).cast("d")}, ValueError, "not read-only memory"),
        ({"cells": memoryview(bytearray(112)).cast("d")[::2]}, ValueError, "in one writable piece"),
        ({"cells": memoryview(bytearray(112)).cast("d", (2, 7))}, ValueError, r"shape \(2, 7\)"),
        ({"lock": object()}, TypeError, "lock must be a context manager"),
    ],
)
def test_illegal_settings(
    breaker: ModuleType, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        breaker.CircuitBreaker(**settings)
