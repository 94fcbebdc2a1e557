"""Small storms of seconds, by the code of the commands in this folder."""

from __future__ import annotations

import chaos
import pytest
import slow_readers
from load import Shape


@pytest.mark.parametrize(
    "disturbances",
    [("switch_faults", "kill_providers", "reload"), ("kill_workers", "reload")],
    ids=["providers fail", "workers die"],
)
def test_a_storm_leaves_no_answer_wrong_and_nothing_behind(disturbances: tuple[str, ...]) -> None:
    # Apart from each other: a worker that dies as the owner of a half-open probe takes it along for 60 s.
    shape = Shape(streams=50, slow=2, plain=10, slow_words=300, interval_s=0.02)
    report = chaos.run(chaos.Settings(seconds=3.0, shape=shape, disturbances=disturbances, pace_s=0.15))
    assert not report.violations, str(report)


def test_readers_that_stand_still_cost_little_and_leave_nothing_behind() -> None:
    report = slow_readers.run(slow_readers.Settings(readers=50, read_on=2, waves=1))
    assert not report.violations, str(report)
