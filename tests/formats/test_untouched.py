"""What a provider's API is the client's own goes through untouched, byte for byte both ways."""

from __future__ import annotations

import pytest
from apis import MESSAGES, SPEECHES, TEXT, ask, id_of
from backends import ANTHROPIC, OPENAI, Backend
from doubles.running import over
from doubles.wire import WireDouble, stream, whole

# What no JSON writer would write: blanks, escapes, numbers, members that nobody knows, one of them twice.
BODY = (
    b'{ "model" : "claude-opus-4-8",\n\t"max_tokens":6.4e1, "tomorrow": {"a": [1.0, 1e400]}, "x":1, "x":2,'
    b' "messages":[{"role":"user","content":"\\u00fc\\/ \xc3\xbc"}]}\r\n'
)
ANSWER = b'{ "id":"msg_1","usage":{"input_tokens":1e0 }, "tomorrow" : "\\u0041" }\n'
NATIVE = [
    (ANTHROPIC, "/v1/messages"),
    (ANTHROPIC, "/v1/messages/count_tokens"),
    (ANTHROPIC, "/v1/messages/batches"),
    (OPENAI._replace(settings=f"{OPENAI.settings}, messages: native"), "/v1/messages"),
]

each = pytest.mark.parametrize(("backend", "path"), NATIVE, ids=id_of)


@each
def test_a_request_and_its_answer(backend: Backend, path: str) -> None:
    double = WireDouble(whole(200, ANSWER, "application/json", "request-id: req_1", "x-tomorrow: a"))
    with over(backend.config(), p=double) as gateway:
        fields = {"anthropic_version": "2023-06-01", "anthropic_beta": "a-2026-01-01,b", "x_app": "cli"}
        heard = ask(gateway, "POST", f"{path}?beta=true", BODY, **fields)
    head, _, body = double.requests[0].partition(b"\r\n\r\n")
    assert body == BODY
    assert head.startswith(f"POST {path}?beta=true HTTP/1.1\r\n".encode())
    assert {b"anthropic-version: 2023-06-01", b"anthropic-beta: a-2026-01-01,b", b"x-app: cli"} <= {
        *head.lower().split(b"\r\n")
    }
    assert head.lower().count(b"anthropic-version:") == 1
    assert (heard.status, heard.body) == (200, ANSWER)
    assert (heard.fields["request-id"], heard.fields["x-tomorrow"]) == ("req_1", "a")


@each
def test_a_stream(backend: Backend, path: str) -> None:
    written = (
        b": hello\r\n\r\nid: 7\n"
        + b"".join(SPEECHES["anthropic"](TEXT).events)
        + b"event: tomorrow\ndata:  7\n\n"
    )
    pieces = [written[start : start + 97] for start in range(0, len(written), 97)]
    with over(backend.config(), p=WireDouble(stream(pieces))) as gateway:
        heard = ask(gateway, "POST", path, BODY)
    assert (heard.is_whole, heard.body) == (True, written)


@each
@pytest.mark.parametrize("status", [400, 401, 413, 429, 500, 529])
def test_an_error(backend: Backend, path: str, status: int) -> None:
    error = b'{"type":"error", "error":{"type":"any_error","message":"no"},"request_id":"req_1"}'
    double = WireDouble(whole(status, error, "application/json", "retry-after: 7"))
    with over(backend.config(), p=double) as gateway:
        heard = ask(gateway, "POST", path, BODY)
    assert (heard.status, heard.body, heard.fields["retry-after"]) == (status, error, "7")


@pytest.mark.parametrize("then", ["close", "hang"])
def test_a_stream_that_breaks_ends_with_an_error_of_the_api(then: str) -> None:
    events = SPEECHES["anthropic"](TEXT).events[:5]
    double = WireDouble(stream(events, "close" if then == "close" else "hang"))
    with over(ANTHROPIC.config("timeouts: {idle: 60ms}"), p=double) as gateway:
        heard = ask(gateway, "POST", "/v1/messages", BODY)
    assert not heard.is_whole
    assert heard.body.startswith(b"".join(events))
    assert [error["type"] for error in MESSAGES.errors(heard)] == [
        "api_error" if then == "close" else "timeout_error"
    ]


def test_a_model_that_is_renamed_is_all_that_changes() -> None:
    double = WireDouble(whole(200, ANSWER))
    config = f"{ANTHROPIC.config()}models: {{claude: {{provider: p, model: claude-opus-4-8}}}}\n"
    with over(config, p=double) as gateway:
        heard = ask(gateway, "POST", "/v1/messages", b'{"model":"claude","n":12345678901234567890,"f":1.0}')
    assert heard.body == ANSWER
    assert b'"n":12345678901234567890,"f":1.0' in double.requests[0]
    assert b'"claude-opus-4-8"' in double.requests[0]
