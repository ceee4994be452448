"""A page of one file in a real browser: Debian's `chromium`, or another Chromium in the path.

One browser serves all tests of a process: to start it takes longer than a test. It takes commands of the Chrome DevTools
Protocol through a pipe (`--remote-debugging-pipe`): JSON that ends with a zero byte, read from descriptor 3, written to 4.
"""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium in the path (Debian: apt-get install chromium)")


class Browser:
    """A running browser that reaches no network."""

    def __init__(self) -> None:
        self._profile = tempfile.mkdtemp(prefix="cxrlt-browser-")
        command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={self._profile}"]
        (to_browser, commands), (answers, from_browser) = os.pipe(), os.pipe()
        redirected = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", redirected, "bash", *command], pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        self._commands, self._answers = os.fdopen(commands, "wb", buffering=0), os.fdopen(answers, "rb", buffering=0)
        self._numbers, self._unread = itertools.count(1), b""

    def close(self) -> None:
        """Ends the browser and removes its profile."""
        self.send("Browser.close")
        self._process.wait(60)
        self._commands.close()
        self._answers.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def send(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        """The result of a command, of a tab where its session is given; events before it are dropped."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        self._commands.write(json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != number:
            pass
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def wait_for(self, event: str, session: str) -> None:
        """Returns when a tab has had an event."""
        while (message := self._receive()).get("method") != event or message.get("sessionId") != session:
            pass

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            more = self._answers.read(1 << 16)
            assert more, "the browser ended"
            self._unread += more
        text, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    @contextmanager
    def user(self) -> Iterator[str]:
        """A user without history, whose storage lasts as long as the context."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        yield context
        self.send("Target.disposeBrowserContext", browserContextId=context)

    def opened(self, path: Path, user: str, scheme: str = "light", width: int = 1280, before: str = "") -> "Tab":
        """A new tab with a page that is loaded.

        Args:
            path: the HTML file.
            user: of `user`.
            scheme: the preferred colour scheme, light or dark.
            width: of the window, px.
            before: JavaScript that runs before any of the page.
        """
        target = self.send("Target.createTarget", url="about:blank", browserContextId=user)["targetId"]
        tab = Tab(self, self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        tab.send("Page.enable")
        tab.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        tab.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        tab.send("Page.addScriptToEvaluateOnNewDocument", source=before)
        tab.send("Page.navigate", url=path.as_uri())
        self.wait_for("Page.loadEventFired", tab.session)
        return tab


@dataclass(frozen=True)
class Tab:
    """A page that is open."""

    browser: Browser
    session: str

    def send(self, method: str, **parameters: object) -> dict[str, Any]:
        """The result of a command."""
        return self.browser.send(method, self.session, **parameters)

    def run(self, script: str) -> Any:
        """What the body of an async function returns; the page's own rule against foreign scripts does not hold for it."""
        expression = "(async () => {" + script + "})()"
        found = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def html(self) -> str:
        """The document after its scripts have run."""
        return str(self.run("return document.documentElement.outerHTML;"))

    def pdf(self) -> bytes:
        """The page as it prints."""
        return base64.b64decode(self.send("Page.printToPDF")["data"])

    def picture(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot")["data"])


def refuse_axe_violations(
    browser: Browser, page: Path, scheme: str, checked: frozenset[str] = frozenset({"image-alt", "label"})
) -> None:
    """No violation of WCAG 2.1 A and AA nor of the best practices that axe-core knows, contrast in the scheme included.

    Args:
        checked: rules that the page must have given work to, beside contrast and title; no pictures or fields: none.
    """
    axe = pytest.importorskip("axe_core_python", reason="pip install 'cxrlt[test]'")
    source = (resources.files(axe) / "axe.min.js").read_text(encoding="utf-8")
    rules = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}"
    script = f"""{source};
      const found = await axe.run(document.querySelector('html'), {rules});
      const short = (one) => [one.id, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160))];
      return {{dark: matchMedia('(prefers-color-scheme: dark)').matches, passes: found.passes.map((one) => one.id),
               violations: found.violations.map(short)}};"""
    with browser.user() as user:
        found = browser.opened(page, user, scheme).run(script)
    assert found["dark"] == (scheme == "dark")
    assert not found["violations"], found["violations"]
    assert {"color-contrast", "document-title"} | checked <= set(found["passes"])
