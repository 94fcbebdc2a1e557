"""Framing: where a request ends, what is refused because that is in doubt, and how much is taken in at all."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from conversation import HEAD, LIMITS, TIMEOUTS, Clock, post, splits

from gateway.config.schema import Limits
from gateway.server.reader import MAX_PIPELINED, RequestReader
from gateway.server.site import Site

CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
GET = b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n"


def site_of(**limits: int) -> Site:
    return Site(
        data=lambda request, client: None,
        pages={},
        limits=msgspec.structs.replace(LIMITS, **limits),
        timeouts=TIMEOUTS,
        max_connections=1,
        clock=Clock(),
    )


def read(*pieces: bytes, site: Site | None = None) -> RequestReader:
    reader = RequestReader(site or site_of())
    for piece in pieces:
        reader.feed(piece)
    return reader


def outcome(reader: RequestReader) -> object:
    requests = [(one.method, one.target, one.fields, one.body, one.keep_alive) for one in reader.ready]
    return requests, repr(reader.refusal), reader.ended, reader.request is None
