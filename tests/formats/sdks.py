"""LangChain and the Vercel AI SDK through the gateway, streaming and with tools, over other formats.

    python -m pytest tests/formats/sdks.py

Installs both into a folder that is removed afterwards. Needs node 18 or later, npm, and registries of both
kinds; so it is not part of the default run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from backends import ANTHROPIC, GEMINI, Backend, Call
from doubles.running import over

INSTALL_S = 600.0
RUN_S = 60.0
CALLS = [Call("call_1", "weather", {"city": "Lima"}), Call("call_2", "weather", {"city": "Oslo"})]
TEXT = "It is 21 degrees in Lima and 3 in Oslo."

LANGCHAIN = """
import sys
from functools import reduce
from operator import add
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

@tool
def weather(city: str) -> str:
    "The weather of a city."
    return f"mild in {city}"

url, name = sys.argv[1:]
model = ChatOpenAI(base_url=f"{url}/v1", api_key="none", model=name, max_retries=0).bind_tools([weather])
streamed = lambda messages: reduce(add, model.stream(messages))
for ask in (model.invoke, streamed):
    messages = [HumanMessage("What is the weather?")]
    answer = ask(messages)
    print([(call["name"], call["args"]) for call in answer.tool_calls])
    messages += [answer, *(weather.invoke(call) for call in answer.tool_calls)]
    print(ask(messages).content)
"""

VERCEL = """
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [url, name] = process.argv.slice(2);
const gateway = createOpenAICompatible({ name: "gateway", baseURL: `${url}/v1` });
const cities = [];
const weather = tool({
  description: "The weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => { cities.push(city); return `mild in ${city}`; },
});
const asked = {
  model: gateway(name),
  prompt: "What is the weather?",
  tools: { weather },
  stopWhen: stepCountIs(3),
  maxRetries: 0,
};
const { text } = await generateText(asked);
console.log(JSON.stringify(cities.splice(0)), text);
let streamed = "";
for await (const part of streamText(asked).textStream) streamed += part;
console.log(JSON.stringify(cities.splice(0)), streamed);
"""

each = pytest.mark.parametrize("backend", [ANTHROPIC, GEMINI], ids=lambda backend: backend.name)


@pytest.fixture(scope="module")
def langchain(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the LangChain program."""
    folder = tmp_path_factory.mktemp("langchain")
    install = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), "langchain-openai"]
    subprocess.run(install, check=True, timeout=INSTALL_S)
    program = folder / "program.py"
    program.write_text(LANGCHAIN, encoding="utf-8")
    return [sys.executable, str(program)]


@pytest.fixture(scope="module")
def vercel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the program of the Vercel AI SDK."""
    folder = tmp_path_factory.mktemp("vercel")
    packages = ["ai", "@ai-sdk/openai-compatible", "zod"]
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *packages]
    subprocess.run(install, check=True, timeout=INSTALL_S)
    program = folder / "program.mjs"
    program.write_text(VERCEL, encoding="utf-8")
    return ["node", str(program)]


def printed(command: Sequence[str], backend: Backend) -> list[str]:
    """What a program prints that asks twice: plain, then streamed, each time with calls and then a text."""
    double = backend.make()
    double.script += [backend.calls(CALLS), backend.says(TEXT)] * 2
    with over(backend.config(), p=double) as gateway:
        run = subprocess.run(
            [*command, gateway.url, backend.model],
            capture_output=True,
            text=True,
            timeout=RUN_S,
            cwd=Path(command[-1]).parent,
            check=False,
        )
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(backend.heard(double)) == 4
    return run.stdout.splitlines()


@each
def test_langchain(langchain: list[str], backend: Backend) -> None:
    calls = str([(call.name, call.arguments) for call in CALLS])
    assert printed(langchain, backend) == [calls, TEXT] * 2


@each
def test_the_vercel_ai_sdk(vercel: list[str], backend: Backend) -> None:
    assert printed(vercel, backend) == [f'["Lima","Oslo"] {TEXT}'] * 2
