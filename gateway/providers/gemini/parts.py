"""The parts of a message's content, as Gemini's parts.

Text, images, audio and files. Data goes as `inlineData`; an http or https URL as `fileData`, which the API
fetches itself (so it takes the URIs of its own Files API, and YouTube's). Other URLs are refused.
Source: https://ai.google.dev/api/caching#Part, https://ai.google.dev/gemini-api/docs/file-input-methods
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from gateway.providers.gemini.models import NEWEST
from gateway.providers.reading import Json, Members, refuse_content

_WEB_URL: Final = re.compile(r"(?is)https?://[^/?#]+[^?#]*?(?:\.([a-z0-9]{1,5}))?(?:[?#].*)?").fullmatch
_RESOLUTIONS: Final = {"low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH"}

# What the API reads, by the names' endings: the type of what stands behind a URL is known by nothing else.
_AUDIO_TYPES: Final = {
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "aiff": "audio/aiff",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
}
_TYPES: Final = _AUDIO_TYPES | {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mov": "video/quicktime",
    "webm": "video/webm",
}


def _text(part: Members, _generation: int) -> Json:
    return {"text": part.need("text", str)}


def _refusal(part: Members, _generation: int) -> Json:
    return {"text": part.need("refusal", str)}


def _image(part: Members, generation: int) -> Json:
    image = part.need_child("image_url", '{"url": "https://…"}')
    made = _media(image.need("url", str), image.at("url"))
    detail = image.take("detail", str) or "auto"
    if detail in _RESOLUTIONS and generation >= NEWEST:
        made["mediaResolution"] = {"level": _RESOLUTIONS[detail]}
    elif detail != "auto":
        image.unsupported("detail", f"its API has no {detail!r} for a single image of this model")
    image.finish()
    return made


def _audio(part: Members, _generation: int) -> Json:
    audio = part.need_child("input_audio", '{"data": "…", "format": "wav"}')
    kind = audio.need("format", str)
    if kind not in _AUDIO_TYPES:
        refuse_content(audio.at("format"), f"its API takes {', '.join(_AUDIO_TYPES)}")
    data = audio.need("data", str)
    audio.finish()
    return {"inlineData": {"mimeType": _AUDIO_TYPES[kind], "data": data}}


def _file(part: Members, _generation: int) -> Json:
    file = part.need_child("file", '{"file_data": "data:application/pdf;base64,…"}')
    file.ignore("filename")  # the API has no place for it
    file_id = file.take("file_id", str)
    if file_id is None:
        made = _media(file.need("file_data", str), file.at("file_data"))
    elif file_id.startswith("https://"):
        made = _media(file_id, file.at("file_id"))
    else:
        refuse_content(file.at("file_id"), "it knows files by their URI only; send `file_data`")
    file.finish()
    return made


def _media(url: str, param: str) -> Json:
    head, _, data = url.partition(",")
    scheme, _, mime_type = head.lower().partition(":")
    if scheme == "data" and mime_type.endswith(";base64"):
        return {"inlineData": {"mimeType": mime_type.partition(";")[0], "data": data}}
    web = _WEB_URL(url)
    if web is None:
        refuse_content(param, "it takes http, https and base64 data URLs (data:image/png;base64,…)")
    known_type = _TYPES.get((web[1] or "").lower())
    return {"fileData": {"fileUri": url} if known_type is None else {"mimeType": known_type, "fileUri": url}}


_READERS: Final[dict[str, Callable[[Members, int], Json]]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}
"""By the `type` of a part."""

MEDIA: Final = ("text", "image_url", "input_audio", "file")
"""The types that a user's message may have."""


def read(content: str | list[Members] | None, types: tuple[str, ...], generation: int) -> list[Json]:
    """The parts of a `content`, each of one of `types`, for a model of `generation`; without empty texts."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"text": content}] if content else []
    made = []
    for part in content:
        kind = part.need("type", str)
        if kind not in types:
            refuse_content(part.at("type"), f"of parts it takes {', '.join(types)} here, not {kind!r}")
        made.append(_READERS[kind](part, generation))
        part.finish()
    return [part for part in made if part.get("text") != ""]
