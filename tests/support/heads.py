"""The head of a provider's response, as the gateway's own parser would make it."""

from __future__ import annotations

from gateway.upstream.response import ResponseHead


def head(status: int = 200, **fields: str) -> ResponseHead:
    """A head with these `fields`; underscores in their names stand for dashes."""
    made = ResponseHead()
    for name, value in fields.items():
        made.add_field(name.replace("_", "-").encode(), value.encode())
    made.complete(status, "1.1")
    return made
