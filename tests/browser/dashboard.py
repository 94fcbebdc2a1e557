"""The dashboard in a real browser. Not part of the default run: it needs Debian's `chromium`.

    apt-get install chromium
    python -m pytest tests/browser/dashboard.py

With `DASHBOARD_PICTURES=docs/images` in the environment the pictures of the documentation are made anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from chromium import Chromium, Page, chromium
from harness import Running, running
from staged import sample, staged

from gateway.providers.mock import MockServer

CONFIG = """
server: {port: 0}
providers:
  plano:
    format: openai
    base_url: "{plano}"
    max_retries: 0
    fallback_provider: openai
    circuit_breaker: {max_failures: 3, timeout: 4s}
  openai: {format: openai, base_url: "{openai}"}
models:
  "fast": {provider: plano}
"""
WIDTHS = (320, 390, 768, 1440)
SCHEMES = ("light", "dark")
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def show(browser: Chromium) -> Iterator[Callable[[str], Page]]:
    """Opens the dashboard; at the end no page may have anything to complain of."""
    pages: list[Page] = []

    def show(url: str) -> Page:
        page = browser.open(url)
        pages.append(page)
        page.until("!!document.querySelector('.headline')")
        return page

    yield show
    for page in pages:
        assert page.complaints() == []
        page.close()


Show = Callable[[str], Page]


def chat(gateway: Running, times: int = 1) -> None:
    body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
    for _ in range(times):
        httpx.post(f"{gateway.url}/v1/chat/completions", json=body)


def break_down(gateway: Running, fault: str | None) -> None:
    def change() -> None:
        gateway.providers["plano"].fault = fault

    gateway.call(change)


# -- what it says


def test_the_story_of_an_outage(show: Show) -> None:
    with running(CONFIG, plano=MockServer("plano"), openai=MockServer("openai")) as gateway:
        page = show(f"{gateway.url}/dashboard")
        page.until_text(".verdict", "Healthy")
        page.until_text("#status", "No request has come in the last minute.")
        page.until_text("#charts", "The first point comes 5 s after the start.")
        chat(gateway, 5)
        page.until_text("#status", "No request has failed in the last minute.")
        assert "fast" in page.text("#usage")

        break_down(gateway, "503")
        chat(gateway, 4)
        page.until_text(".verdict", "Degraded")
        card = page.text(".card")
        assert card.startswith("✕ plano openai Circuit open Open for ")
        assert "after 3 failures in a row (the last: status 503). Next probe in " in card
        assert "Meanwhile openai answers its requests." in card
        assert "Last error, " in card
        page.until_text("#flow", "circuit open")
        assert "plano is not being asked: its circuit is open." in page.text("#news")

        page.until_text(".card", "Circuit half-open")
        break_down(gateway, None)
        chat(gateway)
        page.until_text(".verdict", "Healthy")
        page.until_text(".card", "Closed again since ")
        assert "half-open → closed" in page.text("#journal")
        timeline = page.run("document.querySelector('.timeline svg').getAttribute('aria-label')")
        assert "closed for " in timeline
        assert ", then open for " in timeline
        assert page.text("#news") == "All providers can be asked."


def test_a_lost_connection_is_shown_and_comes_back_after_a_restart(show: Show) -> None:
    with running(CONFIG, plano=MockServer("plano"), openai=MockServer("openai")) as gateway:
        page = show(f"{gateway.url}/dashboard")
        port = gateway.port
    page.until("!document.querySelector('#connection').hidden")
    assert "Connection lost at " in page.text("#connection")
    assert "Trying " in page.text("#connection")
    assert page.text(".verdict") == "Healthy when last heard"
    assert page.run("document.title") == "connection lost · LLM gateway"
    again = CONFIG.replace("port: 0", f"port: {port}")
    with running(again, plano=MockServer("plano"), openai=MockServer("openai")):
        page.until("document.querySelector('#connection').hidden")
        assert page.text(".verdict") == "Healthy"


def test_nothing_that_others_say_is_html(show: Show) -> None:
    stats = sample()
    for provider in stats["providers"]:
        provider["name"] += HOSTILE
        provider["fallback_provider"] = HOSTILE
        provider["last_error"] = {"message": HOSTILE, "at": stats["generated_at"]}
        for change in provider["transitions"]:
            change["reason"] = HOSTILE
    for window in stats["windows"].values():
        for traffic in window["providers"]:
            traffic["provider"] += HOSTILE
            traffic["retries"] = {HOSTILE: 1}
            traffic["fallbacks_out"] = [{"peer": HOSTILE, "reason": HOSTILE, "count": 1}]
            for model in traffic["models"]:
                model["model"] = HOSTILE
    for curves in stats["series"]["providers"]:
        curves["provider"] += HOSTILE
    with staged(stats) as stage:
        page = show(stage.url)
        for part in ("#status", "#cards", "#charts", "#flow", "#again", "#usage", "#journal"):
            assert HOSTILE in page.text(part)
        assert page.run("document.title") == "degraded · LLM gateway"
        assert page.run("document.querySelectorAll('main script, main img').length") == 0


def test_only_the_gateway_is_asked_for_anything(browser: Chromium) -> None:
    with staged(sample()) as stage:
        page = browser.open(stage.url)
        page.until("!!document.querySelector('.headline')")
        origin = stage.url.removesuffix("/dashboard")
        assert len(page.requested()) > 5
        assert all(url.startswith((origin, "data:")) for url in page.requested())


def test_without_scripts_it_says_so(browser: Chromium) -> None:
    with staged(sample()) as stage:
        page = browser.open()
        page.ask("Emulation.setScriptExecutionDisabled", value=True)
        page.goto(stage.url)
        page.until_text("noscript", "JavaScript, which is off here")


def test_a_key_is_asked_for_and_opens_all_of_it(show: Show) -> None:
    locked = CONFIG.replace("port: 0", "port: 0, admin: {host: 127.0.0.1, port: 0, api_key: s3cret}")
    with running(locked, plano=MockServer("plano"), openai=MockServer("openai")) as gateway:
        address = gateway.app._listeners[1].addresses[0]
        page = show(address.replace("://", "://me:s3cret@") + "/dashboard")
        page.until_text(".verdict", "Healthy")
        page.forgive("401")  # the challenge


# -- how it looks

# The contrast of every text with what is behind it (WCAG 2.2, 1.4.3), and the worst of all.
CONTRAST = """(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], under) => [r, g, b].map((part, at) => part * a + under[at] * (1 - a));
  const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const light = (color) => [0.2126, 0.7152, 0.0722]
    .reduce((sum, weight, at) => sum + weight * linear(color[at] / 255), 0);
  const page = parse(getComputedStyle(document.body).backgroundColor);
  const lineage = (element) => element ? [...lineage(element.parentElement), element] : [];
  let worst = { ratio: 99, text: "" };
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest("svg, .unseen, .skip, noscript")) continue;
    let behind = page, opacity = 1;
    for (const one of lineage(element)) {
      const style = getComputedStyle(one);
      behind = over(parse(style.backgroundColor), behind);
      opacity *= Number(style.opacity);
    }
    const color = parse(getComputedStyle(element).color);
    const seen = over([...color.slice(0, 3), opacity], behind);
    const [low, high] = [light(seen), light(behind)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < worst.ratio) worst = { ratio, text: element.textContent };
  }
  return worst;
})()"""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("stale", [False, True])
def test_every_text_stands_out(show: Show, scheme: str, stale: bool) -> None:
    with staged(sample()) as stage:
        page = show(stage.url)
        page.look(width=1440, scheme=scheme)
        if stale:
            stage.close_connections()
            page.until("document.body.classList.contains('stale')")
        worst = page.run(CONTRAST)
        assert worst["ratio"] >= 4.5, worst


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(show: Show, width: int) -> None:
    stats = sample()
    stats["providers"][0]["last_error"]["message"] = "x" * 300
    stats["windows"]["5m"]["providers"][0]["models"][0]["model"] = "m" * 120
    with staged(stats) as stage:
        page = show(stage.url)
        page.look(width=width)
        assert page.run("document.documentElement.scrollWidth") <= width
        assert page.run("document.querySelectorAll('#cards h3').length") == 3


def test_trouble_comes_first(show: Show) -> None:
    stats = sample()
    stats["providers"].reverse()
    with staged(stats) as stage:
        page = show(stage.url)
        names = page.run("[...document.querySelectorAll('#cards h3')].map((one) => one.textContent)")
        assert names == ["plano", "openai", "backup"]


def test_keys_choose_the_window_and_the_focus_stays(show: Show) -> None:
    with staged(sample()) as stage:
        page = show(stage.url)
        page.press("Tab")
        assert page.run("document.activeElement.textContent") == "Skip to the providers"
        page.press("Tab")
        assert page.run("document.activeElement.value") == "5m"
        shown = "getComputedStyle(document.activeElement.nextElementSibling).outlineStyle"
        assert page.run(shown) == "solid"
        page.press("ArrowRight")
        page.until_text("#totals", "since the start")
        page.run("new Promise((done) => setTimeout(done, 2500))")  # a snapshot has come meanwhile
        assert page.run("document.activeElement.value") == "start"


def test_redrawing_leaves_a_selection_alone(show: Show) -> None:
    with staged(sample()) as stage:
        page = show(stage.url)
        page.run("getSelection().selectAllChildren(document.querySelector('.card code'))")
        page.run("new Promise((done) => setTimeout(done, 2500))")
        assert page.run("String(getSelection())") == "status_503: status 503"


def test_what_is_read_aloud_changes_with_the_state_alone(show: Show) -> None:
    with staged(sample()) as stage:
        page = show(stage.url)
        page.run(
            "window.spoken = 0, new MutationObserver(() => window.spoken++)"
            ".observe(document.querySelector('#news'), { childList: true, characterData: true })"
        )
        page.run("new Promise((done) => setTimeout(done, 4500))")
        assert page.run("window.spoken") == 0
        stage.stats["providers"][0].update(healthy=True, circuit_state="closed", retry_in_s=0.0)
        stage.stats["status"] = "healthy"
        page.until("window.spoken === 1")
        assert page.text("#news") == "All providers can be asked."


def test_everything_drawn_has_a_name(show: Show) -> None:
    with staged(sample()) as stage:
        page = show(stage.url)
        nameless: Any = page.run(
            "[...document.querySelectorAll('svg:not([aria-hidden])')].filter((one) => !one.ariaLabel).length"
            " + [...document.querySelectorAll('table')].filter((one) => !one.caption).length"
        )
        assert nameless == 0
        levels = page.run(
            "[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.localName[1]))"
        )
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [390, 1440])
def test_pictures(show: Show, tmp_path: Path, width: int, scheme: str) -> None:
    with staged(sample()) as stage:
        page = show(stage.url)
        page.look(width=width, scheme=scheme)
        file = Path(os.environ.get("DASHBOARD_PICTURES", tmp_path)) / f"dashboard-{width}-{scheme}.png"
        page.picture(file)
    assert file.read_bytes().startswith(b"\x89PNG")
