"""What users of a gateway see, by locust: whole answers, streams, and both at once.

    locust -f bench/locustfile.py --host http://127.0.0.1:4000 [PlainUser] [StreamedUser]

Each user sends its next request when it has the answer to the last one. Of a stream, locust's own line is
the time to its head, which the gateway holds until there is an event; the line `whole stream` is the time
to its end. An answer that is not what was asked for counts as a failure, whatever its status.

At the end it is logged how much of a core the generator itself has used: near 100 %, the rates are the
generator's own. `bench/users.py` starts all that is needed and runs this.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from locust import constant, events, task
from locust.contrib.fasthttp import FastHttpUser

PATH = "/v1/chat/completions"
QUESTION = {"role": "user", "content": "Why is the sky blue? " * 20}
END = b"data: [DONE]\n\n"

_began = [0.0, 0.0]  # process time and wall time at the start of the test


class PlainUser(FastHttpUser):
    """Asks for whole answers."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """One chat completion."""
        request = {"model": "gpt-4o", "messages": [QUESTION]}
        with self.client.post(PATH, json=request, name="plain", catch_response=True) as response:
            if response.ok and not (response.content or b"").rstrip().endswith(b"}"):
                response.failure("an answer that is not whole")


class StreamedUser(FastHttpUser):
    """Asks for streams, and reads them to their end."""

    wait_time = constant(0)

    @task
    def ask(self) -> None:
        """One streamed chat completion."""
        request = {"model": "gpt-4o", "messages": [QUESTION], "stream": True}
        began_s = time.perf_counter()
        response = self.client.post(PATH, json=request, name="stream's head", stream=True)
        if not response.ok:
            return  # has been counted
        text = b"".join(response.iter_content(65536, decode_content=False))  # type: ignore[no-untyped-call]
        self.environment.events.request.fire(
            request_type="SSE",
            name="whole stream",
            response_time=(time.perf_counter() - began_s) * 1000,
            response_length=len(text),
            context={},
            exception=None if text.endswith(END) else ValueError(f"a stream that ends with {text[-40:]!r}"),
        )


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _note_start(**_: Any) -> None:
    _began[:] = time.process_time(), time.monotonic()


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def _tell_own_cost(**_: Any) -> None:
    cpu_s, wall_s = time.process_time() - _began[0], time.monotonic() - _began[1]
    logging.getLogger(__name__).warning("the generator used %.3f of a core", cpu_s / wall_s)
