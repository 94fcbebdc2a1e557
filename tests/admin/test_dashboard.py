"""The dashboard's files and its feed; what a browser makes of them is shown by tests/browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from family import served
from harness import Running, running

from gateway.admin import dashboard, stats_schema
from gateway.admin.dashboard import PERIOD_S, Feed
from gateway.providers.mock import MockServer

STATIC = Path(dashboard.__file__).parent / "static"
FILES = sorted(path.name for path in STATIC.iterdir())
CONFIG = 'providers: {a: {format: openai, base_url: "{a}"}}'
LOCKED = (
    CONFIG + "\nserver: {port: 0, api_keys: [client-key], admin: {host: 127.0.0.1, port: 0, api_key: s3cret}}"
)


class FakeRequest:
    def __init__(self, method: bytes = b"GET") -> None:
        self.method = method


class FakeClient:
    """Keeps what it is told: the bodies' pieces, and how the answer ended."""

    def __init__(self) -> None:
        self.status = 0
        self.fields = b""
        self.sent: list[bytes] = []
        self.ended = False

    def respond(self, status: int, fields: list[bytes], body: bytes) -> None:
        self.start(status, fields, len(body), body)
        self.ended = True

    def start(self, status: int, fields: list[bytes], length: int | None, data: bytes) -> None:
        self.status, self.fields = status, b"".join(fields)
        self.sent.append(data)

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def end(self, data: bytes) -> None:
        assert not data
        self.ended = True

    def date_field(self) -> tuple[bytes, ...]:
        return (b"date", b": ", b"today", b"\r\n")


class Fixture:
    """A feed whose snapshots are numbered, and whose clock the test turns."""

    def __init__(self) -> None:
        self.taken = 0
        self.broken = False
        self.due: list[Callable[[], None]] = []
        self.feed = Feed(self._snapshot, self._call_later)

    def _snapshot(self) -> bytes:
        if self.broken:
            raise RuntimeError("no numbers")
        self.taken += 1
        return b'{"n":%d}' % self.taken

    def _call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        assert delay_s == PERIOD_S
        self.due.append(callback)

    def tick(self) -> None:
        (callback,) = self.due
        self.due.clear()
        callback()

    def join(self) -> tuple[FakeClient, dashboard.Viewer]:
        client = FakeClient()
        viewer = self.feed.handle(FakeRequest(), client)
        assert viewer is not None
        return client, viewer


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def event(number: int) -> bytes:
    return b'data: {"n":%d}\n\n' % number


# -- the feed


def test_one_snapshot_serves_everybody(fixture: Fixture) -> None:
    (one, _), (other, _) = fixture.join(), fixture.join()
    fixture.tick()
    assert one.sent == other.sent == [event(1), event(2)]
    assert fixture.taken == 2


def test_no_snapshot_is_taken_while_nobody_looks(fixture: Fixture) -> None:
    assert not fixture.due
    _, viewer = fixture.join()
    viewer.gone()
    fixture.tick()
    assert not fixture.due
    assert fixture.taken == 1


def test_a_newcomer_after_a_rest_gets_new_numbers(fixture: Fixture) -> None:
    _, viewer = fixture.join()
    viewer.gone()
    fixture.tick()
    client, _ = fixture.join()
    assert client.sent == [event(2)]
    assert len(fixture.due) == 1


def test_a_newcomer_does_not_start_a_second_clock(fixture: Fixture) -> None:
    fixture.join()[1].gone()
    fixture.join()
    assert len(fixture.due) == 1


def test_who_reads_slowly_is_passed_over_until_it_has_caught_up(fixture: Fixture) -> None:
    (slow, viewer), (quick, _) = fixture.join(), fixture.join()
    viewer.pause()
    fixture.tick()
    fixture.tick()
    assert slow.sent == [event(1)]
    viewer.resume()
    fixture.tick()
    assert slow.sent == [event(1), event(4)]
    assert quick.sent == [event(1), event(2), event(3), event(4)]


def test_who_has_left_is_written_to_no_more(fixture: Fixture) -> None:
    (gone, viewer), _ = fixture.join(), fixture.join()
    viewer.gone()
    fixture.tick()
    assert gone.sent == [event(1)]


def test_everybody_is_sent_away_at_the_end(fixture: Fixture) -> None:
    (one, _), (other, viewer) = fixture.join(), fixture.join()
    viewer.pause()
    fixture.feed.end()
    fixture.tick()
    assert one.ended
    assert other.ended
    assert one.sent == [event(1)]
    assert not fixture.due


def test_a_snapshot_that_fails_does_not_stop_the_feed_for_ever(fixture: Fixture) -> None:
    fixture.join()
    fixture.broken = True
    with pytest.raises(RuntimeError):
        fixture.tick()
    with pytest.raises(RuntimeError):
        fixture.join()
    fixture.broken = False
    client, _ = fixture.join()
    fixture.tick()
    assert client.sent == [event(2), event(3)]


def test_head_of_the_stream_has_no_body_and_nobody_looks(fixture: Fixture) -> None:
    client = FakeClient()
    assert fixture.feed.handle(FakeRequest(b"HEAD"), client) is None
    assert client.sent == [b""]
    assert fixture.taken == 0


def test_repr_tells_who_looks(fixture: Fixture) -> None:
    assert repr(fixture.feed) == "<Feed to 0 viewers, at rest>"
    fixture.join()
    assert repr(fixture.feed) == "<Feed to 1 viewers, running>"


