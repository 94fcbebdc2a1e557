"""Embeddings both ways. https://ai.google.dev/api/embeddings#method:-models.batchembedcontents"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.providers.gemini import embeddings
from gateway.providers.gemini.embeddings import EmbeddingsTranslator
from gateway.providers.translation import TranslationError

MODEL = "gemini-embedding-001"


def read(drop: bool = False, **parameters: Any) -> embeddings.EmbeddingsRequest:
    return embeddings.read(json.dumps(parameters).encode(), MODEL, drop=drop)


def requests(*texts: str, **members: Any) -> dict[str, Any]:
    return {
        "requests": [
            {"model": f"models/{MODEL}", **members, "content": {"parts": [{"text": text}]}} for text in texts
        ]
    }


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"input": "a"}, requests("a")),
        ({"input": ["a", "é"], "model": "x", "user": "u", "dimensions": None}, requests("a", "é")),
        ({"input": "a", "dimensions": 256}, requests("a", outputDimensionality=256)),
    ],
)
def test_requests(parameters: dict[str, Any], expected: dict[str, Any]) -> None:
    made = read(**parameters)
    assert made.target == b"/models/gemini-embedding-001:batchEmbedContents"
    assert json.loads(made.body) == expected
    assert made.inputs == len(expected["requests"])


@pytest.mark.parametrize(("encoding", "as_base64"), [(None, False), ("float", False), ("base64", True)])
def test_encodings(encoding: str | None, as_base64: bool) -> None:
    assert read(input="a", encoding_format=encoding).as_base64 is as_base64


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": [[1, 2]]}, "input"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "dimensions": "many"}, "dimensions"),
        ({"input": "a", "made_up": 1}, "made_up"),
    ],
)
def test_refusals(parameters: dict[str, Any], param: str) -> None:
    with pytest.raises(GatewayError) as caught:
        read(**parameters)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_what_the_api_lacks_may_be_dropped() -> None:
    assert json.loads(read(drop=True, input="a", made_up=1).body) == requests("a")


def answer(*vectors: list[float], **members: Any) -> bytes:
    return json.dumps({"embeddings": [{"values": vector} for vector in vectors], **members}).encode()


def test_vectors() -> None:
    translator = EmbeddingsTranslator("m", 2, as_base64=False)
    made = json.loads(translator.whole(answer([0.1, -2], [3.5e-5, 4], usageMetadata={"promptTokenCount": 7})))
    assert made == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.1, -2]},
            {"object": "embedding", "index": 1, "embedding": [3.5e-5, 4]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_base64_is_little_endian_float32() -> None:
    made = json.loads(EmbeddingsTranslator("m", 1, as_base64=True).whole(answer([0.5, -1.0])))
    assert base64.b64decode(made["data"][0]["embedding"]) == struct.pack("<2f", 0.5, -1.0)
    assert made["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"embeddings": [{}]}',
        answer(),
        answer([1.0], [2.0]),
        answer([1e300]),
        b'{"embeddings": [[1]]}',
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(TranslationError):
        EmbeddingsTranslator("m", 1, as_base64=True).whole(body)


def test_embeddings_are_not_streamed() -> None:
    translator = EmbeddingsTranslator("m", 1, as_base64=False)
    with pytest.raises(TranslationError):
        translator.feed(b"data: {}\n\n")
    with pytest.raises(TranslationError):
        translator.end()


def test_errors() -> None:
    assert EmbeddingsTranslator("m", 1, as_base64=False).error(503, b"")[0] == 503
