"""An answer as steps on the wire: what is sent, when, and how the connection fares afterwards.

`script` is a pure generator. The connection takes its steps one by one, each only after the kernel has taken
the bytes before it, so a script may be endless. Each fault of the wire is a script of its own.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import chain, repeat
from typing import Final, NamedTuple

from gateway.providers.mock.answer import Answer, event, json_answer, stream_answer
from gateway.providers.mock.faults import OK, Fault

MAX_WRITE: Final = 65536
"""Bytes above which what is sent at once is not joined any further."""

_LAST_CHUNK: Final = b"0\r\n\r\n"
_CHUNKED: Final = ("transfer-encoding", "chunked")
_CLOSE: Final = ("connection", "close")
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Wait(NamedTuple):
    """A step: do nothing for a while."""

    seconds: float


class Act(enum.Enum):
    """A step that is neither bytes nor a pause.

    All but ``SHUT_WRITE`` end their script; one that just ends leaves the connection to the next request.
    """

    SHUT_WRITE = enum.auto()
    """Send FIN, go on reading and throw it away."""
    CLOSE = enum.auto()
    RESET = enum.auto()
    HANG = enum.auto()
    """Neither send nor close until the peer does."""
    CLOSE_ON_NEXT = enum.auto()
    """Close as soon as another byte arrives."""
    RESET_ON_NEXT = enum.auto()


Step = bytes | Wait | Act


@dataclass(frozen=True, slots=True)
class Scene:
    """What a script is made from."""

    answer: Answer
    fault: Fault = OK
    fields: tuple[tuple[str, str], ...] = ()
    """Header fields of every answer, besides those that are the answer's own."""
    latency: float = 0.0
    """Seconds before the first byte."""
    interval: float = 0.0
    """Seconds between two pieces of the body."""
    keep_alive: bool = True
    """Whether the connection may carry another request."""
    head_only: bool = False
    """Whether the request was HEAD."""
    http_1_0: bool = False
    """Whether the client speaks HTTP/1.0, which knows no chunks."""

    @property
    def body(self) -> tuple[bytes, ...]:
        """The pieces of body that go out: none to HEAD, with 204 and with 304 (RFC 9112, section 6.3)."""
        return () if self.head_only or self.answer.status in _BODILESS else self.answer.pieces

    def head(self, *framing: tuple[str, str], version: str = "1.1") -> bytes:
        """The head of the answer with these fields for its framing."""
        own = (("content-type", self.answer.content_type), *self.answer.fields)
        return _head(self.answer.status, (*own, *self.fields, *framing), version)

    def paced(self, pieces: Iterable[bytes]) -> Iterator[Step]:
        """Pieces with the interval between them."""
        for index, piece in enumerate(pieces):
            if index and self.interval:
                yield Wait(self.interval)
            yield piece


def script(scene: Scene) -> Iterator[Step]:
    """The steps that answer a request; what is sent at once is joined up to about `MAX_WRITE` bytes."""
    before = [Wait(scene.latency)] if scene.latency else []
    after = [] if scene.keep_alive else [Act.CLOSE]
    return _joined(chain(before, _SCRIPTS.get(scene.fault.name, _right)(scene), after))


def _joined(steps: Iterable[Step]) -> Iterator[Step]:
    held: list[bytes] = []
    size = 0
    for step in steps:
        if isinstance(step, bytes):
            held.append(step)
            size += len(step)
            if size < MAX_WRITE:
                continue
        if held:
            yield b"".join(held)
            held, size = [], 0
        if not isinstance(step, bytes):
            yield step
    if held:
        yield b"".join(held)


def _head(status: int, fields: Iterable[tuple[str, str]], version: str = "1.1") -> bytes:
    # A status fault may be any number; without a registered phrase it has an empty one (RFC 9112, section 4).
    line = f"HTTP/{version} {status} {_PHRASES.get(status, '')}"
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in fields), "", ""]).encode()


def _length(size: int) -> tuple[str, str]:
    return ("content-length", str(size))


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _right(scene: Scene) -> Iterator[Step]:
    """The answer as it should be."""
    closing = () if scene.keep_alive else (_CLOSE,)
    if scene.answer.status in _BODILESS:
        yield scene.head(*closing)
    elif not scene.answer.chunked:
        yield scene.head(_length(sum(map(len, scene.answer.pieces))), *closing)
        yield from scene.paced(scene.body)
    elif scene.http_1_0:
        yield scene.head(_CLOSE)
        yield from scene.paced(scene.body)
    else:
        yield scene.head(_CHUNKED, *closing)
        yield from scene.paced(map(_chunk, scene.body))
        if not scene.head_only:
            yield _LAST_CHUNK


def _ends(*steps: Step) -> Callable[[Scene], Iterator[Step]]:
    """A script without an answer."""
    return lambda scene: iter(steps)


def _then(act: Act) -> Callable[[Scene], Iterator[Step]]:
    """A script that sends part of a chunked body and goes on with ``act``."""

    def partial(scene: Scene) -> Iterator[Step]:
        yield from _part(scene)
        yield act

    return partial


