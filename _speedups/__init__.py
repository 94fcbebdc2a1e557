"""The parts that run for every request, compiled where they can be.

Each module here is one source with two builds: read as Python, and compiled by setup.py as `NAME_c`. This
file is the one place that chooses, and it chooses all or nothing, so that two builds are never mixed.

Environment:
    GATEWAY_PURE_PYTHON: 1 forces the interpreted build; 0 or empty does not.
    GATEWAY_REQUIRE_SPEEDUPS: 1 makes it an error that a compiled module is missing; 0 or empty does not.
"""

import os
from typing import TYPE_CHECKING

if __name__ != "gateway._speedups":
    raise ImportError(f"this package must be imported as gateway._speedups, not as {__name__}")


def _is_set(name: str) -> bool:
    value = os.environ.get(name, "")
    if value not in ("", "0", "1"):
        raise ImportError(f"the environment variable {name} must be 1, 0 or empty, not {value!r}")
    return value == "1"


PURE_PYTHON = _is_set("GATEWAY_PURE_PYTHON")
REQUIRE_SPEEDUPS = _is_set("GATEWAY_REQUIRE_SPEEDUPS")
if PURE_PYTHON and REQUIRE_SPEEDUPS:
    raise ImportError(
        "GATEWAY_PURE_PYTHON=1 and GATEWAY_REQUIRE_SPEEDUPS=1 contradict each other: unset one of them"
    )

COMPILED = False
"""Whether the compiled build is active."""

if TYPE_CHECKING or PURE_PYTHON:
    from gateway._speedups.backoff import BackoffCore
    from gateway._speedups.breaker import BreakerCore, cell_count
    from gateway._speedups.heads import KnownHead, known_head
    from gateway._speedups.tally import TallyCore
else:
    try:
        from gateway._speedups.backoff_c import BackoffCore
        from gateway._speedups.breaker_c import BreakerCore, cell_count
        from gateway._speedups.heads_c import KnownHead, known_head
        from gateway._speedups.tally_c import TallyCore

        COMPILED = True
    except ImportError as error:
        if REQUIRE_SPEEDUPS:
            raise ImportError(
                f"GATEWAY_REQUIRE_SPEEDUPS=1, but a compiled module is missing ({error}): install again where"
                " there are a C compiler and Python's headers, or unset the variable"
            ) from error
        from gateway._speedups.backoff import BackoffCore
        from gateway._speedups.breaker import BreakerCore, cell_count
        from gateway._speedups.heads import KnownHead, known_head
        from gateway._speedups.tally import TallyCore

__all__ = ["COMPILED", "BackoffCore", "BreakerCore", "KnownHead", "TallyCore", "cell_count", "known_head"]
