"""A chat completions request as a `generateContent` request of Gemini's API.

| parameter | becomes |
|---|---|
| `messages` | `systemInstruction`, `contents` (messages.py) |
| `tools`, `tool_choice` | `tools`, `toolConfig` (tools.py) |
| `max_completion_tokens`, `max_tokens` | `maxOutputTokens` |
| `temperature`, `top_p`, `top_k`, `seed` | `temperature`, `topP`, `topK`, `seed` |
| `presence_penalty`, `frequency_penalty` | the same, unless they are 0: not every model takes them |
| `n`, `stop` | `candidateCount`, `stopSequences` |
| `logprobs`, `top_logprobs` | `responseLogprobs`, `logprobs` |
| `modalities` | `responseModalities`, where it is more than text |
| `response_format` | `responseMimeType`, `responseJsonSchema`; the description goes into the schema |
| `reasoning_effort` | `thinkingConfig` (thinking.py) |
| `service_tier` | `serviceTier`: `default` is `standard`; `flex` and `priority` are the same |
| `stream`, `stream_options` | the method; whether the usage is told at the end |
| `extra_body.google` | what it has of `thinking_config`, `cached_content`, `safety_settings` |

Nothing becomes of `user`, `safety_identifier`, `metadata`, `prompt_cache_key` and `prompt_cache_retention`,
which do not bear on the answer, and of the values in `_DEFAULTS`. Everything else is a 400, or left out with
`drop_unsupported`. In `extra_body.google` Google's own OpenAI-compatible API has what OpenAI's lacks.

Source: https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/openai,
https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from gateway.providers.gemini import messages, models, thinking, tools
from gateway.providers.reading import Json, Members

_NUMBERS: Final[dict[str, tuple[str, type[int] | type[float]]]] = {
    "temperature": ("temperature", float),
    "top_p": ("topP", float),
    "top_k": ("topK", int),
    "seed": ("seed", int),
}
_UNLESS_ZERO: Final[dict[str, tuple[str, type[int] | type[float]]]] = {
    "presence_penalty": ("presencePenalty", float),
    "frequency_penalty": ("frequencyPenalty", float),
    "top_logprobs": ("logprobs", int),
}
_TEXTS: Final = "must be a string or an array of strings"
_SERVICE_TIERS: Final = {"default": "standard", "flex": "flex", "priority": "priority"}
_GOOGLE: Final = {"cached_content": "cachedContent", "safety_settings": "safetySettings"}
_NO_BEARING: Final = ("user", "safety_identifier", "metadata", "prompt_cache_key", "prompt_cache_retention")
_DEFAULTS: Final[dict[str, object]] = {
    "store": False,
    "parallel_tool_calls": True,
    "verbosity": "medium",
    "logit_bias": {},
}
_LACKS: Final = {
    "store": "its API keeps no completions",
    "parallel_tool_calls": "its API cannot be kept from parallel calls",
    "verbosity": "its API has no verbosity",
    "logit_bias": "its API has no bias of tokens",
    "audio": "its API has no audio output of this kind",
    "prediction": "its API has no predicted outputs",
    "web_search_options": "its API has no search options of this kind",
    "functions": "it is the deprecated form of `tools`; send those",
    "function_call": "it is the deprecated form of `tool_choice`; send that",
}


class ChatRequest(NamedTuple):
    """The request as Gemini has it, and what its answer depends on."""

    target: bytes
    body: bytes
    streamed: bool
    usage_asked: bool


def read(body: bytes, model: str, *, drop: bool) -> ChatRequest:
    """The request for `model`, the provider's own name of it; `drop` leaves out what the API lacks.

    Raises GatewayError (400) that names the parameter.
    """
    request = Members.of_request(body, drop=drop)
    request.ignore("model", *_NO_BEARING)
    generation = models.generation(model)
    streamed = request.take("stream", bool) or False
    options = request.child("stream_options")
    usage_asked = options is not None and bool(options.take("include_usage", bool))
    made = _conversation(request, generation)
    made |= _tools(request)
    config = _sampling(request) | _modalities(request) | _format(request)
    google = _google(request)
    thought = thinking.read(request, google, model)
    if thought is not None:
        config["thinkingConfig"] = thought
    made |= _of_google(google)
    if config:
        made["generationConfig"] = config
    tier = _tier(request)
    if tier is not None:
        made["serviceTier"] = tier
    if "tools" not in made:
        request.ignore("parallel_tool_calls")
    request.finish(_LACKS, _DEFAULTS)
    method = "streamGenerateContent?alt=sse" if streamed else "generateContent"
    return ChatRequest(models.path(model, method), msgspec.json.encode(made), streamed, usage_asked)


def _conversation(request: Members, generation: int) -> Json:
    chat = messages.read(request.children("messages"), generation)
    if not chat.contents:
        raise request.wrong("messages", "must have one that is not a system or developer message")
    made: Json = {"contents": chat.contents}
    if chat.system:
        made["systemInstruction"] = {"parts": chat.system}
    return made


def _tools(request: Members) -> Json:
    declared = tools.read(request)
    config = tools.choice(request, strict=declared.strict)
    made: Json = {}
    if declared.declarations:
        made["tools"] = [{"functionDeclarations": declared.declarations}]
    if config is not None:
        made["toolConfig"] = {"functionCallingConfig": config}
    return made


def _sampling(request: Members) -> Json:
    config: Json = {}
    for name, (field, kind) in _NUMBERS.items():
        number = request.number(name, kind)
        if number is not None:
            config[field] = number
    for name, (field, kind) in _UNLESS_ZERO.items():
        number = request.number(name, kind)
        if number is not None and float(number) != 0:
            config[field] = number
    for name in ("max_tokens", "max_completion_tokens"):
        limit = request.number(name, int)
        if limit is not None:
            config["maxOutputTokens"] = limit
    count = request.take("n", int)
    if count is not None and count != 1:
        config["candidateCount"] = count
    stop = request.texts("stop", _TEXTS)
    if stop:
        config["stopSequences"] = stop
    if request.take("logprobs", bool):
        config["responseLogprobs"] = True
    return config


def _modalities(request: Members) -> Json:
    wanted = request.texts("modalities", _TEXTS)
    if not {"text", "image"}.issuperset(wanted):
        request.unsupported("modalities", "its API answers chats in text and images only")
        return {}
    return {"responseModalities": [one.upper() for one in wanted]} if "image" in wanted else {}


def _format(request: Members) -> Json:
    wanted = request.child("response_format")
    if wanted is None:
        return {}
    kind = wanted.need("type", str)
    config: Json = {} if kind == "text" else {"responseMimeType": "application/json"}
    if kind == "json_schema":
        described = wanted.need_child("json_schema", '{"name": "answer", "schema": {"type": "object"}}')
        schema = described.take("schema", dict[str, msgspec.Raw])
        description = described.take("description", str)
        described.ignore("name", "strict")  # a label; the API always keeps to the schema
        described.finish()
        if schema is not None:
            config["responseJsonSchema"] = {"description": description, **schema} if description else schema
    elif kind not in ("text", "json_object"):
        raise wanted.wrong("type", "must be one of text, json_object, json_schema")
    wanted.finish()
    return config


def _google(request: Members) -> Members | None:
    extra = request.child("extra_body")
    if extra is None:
        return None
    google = extra.child("google")
    extra.finish()
    return google


def _of_google(google: Members | None) -> Json:
    made: Json = {}
    if google is not None:
        for name, field in _GOOGLE.items():
            value = google.raw(name)
            if value is not None:
                made[field] = value
        google.finish()
    return made


def _tier(request: Members) -> str | None:
    tier = request.take("service_tier", str) or "auto"
    if tier not in _SERVICE_TIERS and tier != "auto":
        request.unsupported("service_tier", f"its API has the tiers {', '.join(_SERVICE_TIERS)}")
    return _SERVICE_TIERS.get(tier)
