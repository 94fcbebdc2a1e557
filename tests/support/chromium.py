"""A real browser for tests: headless Chromium, spoken to in its DevTools protocol over a pair of pipes.

    with chromium() as browser:
        page = browser.open(url)
        page.until("document.title === 'ready'")

Needs the program `chromium` (Debian: `apt-get install chromium`) and nothing else.
Reference: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT_S = 15.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Chromium:
    """A browser process. Messages are JSON, each ended by NUL: out on its descriptor 3, back on 4."""

    def __init__(self, program: str, profile: str) -> None:
        (to_read, self._write), (self._read, to_write) = _pipe(), _pipe()
        silence = os.open(os.devnull, os.O_WRONLY)
        self._pid = os.posix_spawn(
            program,
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, to_read, 3),
                (os.POSIX_SPAWN_DUP2, to_write, 4),
                (os.POSIX_SPAWN_DUP2, silence, 1),
                (os.POSIX_SPAWN_DUP2, silence, 2),
            ],
        )
        for fd in (to_read, to_write, silence):
            os.close(fd)
        self._serial = 0
        self._received = b""
        self.events: list[dict[str, Any]] = []

    def open(self, url: str = "about:blank") -> Page:
        """A new page, at `url`."""
        target = self.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, target, session)
        page.goto(url)
        return page

    def ask(self, method: str, parameters: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        """Send a command and wait for its result; events that come first are kept in `events`."""
        self._serial += 1
        message = {"id": self._serial, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._serial:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            readable, _, _ = select.select([self._read], [], [], WAIT_S)
            assert readable, "the browser does not answer"
            data = os.read(self._read, 1 << 20)
            assert data, "the browser has ended"
            self._received += data
        message, _, self._received = self._received.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed

    def close(self) -> None:
        """End the process."""
        self.ask("Browser.close", {})
        os.waitpid(self._pid, 0)
        os.close(self._read)
        os.close(self._write)


class Page:
    """One tab."""

    def __init__(self, browser: Chromium, target: str, session: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target
        self._forgiven: tuple[str, ...] = ("net::ERR_",)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.ask(method, parameters, self._session)

    def goto(self, url: str) -> None:
        self.ask("Page.navigate", url=url)

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """What can be read in the first element that fits, in one line."""
        found: str = self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return " ".join(found.split())

    def until(self, expression: str, within_s: float = WAIT_S) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + within_s
        while not self.run(expression):
            assert time.monotonic() < deadline, (
                f"{expression} did not come true; the page: {self.text('body')}"
            )
            time.sleep(0.05)

    def until_text(self, selector: str, part: str, within_s: float = WAIT_S) -> None:
        """Wait until an element's text has `part` in it."""
        chosen, wanted = json.dumps(selector), json.dumps(part)
        self.until(f"!!document.querySelector({chosen})?.innerText.includes({wanted})", within_s)

    def look(self, *, width: int, height: int = 900, scheme: str = "light", motion: str = "reduce") -> None:
        """Be of this size, in this colour scheme."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": motion}
        self.ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": name, "value": value} for name, value in features.items()],
        )

    def picture(self, path: Path) -> None:
        """Write the whole page to `path`, as PNG."""
        answer = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def press(self, key: str) -> None:
        """Press and let go a key, such as `Tab` or `ArrowRight`."""
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=_KEYS[key])

    def complaints(self) -> list[str]:
        """What the browser had to say against the page: exceptions, missing files, violations of its policy.

        That a connection is lost (`net::ERR_…`) is no fault of a page.
        """
        self.run("0")  # what it has said so far comes before the answer
        texts = []
        for event in self._browser.events:
            if event.get("sessionId") != self._session:
                continue
            if event["method"] == "Runtime.exceptionThrown":
                texts.append(str(event["params"]["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                texts.append(f"{event['params']['entry']['text']} {event['params']['entry'].get('url', '')}")
        return [text for text in texts if not any(part in text for part in self._forgiven)]

    def forgive(self, part: str) -> None:
        """Leave complaints with `part` in them out: the test meant them to happen."""
        self._forgiven += (part,)

    def close(self) -> None:
        """Close the tab."""
        self._browser.ask("Target.closeTarget", {"targetId": self._target})

    def requested(self) -> list[str]:
        """The URL of every request so far."""
        return [
            event["params"]["request"]["url"]
            for event in self._browser.events
            if event.get("sessionId") == self._session and event["method"] == "Network.requestWillBeSent"
        ]


_KEYS = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowRight": 39}


def _pipe() -> tuple[int, int]:
    """A pipe whose descriptors are out of the way of 3 and 4."""
    low = os.pipe()
    read, write = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in low)
    for fd in low:
        os.close(fd)
    return read, write


def program() -> str | None:
    """Where Chromium is, None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium() -> Iterator[Chromium]:
    """A browser with a new profile, until the block ends."""
    found = program()
    assert found is not None, "no chromium here: apt-get install chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Chromium(found, profile)
        try:
            yield browser
        finally:
            browser.close()
