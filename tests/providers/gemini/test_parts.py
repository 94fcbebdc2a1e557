"""The parts of a message: images, audio, files.

https://ai.google.dev/api/caching#Part, https://ai.google.dev/gemini-api/docs/file-input-methods
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import GatewayError

Sent = Callable[..., dict[str, Any]]
Refusal = Callable[..., GatewayError]
PNG = "iVBORw0KGgo="


def of_user(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {"inlineData": {"mimeType": "image/png", "data": PNG}},
        ),
        (
            {
                "type": "image_url",
                "image_url": {"url": f"DATA:Image/PNG;charset=x;Base64,{PNG}", "detail": "auto"},
            },
            {"inlineData": {"mimeType": "image/png", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://host/a/b.c.JPG?x=y.gif#z"}},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://host/a/b.c.JPG?x=y.gif#z"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "http://host.png"}},
            {"fileData": {"fileUri": "http://host.png"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://host/v1beta/files/abc"}},
            {"fileData": {"fileUri": "https://host/v1beta/files/abc"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mp3", "data": "SUQz"}},
        ),
        (
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
            },
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
        ),
        (
            {"type": "file", "file": {"file_id": "https://host/v1beta/files/abc"}},
            {"fileData": {"fileUri": "https://host/v1beta/files/abc"}},
        ),
    ],
)
def test_media(sent: Sent, part: dict[str, Any], expected: dict[str, Any]) -> None:
    made = sent(messages=of_user({"type": "text", "text": "Look:"}, part))
    assert made["contents"] == [{"role": "user", "parts": [{"text": "Look:"}, expected]}]


def test_the_detail_of_an_image(sent: Sent, refusal: Refusal) -> None:
    def asked(detail: str) -> list[dict[str, Any]]:
        image = {"url": f"data:image/png;base64,{PNG}", "detail": detail}
        return of_user({"type": "image_url", "image_url": image})

    [part] = sent(messages=asked("low"))["contents"][0]["parts"]
    assert part["mediaResolution"] == {"level": "MEDIA_RESOLUTION_LOW"}
    error = refusal(messages=asked("high"), model="gemini-2.5-flash")
    assert (error.param, error.code) == ("messages[0].content[0].image_url.detail", "unsupported_parameter")
    [part] = sent(messages=asked("high"), model="gemini-2.5-flash", drop=True)["contents"][0]["parts"]
    assert list(part) == ["inlineData"]


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("image_url", {"url": "https://host/x.png"}),
        ("input_audio", {"data": "UklGRg==", "format": "wav"}),
        ("file", {"file_data": "data:application/pdf;base64,JVBERg=="}),
    ],
)
def test_no_member_of_a_part_goes_unread(
    sent: Sent, refusal: Refusal, kind: str, members: dict[str, Any]
) -> None:
    def asked(**further: int) -> list[dict[str, Any]]:
        return of_user({"type": kind, kind: members | further})

    error = refusal(messages=asked(made_up=1))
    assert (error.param, error.code) == (f"messages[0].content[0].{kind}.made_up", "unsupported_parameter")
    assert sent(messages=asked(made_up=1), drop=True) == sent(messages=asked())
