"""The parts of docs/ that are made from the code say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

import gateway

DOCS = Path(gateway.__file__).parents[1] / "docs"
GENERATED: dict[Path, str] = runpy.run_path(str(DOCS / "generate.py"))["generated"]()


def test_the_documents_are_up_to_date() -> None:
    for path, text in GENERATED.items():
        assert path.read_text(encoding="utf-8") == text, "run: python docs/generate.py"


def test_the_documents_hold_what_is_generated() -> None:
    assert {path.name for path in GENERATED} >= {"stats.md", "metrics.md", "stats.schema.json"}
    metrics = GENERATED[DOCS / "metrics.md"]
    assert "| `gateway_requests_total` | counter | `provider`, `model`, `code` |" in metrics
    assert "| `retry_in_s` | number |" in GENERATED[DOCS / "stats.md"]
