"""The shortest proof that the parts fit together; the other tests here are about single rules."""

from __future__ import annotations

import openai
from harness import running

from gateway.providers.mock import MockServer

CONFIG = """
providers:
  a:
    format: openai
    base_url: "{a}"
    max_retries: 2
    retry: {base_delay: 10ms}
    fallback_provider: b
  b: {format: openai, base_url: "{b}"}
"""


def test_sdk_does_not_notice_a_provider_that_fails_twice() -> None:
    with running(CONFIG, a=MockServer("a", faults=["503", "503"]), b=MockServer("b")) as gateway:
        client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0)
        answer = client.chat.completions.with_raw_response.create(
            model="any", messages=[{"role": "user", "content": "hello"}]
        )
    assert answer.headers["x-gateway-provider"] == "a"
    assert answer.headers["x-gateway-attempts"] == "3"
    assert "hello" in (answer.parse().choices[0].message.content or "")
