"""Cycles in references, found by definition and by the program."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.config.cycles import find_cycles

NAMES = "abcde"


def test_each_reference_back_is_one_cycle() -> None:
    assert list(find_cycles({})) == []
    assert list(find_cycles({"a": "b"})) == []
    assert list(find_cycles({"a": "bc", "b": "c", "c": ""})) == []  # two ways to one place
    assert list(find_cycles({"a": "a"})) == [["a"]]
    assert list(find_cycles({"x": "b", "a": "b", "b": "ca", "c": "b"})) == [["b", "c"], ["b", "a"]]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(NAMES, max_size=4)))
def test_a_cycle_is_found_where_there_is_one(references: dict[str, str]) -> None:
    reached = {name: set(references.get(name, "")) for name in NAMES}
    for _ in NAMES:
        for name in NAMES:
            reached[name] |= {further for near in reached[name] for further in reached[near]}
    found = list(find_cycles(references))
    assert bool(found) == any(name in reached[name] for name in NAMES)
    for cycle in found:
        for before, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert after in references[before]


def test_long_chains_need_no_stack() -> None:
    size = 100_000
    assert list(find_cycles({str(number): [str(number + 1)] for number in range(size)})) == []
