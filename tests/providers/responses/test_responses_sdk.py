"""The OpenAI SDK as the client: plain, streamed, tools, structured output; the mock's chat as provider."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from gateway.providers.mock import chat, responses
from gateway.providers.mock.answer import Call

if TYPE_CHECKING:
    from tests.providers.responses.conftest import Wire

FUNCTION: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def mock_chat(body: bytes) -> tuple[int, bytes]:
    answer = chat.chat_completion(Call("POST", "/v1/chat/completions", body, reply="one two three"))
    return answer.status, answer.body


@pytest.fixture(autouse=True)
def mocked(wire: Wire) -> None:
    wire.provider = mock_chat


def replies(*messages: dict[str, Any], reason: str = "stop") -> Any:
    """A provider that says these messages, one for each request."""
    left = list(messages)

    def provider(body: bytes) -> tuple[int, bytes]:
        choice = {"index": 0, "message": {"role": "assistant", **left.pop(0)}, "finish_reason": reason}
        return 200, json.dumps({"id": "chatcmpl-1", "choices": [choice]}).encode()

    return provider


def test_create(client: openai.OpenAI) -> None:
    response = client.responses.create(model="m", input="hi", instructions="be kind", metadata={"a": "b"})
    Response.model_validate(response.to_dict(), strict=True)
    assert (response.status, response.output_text) == ("completed", "one two three")
    assert (response.metadata, response.instructions) == ({"a": "b"}, "be kind")
    assert response.usage is not None
    assert response.usage.output_tokens == 3
    assert response.to_dict()["store"] is False


def test_create_incomplete(client: openai.OpenAI) -> None:
    response = client.responses.create(model="m", input="hi", max_output_tokens=2)
    assert (response.status, response.output_text) == ("incomplete", "one two")
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


def test_create_streamed(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="m", input="hi", stream=True))
    for event in events:
        type(event).model_validate(event.to_dict(), strict=True)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage is not None


def test_stream_helper(client: openai.OpenAI) -> None:
    with client.responses.stream(model="m", input="hi") as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()
    assert snapshots == ["one", "one two", "one two three"]
    assert response.output_text == "one two three"


def test_stream_helper_with_tools(client: openai.OpenAI) -> None:
    with client.responses.stream(model="m", input="hi", tools=[FUNCTION], tool_choice="required") as stream:
        deltas = [e.delta for e in stream if e.type == "response.function_call_arguments.delta"]
        [call] = stream.get_final_response().output
    assert call.type == "function_call"
    assert (call.name, call.call_id) == ("weather", "call_mock_1")
    assert call.arguments == "".join(deltas) == '{"city":"mock"}'


def test_an_agents_turns(client: openai.OpenAI, wire: Wire) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    wire.provider = replies(
        {"content": None, "reasoning_content": "Rome?", "tool_calls": [call]}, {"content": "Sunny."}
    )
    conversation: Any = [{"role": "user", "content": "weather in Rome?"}]
    first = client.responses.create(model="m", input=conversation, tools=[FUNCTION])
    conversation += [item.to_dict() for item in first.output]
    conversation += [{"type": "function_call_output", "call_id": "c1", "output": "sunny"}]
    second = client.responses.create(model="m", input=conversation, tools=[FUNCTION])
    assert second.output_text == "Sunny."
    assert wire.sent["messages"] == [
        {"role": "user", "content": "weather in Rome?"},
        {"role": "assistant", "content": None, "reasoning_content": "Rome?", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]


class Event(BaseModel):
    name: str
    day: int


def test_parse(client: openai.OpenAI, wire: Wire) -> None:
    wire.provider = replies({"content": '{"name":"fair","day":3}'})
    response = client.responses.parse(model="m", input="hi", text_format=Event)
    assert response.output_parsed == Event(name="fair", day=3)
    described = wire.sent["response_format"]["json_schema"]
    assert (described["name"], described["strict"]) == ("Event", True)
    assert set(described["schema"]["properties"]) == {"name", "day"}


def test_parse_a_refusal(client: openai.OpenAI, wire: Wire) -> None:
    wire.provider = replies({"content": None, "refusal": "no"})
    response = client.responses.parse(model="m", input="hi", text_format=Event)
    assert response.output_parsed is None
    [message] = response.output
    assert message.type == "message"
    assert message.content[0].type == "refusal"


def test_errors_of_the_provider_raise_their_class(client: openai.OpenAI, wire: Wire) -> None:
    body = b'{"error": {"message": "slow down", "type": "rate_limit_error", "param": null, "code": "x"}}'
    wire.provider = lambda _: (429, body)
    with pytest.raises(openai.RateLimitError, match="slow down") as raised:
        client.responses.create(model="m", input="hi")
    assert raised.value.code == "x"


def test_what_is_refused_raises(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="nothing is stored") as raised:
        client.responses.create(model="m", input="hi", previous_response_id="resp_1")
    assert (raised.value.param, raised.value.code) == ("previous_response_id", "unsupported_parameter")


def test_unsupported_tools_are_dropped_where_that_is_set(client: openai.OpenAI, wire: Wire) -> None:
    wire.drop_unsupported = True
    response = client.responses.create(model="m", input="hi", tools=[{"type": "web_search"}])
    assert response.tools == []
    assert "tools" not in wire.sent


@pytest.mark.parametrize("tools", [[], [FUNCTION]], ids=["text", "call"])
def test_the_events_are_those_of_the_api_itself(client: openai.OpenAI, wire: Wire, tools: Any) -> None:
    choice = "required" if tools else "none"
    events = [
        (event.type, sorted(event.to_dict()))
        for event in client.responses.create(
            model="m", input="hi", stream=True, tools=tools, tool_choice=choice
        )
    ]
    body = json.dumps(wire.asked).encode()
    native = responses.response(Call("POST", "/v1/responses", body, reply="one two three")).body
    blocks = [json.loads(block.partition("data: ")[2]) for block in native.decode().split("\n\n")[:-1]]
    assert events == [(event["type"], sorted(event)) for event in blocks]
