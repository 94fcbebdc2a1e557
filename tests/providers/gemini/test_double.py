"""The double of Gemini's API, driven by Google's own SDK: it answers and refuses as the API does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from doubles.gemini import KEY, Answer, GeminiDouble, call, rate_limited, text, thought
from doubles.gemini_rules import SIGNATURE, ApiError
from google import genai
from google.genai import errors, types

T = TypeVar("T")
MODEL = "gemini-3.5-flash"


def with_sdk(ask: Callable[[GeminiDouble, Any], Awaitable[T]], key: str = KEY) -> T:
    async def run() -> T:
        async with GeminiDouble() as double:
            options = types.HttpOptions(base_url=double.url)
            async with genai.Client(api_key=key, http_options=options).aio as client:
                return await ask(double, client.models)

    return asyncio.run(run())


def refused(
    code: int, message: str, ask: Callable[[GeminiDouble, Any], Awaitable[Any]], key: str = KEY
) -> None:
    with pytest.raises(errors.APIError) as caught:
        with_sdk(ask, key)
    assert caught.value.code == code
    assert message in str(caught.value.message)


def test_plain_and_streamed() -> None:
    async def ask(double: GeminiDouble, models: Any) -> tuple[str, list[str], str]:
        double.script += [Answer([text("Hello.")]), Answer([thought("Hm."), text("Hello there.")])]
        plain = await models.generate_content(model=MODEL, contents="Hi")
        chunks = [one async for one in await models.generate_content_stream(model=MODEL, contents="Hi")]
        return plain.text, [one.text or "" for one in chunks], chunks[-1].candidates[0].finish_reason

    plain, pieces, reason = with_sdk(ask)
    assert (plain, "".join(pieces), reason) == ("Hello.", "Hello there.", "STOP")


def test_calls_and_their_results() -> None:
    async def ask(double: GeminiDouble, models: Any) -> tuple[Any, str]:
        double.script += [Answer([call("f", {"a": 1}, id_="1", signed=True)]), Answer([text("Done.")])]
        tool = types.Tool(function_declarations=[types.FunctionDeclaration(name="f")])
        config = types.GenerateContentConfig(tools=[tool])
        question = types.Content(role="user", parts=[types.Part(text="Hi")])
        first = await models.generate_content(model=MODEL, contents=[question], config=config)
        response = types.FunctionResponse(id="1", name="f", response={"output": "x"})
        result = types.Content(role="user", parts=[types.Part(function_response=response)])
        turns = [question, first.candidates[0].content, result]
        return first.function_calls[0].args, (
            await models.generate_content(model=MODEL, contents=turns, config=config)
        ).text

    assert with_sdk(ask) == ({"a": 1}, "Done.")


def test_embeddings() -> None:
    async def ask(_: GeminiDouble, models: Any) -> list[list[float]]:
        config = types.EmbedContentConfig(output_dimensionality=3)
        answer = await models.embed_content(model="gemini-embedding-001", contents=["a", "bc"], config=config)
        return [one.values for one in answer.embeddings]

    assert with_sdk(ask) == [[1, 0.5, -1], [2, 0.5, -1]]


def test_the_listing_of_models() -> None:
    async def ask(_: GeminiDouble, models: Any) -> list[str]:
        return [one.name async for one in await models.list()]

    assert f"models/{MODEL}" in with_sdk(ask)


def test_errors_of_the_script() -> None:
    async def ask(double: GeminiDouble, models: Any) -> None:
        double.script.append(rate_limited("37s"))
        await models.generate_content(model=MODEL, contents="Hi")

    refused(429, "Please retry in 37s", ask)


def test_an_error_within_a_stream() -> None:
    async def ask(double: GeminiDouble, models: Any) -> None:
        double.script.append(Answer([text("Hel")], fault=ApiError(503, "UNAVAILABLE", "Overloaded.")))
        async for _ in await models.generate_content_stream(model=MODEL, contents="Hi"):
            pass

    refused(503, "Overloaded.", ask)


def test_a_wrong_key() -> None:
    async def ask(_: GeminiDouble, models: Any) -> None:
        await models.generate_content(model=MODEL, contents="Hi")

    refused(400, "API key not valid", ask, key="AIza-another")


USER = {"role": "user", "parts": [{"text": "Hi"}]}
CALL = {"role": "model", "parts": [call("f", {}, id_="1", signed=True)]}
UNSIGNED = {"role": "model", "parts": [call("f", {}, id_="1")]}
RESULT = {"role": "user", "parts": [{"function_response": {"id": "1", "name": "f", "response": {}}}]}


@pytest.mark.parametrize(
    ("contents", "config", "message"),
    [
        ([{"role": "assistant", "parts": [{"text": "Hi"}]}], {}, "valid role"),
        ([{"role": "user", "parts": []}], {}, "parts must not be empty"),
        ([CALL, RESULT, CALL, CALL, RESULT], {}, "function call turn comes immediately after a user turn"),
        ([USER, CALL], {}, "followed by a function response turn"),
        ([USER, CALL, USER, RESULT], {}, "equal to the number of function call parts"),
        (
            [USER, CALL, {"role": "user", "parts": [*RESULT["parts"], *RESULT["parts"]]}],
            {},
            "equal to the number",
        ),
        ([USER, UNSIGNED, RESULT], {}, "missing a thought_signature"),
        ([USER], {"temperature": 3}, "temperature must be in the range"),
        ([USER], {"candidate_count": 9}, "candidateCount must be in the range"),
        ([USER], {"logprobs": 3}, "Logprobs is set"),
        ([USER], {"stop_sequences": list("abcdef")}, "at most 5"),
        ([USER], {"response_json_schema": {}}, "needs response_mime_type"),
        ([USER], {"thinking_config": {"thinking_budget": 1, "thinking_level": "LOW"}}, "only one of"),
        ([USER], {"tools": [{"function_declarations": [{"name": "1 f"}]}]}, "Invalid function name"),
        (
            [USER],
            {"tool_config": {"function_calling_config": {"mode": "AUTO", "allowed_function_names": ["f"]}}},
            "should only be set when",
        ),
        (
            [USER],
            {"tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}}},
            "should be a subset",
        ),
        ([USER], {"http_options": {"extra_body": {"made_up": 1}}}, 'Unknown name "made_up"'),
    ],
)
def test_what_the_api_refuses(contents: list[Any], config: dict[str, Any], message: str) -> None:
    async def ask(_: GeminiDouble, models: Any) -> None:
        await models.generate_content(model=MODEL, contents=contents, config=config)

    refused(400, message, ask)


@pytest.mark.parametrize(
    "contents",
    [[USER], [USER, CALL, RESULT], [USER, UNSIGNED, RESULT, USER], [USER, CALL, RESULT, CALL, RESULT, USER]],
)
def test_what_the_api_takes(contents: list[Any]) -> None:
    async def ask(_: GeminiDouble, models: Any) -> str:
        answer = await models.generate_content(model=MODEL, contents=contents)
        said: str = answer.text
        return said

    assert with_sdk(ask) == "nothing is scripted"


def test_a_model_that_it_does_not_have() -> None:
    async def ask(_: GeminiDouble, models: Any) -> None:
        await models.generate_content(model="gemini-0", contents="Hi")

    refused(404, "models/gemini-0 is not found", ask)


def test_the_signature_is_base64() -> None:
    assert types.Part.model_validate({"text": "x", "thought_signature": SIGNATURE}).thought_signature
