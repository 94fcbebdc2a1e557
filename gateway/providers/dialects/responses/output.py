"""The output of a response as it grows: items, their parts, and the events that tell of each step.

An item is added, its texts grow by deltas, each text is told whole when it is done, then its part, then the
item (https://platform.openai.com/docs/api-reference/responses-streaming).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

from gateway.providers.dialects.completion import Called, ChatMessage, Choice, Citation, ToolCall, is_told
from gateway.providers.dialects.responses.continuation import Continuation, Seal
from gateway.providers.translation import TranslationError

Json = dict[str, Any]


class Tell(Protocol):
    """Takes an event of the type `kind` with its fields, before anything in them changes."""

    def __call__(self, kind: str, **fields: object) -> None: ...


class Growing(NamedTuple):
    """A text that grows: the field `name` of an item, or of a part in the item's list `parts`.

    `event` and `part_event` are what the events of the text and of the part begin with, `place` is how they
    call the part's place.
    """

    item: str
    name: str
    event: str
    parts: str = ""
    part: str = ""
    part_event: str = ""
    place: str = ""


_CONTENT: Final = ("response.content_part", "content_index")
_TEXT: Final = Growing("message", "text", "response.output_text", "content", "output_text", *_CONTENT)
_REFUSAL: Final = Growing("message", "refusal", "response.refusal", "content", "refusal", *_CONTENT)
_SUMMARY: Final = Growing(
    "reasoning",
    "text",
    "response.reasoning_summary_text",
    "summary",
    "summary_text",
    "response.reasoning_summary_part",
    "summary_index",
)
_ARGUMENTS: Final = Growing("function_call", "arguments", "response.function_call_arguments")
_INPUT: Final = Growing("custom_tool_call", "input", "response.custom_tool_call_input")

_OF_CALLS: Final = {growing.item: growing for growing in (_ARGUMENTS, _INPUT)}
_PREFIXES: Final = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}


class _Item:
    """An item that grows, `number` in the output; it is told of as soon as it is made."""

    def __init__(self, tell: Tell, number: int, item: Json) -> None:
        self.item = item
        self._tell = tell
        self._number = number
        self._growing: Growing | None = None
        self._pieces: list[str] = []
        self._part: Json = {}
        self._place: Json = {}
        tell("response.output_item.added", output_index=number, item={**item, "status": "in_progress"})

    @property
    def is_done(self) -> bool:
        return "status" in self.item

    def grow(self, growing: Growing, delta: str, logprobs: list[Json] | None = None) -> None:
        """Add `delta` to the text, with the tokens it is made of."""
        self._turn_to(growing)
        if not delta and not logprobs:
            return
        self._pieces.append(delta)
        more: Json = {}
        if growing is _TEXT:
            more = {"logprobs": logprobs or []}
            self._part["logprobs"] += more["logprobs"]
        self._tell(f"{growing.event}.delta", **self._place, delta=delta, **more)

    def annotate(self, annotation: Json) -> None:
        """Add an annotation to the text."""
        self._turn_to(_TEXT)
        annotations = self._part["annotations"]
        place = {**self._place, "annotation_index": len(annotations)}
        annotations.append(annotation)
        self._tell(f"{_TEXT.event}.annotation.added", **place, annotation=annotation)

    def finish(self, status: str) -> None:
        """Tell that the item is whole (`completed`) or cut short (`incomplete`)."""
        self._finish_text()
        self.item["status"] = status
        self._tell("response.output_item.done", output_index=self._number, item=self.item)

    def _turn_to(self, growing: Growing) -> None:
        if growing is self._growing:
            return
        self._finish_text()
        self._growing = growing
        self._place = {"item_id": self.item["id"], "output_index": self._number}
        if growing.parts:
            self._place[growing.place] = len(self.item[growing.parts])
            self._part = {"type": growing.part, growing.name: ""}
            if growing is _TEXT:
                self._part |= {"annotations": [], "logprobs": []}
            self._tell(f"{growing.part_event}.added", **self._place, part=self._part)

    def _finish_text(self) -> None:
        growing = self._growing
        if growing is None:
            return
        self._growing = None
        whole = {growing.name: "".join(self._pieces)}
        self._pieces = []
        if not growing.parts:
            self.item |= whole
            self._tell(f"{growing.event}.done", **self._place, name=self.item["name"], **whole)
            return
        self._part |= whole
        more = {"logprobs": self._part["logprobs"]} if growing is _TEXT else {}
        self._tell(f"{growing.event}.done", **self._place, **whole, **more)
        self._tell(f"{growing.part_event}.done", **self._place, part=self._part)
        self.item[growing.parts].append(self._part)


class Output:
    """The items of one response to what was asked of `model`, in the order in which they began.

    `suffix` is what the ids of the items have in common. Tool calls may grow in turns, as their index allows;
    reasoning and messages are whole once something else begins.
    """

    def __init__(self, tell: Tell, suffix: str, model: str) -> None:
        self._tell = tell
        self._suffix = suffix
        self._seal = Seal(model)
        self._items: list[_Item] = []
        self._calls: dict[int, _Item] = {}
        self._continuation = Continuation()

    @property
    def done(self) -> list[Json]:
        """The items that are whole."""
        return [item.item for item in self._items if item.is_done]

    def add(self, said: ChatMessage, choice: Choice) -> None:
        """Take up a message of `choice`, or a piece of it.

        Raises TranslationError for what is no text and no call.
        """
        reasoning = said.reasoning_content or said.reasoning  # some servers have both, with the same text
        if reasoning:
            self._told("reasoning").grow(_SUMMARY, reasoning)
            self._continuation.member = "reasoning_content" if said.reasoning_content else "reasoning"
        if said.thinking_blocks:
            self._told("reasoning")
            self._continuation.add(said.thinking_blocks)
        text = said.text()
        tokens = choice.tokens()
        # Some tokens are half a character; but some servers also tell those of reasoning and of calls.
        if text or (tokens and not reasoning and not said.tool_calls):
            self._told("message").grow(_TEXT, text, tokens)
        for citation in said.citations():
            self._told("message").annotate(_annotation(citation))
        if said.refusal:
            self._told("message").grow(_REFUSAL, said.refusal)
        for call in said.tool_calls or ():
            self._call(call)

    def finish(self, *, complete: bool) -> list[Json]:
        """All items; what was not whole before is now, but for the last where the answer was cut short."""
        for item in self._items:
            if not item.is_done:
                cut_short = item is self._items[-1] and not complete
                self._finish(item, "incomplete" if cut_short else "completed")
        return self.done

    def _told(self, kind: str) -> _Item:
        """The message or the reasoning that is being told, begun where it is not."""
        last = self._items[-1] if self._items else None
        if last is None or last.item["type"] != kind:
            fresh = {"role": "assistant", "content": []} if kind == "message" else {"summary": []}
            last = self._begin(kind, fresh)
        return last

    def _begin(self, kind: str, fields: Json) -> _Item:
        last = self._items[-1] if self._items else None
        if last is not None and last.item["type"] in ("message", "reasoning"):
            self._finish(last, "completed")
        number = len(self._items)
        identifier = f"{_PREFIXES[kind]}_{self._suffix}_{number}"
        item = _Item(self._tell, number, {"id": identifier, "type": kind, **fields})
        self._items.append(item)
        return item

    def _finish(self, item: _Item, status: str) -> None:
        if item.item["type"] == "reasoning":
            item.item["encrypted_content"] = self._seal.close(self._continuation)
            self._continuation = Continuation()
        item.finish(status)

    def _call(self, call: ToolCall) -> None:
        """Take up a call, or a piece of one. Servers that number all calls 0 still give each its id."""
        index = call.index or 0
        item = self._calls.get(index)
        if item is None or (call.id and call.id != item.item["call_id"]):
            item = self._calls[index] = self._begin_call(call)
        growing = _OF_CALLS[item.item["type"]]
        called = call.custom if growing is _INPUT else call.function
        item.grow(growing, getattr(called or Called(), growing.name) or "")

    def _begin_call(self, call: ToolCall) -> _Item:
        growing, called = (_ARGUMENTS, call.function) if call.custom is None else (_INPUT, call.custom)
        if called is None or not called.name:
            raise TranslationError("its answer calls a tool without a name")
        call_id = call.id or f"call_{self._suffix}_{len(self._items)}"
        if is_told(call.extra_content):
            self._told("reasoning")
            self._continuation.extras[call_id] = call.extra_content
        return self._begin(growing.item, {"call_id": call_id, "name": called.name, growing.name: ""})


def _annotation(citation: Citation) -> Json:
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title,
        "start_index": citation.start_index,
        "end_index": citation.end_index,
    }
