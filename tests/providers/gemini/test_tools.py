"""Tools and the choice among them.

https://ai.google.dev/api/caching#FunctionDeclaration, https://ai.google.dev/api/caching#FunctionCallingConfig
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import GatewayError

Sent = Callable[..., dict[str, Any]]
Refusal = Callable[..., GatewayError]
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/A"}},
    "$defs": {"A": {"type": ["string", "null"]}},
    "additionalProperties": False,
}


def tool(name: str, **members: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **members}}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def allowed(*tools: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": list(tools), **members}}


def test_declarations_keep_their_schema(sent: Sent) -> None:
    made = sent(
        tools=[tool("f", description="Does it", parameters=SCHEMA), tool("g"), tool("h", parameters=None)]
    )
    assert made["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "description": "Does it", "parametersJsonSchema": SCHEMA},
                {"name": "g"},
                {"name": "h"},
            ]
        }
    ]
    assert "toolConfig" not in made


@pytest.mark.parametrize(
    ("choice", "strict", "config"),
    [
        (None, False, None),
        ("auto", False, None),
        ("none", False, {"mode": "NONE"}),
        ("required", False, {"mode": "ANY"}),
        (named("f"), False, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named("f"), named("g")]}},
            False,
            {"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named("g")]}},
            False,
            {"mode": "ANY", "allowedFunctionNames": ["g"]},
        ),
        # Calls that keep to the schema.
        (None, True, {"mode": "VALIDATED"}),
        ("auto", True, {"mode": "VALIDATED"}),
        ("required", True, {"mode": "ANY"}),
    ],
)
def test_choices(sent: Sent, choice: Any, strict: bool, config: dict[str, Any] | None) -> None:
    made = sent(tools=[tool("f", strict=strict), tool("g")], tool_choice=choice)
    assert made.get("toolConfig") == (None if config is None else {"functionCallingConfig": config})


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type"),
        ({"tools": [tool("f", made_up=1)]}, "tools[0].function.made_up"),
        ({"tools": [tool("f") | {"cache_control": {}}]}, "tools[0].cache_control"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "c"}}}, "tool_choice.type"),
        ({"tool_choice": named("f") | {"made_up": 1}}, "tool_choice.made_up"),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f", "made_up": 1}}},
            "tool_choice.function.made_up",
        ),
        ({"tool_choice": allowed(named("f"), made_up=1)}, "tool_choice.allowed_tools.made_up"),
        ({"tool_choice": allowed(named("f") | {"made_up": 1})}, "tool_choice.allowed_tools.tools[0].made_up"),
        (
            {"tool_choice": allowed({"type": "function", "function": {"name": "f", "made_up": 1}})},
            "tool_choice.allowed_tools.tools[0].function.made_up",
        ),
    ],
)
def test_what_cannot_be_put_is_refused_or_dropped(
    sent: Sent, refusal: Refusal, parameters: dict[str, Any], param: str
) -> None:
    error = refusal(**parameters)
    assert (error.param, error.code) == (param, "unsupported_parameter")
    made = sent(drop=True, **parameters)
    assert "made_up" not in str(made)
    assert "custom" not in str(made)


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": [tool("f") | {"type": None}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [tool("f", strict="yes")]}, "tools[0].function.strict"),
        ({"tool_choice": "some"}, "tool_choice"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "any", "tools": []}}},
            "tool_choice.allowed_tools.mode",
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_path(refusal: Refusal, parameters: dict[str, Any], param: str) -> None:
    assert refusal(**parameters).param == param
