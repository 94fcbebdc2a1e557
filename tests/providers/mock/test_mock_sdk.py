"""The official SDK, pointed at the mock: what it parses is what the API would have said."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import openai
import pytest

if TYPE_CHECKING:
    from tests.providers.mock.conftest import Listening

HI: Any = [{"role": "user", "content": "hi"}]
TOOLS: Any = [
    {"type": "function", "function": {"name": "weather", "parameters": {"properties": {"city": {}}}}}
]


@pytest.fixture
def client(listening: Listening) -> Iterator[openai.OpenAI]:
    listening.server.reply = "one two three"
    with openai.OpenAI(base_url=listening.base_url, api_key="sk-none", max_retries=0) as client:
        yield client


def test_chat(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="mock-gpt", messages=HI)
    assert completion.choices[0].message.content == "one two three"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 4
    assert completion._request_id == "req_mock_1"


def test_chat_streamed(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="mock-gpt", messages=HI, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "one two three"
    assert chunks[-1].usage is not None


def test_tools_streamed(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="mock-gpt", messages=HI, tools=TOOLS, tool_choice="required"
    ) as stream:
        completion = stream.get_final_completion()
    [call] = completion.choices[0].message.tool_calls or []
    assert (call.id, call.function.name) == ("call_mock_1", "weather")
    assert call.function.arguments == '{"city":{}}'
    assert completion.choices[0].finish_reason == "tool_calls"


def test_completion(client: openai.OpenAI) -> None:
    assert client.completions.create(model="mock-gpt", prompt="hi").choices[0].text == "one two three"


def test_embeddings(client: openai.OpenAI) -> None:
    packed = client.embeddings.create(model="mock-embedding", input=["a", "b"], dimensions=8)
    floats = client.embeddings.create(
        model="mock-embedding", input=["a", "b"], dimensions=8, encoding_format="float"
    )
    assert [item.embedding for item in packed.data] == [item.embedding for item in floats.data]


def test_response(client: openai.OpenAI) -> None:
    response = client.responses.create(model="mock-gpt", input="hi")
    assert (response.status, response.output_text) == ("completed", "one two three")
    assert response.usage is not None
    assert response.usage.output_tokens == 3


def test_response_streamed(client: openai.OpenAI) -> None:
    with client.responses.stream(model="mock-gpt", input="hi") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == final.output_text == "one two three"


def test_response_with_a_function_streamed(client: openai.OpenAI) -> None:
    tools: Any = [{"type": "function", "name": "weather", "parameters": {"properties": {"city": {}}}}]
    with client.responses.stream(model="mock-gpt", input="use a tool", tools=tools) as stream:
        final = stream.get_final_response()
    [call] = final.output
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("weather", '{"city":{}}')


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["mock-gpt", "mock-embedding"]
    assert client.models.retrieve("mock-gpt").owned_by == "mock"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nope")


def test_sound(client: openai.OpenAI, listening: Listening) -> None:
    listening.server.reply = None
    heard = client.audio.transcriptions.create(model="mock-gpt", file=("a.wav", io.BytesIO(b"\r\n" * 50)))
    assert heard.text == "Mock transcription of a.wav, 100 bytes."
    spoken = client.audio.speech.create(model="mock-gpt", voice="alloy", input="hi")
    assert spoken.response.headers["content-type"] == "audio/mpeg"
    assert len(spoken.content) == 4096


def test_pictures_moderation_and_files(client: openai.OpenAI) -> None:
    assert client.images.generate(prompt="a cat").data
    assert not client.moderations.create(input="hi").results[0].flagged
    uploaded = client.files.create(file=("a.jsonl", b"{}"), purpose="batch")
    assert (uploaded.filename, uploaded.bytes) == ("a.jsonl", 2)
    assert client.files.delete(uploaded.id).deleted
    assert [file.id for file in client.files.list()] == ["file-mock-0"]
    assert list(client.batches.list()) == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("400", openai.BadRequestError),
        ("401", openai.AuthenticationError),
        ("403", openai.PermissionDeniedError),
        ("404", openai.NotFoundError),
        ("429", openai.RateLimitError),
        ("503", openai.InternalServerError),
        ("reset", openai.APIConnectionError),
        ("garbage", openai.APIConnectionError),
    ],
)
def test_a_fault_raises_the_sdk_s_own_error(
    client: openai.OpenAI, fault: str, error: type[openai.APIError]
) -> None:
    with pytest.raises(error):
        client.chat.completions.create(model="mock-gpt", messages=HI, extra_headers={"x-mock-fault": fault})


@pytest.mark.parametrize("fault", ["error_event;after=1", "cut;after=1"])
def test_a_stream_that_breaks_raises_while_it_is_read(client: openai.OpenAI, fault: str) -> None:
    stream = client.chat.completions.create(
        model="mock-gpt", messages=HI, stream=True, extra_headers={"x-mock-fault": fault}
    )
    with pytest.raises(openai.APIError):
        list(stream)


def test_the_async_client(listening: Listening) -> None:
    listening.server.reply = "one two"

    async def converse() -> None:
        async with openai.AsyncOpenAI(
            base_url=listening.base_url, api_key="sk-none", max_retries=0
        ) as client:
            completion = await client.chat.completions.create(model="mock-gpt", messages=HI)
            assert completion.choices[0].message.content == "one two"
            stream = await client.chat.completions.create(model="mock-gpt", messages=HI, stream=True)
            texts = [chunk.choices[0].delta.content or "" async for chunk in stream]
            assert "".join(texts) == "one two"
            async with client.responses.stream(model="mock-gpt", input="hi") as responses:
                assert (await responses.get_final_response()).output_text == "one two"
            assert [model.id async for model in client.models.list()] == ["mock-gpt", "mock-embedding"]
            assert (await client.embeddings.create(model="m", input="a")).data[0].embedding
            async with client.audio.speech.with_streaming_response.create(
                model="m", voice="alloy", input="hi"
            ) as speech:
                assert len(await speech.read()) == 4096

    asyncio.run(converse())
