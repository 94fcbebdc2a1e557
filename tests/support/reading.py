"""A request reader by itself: what it makes of reads, under limits of a test's own."""

from __future__ import annotations

import msgspec
from conversation import HEAD, LIMITS, TIMEOUTS, Clock

from gateway.server.reader import RequestReader
from gateway.server.site import Site

CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
GET = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n"


def site_of(**limits: int) -> Site:
    """A site with a clock that stands still, and these limits."""
    return Site(
        data=lambda request, client: None,
        pages={},
        limits=msgspec.structs.replace(LIMITS, **limits),
        timeouts=TIMEOUTS,
        max_connections=1,
        clock=Clock(),
    )


def read(*pieces: bytes, site: Site | None = None) -> RequestReader:
    """A reader that got these, in one read each."""
    reader = RequestReader(site or site_of())
    for piece in pieces:
        reader.feed(piece)
    return reader


def in_pieces(data: bytes, size: int) -> list[bytes]:
    """The bytes in reads of that size."""
    return [data[at : at + size] for at in range(0, len(data), size)]
