"""Sound and pictures: transcription, speech and image generation.

https://platform.openai.com/docs/api-reference/audio and https://platform.openai.com/docs/api-reference/images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from gateway.providers.mock.answer import CREATED, Answer, Call, Json, decode, json_answer
from gateway.providers.mock.multipart import read_form

_SOUND_TYPES: Final[Mapping[str, str]] = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}

_SOUND_PIECE: Final = 1024
_SOUND_PIECES: Final = 4

_PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQAAAAA3bvkkAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg=="
"""A PNG of one pixel, in base64."""


class SpeechRequest(msgspec.Struct):
    """The body of ``POST /v1/audio/speech``, as far as the mock reads it."""

    model: str
    input: str
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] | None = "mp3"


class ImageRequest(msgspec.Struct):
    """The body of ``POST /v1/images/generations``, as far as the mock reads it."""

    prompt: str
    n: Annotated[int, msgspec.Meta(ge=1, le=10)] | None = 1
    response_format: Literal["url", "b64_json"] | None = "b64_json"


def transcription(call: Call) -> Answer:
    """Answer ``POST /v1/audio/transcriptions`` with the name and the size of what was uploaded.

    Raises:
        ApiError: 400, the body is not a form with a file.
    """
    form = read_form(call)
    upload = form.file()
    text = call.reply or f"Mock transcription of {upload.filename}, {len(upload.data)} bytes."
    style = form.fields.get("response_format", "json")
    if style == "text":
        return Answer((f"{text}\n".encode(),), content_type="text/plain; charset=utf-8")
    seconds = 1
    answer: Json = {"text": text, "usage": {"type": "duration", "seconds": seconds}}
    if style == "verbose_json":
        answer = {"task": "transcribe", "language": "english", "duration": seconds, "segments": [], **answer}
    return json_answer(answer)


def speech(call: Call) -> Answer:
    """Answer ``POST /v1/audio/speech`` with bytes that are no sound, in chunks.

    Raises:
        ApiError: the request does not fit.
    """
    request = decode(call, SpeechRequest)
    sound = hashlib.shake_256(request.input.encode()).digest(_SOUND_PIECE * _SOUND_PIECES)
    pieces = tuple(sound[start : start + _SOUND_PIECE] for start in range(0, len(sound), _SOUND_PIECE))
    return Answer(pieces, content_type=_SOUND_TYPES[request.response_format or "mp3"], chunked=True)


def image(call: Call) -> Answer:
    """Answer ``POST /v1/images/generations`` with one pixel, or with an address that leads nowhere.

    Raises:
        ApiError: the request does not fit.
    """
    request = decode(call, ImageRequest)
    as_url = request.response_format == "url"
    data = [
        {"url": f"https://mock.invalid/image-{call.serial}-{index}.png"} if as_url else {"b64_json": _PIXEL}
        for index in range(request.n or 1)
    ]
    return json_answer({"created": CREATED, "data": data})
