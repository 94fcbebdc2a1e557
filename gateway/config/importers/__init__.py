"""Configurations of other gateways, made into ours: `gateway import FILE`.

What has no counterpart here is told, with its line, and never left out in silence: see foreign.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from gateway.config.importers import litellm, portkey
from gateway.config.importers.draft import Draft
from gateway.config.importers.foreign import Foreign, Ledger, Note
from gateway.config.problem import ConfigError, Problem

__all__ = ["FORMATS", "Imported", "Note", "convert", "read"]


class Format(NamedTuple):
    """One kind of file: what it is called, how it is converted, and top-level keys by which it is known."""

    title: str
    convert: Callable[[Foreign], Draft]
    keys: frozenset[str]


FORMATS: Final[Mapping[str, Format]] = {
    "litellm": Format("LiteLLM", litellm.convert, frozenset({"model_list", "litellm_settings"})),
    "portkey": Format(
        "Portkey", portkey.convert, frozenset({"targets", "strategy", "provider", "virtual_key"})
    ),
}


class Imported(NamedTuple):
    """The text of our configuration, and what was left out or is not quite the same."""

    text: str
    notes: tuple[Note, ...]


def read(path: str) -> str:
    """The text of a file in UTF-8. Raises ConfigError."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except OSError as error:
        raise ConfigError([Problem("", f"cannot be read: {error.strerror}")], path) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem("", "is not UTF-8 (save the file as UTF-8)")], path) from None


def convert(text: str, source: str, name: str | None = None) -> Imported:
    """Convert the text of another gateway's configuration, YAML or JSON, that came from `source`.

    name: a key of `FORMATS`; None = known by what stands in the file. Raises ConfigError where the text is no
    YAML or JSON, or is of no known kind.
    """
    ledger = Ledger()
    root = Foreign.parse(text, source, ledger)
    kind = FORMATS[name] if name is not None else _recognised(root, source)
    draft = kind.convert(root)
    root.note_what_is_left()
    notes = tuple(sorted(dict.fromkeys(ledger.notes), key=lambda note: note.line))
    return Imported(draft.text(f"Made by `gateway import` from {source} ({kind.title}).", notes), notes)


def _recognised(root: Foreign, source: str) -> Format:
    keys = {key for key, _ in root.entries()}
    for kind in FORMATS.values():
        if not kind.keys.isdisjoint(keys):
            return kind
    known = ", ".join(f"{kind.title} ({' or '.join(sorted(kind.keys))})" for kind in FORMATS.values())
    raise ConfigError([Problem("", f"is of no known kind: none of {known} stands in it")], source)
