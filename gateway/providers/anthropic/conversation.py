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

import msgspec

from gateway.providers.anthropic import content
from gateway.providers.anthropic.content import Block
from gateway.providers.reading import Members, refuse_content, spelled_object, wrong

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

    def add(self, message: Members) -> None:
        """Takes the next message. Raises GatewayError (400) for what cannot be expressed."""
        role = message.need_one_of("role", _ROLES)
        _ROLES[role](self, message)
        if message.take("name", str) is not None and role != "tool":
            message.unsupported("name", "its API does not tell participants of a role apart")
        message.finish()

    def _system(self, message: Members) -> None:
        self.system += _marked(message, content.content_blocks(message, content.SYSTEM))

    def _user(self, message: Members) -> None:
        self._append("user", _marked(message, content.content_blocks(message, content.USER)))

    def _assistant(self, message: Members) -> None:
        blocks = [_thought(block) for block in message.children("thinking_blocks")]
        said = content.content_blocks(message, content.ASSISTANT)
        refusal = message.take("refusal", str)
        if refusal:
            said.append(content.text_block(refusal))
        said += [_call(call) for call in message.children("tool_calls")]
        function = message.child("function_call")
        if function is not None:
            name, arguments = _function(function)
            id_ = f"function_call_{self._function_calls}"
            self._function_calls += 1
            self._function_ids[name] = id_
            said.append(_tool_use(id_, name, arguments))
        if message.raw("audio") is not None:
            refuse_content(message.at("audio"), "its API has no audio")
        message.ignore("reasoning_content", "reasoning", "annotations")
        self._append("assistant", blocks + _marked(message, said))

    def _tool(self, message: Members) -> None:
        id_ = message.need("tool_call_id", str)
        self._result(message, _tool_id(id_, message.at("tool_call_id")))

    def _function(self, message: Members) -> None:
        name = message.need("name", str)
        id_ = self._function_ids.get(name)
        if id_ is None:
            raise message.wrong("name", "must be that of a `function_call` before it")
        self._result(message, id_)

    def _result(self, message: Members, id_: str) -> None:
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


_ROLES: Final[Mapping[str, Callable[[Conversation, Members], None]]] = {
    "system": Conversation._system,
    "developer": Conversation._system,
    "user": Conversation._user,
    "assistant": Conversation._assistant,
    "tool": Conversation._tool,
    "function": Conversation._function,
}


def _marked(message: Members, blocks: list[Block]) -> list[Block]:
    """`blocks` with what the message itself says about the prompt cache on the last of them."""
    mark = content.cache_mark(message)
    if mark and blocks:
        blocks[-1].update(mark)
    return blocks


def _thought(block: Members) -> Block:
    kind = block.need_one_of("type", _THOUGHTS)
    thought: Block = {"type": kind, **{name: block.need(name, str) for name in _THOUGHTS[kind]}}
    block.ignore("index", "cache_control")
    block.finish()
    return thought


def _call(call: Members) -> Block:
    id_ = _tool_id(call.need("id", str), call.at("id"))
    kind = call.take("type", str)
    if kind not in (None, "function"):
        refuse_content(call.at("type"), f"its API has no tool calls of type `{kind}`")
    name, arguments = _function(call.need_child("function"))
    call.ignore("index")
    call.finish()
    return _tool_use(id_, name, arguments)


def _function(function: Members) -> tuple[str, msgspec.Raw]:
    name = function.need("name", str)
    arguments = spelled_object(function.take("arguments", str) or "")
    function.finish()
    if arguments is None:
        raise function.wrong("arguments", "must be the JSON text of an object")
    return name, arguments


def _tool_use(id_: str, name: str, arguments: msgspec.Raw) -> Block:
    return {"type": "tool_use", "id": id_, "name": name, "input": arguments}


def _tool_id(id_: str, param: str) -> str:
    """`id_` in the letters that the Messages API allows: other providers' ids have dots and colons."""
    if not id_:
        raise wrong(param, "must not be empty")
    return _NOT_IN_ID.sub(lambda match: f"_{ord(match[0]):x}_", id_)