# -- the files


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        (b"/dashboard", b"text/html; charset=utf-8"),
        (b"/dashboard/dashboard.css", b"text/css; charset=utf-8"),
        (b"/dashboard/dashboard.js", b"text/javascript; charset=utf-8"),
        (b"/dashboard/events", b"text/event-stream"),
    ],
)
def test_what_is_served_tells_its_type_and_trusts_nobody(
    fixture: Fixture, path: bytes, content_type: bytes
) -> None:
    client = FakeClient()
    dashboard.handlers(fixture.feed)[path](FakeRequest(), client)
    assert client.status == 200
    for field in (
        b"content-type: " + content_type,
        b"cache-control: no-store",
        b"content-security-policy: default-src 'none'; script-src 'self'; ",
        b"require-trusted-types-for 'script'",
        b"x-content-type-options: nosniff",
        b"referrer-policy: no-referrer",
        b"date: today",
    ):
        assert field in client.fields
    assert b"unsafe" not in client.fields


def test_every_file_is_served(fixture: Fixture) -> None:
    paths = {path.decode() for path in dashboard.handlers(fixture.feed)}
    files = {f"/dashboard/{name}" for name in FILES if not name.endswith(".html")}
    assert paths == files | {"/dashboard", "/dashboard/events"}


@pytest.mark.parametrize("name", FILES)
def test_files_name_only_each_other_and_the_gateways_own_pages(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\"'\s]+", text)) <= {"http://www.w3.org/2000/svg"}
    named = re.findall(r"""(?:href|src)="([^"#]+)"|from "([^"]+)"|url\(([^)]*)\)""", text)
    for one in filter(None, (link for links in named for link in links)):
        file = one.removeprefix("./").removeprefix("/dashboard/")
        assert file in FILES or one in {"data:,", "/health", "/stats", "/metrics"}, one


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
def test_no_script_writes_html(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text)


def test_without_scripts_the_page_tells_where_the_facts_are() -> None:
    text = (STATIC / "dashboard.html").read_text(encoding="utf-8")
    (without,) = re.findall(r"<noscript>(.*?)</noscript>", text, re.DOTALL)
    assert 'href="/health"' in without
    assert 'href="/stats"' in without


# -- in a gateway


def snapshots(url: str, number: int) -> list[stats_schema.Stats]:
    """The first snapshots of a stream, read strictly."""
    found: list[stats_schema.Stats] = []
    with httpx.stream("GET", f"{url}/dashboard/events") as response:
        for line in response.iter_lines():
            if line.startswith("data: "):
                found.append(msgspec.json.decode(line[6:], type=stats_schema.Stats))
                if len(found) == number:
                    break
    return found


def status_of(url: str, **how: Any) -> tuple[int, list[str]]:
    """The status, and the challenges that come with it; of a stream, its head alone."""
    with httpx.stream("GET", url, **how) as response:
        return response.status_code, response.headers.get_list("www-authenticate")


def chat(url: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert httpx.post(f"{url}/v1/chat/completions", json=body).status_code == 200


def admin_url(gateway: Running) -> str:
    """Where the operator's pages of `LOCKED` are."""
    address: str = gateway.app._listeners[1].addresses[0]
    return address


def test_the_stream_says_what_stats_says() -> None:
    with running(CONFIG, a=MockServer("a")) as gateway:
        chat(gateway.url)
        first, second = snapshots(gateway.url, 2)
    assert first.windows.start.total.requests == second.windows.start.total.requests == 1
    assert second.uptime_s - first.uptime_s == pytest.approx(PERIOD_S, abs=1.0)


def test_a_drain_ends_the_stream_at_once() -> None:
    with running(CONFIG, a=MockServer("a")) as gateway, gateway.connect() as viewer:
        viewer.send(b"GET /dashboard/events HTTP/1.1\r\nhost: gw\r\n\r\n")
        viewer.receive_until(b"\n\n")
        gateway.call(gateway.app.begin_drain)
        assert viewer.receive_all().endswith(b"0\r\n\r\n")
        assert gateway.call(lambda: gateway.app.open_connections) == 0


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/dashboard.js", "/dashboard/events", "/stats"])
def test_a_browser_is_asked_for_the_key(path: str) -> None:
    with running(LOCKED, a=MockServer("a")) as gateway:
        url = admin_url(gateway) + path
        for wrong in ({}, {"auth": ("me", "wrong")}, {"headers": {"authorization": "Bearer client-key"}}):
            status, challenges = status_of(url, **wrong)
            assert status == 401
            assert 'Basic realm="gateway"' in challenges
        for right in ({"auth": ("me", "s3cret")}, {"headers": {"authorization": "Bearer s3cret"}}):
            assert status_of(url, **right) == (200, [])


def test_a_program_is_not_asked_for_a_password() -> None:
    with running(LOCKED, a=MockServer("a")) as gateway:
        assert status_of(gateway.url + "/v1/models") == (401, ["Bearer"])


def test_every_worker_shows_the_same(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text("server: {port: 0, workers: 2}\nproviders: {a: {format: mock}}\n")
    with served(config) as gateway:
        gateway.wait_for("started", 2)
        for _ in range(8):
            gateway.chat()
        shown = [snapshots(gateway.url, 1)[0].windows.start.total.requests for _ in range(8)]
    assert shown == [8] * 8
