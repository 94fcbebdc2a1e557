"""A key that stands in a file of its own, as container platforms and systemd hand secrets out."""

from __future__ import annotations

import os
import stat

from gateway.config import names
from gateway.config.secret import Secret, SensitiveValueError

__all__ = ["key_file"]

MAX_BYTES = 8 << 10


def key_file(text: str) -> Secret:
    """Read the key in the file at this path, which begins with `/`, `./` or `../`.

    Line breaks at the end of the file are left out. Raises ValueError as build.py describes.
    """
    # Whoever writes the key itself here must not find it in a message: only what looks like a path is shown.
    if not text.startswith(("/", "./", "../")):
        raise SensitiveValueError("is not the path of a file (begin it with /, ./ or ../)")
    data = _read(names.line(text)).rstrip(b"\r\n")
    try:
        return names.secret(data.decode("latin-1"))
    except SensitiveValueError:
        raise ValueError(
            "is a file without a usable key (it may hold one: printable ASCII without spaces)"
        ) from None


def _read(path: str) -> bytes:
    try:
        # To open a pipe would wait for whoever writes it.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("is not a file (a key stands in a plain file of its own)")
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror} (name a file that holds the key)") from None
    if len(data) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES} bytes (name a file that holds nothing but the key)")
    return data
