"""Cycles in what refers to one another by name: chains of fallbacks must end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

__all__ = ["find_cycles"]


def find_cycles(references: Mapping[str, Iterable[str]]) -> Iterator[list[str]]:
    """Yield every reference back to where a chain has been, as the names from there to it.

    references: whom each name refers to; what is referred to but has no entry refers to nobody.
    """
    done: set[str] = set()
    for start in references:
        if start in done:
            continue
        chain = [start]
        at = {start: 0}
        branches = [iter(references[start])]
        while branches:
            for name in branches[-1]:
                if name in at:
                    yield chain[at[name] :]
                elif name in references and name not in done:
                    at[name] = len(chain)
                    chain.append(name)
                    branches.append(iter(references[name]))
                    break
            else:
                done.add(chain[-1])
                del at[chain.pop()]
                branches.pop()
