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
from typing import Any, Final

import msgspec

Json = dict[str, Any]

TEXT_MEMBERS: Final = ("reasoning_content", "reasoning")


class Block(msgspec.Struct, omit_defaults=True):
    """A thought with its signature, or `data` that hides one; in a stream, a piece of it."""

    type: str = ""
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    index: int | None = None
    """Tells whose a piece is; some servers have none."""

    def takes(self, piece: Block) -> bool:
        """`piece` belongs to this block: it has its index, or the block is not signed yet."""
        if self.index is not None or piece.index is not None:
            return self.index == piece.index
        return self.type == piece.type == "thinking" and not self.signature

    def add(self, piece: Block) -> None:
        for name in ("thinking", "signature", "data"):
            more = getattr(piece, name)
            if more is not None:
                setattr(self, name, (getattr(self, name) or "") + more)


class Continuation(msgspec.Struct, omit_defaults=True):
    """What goes back: the text as `member`, or `blocks` instead; `extras` with the calls of these ids."""

    member: str = TEXT_MEMBERS[0]
    blocks: list[Block] = msgspec.field(default_factory=list)
    extras: dict[str, Json] = msgspec.field(default_factory=dict)

    def add(self, pieces: list[Block]) -> None:
        """Take up blocks, or pieces of one."""
        for piece in pieces:
            if self.blocks and self.blocks[-1].takes(piece):
                self.blocks[-1].add(piece)
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
            packed = base64.urlsafe_b64decode(content.removeprefix(self._mark))
            continuation = msgspec.json.decode(packed, type=Continuation)
        except ValueError:  # of either codec
            return None
        return continuation if continuation.member in TEXT_MEMBERS else None
