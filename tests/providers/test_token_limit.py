"""The name that a limit of tokens has in chat completions, the same for every dialect.

OpenAI's models that think refuse `max_tokens` (https://platform.openai.com/docs/api-reference/chat/create),
and not every server that is compatible knows `max_completion_tokens`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gateway.providers.dialects import messages, responses


def of_messages(model: str) -> bytes:
    body = {"max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
    return messages.translate(json.dumps(body).encode(), model).body


def of_responses(model: str) -> bytes:
    return responses.translate(b'{"input": "Hi", "max_output_tokens": 100}', model, 0).body


@pytest.mark.parametrize("body_of", [of_messages, of_responses])
@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("o3", "max_completion_tokens"),
        ("gpt-5.2", "max_completion_tokens"),
        ("gpt-6-astra", "max_completion_tokens"),
        ("gpt-10", "max_completion_tokens"),
        ("openai/o4-mini", "max_completion_tokens"),
        ("codex-mini-latest", "max_completion_tokens"),
        ("gpt-4o", "max_tokens"),
        ("openai/gpt-oss-120b", "max_tokens"),
        ("olmo-3", "max_tokens"),
        ("gpt-35-turbo", "max_tokens"),
        ("mistral-large-latest", "max_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_model_knows(
    body_of: Callable[[str], bytes], model: str, name: str
) -> None:
    hello = [{"role": "user", "content": "Hi"}]
    assert json.loads(body_of(model)) == {"model": model, "messages": hello, name: 100}
