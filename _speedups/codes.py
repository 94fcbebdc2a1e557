"""The numbers in which the breaker's core speaks: permits, outcomes, states, transitions.

They stand in a plain module, because what an accelerated module defines exists twice, once for each build.
"""

from typing import Final

REFUSED: Final = 0
"""What `acquire` returns in place of a permit."""

SUCCESS: Final = 0
FAILURE: Final = 1
NEUTRAL: Final = 2

CLOSED: Final = 0
HALF_OPEN: Final = 1
OPEN: Final = 2

UNCHANGED: Final = 0
"""`record` left the circuit as it was."""
OPENED: Final = 1
"""Closed -> open: the failures in a row reached the threshold."""
REOPENED: Final = 2
"""Half-open -> open: a probe failed."""
RECOVERED: Final = 3
"""Half-open -> closed: a probe succeeded."""
