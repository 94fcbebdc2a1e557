"""The log of a gateway in tests: written to a stream, and read back."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from gateway.observe import log


@contextmanager
def logging_to(stream: TextIO, level: str = "info") -> Iterator[log.LineHandler]:
    """The root logger as a gateway has it, until the block ends."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    log.set_up(level, "json", stream)
    try:
        (handler,) = root.handlers
        assert isinstance(handler, log.LineHandler)
        yield handler
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    """The events that were written to `stream`, oldest first."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]
