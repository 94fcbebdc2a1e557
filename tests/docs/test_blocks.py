"""Every block of the documents is of a known kind, every link leads somewhere, every command exists."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from documents import ALL, CHECKOUT, PATHS, Block, blocks

from gateway import cli
from gateway.admin.metrics import OWN_DESCRIPTIONS
from gateway.observe.metrics import DESCRIPTIONS
from gateway.observe.slab import GAUGE

TEXTS = {path: path.read_text(encoding="utf-8") for path in PATHS}
LINKS = [
    (path, link)
    for path, text in TEXTS.items()
    for link in re.findall(r"\]\(([^)\s]+)\)", text)
    if "://" not in link
]


def of_kind(*kinds: str) -> list[Block]:
    return [block for block in ALL if block.kind in kinds]


def test_there_are_documents() -> None:
    assert {"README.md", "quickstart.md", "configuration.md", "resilience.md"} <= {
        path.name for path in PATHS
    }
    assert len(of_kind("shell", "program")) > 10


@pytest.mark.parametrize("info", ["", "sh slowly", "toml", "yaml gateway", "js"])
def test_a_block_that_says_nothing_of_itself_is_refused(info: str, tmp_path: Path) -> None:
    document = tmp_path / "x.md"
    document.write_text(f"# x\n\n```{info}\na\n```\n")
    [block] = blocks(document)
    with pytest.raises(ValueError, match=r"x\.md:3: .* is of no kind"):
        assert block.kind


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_every_fence_is_part_of_a_block(path: Path) -> None:
    fences = len(re.findall(r"^\s*(?:```|~~~)", TEXTS[path], re.MULTILINE))
    assert fences == 2 * len(blocks(path))


@pytest.mark.parametrize("block", [one for one in ALL if one.info[0] == "json"], ids=str)
def test_json_is_json(block: Block) -> None:
    try:
        json.loads(block.text)
    except json.JSONDecodeError:
        assert all(isinstance(json.loads(line), dict) for line in block.text.splitlines())


@pytest.mark.parametrize("block", [one for one in of_kind("file") if one.info[0] == "yaml"], ids=str)
def test_other_files_are_yaml(block: Block) -> None:
    assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize("block", of_kind("promql"), ids=str)
def test_queries_ask_for_metrics_that_exist(block: Block) -> None:
    known = {key.removeprefix(GAUGE) for key in DESCRIPTIONS | OWN_DESCRIPTIONS}
    asked = set(re.findall(r"\bgateway_\w+", block.text))
    assert asked
    assert {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked} <= known | {
        name.removesuffix("_total") for name in known
    }


@pytest.mark.parametrize("block", of_kind("long"), ids=str)
def test_what_long_commands_name_is_there(block: Block) -> None:
    words = shlex.split(block.text, comments=True)
    for word in words:
        if "/" in word and not word.startswith((".venv", "/", "-")) and "=" not in word:
            assert (CHECKOUT / word).exists(), word
    assert {"python", "python3", "pip", "apt-get"} & set(words)


@pytest.mark.parametrize("block", of_kind("sdk"), ids=str)
def test_programs_for_other_packages_are_whole(block: Block) -> None:
    language, package, *_ = block.info
    assert package.replace("-", "_") in block.text or package in block.text
    if language == "python":
        compile(block.text, str(block), "exec")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_every_command_exists(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in set(re.findall(r"`?gateway (serve|check|import|schema|demo)\b", TEXTS[path])):
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0
    unknown = re.findall(r"`gateway ((?!serve|check|import|schema|demo|--version)[a-z-]+)", TEXTS[path])
    assert not unknown
    capsys.readouterr()


@pytest.mark.parametrize(("path", "link"), LINKS, ids=lambda value: getattr(value, "name", value))
def test_every_link_leads_somewhere(path: Path, link: str) -> None:
    name, _, anchor = link.partition("#")
    target = (path.parent / name).resolve() if name else path
    assert target.exists()
    if anchor:
        assert anchor in anchors(target.read_text(encoding="utf-8"))


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_alert_has_its_section() -> None:
    alerts = re.findall(
        r"alert: (\w+)", (CHECKOUT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8")
    )
    sections = re.findall(r"^### (Gateway\w+)$", TEXTS[CHECKOUT / "docs/operations.md"], re.MULTILINE)
    assert sections == alerts


def test_what_a_threat_is_shown_by_exists() -> None:
    rows = re.findall(
        r"^\|.*\| (`(?:tests|deploy|pyproject)[^|]*) \|$", TEXTS[CHECKOUT / "docs/security.md"], re.MULTILINE
    )
    paths = [path for row in rows for path in re.findall(r"`([^`]+)`", row)]
    assert len(paths) > 8
    assert [path for path in paths if not (CHECKOUT / path).exists()] == []


def test_every_path_of_the_architecture_is_there() -> None:
    paths = re.findall(
        r"`((?:gateway|tests|_speedups|docs|bench|deploy)/[\w./]*)`", TEXTS[CHECKOUT / "docs/architecture.md"]
    )
    assert len(paths) > 10
    assert [path for path in paths if "NAME" not in path and not (CHECKOUT / path).exists()] == []


def test_no_document_is_an_orphan() -> None:
    """Each is linked from another one."""
    linked = {(path.parent / link.partition("#")[0]).resolve() for path, link in LINKS}
    assert [path.name for path in PATHS if path not in linked and path.name != "README.md"] == []
