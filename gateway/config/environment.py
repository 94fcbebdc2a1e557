"""${NAME} in a value: read from the environment.

That happens after the YAML is parsed, so that what a variable holds cannot change the structure of the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["expand"]

_REFERENCE = re.compile(
    r"(?P<literal>\$\$\{)|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?"
)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replace ${NAME}, ${NAME:-default} (also where NAME is empty, as a shell does) and $${ (a literal ${).

    Raises ValueError where a variable is not set and has no default, or a reference is malformed. The message
    never quotes the text: it may hold a part of a key.
    """

    def replace(match: re.Match[str]) -> str:
        if match["literal"]:
            return "${"
        if match["name"] is None:
            raise ValueError("a ${ does not begin a ${NAME} or ${NAME:-default} (write $${ for a literal ${)")
        value = environ.get(match["name"])
        if match["default"] is not None:
            return value or match["default"]
        if value is None:
            name = match["name"]
            raise ValueError(
                f"the environment variable {name} is not set (set it, or write ${{{name}:-default}})"
            )
        return value

    return _REFERENCE.sub(replace, text)
