"""Who is let in, to what, and what their answers share: keys, pages, OPTIONS, CORS."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import pytest
from conversation import LIMITS, TIMEOUTS, Answer, Conversation

from gateway.server.protocol import ClientConnection
from gateway.server.request import Request
from gateway.server.site import Page, Site

KEYS = (b"sk-one", b"sk-two-longer")
PAGE_KEYS = (b"operator",)
METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def ask(path: bytes, *lines: bytes, method: bytes = b"GET", **settings: Any) -> tuple[Answer, bool]:
    """The answer to a request, and whether it reached the data endpoints."""
    talk = Conversation(pages={b"/page": Page(page), b"/locked": Page(page, PAGE_KEYS)}, **settings)
    talk.says(
        b"".join(
            (method, b" ", path, b" HTTP/1.1\r\nhost: gw\r\n", *(line + b"\r\n" for line in lines), b"\r\n")
        )
    )
    return talk.heard[0], bool(talk.requests)


def page(request: Request, client: ClientConnection) -> None:
    client.respond(200, [], b"page")


# -- paths


@pytest.mark.parametrize("path", [b"/v1/models", b"/v1/x", b"/v1/messages", b"/v1//"])
def test_path_below_v1_is_data(path: bytes) -> None:
    assert ask(path)[1]


@pytest.mark.parametrize(
    "path", [b"/", b"/v1", b"/v1/", b"/v2/models", b"/V1/models", b"/%761/models", b"//v1/models"]
)
def test_other_path_is_404(path: bytes) -> None:
    answer, reached = ask(path)
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")
    assert path.decode() in answer.error["message"]
    assert not reached


def test_site_without_data_has_only_pages() -> None:
    site = Site(data=None, pages={b"/page": Page(page)}, limits=LIMITS, timeouts=TIMEOUTS, max_connections=9)
    assert Conversation(site=site).says(b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n").heard[0].status == 404
    assert Conversation(site=site).says(b"GET /page HTTP/1.1\r\nhost: gw\r\n\r\n").heard[0].body == b"page"


def test_page_is_read() -> None:
    assert ask(b"/page")[0].body == b"page"
    assert ask(b"/page?query")[0].body == b"page"
    assert not ask(b"/page")[1]


@pytest.mark.parametrize("method", [b"POST", b"OPTIONS", b"DELETE"])
def test_page_is_not_written(method: bytes) -> None:
    answer, _ = ask(b"/page", method=method)
    assert answer.status == 405
    assert answer.fields[b"allow"] == b"GET, HEAD"


# -- keys


@pytest.mark.parametrize(
    "line",
    [
        b"authorization: Bearer sk-one",
        b"Authorization: bearer sk-two-longer",
        b"authorization: BEARER  sk-one ",
    ],
)
@pytest.mark.parametrize("path", [b"/v1/models", b"/v1/messages"])
def test_key_opens(path: bytes, line: bytes) -> None:
    answer, reached = ask(path, line, keys=KEYS)
    assert answer.status == 200
    assert reached


@pytest.mark.parametrize(
    "line",
    [
        b"x-nothing: 1",
        b"authorization: Bearer",
        b"authorization: Bearer ",
        b"authorization: Bearer wrong",
        b"authorization: Bearer sk-on",
        b"authorization: Bearer sk-one2",
        b"authorization: Bearer SK-ONE",
        b"authorization: Bearer sk-\xe9",
        b"authorization: sk-one",
        b"authorization: Basic " + base64.b64encode(b"user:sk-one"),
        b"proxy-authorization: Bearer sk-one",
        b"api-key: sk-one",
        b"x-api-key: sk-one",
        b"cookie: sk-one",
    ],
)
def test_without_a_key_it_is_401(line: bytes) -> None:
    answer, reached = ask(b"/v1/models", line, keys=KEYS)
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert answer.fields[b"www-authenticate"] == b"Bearer"
    assert answer.closes
    assert b"sk-" not in answer.body
    assert not reached


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([b"x-api-key: sk-one"], 200),
        ([b"X-Api-Key: sk-two-longer "], 200),
        ([b"x-api-key: sk-one", b"authorization: Bearer other"], 200),
        ([b"x-api-key: other", b"authorization: Bearer sk-one"], 200),
        ([b"x-api-key: other"], 401),
        ([b"x-api-key: "], 401),
        ([], 401),
    ],
)
@pytest.mark.parametrize("path", [b"/v1/messages", b"/v1/messages/count_tokens"])
def test_messages_take_a_key_as_their_sdk_sends_it(path: bytes, lines: list[bytes], status: int) -> None:
    answer, reached = ask(path, *lines, keys=KEYS)
    assert answer.status == status
    assert reached == (status == 200)
    if status == 401:
        assert answer.error["type"] == "authentication_error"


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(given: bytes, key: bytes) -> bool:
        compared.append((given, key))
        return given == key

    monkeypatch.setattr(hmac, "compare_digest", compare)
    ask(b"/v1/models", b"authorization: Bearer sk-one", keys=KEYS)
    assert compared == [(b"sk-one", key) for key in KEYS]  # with every key, a hit or not


def test_open_site_asks_for_no_key() -> None:
    assert ask(b"/v1/models")[1]


def test_body_of_a_stranger_is_not_waited_for() -> None:
    answer, _ = ask(b"/v1/models", b"content-length: 1000", method=b"POST", keys=KEYS)
    assert answer.status == 401


def test_key_of_the_data_does_not_open_a_page() -> None:
    assert ask(b"/page", keys=KEYS)[0].status == 200
    assert ask(b"/locked", b"authorization: Bearer sk-one", keys=KEYS)[0].status == 401


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"authorization: Bearer operator", 200),
        (b"authorization: Basic " + base64.b64encode(b"anyone:operator"), 200),
        (b"authorization: basic " + base64.b64encode(b":operator"), 200),
        (b"authorization: Basic " + base64.b64encode(b"operator"), 401),
        (b"authorization: Basic " + base64.b64encode(b"operator:"), 401),
        (b"authorization: Basic a", 401),
        (b"authorization: Basic", 401),
        (b"x-api-key: operator", 401),
        (b"x-nothing: 1", 401),
    ],
)
def test_locked_page(line: bytes, status: int) -> None:
    assert ask(b"/locked", line)[0].status == status


def test_browser_is_asked_for_a_password() -> None:
    talk = Conversation(pages={b"/locked": Page(page, PAGE_KEYS)})
    talk.says(b"GET /locked HTTP/1.1\r\nhost: gw\r\n\r\n")
    assert b'\r\nwww-authenticate: Basic realm="gateway"\r\n' in talk.wire


def test_new_settings_hold_for_the_next_request() -> None:
    talk = Conversation(keys=KEYS)
    talk.says(b"GET /v1/models HTTP/1.1\r\nhost: gw\r\nauthorization: Bearer sk-one\r\n\r\n")
    talk.site.configure(keys=(b"new",), limits=LIMITS, timeouts=TIMEOUTS, max_connections=9)
    talk.says(b"GET /v1/models HTTP/1.1\r\nhost: gw\r\nauthorization: Bearer sk-one\r\n\r\n")
    assert [answer.status for answer in talk.heard] == [200, 401]


# -- OPTIONS and CORS (https://fetch.spec.whatwg.org/#http-cors-protocol)

ORIGIN = "https://page.example"
PREFLIGHT = (b"origin: https://page.example", b"access-control-request-method: POST")


@pytest.mark.parametrize("target", [b"*", b"/v1/models"])
@pytest.mark.parametrize("lines", [[], [b"max-forwards: 0"], [b"origin: https://other"]])
def test_options_are_told_by_the_gateway_itself(target: bytes, lines: list[bytes]) -> None:
    answer, reached = ask(target, *lines, method=b"OPTIONS", keys=KEYS, cors_origins=(ORIGIN,))
    assert answer.status == 204
    assert answer.fields == {b"allow": METHODS, b"date": b"Thu, 01 Jan 1970 00:00:00 GMT"}
    assert not reached


@pytest.mark.parametrize("allowed", [(ORIGIN,), ("https://other", ORIGIN), ("*",)])
def test_preflight_of_an_allowed_origin(allowed: tuple[str, ...]) -> None:
    answer, reached = ask(
        b"/v1/chat/completions", *PREFLIGHT, method=b"OPTIONS", cors_origins=allowed, keys=KEYS
    )
    assert answer.status == 204
    assert answer.fields[b"access-control-allow-origin"] == ORIGIN.encode()
    assert answer.fields[b"access-control-allow-methods"] == METHODS
    assert answer.fields[b"access-control-allow-headers"] == b"*, Authorization"
    assert answer.fields[b"access-control-max-age"] == b"600"
    assert answer.fields[b"vary"] == b"origin"
    assert not reached


@pytest.mark.parametrize("allowed", [(), ("https://other",), ("https://page.example:8080",)])
def test_other_origin_is_told_nothing(allowed: tuple[str, ...]) -> None:
    for method in (b"OPTIONS", b"POST"):
        answer, _ = ask(b"/v1/chat/completions", *PREFLIGHT, method=method, cors_origins=allowed)
        assert not any(name.startswith(b"access-control") for name in answer.fields)


def test_page_of_an_allowed_origin_may_read_every_answer() -> None:
    for lines in ([], [b"expect: x"], [b"content-length: 99999999999"]):
        answer, _ = ask(b"/v1/chat/completions", PREFLIGHT[0], *lines, method=b"POST", cors_origins=(ORIGIN,))
        assert answer.fields[b"access-control-allow-origin"] == ORIGIN.encode()
        assert answer.fields[b"access-control-expose-headers"] == b"*"
    answer, _ = ask(b"/v1/chat/completions", PREFLIGHT[0], cors_origins=(ORIGIN,), keys=KEYS)
    assert answer.status == 401
    assert answer.fields[b"access-control-allow-origin"] == ORIGIN.encode()


def test_page_of_an_allowed_origin_may_read_a_stream() -> None:
    talk = Conversation(held=True, cors_origins=(ORIGIN,))
    talk.says(b"GET /v1/models HTTP/1.1\r\nhost: gw\r\norigin: https://page.example\r\n\r\n")
    talk.requests[0].client.start(200, [], None, b"a")
    talk.requests[0].client.end(b"")
    assert talk.heard[0].fields[b"access-control-allow-origin"] == ORIGIN.encode()


def test_repr_tells_what_there_is() -> None:
    assert repr(Conversation(pages={b"/page": Page(page)}).site) == "<Site pages=1 connections=1>"


# -- what is open


@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        ({"data": None}, ["/page"]),
        ({"data": page}, ["/v1/*", "/page"]),
        ({"data": page, "keys": KEYS}, ["/page"]),
    ],
)
def test_what_needs_no_key_is_named(settings: dict[str, Any], paths: list[str]) -> None:
    pages = {b"/page": Page(page), b"/locked": Page(page, PAGE_KEYS)}
    site = Site(pages=pages, limits=LIMITS, timeouts=TIMEOUTS, max_connections=9, **settings)
    assert site.open_paths() == paths
