"""Writes those parts of docs/ that are made from the code: `python docs/generate.py`.

A Markdown file marks such a part with `<!-- generated: NAME -->` and `<!-- end -->`; the rest of it stays as
it is. The tests compare what is there with what would be written. The modules beside this one make the parts
of one document each.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.admin.metrics import OWN_DESCRIPTIONS
from gateway.admin.stats_schema import Stats
from gateway.config.json_schema import json_schema
from gateway.observe.metrics import DESCRIPTIONS, LATENCY_BUCKETS, OVERHEAD_BUCKETS
from gateway.observe.slab import GAUGE

DOCS: Final = Path(__file__).parent
sys.path.insert(0, str(DOCS))  # also where this file is run by another one

from making import configuration, formats, migration, resilience, sizing  # noqa: E402
from making.markdown import table  # noqa: E402

_PART: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
_UNITS: Final = {"seconds": "seconds", "usd": "US dollars", "bytes": "bytes"}


def main() -> None:
    """Write every file anew."""
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


def generated() -> dict[Path, str]:
    """The files that hold generated parts, as they should be."""
    files = {
        path: _PART.sub(lambda part: f"{part[1]}{_PARTS[part[2]]()}{part[3]}", text)
        for path in sorted(DOCS.glob("*.md"))
        if _PART.search(text := path.read_text(encoding="utf-8"))
    }
    schemas = {"stats": msgspec.json.schema(Stats), "gateway": json_schema()}
    return files | {
        DOCS / f"{name}.schema.json": json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()
    }


def stats_members() -> str:
    """A heading and a table for each object of `GET /stats`."""
    schema = msgspec.json.schema(Stats)
    definitions = schema["$defs"]
    order = list(_reachable(schema["$ref"].rpartition("/")[2], definitions))
    return "\n".join(_object_section(name, definitions[name]) for name in order)


def metrics_table() -> str:
    """One row for each metric of `GET /metrics`."""
    rows = []
    for key, description in sorted(
        (DESCRIPTIONS | OWN_DESCRIPTIONS).items(), key=lambda item: _plain(item[0])
    ):
        name = _plain(key)
        shown = f"{name}_total" if description.kind == "counter" else name
        buckets = {LATENCY_BUCKETS: "latency", OVERHEAD_BUCKETS: "overhead"}.get(description.buckets, "")
        labels = ", ".join(f"`{label}`" for label in description.labels)
        rows.append((f"`{shown}`", description.kind, labels, _unit(name), buckets, description.text))
    return table(("Metric", "Type", "Labels", "Unit", "Buckets", "Meaning"), rows)


def metrics_buckets() -> str:
    """The upper bounds of the two sets of buckets."""
    rows = [
        (name, ", ".join(f"{bound:g}" for bound in bounds))
        for name, bounds in (("latency", LATENCY_BUCKETS), ("overhead", OVERHEAD_BUCKETS))
    ]
    return table(("Buckets", "Upper bounds in seconds"), rows)


_PARTS: Final[dict[str, Callable[[], str]]] = {
    "stats_members": stats_members,
    "metrics_table": metrics_table,
    "metrics_buckets": metrics_buckets,
    "configuration": configuration.reference,
    "circuit": resilience.circuit_diagram,
    "outcomes": resilience.outcomes_table,
    "sizing": sizing.sizing,
    "litellm": migration.litellm,
    "anthropic": formats.anthropic,
    "anthropic_answers": formats.anthropic_answers,
    "gemini": formats.gemini,
    "embeddings": formats.embeddings,
    "messages": formats.of_messages,
    "responses": formats.of_responses,
    "response_items": formats.response_items,
}


def _plain(name: str) -> str:
    return name.removeprefix(GAUGE)


def _unit(name: str) -> str:
    return _UNITS.get(name.rpartition("_")[2], "")


def _reachable(name: str, definitions: dict[str, Any], seen: set[str] | None = None) -> Iterable[str]:
    """The objects in the order in which a reader meets them."""
    seen = set() if seen is None else seen
    if name not in seen:
        seen.add(name)
        yield name
        for found in re.findall(r'"#/\$defs/(\w+)"', json.dumps(definitions[name])):
            yield from _reachable(found, definitions, seen)


def _object_section(name: str, definition: dict[str, Any]) -> str:
    rows = [
        (f"`{member}`", _type(schema), schema.get("description", ""))
        for member, schema in definition["properties"].items()
    ]
    return f"### {name}\n\n{definition['description']}\n\n{table(('Member', 'Type', 'Meaning'), rows)}"


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join("null" if one is None else f"`{one}`" for one in schema["enum"])
    if schema["type"] == "array":
        return f"array of {_type(schema['items'])}"
    if schema["type"] == "object":
        return f"object, {_type(schema['additionalProperties'])} by name"
    return "time" if "pattern" in schema else str(schema["type"])


if __name__ == "__main__":
    main()
