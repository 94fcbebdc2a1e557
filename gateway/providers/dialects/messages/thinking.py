"""Thoughts over turns: what a provider tells of them becomes blocks, and goes back to the same model alone.

Chat completions has no member for thoughts of its own. Providers tell them as `reasoning_content` (DeepSeek,
SGLang), `reasoning` (vLLM, Groq, Ollama, OpenRouter) or, with signatures, as `thinking_blocks` (LiteLLM);
Google signs texts and calls in `extra_content`. Each refuses or forgets the others' members, and most
models that think while they call tools need their own back. So a block's signature, which clients return as
it was, says which model thought it and by which member it came. Thoughts that another model had, or that
Anthropic's API signed, are left out of a request: they prove nothing to this one, and Anthropic's API
likewise passes over those of earlier turns
(https://platform.claude.com/docs/en/build-with-claude/extended-thinking#preserving-thinking-blocks).
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Final, NamedTuple

import msgspec

from gateway.providers.dialects.completion import THOUGHT_MEMBERS, ChatMessage, ThinkingBlock
from gateway.providers.reading import UNREADABLE, Json, Members

_BLOCKS: Final = "thinking_blocks"
_EXTRA: Final = "extra_content"
_MEMBERS: Final = (*THOUGHT_MEMBERS, _BLOCKS, _EXTRA)


class Thought(NamedTuple):
    """A piece of thinking; `signed` is the provider's signature, if told, `place` the index of its block."""

    member: str
    text: str
    signed: str = ""
    place: int | None = None


class Hidden(NamedTuple):
    """What the client shall keep but cannot read."""

    member: str
    data: str


class _Extra(msgspec.Struct):
    call: str
    extra_content: msgspec.Raw


_decode_extra: Final = msgspec.json.Decoder(_Extra).decode


class Seal:
    """Marks what `model` thought, and knows it again."""

    def __init__(self, model: str) -> None:
        # A digest has no separators in it, as names of models do.
        self._mark = f"gateway:{blake2s(model.encode(), digest_size=8).hexdigest()}:"

    def close(self, member: str, signed: str) -> str:
        """The signature, or the data, of a block for what came by `member`."""
        return f"{self._mark}{member}:{signed}"

    def open(self, signature: str) -> tuple[str, str] | None:
        """The member and what was signed; None where it is another model's."""
        if not signature.startswith(self._mark):
            return None
        member, _, signed = signature.removeprefix(self._mark).partition(":")
        return (member, signed) if member in _MEMBERS else None


def thoughts_of(message: ChatMessage) -> list[Thought | Hidden]:
    """The thoughts in a message or in a delta; those with signatures where the same are told twice."""
    if message.thinking_blocks:
        return [_thought(block) for block in message.thinking_blocks]
    for member in THOUGHT_MEMBERS:
        text: str | None = getattr(message, member)
        if text:
            return [Thought(member, text)]
    return []


def extra(call: str, extra_content: msgspec.Raw) -> Hidden:
    """What a provider wants back with the call of that id, or, where it is empty, with the message."""
    return Hidden(_EXTRA, msgspec.json.encode(_Extra(call, extra_content)).decode())


class Recollection:
    """Collects the thoughts of one assistant message for the provider that they came from.

    `members` are those of the message, `extras` the `extra_content` of calls by their ids.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self.members: Json = {}
        self.extras: dict[str, msgspec.Raw] = {}
        self._texts: dict[str, list[str]] = {}
        self._blocks: list[Json] = []

    def thinking(self, block: Members) -> None:
        """Takes a block `thinking`. Raises GatewayError (400)."""
        text = block.need("thinking", str)
        opened = self._seal.open(block.take("signature", str) or "")
        if opened is None:
            return
        member, signed = opened
        if member == _BLOCKS:
            self._block({"type": "thinking", "thinking": text, "signature": signed})
        elif text:
            self._texts.setdefault(member, []).append(text)
            self.members[member] = "".join(self._texts[member])

    def redacted(self, block: Members) -> None:
        """Takes a block `redacted_thinking`. Raises GatewayError (400)."""
        opened = self._seal.open(block.need("data", str))
        if opened is None:
            return
        member, signed = opened
        if member == _BLOCKS:
            self._block({"type": "redacted_thinking", "data": signed})
        elif member == _EXTRA:
            try:
                kept = _decode_extra(signed)
            except UNREADABLE:
                raise block.wrong("data", "must be as it was received") from None
            if kept.call:
                self.extras[kept.call] = kept.extra_content
            else:
                self.members[_EXTRA] = kept.extra_content

    def _block(self, block: Json) -> None:
        self._blocks.append(block)
        self.members[_BLOCKS] = self._blocks


def _thought(block: ThinkingBlock) -> Thought | Hidden:
    if block.type == "redacted_thinking":
        return Hidden(_BLOCKS, block.data or "")
    return Thought(_BLOCKS, block.thinking or "", block.signature or "", block.index)
