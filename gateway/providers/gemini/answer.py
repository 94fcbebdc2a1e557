"""What Gemini's API answers, and what of it a chat completion has.

An event of its streams is a whole GenerateContentResponse too, so the same functions serve both.
Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from gateway.providers.reading import UNREADABLE, Json
from gateway.providers.translation import TranslationError

FINISH_REASONS: Final = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "ESCALATION": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
"""Any other reason (MALFORMED_FUNCTION_CALL, OTHER …) means that the answer did not come about."""


class Blob(msgspec.Struct, rename="camel"):
    """Media in base64."""

    mime_type: str = ""
    data: str = ""


class FunctionCall(msgspec.Struct):
    """A call that the model wants; `args` are an object, in the bytes that came."""

    name: str = ""
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw(b"{}")


class Part(msgspec.Struct, rename="camel"):
    """A piece of an answer: one of text, a call, media."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None


class Content(msgspec.Struct):
    """The pieces of an answer."""

    parts: list[Part] | None = None


class Token(msgspec.Struct, rename="camel"):
    """A token and its log probability."""

    token: str = ""
    log_probability: msgspec.Raw = msgspec.Raw(b"0.0")


class TopCandidates(msgspec.Struct):
    """The most likely tokens of one step."""

    candidates: list[Token] = []


class LogprobsResult(msgspec.Struct, rename="camel"):
    """For each step the token that was chosen, and the most likely ones."""

    chosen_candidates: list[Token] = []
    top_candidates: list[TopCandidates] = []


class Candidate(msgspec.Struct, rename="camel"):
    """One of the answers that were asked for; `index` is left out where it is 0."""

    index: int = 0
    content: Content | None = None
    finish_reason: str | None = None
    logprobs_result: LogprobsResult | None = None

    @property
    def parts(self) -> list[Part]:
        """The pieces of it; none where it was stopped before the first."""
        return [] if self.content is None else self.content.parts or []


class PromptFeedback(msgspec.Struct, rename="camel"):
    """Why there is no answer at all."""

    block_reason: str | None = None


class ModalityTokens(msgspec.Struct, rename="camel"):
    """Tokens of one kind: TEXT, IMAGE, AUDIO, VIDEO, DOCUMENT."""

    modality: str = ""
    token_count: int = 0


class UsageMetadata(msgspec.Struct, rename="camel"):
    """Tokens: the answers' are those of the candidates and of the thoughts."""

    prompt_token_count: int = 0
    tool_use_prompt_token_count: int = 0
    cached_content_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    prompt_tokens_details: list[ModalityTokens] = []
    candidates_tokens_details: list[ModalityTokens] = []


class Answer(msgspec.Struct, rename="camel"):
    """A GenerateContentResponse."""

    candidates: list[Candidate] = []
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None

    @property
    def outcome(self) -> list[Candidate]:
        """The candidates; for a prompt that was blocked, one without content that says so."""
        if not self.candidates and self.prompt_feedback is not None and self.prompt_feedback.block_reason:
            return [Candidate(finish_reason="PROHIBITED_CONTENT")]
        return self.candidates


_answer_of: Final = msgspec.json.Decoder(Answer).decode


def read(body: bytes) -> Answer:
    """Raises TranslationError for what is not an answer of the API."""
    try:
        str(body, "utf-8")  # msgspec looks only into the strings that it decodes
        return _answer_of(body)
    except UNREADABLE:
        raise TranslationError("its answer is not a GenerateContentResponse") from None


def finish_reason(reason: str, *, called: bool) -> str:
    """OpenAI's reason; `called`: the answer has calls. Raises TranslationError where there is no answer."""
    translated = FINISH_REASONS.get(reason)
    if translated is None:
        known = reason if reason.isidentifier() and reason.isascii() else "a reason that is not of its API"
        raise TranslationError(f"it gave up its answer: {known[:64]}")
    return "tool_calls" if called and translated == "stop" else translated


class Said(NamedTuple):
    """What some parts say: members of a message or of a delta, and the calls for its `tool_calls`."""

    members: Json
    calls: list[Json]


def said(parts: list[Part], answer_id: str, calls_before: int) -> Said:
    """What `parts` say, after `calls_before` calls.

    Media go into `images`, and thoughts into `reasoning_content`, as other gateways have it. A signature
    stands where Google's own compatible API puts it: with its call, else with the message.
    """
    members: Json = {}
    calls: list[Json] = []
    images: list[Json] = []
    for part in parts:
        signed: Json = {}
        if part.thought_signature:
            signed = {"extra_content": {"google": {"thought_signature": part.thought_signature}}}
        if part.function_call is not None:
            derived_id = f"call_{answer_id}_{calls_before + len(calls)}"
            calls.append(_call(part.function_call, derived_id) | signed)
            continue
        members |= signed
        if part.text:
            name = "reasoning_content" if part.thought else "content"
            members[name] = f"{members.get(name, '')}{part.text}"
        if part.inline_data is not None:
            url = f"data:{part.inline_data.mime_type};base64,{part.inline_data.data}"
            images.append({"type": "image_url", "image_url": {"url": url}})
    return Said(members | {"images": images} if images else members, calls)


def _call(call: FunctionCall, derived_id: str) -> Json:
    # A plain answer is indented: no token of it changes, but what stands between them is of no use here.
    arguments = str(msgspec.json.format(call.args, indent=-1), "utf-8")
    return {
        "id": call.id or derived_id,  # ids are optional there, and not here
        "type": "function",
        "function": {"name": call.name, "arguments": "{}" if arguments == "null" else arguments},
    }


def logprobs(result: LogprobsResult) -> Json:
    """The `logprobs` of a choice."""
    steps = [_token(token) for token in result.chosen_candidates]
    for step, top in zip(steps, result.top_candidates, strict=False):
        step["top_logprobs"] = [_token(token) for token in top.candidates]
    return {"content": [{"top_logprobs": [], **step} for step in steps], "refusal": None}


def _token(token: Token) -> Json:
    return {"token": token.token, "logprob": token.log_probability, "bytes": [*token.token.encode()]}


def usage(tokens: UsageMetadata) -> Json:
    """The `usage` of a chat completion: thoughts are counted as part of the completion."""
    prompt = tokens.prompt_token_count + tokens.tool_use_prompt_token_count
    completion = tokens.candidates_token_count + tokens.thoughts_token_count
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cached_content_token_count,
            "audio_tokens": _audio(tokens.prompt_tokens_details),
        },
        "completion_tokens_details": {
            "reasoning_tokens": tokens.thoughts_token_count,
            "audio_tokens": _audio(tokens.candidates_tokens_details),
        },
    }


def _audio(details: list[ModalityTokens]) -> int:
    return sum(detail.token_count for detail in details if detail.modality == "AUDIO")
