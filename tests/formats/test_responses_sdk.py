"""OpenAI's SDK on /v1/responses over providers that have chat completions or less: for stateless use."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pydantic
import pytest
from backends import ANTHROPIC, AZURE, GEMINI, OPENAI, Backend, Call
from doubles.running import over

Connect = Callable[..., openai.OpenAI]

TEXT = "Grüße, 世界: three words."
TOOLS: Any = [
    {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}, "strict": False}
    for name in ("weather", "clock")
]
CALLS = [Call("call_1", "weather", {"city": "Köln"}), Call("call_2", "clock", {})]
OVER_CHAT = [
    OPENAI._replace(settings=f"{OPENAI.settings}, responses: chat"),
    AZURE._replace(settings=f"{AZURE.settings}, responses: chat"),
    ANTHROPIC,
    GEMINI,
]

each = pytest.mark.parametrize("backend", OVER_CHAT, ids=lambda backend: backend.name)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


def said(resource: Any, stream: bool, **request: Any) -> Any:
    """The response that the SDK makes of an answer."""
    request = {"input": "Hi", **request}
    if not stream:
        return resource.create(**request)
    with resource.stream(**request) as events:
        return events.get_final_response()


@each
@both_ways
def test_an_answer(openai_sdk: Connect, backend: Backend, stream: bool) -> None:
    double = backend.make()
    double.script.append(backend.says(TEXT))
    with over(backend.config(), p=double) as gateway:
        responses = openai_sdk(gateway.url).responses
        response = said(responses, stream, model=backend.model, instructions="Be brief.", store=False)
    assert (response.object, response.status, response.output_text) == ("response", "completed", TEXT)
    assert (response.usage.input_tokens, response.usage.output_tokens) == backend.usage
    assert "Be brief." in json.dumps(backend.heard(double)[0])


@each
def test_events_come_in_the_order_of_the_api(openai_sdk: Connect, backend: Backend) -> None:
    double = backend.make()
    double.script.append(backend.says(TEXT))
    with over(backend.config(), p=double) as gateway:
        events: Any = list(
            openai_sdk(gateway.url).responses.create(model=backend.model, input="Hi", stream=True)
        )
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds.count("response.output_text.delta") > 2
    assert kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))


@each
@both_ways
def test_parallel_calls_and_their_results(openai_sdk: Connect, backend: Backend, stream: bool) -> None:
    double = backend.make()
    double.script += [backend.calls(CALLS), backend.says(TEXT)]
    with over(backend.config(), p=double) as gateway:
        responses = openai_sdk(gateway.url).responses
        first = said(responses, stream, model=backend.model, tools=TOOLS)
        calls = [item for item in first.output if item.type == "function_call"]
        made = [(call.name, json.loads(call.arguments)) for call in calls]
        assert made == [(call.name, call.arguments) for call in CALLS]
        results = [
            {"type": "function_call_output", "call_id": call.call_id, "output": call.name} for call in calls
        ]
        sent_back = [item.to_dict() for item in first.output]
        for item in sent_back:
            item.pop("parsed_arguments", None)  # of the SDK's own
        turns = [{"role": "user", "content": "Hi"}, *sent_back, *results]
        last = said(responses, stream, model=backend.model, tools=TOOLS, input=turns)
    assert (last.output_text, last.status) == (TEXT, "completed")


class Place(pydantic.BaseModel):
    """A shape for an answer."""

    city: str
    people: int


@each
def test_structured_output(openai_sdk: Connect, backend: Backend) -> None:
    double = backend.make()
    double.script.append(backend.says('{"city": "Köln", "people": 1087353}'))
    with over(backend.config(), p=double) as gateway:
        responses = openai_sdk(gateway.url).responses
        answer = responses.parse(model=backend.model, input="Hi", text_format=Place)
    assert answer.output_parsed == Place(city="Köln", people=1087353)


ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    429: openai.RateLimitError,
    503: openai.InternalServerError,
}


@each
@both_ways
@pytest.mark.parametrize("status", ERRORS)
def test_an_error_is_the_usual_one(openai_sdk: Connect, backend: Backend, status: int, stream: bool) -> None:
    double = backend.make()
    double.script.append(backend.fails(status))
    with over(backend.config(), p=double) as gateway, pytest.raises(ERRORS[status]) as raised:
        said(openai_sdk(gateway.url).responses, stream, model=backend.model)
    assert raised.value.status_code == status


@each
@pytest.mark.parametrize(
    ("name", "value"),
    [("previous_response_id", "resp_1"), ("conversation", "conv_1"), ("store", True), ("background", True)],
)
def test_what_needs_a_store_is_refused(openai_sdk: Connect, backend: Backend, name: str, value: Any) -> None:
    double = backend.make()
    with over(backend.config(), p=double) as gateway, pytest.raises(openai.BadRequestError) as raised:
        said(openai_sdk(gateway.url).responses, False, model=backend.model, **{name: value})
    assert (raised.value.param, raised.value.code) == (name, "unsupported_parameter")
    assert raised.value.response.headers["x-gateway-attempts"] == "0"
    assert not backend.heard(double)


@each
def test_a_stored_response_cannot_be_had(openai_sdk: Connect, backend: Backend) -> None:
    with over(backend.config(), p=backend.make()) as gateway, pytest.raises(openai.NotFoundError) as raised:
        openai_sdk(gateway.url).responses.retrieve("resp_1")
    assert raised.value.code == "unsupported_endpoint"
