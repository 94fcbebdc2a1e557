"""The journal: the last transitions and errors of all workers, whole or not at all."""

from __future__ import annotations

import mmap
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from gateway.observe import journal as module
from gateway.observe.journal import LastErrors, Transitions


def transition(number: int) -> dict[str, Any]:
    return {"at": float(number), "provider": "a", "from": "closed", "to": "open", "reason": "timeout"}


def child(work: Callable[[], None]) -> int:
    """Runs `work` in a process of its own; the result is its exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# -- transitions


def test_transitions_come_back_oldest_first() -> None:
    transitions = Transitions()
    assert transitions.all() == []
    for number in range(3):
        transitions.add(transition(number))
    assert transitions.all() == [transition(number) for number in range(3)]


def test_the_oldest_transition_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TRANSITIONS", 4)
    transitions = Transitions()
    for number in range(11):
        transitions.add(transition(number))
    assert [entry["at"] for entry in transitions.all()] == [7.0, 8.0, 9.0, 10.0]


def test_all_workers_write_into_one_journal() -> None:
    transitions = Transitions()
    transitions.add(transition(1))
    assert child(lambda: transitions.add(transition(2))) == 0
    transitions.add(transition(3))
    assert [entry["at"] for entry in transitions.all()] == [1.0, 2.0, 3.0]


# -- last errors


def test_the_last_error_of_each_provider_is_kept() -> None:
    errors = LastErrors()
    errors.put("a", {"message": "first", "at": 1.0})
    errors.put("b", {"message": "other", "at": 2.0})
    errors.put("a", {"message": "last", "at": 3.0})
    assert errors.all() == {
        "a": {"provider": "a", "message": "last", "at": 3.0},
        "b": {"provider": "b", "message": "other", "at": 2.0},
    }


def test_workers_share_the_place_of_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PROVIDERS", 2)
    errors = LastErrors()
    errors.put("a", {"message": "ours", "at": 1.0})
    assert child(lambda: errors.put("b", {"message": "theirs", "at": 2.0})) == 0
    errors.put("b", {"message": "ours", "at": 3.0})
    assert child(lambda: errors.put("a", {"message": "theirs", "at": 4.0})) == 0
    assert {name: entry["message"] for name, entry in errors.all().items()} == {"a": "theirs", "b": "ours"}


def test_a_provider_for_which_there_is_no_place_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PROVIDERS", 2)
    errors = LastErrors()
    for name in ("a", "b", "c", "a"):
        errors.put(name, {"message": f"of {name}", "at": 1.0})
    assert list(errors.all()) == ["a", "b"]


@pytest.mark.parametrize(
    "message",
    ["x" * 10_000, "\x00" * 5_000, "模" * 3_000, "\N{GRINNING FACE}" * 2_000, '"\\' * 2_000],
    ids=["long", "control characters", "three bytes", "four bytes", "escaped"],
)
def test_a_long_message_is_shortened_and_the_provider_is_not(message: str) -> None:
    provider = "p" * 64
    errors = LastErrors()
    errors.put(provider, {"message": message, "at": 1.0})
    entry = errors.all()[provider]
    assert message.startswith(entry["message"])
    assert len(entry["message"]) > 40
    assert entry["at"] == 1.0


# -- a worker that dies while it writes


class Deadly(mmap.mmap):
    """Memory whose user is killed half-way through the text of an entry."""

    def __setitem__(self, where: Any, data: Any) -> None:
        half = len(data) // 2
        super().__setitem__(slice(where.start, where.start + half), data[:half])
        os.kill(os.getpid(), signal.SIGKILL)


def dies_in(journal: Transitions | LastErrors, work: Callable[[], None]) -> None:
    def die() -> None:
        journal._memory = Deadly(journal._fd, len(journal._memory))
        work()

    assert child(die) == -signal.SIGKILL


def test_half_a_transition_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TRANSITIONS", 3)
    transitions = Transitions()
    for number in range(5):
        transitions.add(transition(number))
    dies_in(transitions, lambda: transitions.add(transition(5)))
    assert [entry["at"] for entry in transitions.all()] == [3.0, 4.0]  # it was to take the place of 2
    transitions.add(transition(6))
    assert [entry["at"] for entry in transitions.all()] == [3.0, 4.0, 6.0]


def test_half_an_error_is_none_until_the_next() -> None:
    errors = LastErrors()
    for name in ("a", "b"):
        errors.put(name, {"message": "before", "at": 1.0})
    dies_in(errors, lambda: errors.put("a", {"message": "half", "at": 2.0}))
    dies_in(errors, lambda: errors.put("c", {"message": "half", "at": 2.0}))
    assert list(errors.all()) == ["b"]
    for name in ("d", "a"):
        errors.put(name, {"message": "after", "at": 3.0})
    found = {name: entry["message"] for name, entry in errors.all().items()}
    assert found == {"a": "after", "b": "before", "d": "after"}
