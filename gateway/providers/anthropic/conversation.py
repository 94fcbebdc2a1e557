"""The messages of a conversation, as the Messages API wants them: system prompts apart, roles in turn.

- Messages of the roles `system` and `developer` become the system prompt, in their order, wherever they
  stood: so does Anthropic's own endpoint for chat completions, since not all models take them between others.
- Results of tools (`tool`, and the deprecated `function`) become blocks of the user's turn.
- Neighbours of one role become one message, which is what the API would do with them.
- Empty messages are left out; the API takes none.
- `thinking_blocks` of the assistant, as this gateway's answers have them, go back first and unchanged: with
  tools, a model that thinks must get its own thoughts back, and their signatures prove that they are.
  `reasoning_content` without them is left out: the API takes no thoughts that are not signed.
- `name` is not supported, but for `tool` messages, where it only repeats what the call says.

https://platform.openai.com/docs/api-reference/chat/create
https://platform.claude.com/docs/en/api/messages
https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from gateway.errors import GatewayError
from gateway.providers.anthropic import content
from gateway.providers.anthropic.content import Block
from gateway.providers.anthropic.fields import OBJECT, TEXT, Fields, Raw, decode, wrong

_THOUGHTS: Final[Mapping[str, tuple[str, ...]]] = {
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
}
_NOT_IN_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")


class Conversation:
    """Collects `system` and `messages` of the Messages API from messages of chat completions."""

    def __init__(self) -> None:
        self.system: list[Block] = []
        self.messages: list[Block] = []
        self._function_ids: dict[str, str] = {}
        self._function_calls = 0

    def add(self, message: Fields) -> None:
        """Takes the next message. Raises GatewayError (400) for what cannot be expressed."""
        role = message.need("role", TEXT)
        read = _ROLES.get(role)
        if read is None:
            raise wrong(message.at("role"), f"must be one of {', '.join(_ROLES)}")
        read(self, message)
        if message.take("name", TEXT) is not None and role != "tool":
            message.refusals.unsupported(message.at("name"), "does not tell participants of a role apart")
        message.close()

    def _system(self, message: Fields) -> None:
        self.system += _marked(message, content.content_blocks(message, content.SYSTEM))

    def _user(self, message: Fields) -> None:
        self._append("user", _marked(message, content.content_blocks(message, content.USER)))

    def _assistant(self, message: Fields) -> None:
        blocks = [_thought(block) for block in message.objects("thinking_blocks")]
        said = content.content_blocks(message, content.ASSISTANT)
        refusal = message.take("refusal", TEXT)
        if refusal:
            said.append(content.text_block(refusal))
        said += [_call(call) for call in message.objects("tool_calls")]
        function = message.object("function_call")
        if function is not None:
            name, arguments = _function(function)
            id_ = f"function_call_{self._function_calls}"
            self._function_calls += 1
            self._function_ids[name] = id_
            said.append(_tool_use(id_, name, arguments))
        if message.raw("audio") is not None:
            raise message.refusals.inexpressible(message.at("audio"), "has no audio")
        message.ignore("reasoning_content", "reasoning", "annotations")
        self._append("assistant", blocks + _marked(message, said))

    def _tool(self, message: Fields) -> None:
        id_ = message.need("tool_call_id", TEXT)
        self._result(message, _tool_id(id_, message.at("tool_call_id")))

    def _function(self, message: Fields) -> None:
        name = message.need("name", TEXT)
        id_ = self._function_ids.get(name)
        if id_ is None:
            raise wrong(message.at("name"), "no `function_call` of that name stands before it")
        self._result(message, id_)

    def _result(self, message: Fields, id_: str) -> None:
        result: Block = {"type": "tool_result", "tool_use_id": id_}
        blocks = content.content_blocks(message, content.USER)
        if blocks:
            result["content"] = blocks
        self._append("user", _marked(message, [result]))

    def _append(self, role: str, blocks: list[Block]) -> None:
        if not blocks:
            return
        if self.messages and self.messages[-1]["role"] == role:
            last = self.messages[-1]["content"]
            assert isinstance(last, list)
            last += blocks
        else:
            self.messages.append({"role": role, "content": blocks})


_ROLES: Final[Mapping[str, Callable[[Conversation, Fields], None]]] = {
    "system": Conversation._system,
    "developer": Conversation._system,
    "user": Conversation._user,
    "assistant": Conversation._assistant,
    "tool": Conversation._tool,
    "function": Conversation._function,
}


def _marked(message: Fields, blocks: list[Block]) -> list[Block]:
    """`blocks` with what the message itself says about the prompt cache on the last of them."""
    mark = content.cache_mark(message)
    if mark and blocks:
        blocks[-1].update(mark)
    return blocks


def _thought(block: Fields) -> Block:
    kind = block.need("type", TEXT)
    if kind not in _THOUGHTS:
        raise wrong(block.at("type"), f"must be one of {', '.join(_THOUGHTS)}")
    thought: Block = {"type": kind, **{name: block.need(name, TEXT) for name in _THOUGHTS[kind]}}
    block.ignore("index", "cache_control")
    block.close()
    return thought


def _call(call: Fields) -> Block:
    id_ = _tool_id(call.need("id", TEXT), call.at("id"))
    kind = call.take("type", TEXT)
    if kind not in (None, "function"):
        raise call.refusals.inexpressible(call.at("type"), f"has no tool calls of type `{kind}`")
    name, arguments = _function(call.need_object("function"))
    call.ignore("index")
    call.close()
    return _tool_use(id_, name, arguments)


def _function(function: Fields) -> tuple[str, Raw]:
    name = function.need("name", TEXT)
    text = function.take("arguments", TEXT) or ""
    function.close()
    return name, _arguments(text, function.at("arguments"))


def _arguments(text: str, param: str) -> Raw:
    """The arguments of a call as they stand in `text`, which is JSON; none are an empty object."""
    if not text.strip():
        return Raw(b"{}")
    encoded = text.encode()
    try:
        decode(OBJECT, encoded, param)
    except GatewayError:
        raise wrong(param, "must be the JSON text of an object") from None
    return Raw(encoded)


def _tool_use(id_: str, name: str, arguments: Raw) -> Block:
    return {"type": "tool_use", "id": id_, "name": name, "input": arguments}


def _tool_id(id_: str, param: str) -> str:
    """`id_` in the letters that the Messages API allows: other providers' ids have dots and colons."""
    if not id_:
        raise wrong(param, "must not be empty")
    return _NOT_IN_ID.sub(lambda match: f"_{ord(match[0]):x}_", id_)
