"""A request for a chat completion as one to the Messages API.

Besides messages (conversation.py), tools (tools.py), thinking and sampling (thinking.py):

| parameter | becomes |
|---|---|
| `max_completion_tokens`, `max_tokens` | `max_tokens`, which must be there: by default the model's limit |
| `stop` | `stop_sequences` |
| `stream`, `stream_options.include_usage` | `stream`; usage is told at the end where asked for |
| `safety_identifier`, `user` | `metadata.user_id` |
| `response_format` `json_schema` | `output_config.format`; its `description` goes into the schema |
| `response_format` `json_object` | not supported: the API wants a schema |
| `service_tier` | `default`: `standard_only`; `auto`, `priority`: the API's own way; others not supported |
| `metadata`, `prompt_cache_key` … `prompt_cache_options` | nothing: they do not bear on the answer |
| `n`, `logprobs`, `store`, `seed`, penalties … | not supported, but for the values that ask for nothing |
| unknown ones | not supported |

What is not supported is refused, or left out with `drop_unsupported`.

https://platform.openai.com/docs/api-reference/chat/create
https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.providers.anthropic.conversation import Conversation
from gateway.providers.anthropic.models import traits
from gateway.providers.anthropic.response import Translator
from gateway.providers.anthropic.thinking import read_sampling, read_thinking
from gateway.providers.anthropic.tools import read_tools
from gateway.providers.reading import Members
from gateway.providers.translation import Translation

TARGET: Final = b"/messages"

_NO_BEARING: Final = ("metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention")

_LACKS: Final[Mapping[str, str]] = {
    "audio": "its API has no audio",
    "frequency_penalty": "its API has no penalties",
    "logit_bias": "its API has no logit bias",
    "logprobs": "its API tells no log probabilities",
    "modalities": "its API answers in text alone",
    "moderation": "its API has no moderation",
    "n": "its API gives one choice",
    "prediction": "its API takes no predictions",
    "presence_penalty": "its API has no penalties",
    "seed": "its API has no seed",
    "store": "its API stores no completions",
    "top_logprobs": "its API tells no log probabilities",
    "verbosity": "its API has no verbosity",
    "web_search_options": "its API has no such options for a search",
}
_DEFAULTS: Final[Mapping[str, object]] = {
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "n": 1,
    "presence_penalty": 0,
    "store": False,
    "top_logprobs": 0,
    "verbosity": "medium",
}
_TIERS: Final[Mapping[str, str | None]] = {"auto": None, "priority": None, "default": "standard_only"}


def translate(body: bytes, model: str, *, now: int, drop_unsupported: bool = False) -> Translation:
    """The request to the Messages API for the chat completion that `body` asks for.

    Args:
        body: what the client sent.
        model: the name that the provider knows.
        now: seconds since the epoch, for `created` in the answer.
        drop_unsupported: leave out parameters that the API does not have.

    Raises:
        GatewayError: 400, for a body that is not a request, or one that the API cannot express.
    """
    request = Members.of_request(body, drop=drop_unsupported)
    request.ignore("model", *_NO_BEARING)
    stream = request.take("stream", bool) or False
    with_usage = _wants_usage(request)
    conversation = _conversation(request)
    of_model = traits(model)
    max_tokens = _max_tokens(request) or of_model.max_output
    tools = read_tools(request, of_model)
    thinking = read_thinking(request, of_model, max_tokens, forced=tools.forced)
    output_config = {**thinking.output_config, **_format(request)}
    members = {
        "model": model,
        "max_tokens": max_tokens,
        **({"system": conversation.system} if conversation.system else {}),
        "messages": conversation.messages,
        **tools.members,
        **thinking.members,
        **({"output_config": output_config} if output_config else {}),
        **read_sampling(request, of_model, thinks=thinking.on),
        **_stop_sequences(request),
        **_metadata(request),
        **_service_tier(request),
        **({"stream": True} if stream else {}),
    }
    request.finish(_LACKS, _DEFAULTS)
    translator = Translator(now, with_usage=with_usage, deprecated_functions=tools.deprecated)
    return Translation(TARGET, msgspec.json.encode(members), translator)


def _conversation(request: Members) -> Conversation:
    conversation = Conversation()
    for message in request.children("messages"):
        conversation.add(message)
    if not conversation.messages:
        raise request.wrong("messages", "needs a message with content of the role `user` or `assistant`")
    return conversation


def _wants_usage(request: Members) -> bool:
    options = request.child("stream_options")
    if options is None:
        return False
    wants = options.take("include_usage", bool) or False
    options.ignore("include_obfuscation")
    options.finish()
    return wants


def _max_tokens(request: Members) -> int | None:
    limit = request.count("max_completion_tokens")
    deprecated = request.count("max_tokens")
    return limit or deprecated


def _stop_sequences(request: Members) -> Mapping[str, object]:
    stop = request.texts("stop")
    return {} if stop in ([], [""]) else {"stop_sequences": stop}


def _metadata(request: Members) -> Mapping[str, object]:
    identifier = request.take("safety_identifier", str)
    user = request.take("user", str)
    user_id = identifier or user
    return {"metadata": {"user_id": user_id}} if user_id else {}


def _service_tier(request: Members) -> Mapping[str, object]:
    tier = request.take("service_tier", str)
    if tier is None:
        return {}
    if tier not in _TIERS:
        request.unsupported("service_tier", f"its API has no service tier like `{tier}`")
        return {}
    own = _TIERS[tier]
    return {} if own is None else {"service_tier": own}


def _format(request: Members) -> Mapping[str, object]:
    """The members of `output_config` that `response_format` makes."""
    form = request.child("response_format")
    if form is None:
        return {}
    kind = form.need("type", str)
    if kind == "json_schema":
        described = form.need_child("json_schema")
        schema: dict[str, object] = {**described.need("schema", dict[str, msgspec.Raw])}
        description = described.take("description", str)
        if description:
            schema.setdefault("description", description)
        described.ignore("name", "strict")  # the name is a label; the API is always strict
        described.finish()
        form.finish()
        return {"format": {"type": "json_schema", "schema": schema}}
    if kind != "text":
        form.unsupported("type", f"its API has no `{kind}`; it takes a `json_schema`")
    form.finish()
    return {}