def _part(scene: Scene) -> Iterator[Step]:
    """The head, ``after`` pieces, and with ``part`` a chunk that breaks off in its middle."""
    after = scene.fault.after
    chunks = [_chunk(piece) for piece in scene.body[: after + 1]]
    broken = [chunk[: len(chunk) // 2] for chunk in chunks[after:] if scene.fault.part]
    yield scene.head(_CHUNKED)
    yield from scene.paced([*chunks[:after], *broken])


def _malformed_chunk(scene: Scene) -> Iterator[Step]:
    yield from _part(scene)
    yield b"nonsense\r\n"
    yield Act.CLOSE


def _stale(scene: Scene) -> Iterator[Step]:
    yield from _right(scene)
    yield Act.RESET_ON_NEXT if scene.fault.reset else Act.CLOSE_ON_NEXT


def _early(scene: Scene) -> Iterator[Step]:
    yield scene.head(_length(len(scene.answer.body)), _CLOSE)
    yield from scene.body
    yield Act.SHUT_WRITE
    yield Wait(scene.fault.linger)
    yield Act.CLOSE


def _reset_in_head(scene: Scene) -> Iterator[Step]:
    head = scene.head(_CHUNKED)
    yield head[: len(head) // 2]
    yield Act.RESET


def _endless_head(scene: Scene) -> Iterator[Step]:
    yield scene.head().removesuffix(b"\r\n")
    yield from repeat(b"x-mock-filling: " + b"x" * 1000 + b"\r\n")


def _nul_header(scene: Scene) -> Iterator[Step]:
    yield scene.head(("x-mock-nul", "a\0b"), _length(len(scene.answer.body)))
    yield from scene.body


def _cl_te(scene: Scene) -> Iterator[Step]:
    yield scene.head(_length(len(scene.answer.body)), _CHUNKED)
    yield from scene.paced(map(_chunk, scene.body))
    yield _LAST_CHUNK


def _two_cl(scene: Scene) -> Iterator[Step]:
    size = len(scene.answer.body)
    yield scene.head(_length(size), _length(size + 1))
    yield from scene.body


def _short(scene: Scene) -> Iterator[Step]:
    body = scene.answer.body
    yield scene.head(_length(len(body)))
    yield body[: len(body) // 2]
    yield Act.CLOSE


def _long(scene: Scene) -> Iterator[Step]:
    yield scene.head(_length(len(scene.answer.body)))
    yield scene.answer.body + b"surplus"


def _informational(scene: Scene) -> Iterator[Step]:
    hints = _head(HTTPStatus.EARLY_HINTS, [("link", "</mock.css>; rel=preload")])
    yield from [_head(HTTPStatus.CONTINUE, []), hints] * scene.fault.n
    yield from _right(scene)


def _unasked(scene: Scene) -> Iterator[Step]:
    yield from _right(scene)
    if scene.fault.delay:
        yield Wait(scene.fault.delay)
    surplus = json_answer({"error": {"message": "Nobody asked for this."}})
    yield from _right(Scene(surplus, fields=scene.fields))


def _slow_drip(scene: Scene) -> Iterator[Step]:
    pieces = [step for step in _right(scene) if isinstance(step, bytes)]
    yield pieces[0]
    for byte in b"".join(pieces[1:]):
        yield Wait(scene.fault.interval)
        yield bytes((byte,))


def _until_close(version: str) -> Callable[[Scene], Iterator[Step]]:
    """A script whose body ends where the connection does (RFC 9112, section 6.3, item 8)."""

    def close_delimited(scene: Scene) -> Iterator[Step]:
        cut = scene.answer.is_event_stream and not scene.fault.terminal
        yield scene.head(_CLOSE, version=version)
        yield from scene.paced(scene.body[:-1] if cut else scene.body)
        yield Act.CLOSE

    return close_delimited


def _endless(scene: Scene) -> Iterator[Step]:
    delta = {"choices": [{"index": 0, "delta": {"content": "endless " * 100}, "finish_reason": None}]}
    endless = _chunk(event({"id": "chatcmpl-mock-endless", "object": "chat.completion.chunk", **delta}))
    yield replace(scene, answer=stream_answer(())).head(_CHUNKED)
    yield from scene.paced(repeat(endless))


_SWITCHING: Final = _head(HTTPStatus.SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "mock")])

_SCRIPTS: Final[Mapping[str, Callable[[Scene], Iterator[Step]]]] = {
    "refuse": _ends(Act.RESET),
    "reset": _ends(Act.RESET),
    "close": _ends(Act.CLOSE),
    "stall": _ends(Act.HANG),
    "garbage": _ends(b"\x16\x03\x01 this is not HTTP\r\n\r\n", Act.CLOSE),
    "switching": _ends(_SWITCHING, Act.HANG),
    "stale": _stale,
    "early": _early,
    "reset_in_head": _reset_in_head,
    "endless_head": _endless_head,
    "nul_header": _nul_header,
    "cl_te": _cl_te,
    "two_cl": _two_cl,
    "informational": _informational,
    "stall_body": _then(Act.HANG),
    "cut": _then(Act.CLOSE),
    "reset_body": _then(Act.RESET),
    "malformed_chunk": _malformed_chunk,
    "short": _short,
    "long": _long,
    "unasked": _unasked,
    "slow_drip": _slow_drip,
    "close_delimited": _until_close("1.1"),
    "http10": _until_close("1.0"),
    "endless": _endless,
}
