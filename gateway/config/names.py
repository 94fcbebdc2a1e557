"""Text that must have a shape: names, addresses, URLs, header fields and keys.

Each function takes the text of a setting and returns its value, or raises ValueError as build.py describes.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from gateway.config.secret import Secret, SensitiveValueError

__all__ = [
    "base_url",
    "field_name",
    "field_value",
    "free_text",
    "host",
    "line",
    "origin",
    "provider_name",
    "secret",
    "session_field",
    "socket_path",
]

# sockaddr_un.sun_path of Linux has 108 bytes, the last of which is the terminating NUL.
MAX_SOCKET_PATH = 107

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PROVIDER_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
# RFC 9110 5.6.2 (token), and 5.5 without obs-text: new fields are limited to US-ASCII.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
_VISIBLE = re.compile(r"[!-~]+")

# Fields of one connection (RFC 9110 7.6.1), those that frame the message, and those of one request's trace.
# The gateway sets them itself.
_OWN_FIELDS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

# Of a client's request these are never passed on, so that no session can be told by them.
_NOT_PASSED_ON = frozenset(
    {
        "api-key",
        "authorization",
        "cookie",
        "forwarded",
        "http2-settings",
        "x-api-key",
        "x-goog-api-key",
        "x-real-ip",
    }
)


def free_text(text: str) -> str:
    """Accept any text, over several lines too."""
    if _SURROGATE.search(text):
        raise ValueError("holds half of a surrogate pair, which is no character")
    return text


def line(text: str) -> str:
    """Accept a text of one line that is not empty."""
    if not text or _CONTROL.search(text) or _SURROGATE.search(text):
        raise ValueError("is not a text of one line (it is empty or holds a control character)")
    return text


def provider_name(text: str) -> str:
    """Accept 1 to 64 letters, digits, dots, underscores and hyphens; `none` stands for no provider."""
    if _PROVIDER_NAME.fullmatch(text) is None or text == "none":
        raise ValueError('is not a provider name (use 1 to 64 of A-Z a-z 0-9 . _ -, and not "none")')
    return text


def host(text: str) -> str:
    """Accept an address or a host name to listen on."""
    if not _is_host(text):
        raise ValueError('is not a host (use "127.0.0.1", "::1" or a name; the port is a setting of its own)')
    return text


def socket_path(text: str) -> str:
    """Accept the path of a unix socket, at most 107 bytes."""
    length = len(line(text).encode())
    if length > MAX_SOCKET_PATH:
        raise ValueError(f"has {length} bytes (the path of a unix socket has at most {MAX_SOCKET_PATH})")
    return text


def base_url(text: str) -> str:
    """Accept an absolute http or https URL: host, optional port and path; no user, query or fragment."""
    if "@" in text:
        raise SensitiveValueError('holds a user or a password (use "https://host" and api_key)')
    if "?" in text or "#" in text:
        raise SensitiveValueError('holds a query or a fragment (use "https://host" or "https://host/path")')
    if _split(text) is None:
        raise ValueError('is not an absolute URL (use "https://host" or "http://host:port/path")')
    return text


def origin(text: str) -> str:
    """Accept what a browser sends as Origin (RFC 6454 6.2), scheme://host[:port]; or * for all."""
    url = _split(text)
    if text != "*" and (url is None or "@" in text or text != f"{url.scheme}://{url.netloc}"):
        raise ValueError('is not an origin (use "https://host", "http://host:port" or "*")')
    return text


def field_name(text: str) -> str:
    """Accept the name of a header field to add, unless it is one that the gateway must set itself."""
    if _TOKEN.fullmatch(text) is None:
        raise ValueError("is not a header field name (RFC 9110 5.6.2: letters, digits, !#$%&'*+-.^_`|~)")
    if text.lower() in _OWN_FIELDS:
        raise ValueError("is a header field that the gateway sets itself (leave it out)")
    return text


def session_field(text: str) -> str:
    """Accept the name of a field by which a client tells its sessions apart."""
    lower = field_name(text).lower()
    if lower in _NOT_PASSED_ON or lower.startswith("x-forwarded-"):
        raise ValueError('is a header field that tells no session (use one such as "x-session-id")')
    return text


def field_value(text: str) -> Secret:
    """Accept a header field's value, which may be a credential: printable US-ASCII, space and tab inside."""
    if _FIELD_VALUE.fullmatch(text) is None:
        rule = "RFC 9110 5.5: printable ASCII, no space at either end"
        raise SensitiveValueError(f"is not a header field value ({rule})")
    return Secret(text)


def secret(text: str) -> Secret:
    """Accept a key that can stand in a header field: printable US-ASCII without spaces."""
    if _VISIBLE.fullmatch(text) is None:
        raise SensitiveValueError(
            "is not usable as a key (use printable ASCII without spaces or line breaks)"
        )
    return Secret(text)


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _HOST_NAME.fullmatch(text) is not None
    return True


def _split(text: str) -> SplitResult | None:
    """Split an absolute http or https URL with a host and a valid port; None where it is not one."""
    try:
        url = urlsplit(text)
        port_is_valid = url.port != 0 and not url.netloc.endswith(":")
    except ValueError:
        return None
    # urlsplit() drops tabs and line breaks without a word.
    visible = _VISIBLE.fullmatch(text) is not None
    absolute = url.scheme in ("http", "https") and url.hostname is not None and _is_host(url.hostname)
    return url if visible and port_is_valid and absolute else None
