"""What a provider wants back with the next turn, carried by a reasoning item from one request to the next.

Chat completions has no member for reasoning of its own. Providers tell it as `reasoning_content` (DeepSeek,
SGLang), `reasoning` (vLLM, Groq, Ollama, OpenRouter) or, signed, as `thinking_blocks` (Anthropic's, as
LiteLLM has them); Google signs calls of tools in their `extra_content`. Each refuses or forgets the others'
members. So each reasoning item that is made here says in its `encrypted_content`, which clients without
stored responses send back as it came, which model it is from and what is to go back. It is not encrypted.

https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items
"""

from __future__ import annotations

import base64
from hashlib import blake2s

import msgspec

from gateway.providers.dialects.completion import THOUGHT_MEMBERS, ThinkingBlock


class Continuation(msgspec.Struct, omit_defaults=True):
    """What goes back: the text as `member`, or `blocks` instead; `extras` with the calls of these ids."""

    member: str = THOUGHT_MEMBERS[0]
    blocks: list[ThinkingBlock] = msgspec.field(default_factory=list)
    extras: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)

    def add(self, pieces: list[ThinkingBlock]) -> None:
        """Take up blocks, or pieces of one."""
        for piece in pieces:
            if self.blocks and _takes(self.blocks[-1], piece):
                _extend(self.blocks[-1], piece)
            else:
                self.blocks.append(piece)


class Seal:
    """Marks what is from `model`, and knows it again."""

    def __init__(self, model: str) -> None:
        self._mark = f"gateway.{blake2s(model.encode(), digest_size=8).hexdigest()}."

    def close(self, continuation: Continuation) -> str:
        """`continuation` as the `encrypted_content` of a reasoning item."""
        for block in continuation.blocks:
            block.index = None
        return self._mark + base64.urlsafe_b64encode(msgspec.json.encode(continuation)).decode()

    def open(self, content: str) -> Continuation | None:
        """What is in `content`; None where it is from another model, or from elsewhere."""
        if not content.startswith(self._mark):
            return None
        try:
            packed = base64.urlsafe_b64decode(content.removeprefix(self._mark)).decode()
            continuation = msgspec.json.decode(packed, type=Continuation)
        except ValueError:  # of any of the three codecs
            return None
        return continuation if continuation.member in THOUGHT_MEMBERS else None


def _takes(block: ThinkingBlock, piece: ThinkingBlock) -> bool:
    """Whether `piece` is one of `block`: it has its index or, without any, the block is not signed yet."""
    if block.index is not None or piece.index is not None:
        return block.index == piece.index
    return block.type == piece.type == "thinking" and not block.signature


def _extend(block: ThinkingBlock, piece: ThinkingBlock) -> None:
    for name in ("thinking", "signature", "data"):
        more = getattr(piece, name)
        if more is not None:
            setattr(block, name, (getattr(block, name) or "") + more)
