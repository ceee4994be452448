"""The page in a browser: labels from outside stay text, it works, asks nothing of a network, and everybody can use it.

Needs Debian's `chromium` (or another Chromium in the path); skipped where there is none.
"""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, needs_browser, refuse_axe_violations
from conftest import TRAIN, type_in, write_pictures
from PIL import Image

pytestmark = needs_browser

HOSTILE = [
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "Her$nia & 'x' {{ 7*7 }}",
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two runs whose labels and image names are hostile."""
    folder = tmp_path_factory.mktemp("page")
    write_pictures(folder / "source", 64)
    rows = list(csv.reader((folder / "source/labels.csv").open()))
    rows[0][-3:] = HOSTILE
    for row in rows[1:]:
        row[0] = f"<b onclick=alert(1)>{row[0]}</b>"
    with (folder / "source/labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    (folder / "classes.txt").write_text("\n".join(HOSTILE) + "\n")
    with (folder / "texts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["class", "prompt", "description"], *([name, name, name] for name in HOSTILE)])
    cache = ["cache", "--size", "32", "--workers", "2", "--source", f"table={folder / 'source/labels.csv'}", "--name", "p"]
    train = [*TRAIN, "--epochs", "1"]
    commands = [
        [*cache, "--label-columns", ",".join(HOSTILE)],
        ["embed-labels", "--encoder", "ngram", "--texts", folder / "texts.csv", "--label-space", folder / "classes.txt"],
        ["merge", "--label-space", folder / "classes.txt", "--split", "40,30,30", "--same-picture", "keep"],
        [*train, "--name", "a"],
        [*train, "--name", "b", "--queries", "none"],
        ["report", "a", "b", "--name", "page", "--resamples", "100"],
    ]
    type_in(folder, commands)
    return folder / "reports/page/report.html"


def test_what_comes_from_outside_is_text(page: Path, browser: Browser) -> None:
    html = page.read_text(encoding="utf-8")
    assert html.count("<script>") == 1, "its own"
    assert "<img src=x" not in html
    assert "<b onclick" not in html
    assert "{{ 7*7 }}" in html
    with browser.user() as user:
        dom = browser.opened(page, user).html()
    assert "owned" not in re.findall(r"<title>(.*?)</title>", dom)[0]
    assert "3 of 3 classes, most frequent first" in dom, "its own script runs under its own rule"


def test_it_asks_nothing_of_a_network(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href|action)\s*=\s*[\"']?(?!data:|#)[^\"'> ]+", html.split("<main")[0])
    assert all(value.startswith("data:image/") for value in re.findall(r'<img[^>]* src="([^"]*)"', html))
    assert not re.findall(r"url\(|@import|https?:", html)
    assert len(html) < 1_000_000


def test_the_table_sorts_and_filters(page: Path, browser: Browser) -> None:
    script = """
      const rows = () => Array.from(document.querySelectorAll('#table tbody tr')).filter((row) => !row.hidden);
      const names = () => rows().map((row) => row.dataset.class);
      const values = () => rows().map((row) => Number(row.cells[2].dataset.value));
      const head = document.querySelectorAll('#table thead th')[2];
      const found = {};
      head.querySelector('button').click();
      found.down = values(); found.sorted = head.getAttribute('aria-sort');
      head.querySelector('button').click();
      found.up = values();
      document.querySelector('#table thead button').click();
      found.names = names();
      const find = document.getElementById('find');
      find.value = 'HER$'; find.dispatchEvent(new Event('input'));
      found.filtered = names(); found.status = document.getElementById('status').textContent;
      found.panels = Array.from(document.querySelectorAll('#curves .panel')).filter((one) => !one.hidden).length;
      document.getElementById('overlays').click();
      found.overlay = getComputedStyle(document.querySelector('.overlay')).visibility;
      return found;
    """
    with browser.user() as user:
        found = browser.opened(page, user).run(script)
    assert found["down"] == sorted(found["down"], reverse=True)
    assert found["sorted"] == "descending"
    assert found["up"] == sorted(found["up"])
    assert found["names"] == sorted(HOSTILE, key=str.lower)
    assert found["filtered"] == [HOSTILE[2]]
    assert found["status"].startswith("1 of 3 classes, by Class, ascending")
    assert found["panels"] == 2
    assert found["overlay"] == "hidden"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(page: Path, scheme: str, browser: Browser) -> None:
    refuse_axe_violations(browser, page, scheme)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_runs_out_of_the_window(page: Path, width: int, browser: Browser) -> None:
    script = "const root = document.documentElement; return [root.scrollWidth, root.clientWidth];"
    with browser.user() as user:
        needed, there = browser.opened(page, user, width=width).run(script)
    assert needed <= there <= width


def test_it_prints_and_has_its_picture_taken(page: Path, browser: Browser) -> None:
    shades = []
    with browser.user() as user:
        assert browser.opened(page, user).pdf().startswith(b"%PDF")
        for scheme in ("light", "dark"):
            with Image.open(io.BytesIO(browser.opened(page, user, scheme).picture())) as picture:
                assert picture.size == (1280, 900)
                shades.append(float(np.asarray(picture.convert("L")).mean()))
    assert shades[0] > 200
    assert shades[1] < 70
