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

from gateway.errors import bad_request
from gateway.providers.anthropic.conversation import Conversation
from gateway.providers.anthropic.fields import (
    ANY,
    BOOL,
    COUNT,
    OBJECT,
    TEXT,
    TEXT_OR_TEXTS,
    Fields,
    Refusals,
    wrong,
)
from gateway.providers.anthropic.models import traits
from gateway.providers.anthropic.response import Translator
from gateway.providers.anthropic.thinking import read_sampling, read_thinking
from gateway.providers.anthropic.tools import read_tools
from gateway.providers.translation import Translation

TARGET: Final = b"/messages"

_NO_BEARING: Final = ("metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention")

# What the API lacks, and the values that do not ask for it.
_LACKING: Final[Mapping[str, tuple[str, tuple[object, ...]]]] = {
    "audio": ("has no audio", ()),
    "frequency_penalty": ("has no penalties", (0,)),
    "logit_bias": ("has no logit bias", ({},)),
    "logprobs": ("tells no log probabilities", (False,)),
    "modalities": ("answers in text alone", (["text"],)),
    "moderation": ("has no moderation", ()),
    "n": ("gives one choice", (1,)),
    "prediction": ("takes no predictions", ()),
    "presence_penalty": ("has no penalties", (0,)),
    "seed": ("has no seed", ()),
    "store": ("stores no completions", (False,)),
    "top_logprobs": ("tells no log probabilities", (0,)),
    "verbosity": ("has no verbosity", ("medium",)),
    "web_search_options": ("has no such options for a search", ()),
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
    try:
        body.decode()
    except UnicodeDecodeError:
        raise bad_request("The request body is not valid UTF-8.") from None
    request = Fields.read(body, "", Refusals(drop=drop_unsupported))
    request.ignore("model", *_NO_BEARING)
    stream = request.take("stream", BOOL) or False
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
    _refuse_lacking(request)
    request.close()
    translator = Translator(now, with_usage=with_usage, deprecated_functions=tools.deprecated)
    return Translation(TARGET, msgspec.json.encode(members), translator)


def _conversation(request: Fields) -> Conversation:
    conversation = Conversation()
    for message in request.objects("messages"):
        conversation.add(message)
    if not conversation.messages:
        raise wrong("messages", "needs a message with content of the role `user` or `assistant`")
    return conversation


def _wants_usage(request: Fields) -> bool:
    options = request.object("stream_options")
    if options is None:
        return False
    wants = options.take("include_usage", BOOL) or False
    options.ignore("include_obfuscation")
    options.close()
    return wants


def _max_tokens(request: Fields) -> int | None:
    limit = request.take("max_completion_tokens", COUNT)
    deprecated = request.take("max_tokens", COUNT)
    return limit or deprecated


def _stop_sequences(request: Fields) -> Mapping[str, object]:
    stop = request.take("stop", TEXT_OR_TEXTS)
    if not stop:
        return {}
    return {"stop_sequences": [stop] if isinstance(stop, str) else stop}


def _metadata(request: Fields) -> Mapping[str, object]:
    identifier = request.take("safety_identifier", TEXT)
    user = request.take("user", TEXT)
    user_id = identifier or user
    return {"metadata": {"user_id": user_id}} if user_id else {}


def _service_tier(request: Fields) -> Mapping[str, object]:
    tier = request.take("service_tier", TEXT)
    if tier is None:
        return {}
    if tier not in _TIERS:
        request.refusals.unsupported("service_tier", f"has no service tier like `{tier}`")
        return {}
    own = _TIERS[tier]
    return {} if own is None else {"service_tier": own}


def _format(request: Fields) -> Mapping[str, object]:
    """The members of `output_config` that `response_format` makes."""
    form = request.object("response_format")
    if form is None:
        return {}
    kind = form.need("type", TEXT)
    if kind == "json_schema":
        described = form.need_object("json_schema")
        schema: dict[str, object] = {**described.need("schema", OBJECT)}
        description = described.take("description", TEXT)
        if description:
            schema.setdefault("description", description)
        described.ignore("name", "strict")  # the name is a label; the API is always strict
        described.close()
        form.close()
        return {"format": {"type": "json_schema", "schema": schema}}
    if kind != "text":
        form.refusals.unsupported(form.at("type"), f"has no `{kind}`; it takes a `json_schema`")
    form.close()
    return {}


def _refuse_lacking(request: Fields) -> None:
    for name, (lacking, neutral) in _LACKING.items():
        value = request.take(name, ANY)
        if value is not None and value not in neutral:
            request.refusals.unsupported(name, lacking)
