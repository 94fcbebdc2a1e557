"""What `gateway import` makes of the example in docs/migration.md."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.config.importers import convert

DOCUMENT = Path(__file__).parents[1] / "migration.md"


def litellm() -> str:
    """Our configuration, as a fenced block."""
    text = DOCUMENT.read_text(encoding="utf-8")
    example = re.search(r"^```yaml (litellm\.yaml)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert example is not None
    return f"```yaml\n{convert(example[2], example[1]).text}```\n"
