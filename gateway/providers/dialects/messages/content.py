"""Content blocks of a request as parts of chat completions: texts, images, documents, search results.

https://platform.claude.com/docs/en/api/messages/create and
https://platform.openai.com/docs/api-reference/chat/create (content parts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from gateway.providers.reading import Json, Members, refuse_content

Parts = list[Json]
Reader = Callable[[Members], Parts]

_GAP: Final = "\n\n"
_PDF: Final = "application/pdf"


def text_part(text: str) -> Json:
    """A part with `text`."""
    return {"type": "text", "text": text}


def parts_of(blocks: Iterable[Members], readers: Mapping[str, Reader]) -> Parts:
    """The parts of all `blocks`. Raises GatewayError (400) for a type that `readers` does not have."""
    return [part for block in blocks for part in _read(block, readers)]


def _read(block: Members, readers: Mapping[str, Reader]) -> Parts:
    """The parts of one block, every member of which has then been read."""
    kind = block.need("type", str)
    if kind not in readers:
        refuse_content(block.at("type"), f"chat completions has no place here for a block of type `{kind}`")
    block.ignore("cache_control")
    parts = readers[kind](block)
    block.finish()
    return parts


def joined(parts: Parts) -> str | Parts:
    """Content of chat completions: one text where there are only texts, for many servers take no other.

    (DeepSeek answers `invalid type: sequence, expected a string`.)
    """
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return _GAP.join(str(text) for text in texts) if len(texts) == len(parts) else parts


def text(block: Members) -> Parts:
    """`text`; what it cites cannot be told."""
    if block.children("citations"):
        block.unsupported("citations", "chat completions has no citations in a request")
    return [text_part(block.need("text", str))]


def image(block: Members) -> Parts:
    """`image`, by URL or in base64."""
    transformations = block.child("transformations")
    if transformations is not None:
        if (transformations.take("oversized_image", str) or "downsize") != "downsize":
            transformations.unsupported("oversized_image", "chat completions does not say what becomes of it")
        transformations.finish()
    source = _source(block)
    kind = source.need("type", str)
    if kind == "url":
        url = source.need("url", str)
    elif kind == "base64":
        url = f"data:{source.need('media_type', str)};base64,{source.need('data', str)}"
    else:
        refuse_content(source.at("type"), f"chat completions takes no image from a `{kind}`")
    source.finish()
    return [{"type": "image_url", "image_url": {"url": url}}]


def document(block: Members) -> Parts:
    """`document`: a PDF as a file, any other as the texts and images it is made of."""
    title = block.take("title", str)
    context = block.take("context", str)
    _without_citations(block)
    source = _source(block)
    kind = source.need("type", str)
    named = [text_part(title)] if title else []
    about = [text_part(context)] if context else []
    if kind == "base64":
        media_type = source.need("media_type", str)
        if media_type != _PDF:
            raise source.wrong("media_type", f"must be {_PDF}")
        data = f"data:{_PDF};base64,{source.need('data', str)}"
        file = {"filename": title or "document.pdf", "file_data": data}
        parts: Parts = [*about, {"type": "file", "file": file}]
    elif kind == "text":
        source.ignore("media_type")
        parts = [*named, *about, text_part(source.need("data", str))]
    elif kind == "content":
        inner = source.text_or_children("content") or ""
        inner_parts = [text_part(inner)] if isinstance(inner, str) else parts_of(inner, PLAIN)
        parts = [*named, *about, *inner_parts]
    else:
        refuse_content(source.at("type"), f"chat completions takes no document from a `{kind}`")
    source.finish()
    return parts


def search_result(block: Members) -> Parts:
    """`search_result`, as one text with its title and source above it."""
    _without_citations(block)
    head = [block.need("title", str), block.need("source", str)]
    found = parts_of(block.children("content"), {"text": text})
    return [text_part("\n".join([*head, *(str(part["text"]) for part in found)]))]


PLAIN: Final[Mapping[str, Reader]] = {"text": text, "image": image}
"""What a document may be made of."""

GIVEN: Final[Mapping[str, Reader]] = {**PLAIN, "document": document, "search_result": search_result}
"""What a user may give, and what a tool may."""


def _source(block: Members) -> Members:
    source = block.child("source")
    if source is None:
        raise block.wrong("source", "is missing; it must be an object")
    return source


def _without_citations(block: Members) -> None:
    citations = block.child("citations")
    if citations is not None:
        if citations.take("enabled", bool):
            citations.unsupported("enabled", "chat completions cites no documents")
        citations.finish()
