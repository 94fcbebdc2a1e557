"""What providers answer to the question for their models, in the shapes of the APIs that they speak.

References: https://platform.openai.com/docs/api-reference/models/list,
https://docs.anthropic.com/en/api/models-list, https://ai.google.dev/api/models#method:-models.list
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

LIST_TARGETS: Final[Mapping[str, bytes]] = {
    "openai": b"/v1/models",
    "mock": b"/v1/models",
    # Both give a page of 20 or 50 unless asked for more.
    "anthropic": b"/v1/models?limit=1000",
    "gemini": b"/v1/models?pageSize=1000",
}
"""Whom to ask by format, and where. Azure is not asked: it lists what could be deployed, not what is."""

Listed = dict[str, Any]
"""A model in the OpenAI shape; members as the provider sent them are `msgspec.Raw`."""

_SERVED: Final = {"generateContent", "embedContent"}


class _Body(msgspec.Struct):
    data: list[dict[str, msgspec.Raw]] | None = None
    models: list[dict[str, msgspec.Raw]] | None = None


_decode: Final = msgspec.json.Decoder(_Body).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_texts: Final = msgspec.json.Decoder(list[str]).decode


def parse(body: bytes) -> list[Listed]:
    """The models of a list, whatever its shape. Raises ValueError for what is none of them."""
    try:
        content = _decode(body)
        # llama.cpp sends both, and means the first.
        if content.data is not None:
            return [_of_data(members) for members in content.data]
        if content.models is not None:
            return [_of_gemini(members) for members in content.models if _is_served(members)]
    except (msgspec.DecodeError, KeyError, RecursionError, UnicodeDecodeError):
        pass
    raise ValueError("not a list of models")


def _of_data(members: dict[str, msgspec.Raw]) -> Listed:
    """A model as OpenAI lists it, or Anthropic, which has a `created_at` in the place of `created`."""
    model: Listed = {**members, "id": _decode_text(members["id"])}
    if "created_at" in members:
        model.setdefault("created", _seconds(_decode_text(members["created_at"])))
    return model


def _of_gemini(members: dict[str, msgspec.Raw]) -> Listed:
    return {**members, "id": _decode_text(members["name"]).removeprefix("models/")}


def _is_served(members: dict[str, msgspec.Raw]) -> bool:
    """Whether the model takes what requests are translated to; Gemini lists those of other APIs too."""
    methods = members.get("supportedGenerationMethods")
    return methods is None or not _SERVED.isdisjoint(_decode_texts(methods))


def _seconds(time: str) -> int:
    """An RFC 3339 time in seconds since the epoch; 0, as for an unknown one, where it is none."""
    try:
        return max(0, int(datetime.fromisoformat(time).timestamp()))
    except (ValueError, OverflowError):
        return 0
