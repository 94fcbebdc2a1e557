"""How a serving process treats its memory: what was freed is kept for the next request.

By default glibc gives the top of the heap back whenever more than 128 KiB of it are free, and takes it again,
page by page, for the next large body: that costs more than all that is done with the body.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

# mallopt(3)
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_KEPT: Final = 32 * 1024 * 1024
_LARGEST_FROM_HEAP: Final = 4 * 1024 * 1024


def settle() -> None:
    """Call this once, when all is there that stays for the life of the process."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it, musl does not
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_FROM_HEAP)
    gc.collect()
    gc.freeze()  # what is there now is looked at by no collection any more
