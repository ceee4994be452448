"""A page of one file in a real browser: Debian's `chromium`, or another Chromium in the path."""

import json
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium in the path (Debian: apt-get install chromium)")


def browse(path: Path, *options: str) -> str:
    """The document after its scripts have run, without any network."""
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", *options]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={path.parent / 'profile'}", path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=200).stdout


def asked(page: Path, script: str, tmp_path: Path, *options: str) -> Any:
    """What a function body gives in the page. Its own rule against foreign scripts is taken out of the copy."""
    html = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    end = "<pre id=answer></pre><script>(async () => {" + script + "})().then((found) => {"
    end += "document.getElementById('answer').textContent = JSON.stringify(found); })</script></body>"
    copy = tmp_path / "asked.html"
    copy.write_text(html.replace("</body>", end), encoding="utf-8")
    answer = re.search(r'<pre id="answer">(.*?)</pre>', browse(copy, "--dump-dom", *options), re.DOTALL)
    assert answer, "the script did not end"
    text = answer.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return json.loads(text)


def refuse_axe_violations(page: Path, scheme: str, tmp_path: Path) -> None:
    """No violation of WCAG 2.1 A and AA nor of the best practices that axe-core knows, contrast in the scheme included."""
    axe = pytest.importorskip("axe_core_python", reason="pip install 'cxrlt[test]'")
    source = (resources.files(axe) / "axe.min.js").read_text(encoding="utf-8")
    rules = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}"
    script = f"""{source};
      const found = await axe.run(document.querySelector('html'), {rules});
      const short = (one) => [one.id, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160))];
      return {{dark: matchMedia('(prefers-color-scheme: dark)').matches, passes: found.passes.map((one) => one.id),
               violations: found.violations.map(short)}};"""
    options = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    found = asked(page, script.replace("</script", "<\\/script"), tmp_path, *options)
    assert found["dark"] == (scheme == "dark")
    wrong = [one for one in found["violations"] if "answer" not in str(one[1])]  # what this test itself put there
    assert not wrong, wrong
    assert {"color-contrast", "document-title", "image-alt", "label"} <= set(found["passes"])
