"""Loads, rounds and records: what needs no program to be tested, and programs that need nothing installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from parts import paced, results, services, wrk
from parts.processes import PYTHON, BenchError, Program, free_port
from parts.rounds import Effort, alternate
from parts.streams import Held


@pytest.mark.parametrize("size", [128, 512, 100_000])
def test_request_has_exactly_the_size(size: int) -> None:
    body = wrk.chat_request(size, stream=True, model="m")
    assert len(body) == size
    assert json.loads(body)["model"] == "m"
    assert json.loads(body)["stream"] is True


@pytest.mark.parametrize("size", [400, 600, 10_000])
def test_answer_has_exactly_the_size(size: int) -> None:
    answer = services.chat_answer(size)
    assert len(answer) == size
    assert json.loads(answer)["object"] == "chat.completion"


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at least \d+ bytes, not 20"):
        wrk.chat_request(20)
    with pytest.raises(ValueError, match=r"at least \d+ bytes, not 20"):
        services.chat_answer(20)


def test_event_holds_its_mark_once() -> None:
    size, text = paced.EVENT.split(b"\r\n", 1)
    assert int(size, 16) == len(text) - 2
    assert paced.EVENT.count(paced.MARK) == 1
    assert paced.MARK not in paced.HEAD


def test_every_other_round_goes_the_other_way() -> None:
    turns: list[str] = []
    a, b, c = (cast(Program, name) for name in "abc")

    def measure(program: Program) -> int:
        turns.append(str(program))
        return len(turns)

    assert alternate([a, b, c], 3, measure) == [[1, 6, 7], [2, 5, 8], [3, 4, 9]]
    assert "".join(turns) == "abccbaabc"


def test_effort_is_scaled_and_never_nothing() -> None:
    assert Effort(4, 6, 1.0).scaled(starts=2, rounds=0.5) == Effort(8, 3, 1.0)
    assert Effort(1, 1, 1.0).scaled(starts=0.1) == Effort(1, 1, 1.0)


def test_result_is_recorded_with_its_origin(tmp_path: Path) -> None:
    results.record("part", {"rounds": 3}, [1.5], folder=tmp_path)
    recorded = results.load("part", tmp_path)
    assert recorded is not None
    assert recorded["data"] == [1.5]
    assert recorded["options"] == {"rounds": 3}
    assert recorded["machine"]["cores"] >= 1
    assert recorded["versions"]["python"]
    assert results.load("other", tmp_path) is None


def test_part_is_recorded_for_its_commit_only(tmp_path: Path) -> None:
    path = results.record("part", {}, [], folder=tmp_path)
    for commit, same in (("abc", True), ("def", False), ("abc-changed", False)):
        recorded = json.loads(path.read_text()) | {"commit": commit}
        path.write_text(json.dumps(recorded))
        assert results.is_recorded("part", "abc", tmp_path) is same
    assert not results.is_recorded("part", "abc-changed", tmp_path)
    path.write_text(json.dumps(recorded | {"commit": "abc", "whole": False}))
    assert not results.is_recorded("part", "abc", tmp_path)
    assert not results.is_recorded("other", "abc", tmp_path)


def test_processor_is_named() -> None:
    assert results.cpu_model("processor\t: 0\nmodel name\t: AMD EPYC\n") == "AMD EPYC"
    assert results.cpu_model("processor\t: 0\n") == os.uname().machine


def test_streams_are_counted_and_their_program_is_ended() -> None:
    with services.paced_provider(100) as program, Held(program, 5, stream=True) as held:
        flow = held.measure(0.3)
        assert 300 < flow.events_per_s < 700
        assert flow.cpu_us > 0
        assert program.memory_kib() > 1000
        pid = program.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_connections_to_nowhere_are_an_error() -> None:
    with services.paced_provider(100) as program:
        program.port = free_port()
        with pytest.raises(BenchError, match="2 connections to the streaming provider could not be held"):
            Held(program, 2, stream=True)


def test_program_that_dies_is_an_error_with_its_words() -> None:
    command = [sys.executable, "-c", "print('no such option'); raise SystemExit(1)"]
    with (
        pytest.raises(BenchError, match="thing ended at its start:\nno such option"),
        Program("thing", command, free_port()),
    ):
        pass


def test_program_that_does_not_listen_is_ended() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    program = Program("thing", command, free_port(), start_s=0.1)
    with pytest.raises(BenchError, match="thing does not listen on port"), program:
        pass
    with pytest.raises(ProcessLookupError):
        os.kill(program.pid, 0)


def test_sigterm_ends_what_was_started() -> None:
    script = (
        "from parts.processes import end_on_sigterm\n"
        "from parts import services\n"
        "import time\n"
        "end_on_sigterm()\n"
        "with services.paced_provider(1) as program:\n"
        "    print(program.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | PYTHON,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        os.kill(pid, 0)
        process.send_signal(signal.SIGTERM)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
