"""The content of messages: parts of chat completions as blocks of the Messages API.

- `text`, `refusal` become text; empty ones are left out, which the Messages API does not take.
- `image_url` becomes an image, from base64 or a URL. `detail` is a hint about cost, and is left out.
- `file` becomes a document: a PDF, a text of any kind, or an uploaded file by its id; an image stays one.
- Everything else (audio, video) is refused.
- `cache_control` of a part is handed on; OpenAI's `prompt_cache_breakpoint` sets one of five minutes.

https://platform.openai.com/docs/api-reference/chat/create
https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NoReturn

from gateway.providers.reading import Members, refuse_content, wrong

Block = dict[str, object]
Part = Callable[[Members], Block | None]

EPHEMERAL: Final[Mapping[str, str]] = {"type": "ephemeral"}
_IMAGES: Final[Mapping[str, str]] = {
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/png": "image/png",
    "image/gif": "image/gif",
    "image/webp": "image/webp",
}
_PDF: Final = "application/pdf"


def content_blocks(message: Members, parts: Mapping[str, Part]) -> list[Block]:
    """The blocks of the member `content` of `message`, in which the types of part in `parts` may stand.

    Raises GatewayError (400) for any other part.
    """
    content = message.text_or_children("content") or []
    if isinstance(content, str):
        return [text_block(content)]
    return [block for part in content if (block := _block(part, parts)) is not None]


def text_block(text: str) -> Block:
    """A block of text, which must not be empty."""
    return {"type": "text", "text": text}


def cache_mark(fields: Members) -> Mapping[str, object]:
    """What `fields` say about the prompt cache, as members of a block or tool; maybe none."""
    breakpoint_ = fields.raw("prompt_cache_breakpoint")
    mark: object = fields.raw("cache_control")
    if mark is None and breakpoint_ is not None:
        mark = EPHEMERAL
    return {} if mark is None else {"cache_control": mark}


def _block(part: Members, parts: Mapping[str, Part]) -> Block | None:
    kind = part.need("type", str)
    make = parts.get(kind)
    if make is None:
        known = ", ".join(parts)
        refuse_content(
            part.at("type"), f"its API has no content of type `{kind}` here (what there is: {known})"
        )
    block = make(part)
    mark = cache_mark(part)
    part.finish()
    return None if block is None else {**block, **mark}


def _text(part: Members) -> Block | None:
    text = part.need("text", str)
    return text_block(text) if text else None


def _refusal(part: Members) -> Block | None:
    text = part.need("refusal", str)
    return text_block(text) if text else None


def _image(part: Members) -> Block:
    image = part.need_child("image_url")
    url = image.need("url", str)
    image.ignore("detail")
    image.finish()
    param = image.at("url")
    if not url.startswith("data:"):
        return {"type": "image", "source": _url(url, param)}
    media_type, data = _data(url, param)
    if media_type not in _IMAGES:
        _refuse_media_type(param, media_type, "images", _IMAGES)
    return _image_block(media_type, data)


def _file(part: Members) -> Block:
    file = part.need_child("file")
    data, file_id, name = (file.take(member, str) for member in ("file_data", "file_id", "filename"))
    file.finish()
    title = {"title": name} if name else {}
    if data is None:
        if file_id is None:
            raise wrong(file.path, "must have one of `file_data` and `file_id`")
        return {"type": "document", "source": {"type": "file", "file_id": file_id}, **title}
    param = file.at("file_data")
    # Without a media type it is a PDF: the one kind of file that chat completions takes.
    media_type, encoded = _data(data, param) if data.startswith("data:") else (_PDF, data)
    if media_type in _IMAGES:
        return _image_block(media_type, encoded)
    if media_type == _PDF:
        source = {"type": "base64", "media_type": _PDF, "data": encoded}
    elif media_type.startswith("text/"):
        source = {"type": "text", "media_type": "text/plain", "data": _decoded(encoded, param)}
    else:
        _refuse_media_type(param, media_type, "files", (_PDF, "text/*", *_IMAGES))
    return {"type": "document", "source": source, **title}


def _image_block(media_type: str, data: str) -> Block:
    return {"type": "image", "source": {"type": "base64", "media_type": _IMAGES[media_type], "data": data}}


def _url(url: str, param: str) -> Block:
    if not url.startswith(("https://", "http://")):
        raise wrong(param, "must be an http, https or data URL")
    return {"type": "url", "url": url}


def _data(url: str, param: str) -> tuple[str, str]:
    """Media type and base64 text of a data URL (RFC 2397)."""
    head, comma, data = url.removeprefix("data:").partition(",")
    media_type, *attributes = head.split(";")
    if not comma or "base64" not in attributes:
        raise wrong(param, "must be `data:` media type `;base64,` data, as it is a data URL")
    return media_type.strip().lower(), data


def _decoded(data: str, param: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except ValueError:
        raise wrong(param, "must be the base64 form of a text in UTF-8") from None


def _refuse_media_type(param: str, media_type: str, of: str, known: Iterable[str]) -> NoReturn:
    refuse_content(param, f"its API takes no {of} of type `{media_type}` (only {', '.join(known)})")


SYSTEM: Final[Mapping[str, Part]] = {"text": _text}
USER: Final[Mapping[str, Part]] = {"text": _text, "image_url": _image, "file": _file}
ASSISTANT: Final[Mapping[str, Part]] = {"text": _text, "refusal": _refusal}
