"""A second opinion on where requests begin and end: a small, strict reader of RFC 9112, written by the RFC.

It shares no code with the gateway, keeps no state, and reads bytes that are all there. It is looser than the
RFC only where the RFC allows it: empty lines before a request, and more than one blank in the request line.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from conversation import CONTINUE, LIMITS, TIMEOUTS, Conversation, answers

from gateway.server.protocol import ClientConnection
from gateway.server.request import Request
from gateway.server.site import Active, Site

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(%b) +([\x21-\x7e]+) +HTTP/(1\.[01])" % _TOKEN)
_OTHER_VERSION = re.compile(rb"%b +[\x21-\x7e]+(?: +HTTP/[0-9]\.[0-9])?(?:\n|$)" % _TOKEN)
_FIELD = re.compile(rb"(%b):[ \t]*((?:[\x21-\x7e\x80-\xff][\t\x20-\x7e\x80-\xff]*)?)" % _TOKEN)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?")


class Invalid(Exception):  # noqa: N818 - it is the name of what was found, not of a failure
    """These bytes are no request; where the next one would begin cannot be known."""


class Incomplete(Exception):  # noqa: N818
    """The request does not end in these bytes."""


class Message(NamedTuple):
    """A request: `end` is where the bytes of the next one begin, None where there must not be one."""

    method: bytes
    target: bytes
    body: bytes
    end: int | None


class Reading(NamedTuple):
    """All requests in some bytes, in order, and whether something followed that cannot be one."""

    messages: list[Message]
    invalid: bool


def read(data: bytes) -> Reading:
    """Read requests one after the other, for as long as that is allowed."""
    messages: list[Message] = []
    at: int | None = 0
    try:
        while at is not None:
            message = _message(data, at)
            messages.append(message)
            at = message.end
    except Incomplete:
        return Reading(messages, False)
    except Invalid:
        return Reading(messages, True)
    return Reading(messages, False)


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    return data[at:end], end + 2


def _message(data: bytes, at: int) -> Message:
    while data[at : at + 1] in (b"\r", b"\n"):
        at += 1
    line, at = _line(data, at)
    request_line = _REQUEST_LINE.fullmatch(line)
    if request_line is None:
        if _OTHER_VERSION.match(line):
            _fields(data, at)  # a reader may refuse that version at the end of the header
        raise Invalid
    method, target, version = request_line.groups()
    fields, at = _fields(data, at)
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    options = b",".join(value.lower() for name, value in fields if name == b"connection")
    if codings:
        if codings != [b"chunked"] or lengths or version == b"1.0":
            raise Invalid
        body, at = _chunked(data, at)
    else:
        length = _length(lengths)
        body = data[at : at + length]
        if len(body) < length:
            raise Incomplete
        at += length
    closes = version == b"1.0" or b"close" in [option.strip() for option in options.split(b",")]
    return Message(method, target, body, None if closes else at)


def _length(lengths: list[bytes]) -> int:
    if not lengths:
        return 0
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,20}", lengths[0]):
        raise Invalid
    return int(lengths[0])


def _fields(data: bytes, at: int) -> tuple[list[tuple[bytes, bytes]], int]:
    fields: list[tuple[bytes, bytes]] = []
    while True:
        line, at = _line(data, at)
        if not line:
            return fields, at
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Invalid
        fields.append((field[1].lower(), field[2].rstrip(b" \t")))


def _chunked(data: bytes, at: int) -> tuple[bytes, int]:
    body = b""
    while True:
        line, at = _line(data, at)
        chunk = _CHUNK.fullmatch(line)
        if chunk is None:
            raise Invalid
        size = int(chunk[1], 16)
        if not size:
            _, at = _fields(data, at)
            return body, at
        body += data[at : at + size]
        at += size
        if len(data) < at + 2:
            raise Incomplete
        if data[at : at + 2] != b"\r\n":
            raise Invalid
        at += 2


class Watched(Site):
    """A site that remembers what it was given to answer, and answers at once."""

    def __init__(self) -> None:
        super().__init__(data=_answer, pages={}, limits=LIMITS, timeouts=TIMEOUTS, max_connections=9)
        self.handled: list[Request] = []

    def handle(self, request: Request, client: ClientConnection) -> Active | None:
        self.handled.append(request)
        return super().handle(request, client)


def _answer(request: Request, client: ClientConnection) -> None:
    client.respond(200, [], b"answer")


class Outcome(NamedTuple):
    """What a connection made of some bytes."""

    requests: list[tuple[bytes, bytes, list[bytes], bytes]]
    answers: list[tuple[int, bytes, bool]]
    ended: bool


def outcome(pieces: list[bytes]) -> Outcome:
    """Play the reads to a connection, and then leave it."""
    site = Watched()
    talk = Conversation(site=site).says(*pieces)
    ended = talk.ended
    methods = [request.method for request in site.handled]
    if talk.wire.endswith(b"\r\n\r\n"):
        methods.append(b"HEAD")  # that of a refused request
    heard = answers(talk.wire.replace(CONTINUE, b""), *methods)
    talk.leaves()
    assert site.buffered == 0
    assert not site.connections
    return Outcome(
        [(one.method, one.target, one.fields, one.body) for one in site.handled],
        [(answer.status, answer.body, answer.closes) for answer in heard],
        ended,
    )


def check(data: bytes, cuts: list[int]) -> Outcome:
    """Give bytes to a connection whole and in pieces, and compare what it makes of them with the reading.

    Raises AssertionError where a handler got what is no request, a request was merged, split or left
    unanswered, or the pieces made a difference.
    """
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    pieces = [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]
    found = outcome([data])
    assert outcome(pieces) == found, "the split makes a difference"
    messages, invalid = read(data)
    handled = [(method, body) for method, _, _, body in found.requests]
    assert handled == [(one.method, one.body) for one in messages][: len(handled)], "no such request"
    served, refused = found.answers[: len(handled)], found.answers[len(handled) :]
    assert all(status < 300 for status, _, _ in served)
    assert all(status >= 400 and closes for status, _, closes in refused)
    assert len(refused) <= 1
    if not found.ended:
        assert len(handled) == len(messages), "a request is not answered"
        assert not invalid, "what cannot be a request is waited for"
        assert not messages or messages[-1].end is not None, "the connection should have ended"
    return found
