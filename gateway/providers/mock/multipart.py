"""Reading of ``multipart/form-data`` (RFC 7578), as far as the mock's upload endpoints need it."""

from __future__ import annotations

from email.message import Message
from typing import NamedTuple

from gateway.providers.mock.answer import ApiError, Call, missing_parameter


class Upload(NamedTuple):
    """A file in a form."""

    filename: str
    data: bytes


class Form(NamedTuple):
    """A form: its text fields, and its files by field name."""

    fields: dict[str, str]
    files: dict[str, Upload]

    def file(self) -> Upload:
        """The file in the field ``file``.

        Raises:
            ApiError: 400, there is none.
        """
        try:
            return self.files["file"]
        except KeyError:
            raise missing_parameter("file") from None


def read_form(call: Call) -> Form:
    """The form in the body of a call.

    Raises:
        ApiError: 400, the body is not a form.
    """
    boundary = _headers(f"Content-Type: {call.content_type}").get_param("boundary")
    if not call.content_type.lower().startswith("multipart/form-data") or not isinstance(boundary, str):
        message = f"Expected multipart/form-data with a boundary, got content type {call.content_type!r}."
        raise ApiError(400, message)
    form = Form({}, {})
    # The first delimiter may open the body; what precedes it and what follows the last one is no part.
    _, *parts = (b"\r\n" + call.body).split(b"\r\n--" + boundary.encode())
    for part in parts[:-1]:
        head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = _headers(head.decode("utf-8", "replace"))
        name = headers.get_param("name", header="content-disposition")
        filename = headers.get_filename()
        if not isinstance(name, str):
            raise ApiError(400, "A part of the form has no name in its Content-Disposition.")
        if filename is None:
            form.fields[name] = data.decode("utf-8", "replace")
        else:
            form.files[name] = Upload(filename, data)
    return form


def _headers(text: str) -> Message:
    headers = Message()
    for line in text.split("\r\n"):
        name, _, value = line.partition(":")
        headers[name] = value.strip()
    return headers
