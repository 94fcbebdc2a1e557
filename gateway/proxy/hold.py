"""How long a response is held back, so that an early death of it can still be retried.

    text/event-stream          until the first complete event (comments do not count)
    application/json, errors   until the body is whole
    anything else              until the first body byte

and never more than `MAX_HELD` bytes. Coded content (gzip) is opaque: an event cannot be seen in it.
"""

from __future__ import annotations

from typing import Final

MAX_HELD: Final = 64 * 1024
FIRST_BYTE, FIRST_EVENT, WHOLE = range(3)


def rule(status: int, content_type: bytes, content_encoding: bytes | None) -> int:
    """Which of the three rules holds for a response."""
    if status >= 400 or content_type.startswith(b"application/json"):
        return WHOLE
    if content_type.startswith(b"text/event-stream") and content_encoding is None:
        return FIRST_EVENT
    if content_type[:17].lower() in (b"text/event-stream", b"application/json"):
        return rule(status, content_type.lower(), content_encoding)
    return FIRST_BYTE
