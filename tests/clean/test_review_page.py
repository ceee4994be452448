"""The review page in a browser: keys and buttons decide, progress is kept, the saved CSV is what merge reads.

Needs Debian's `chromium` (or another Chromium in the path); skipped where there is none.
"""

import csv
import json
import re
from pathlib import Path

import pytest
from browser import Browser, needs_browser, refuse_axe_violations
from conftest import TRAIN, Run, type_in, write_pictures

from cxrlt_cli.artifacts.corrections import read_corrections
from cxrlt_cli.artifacts.dataset import read_dataset

pytestmark = needs_browser

HOSTILE = [
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "Hernia & 'x' {{ 7*7 }}",
]

#: The CSV that the page would save.
SAVED = """
  const texts = [];
  URL.createObjectURL = (blob) => { texts.push(blob.text()); return '#'; };
  const press = (key) => dispatchEvent(new KeyboardEvent('keydown', {key}));
  const saved = async () => { document.getElementById('save').click(); return texts[texts.length - 1]; };
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a run and its corrections; its labels and image names are hostile."""
    folder = tmp_path_factory.mktemp("review")
    write_pictures(folder / "source", 48)
    rows = list(csv.reader((folder / "source/labels.csv").open()))
    rows[0][-3:] = HOSTILE
    for row in rows[1:]:
        row[0] = f'<b onclick=alert(1)>"{row[0]}", x</b>'
    with (folder / "source/labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    (folder / "classes.txt").write_text("\n".join(HOSTILE) + "\n")
    with (folder / "texts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["class", "prompt", "description"], *([name, name, name] for name in HOSTILE)])
    cache = ["cache", "--size", "32", "--workers", "2", "--source", f"table={folder / 'source/labels.csv'}", "--name", "p"]
    commands: list[list[object]] = [
        [*cache, "--label-columns", ",".join(HOSTILE)],
        ["embed-labels", "--encoder", "ngram", "--texts", folder / "texts.csv", "--label-space", folder / "classes.txt"],
        ["merge", "--label-space", folder / "classes.txt", "--split", "40,30,30", "--same-picture", "keep"],
        [*TRAIN, "--encoder", "timm:test_resnet", "--epochs", "1", "--name", "a"],
        ["predict", "a"],
        ["clean", "a-test", "--top", "6", "--name", "round"],
    ]
    type_in(folder, commands)
    return folder


@pytest.fixture
def page(folder: Path) -> Path:
    return folder / "corrections/round/review.html"


def test_it_is_one_file_that_asks_nothing_of_a_network(page: Path, browser: Browser) -> None:
    html = page.read_text(encoding="utf-8")
    assert html.count("<script>") == 1, "its own"
    assert "<img src=x" not in html
    assert "<b onclick" not in html
    pictures = re.findall(r'<img[^>]* src="([^"]*)"', html)
    assert html.count('class="overlay"') == 6
    assert len(pictures) == 6 * (2 + 4) - 2, "picture, map, two neighbours of either label; two labels have one neighbour less"
    assert all(value.startswith("data:image/") for value in pictures)
    assert not re.findall(r"url\(|@import|https?:|<link", html)
    with browser.user() as user:
        dom = browser.opened(page, user).html()
    assert "owned" not in re.findall(r"<title>(.*?)</title>", dom)[0]
    assert "0 of 6 reviewed" in dom, "its own script runs under its own rule"


def test_keys_decide_and_the_saved_csv_is_what_merge_reads(
    page: Path, folder: Path, tmp_path: Path, cxrlt: Run, browser: Browser
) -> None:
    script = (
        SAVED
        + """
      'fkuf'.split('').forEach(press);
      press('n'); press('p'); press('K');
      dispatchEvent(new KeyboardEvent('keydown', {key: 'f', ctrlKey: true}));
      const current = document.querySelectorAll('.current');
      return {csv: await saved(), status: document.getElementById('status').textContent, count: current.length,
              current: current[0].dataset.rank, focus: document.activeElement.id,
              checked: Array.from(document.querySelectorAll('input[type=radio]:checked')).map((one) => one.value)};
    """
    )
    with browser.user() as user:
        found = browser.opened(page, user).run(script)
    assert found["status"] == "5 of 6 reviewed: 2 keep, 2 flip, 1 unsure"
    assert (found["count"], found["current"], found["focus"]) == (1, "6", "cell-6")
    assert found["checked"] == ["flip", "keep", "unsure", "flip", "keep"]
    reviewed = tmp_path / "reviewed.csv"
    reviewed.write_text(found["csv"], encoding="utf-8")
    rows, before = read_corrections(reviewed), read_corrections(page.parent / "corrections.csv")
    assert [(one.image, one.label, one.given) for one in rows] == [(one.image, one.label, one.given) for one in before[:6]]
    assert [one.review for one in rows] == ["flip", "keep", "unsure", "flip", "keep", ""]
    old = read_dataset(folder / "dataset.parquet")
    merge = ["merge", "--label-space", folder / "classes.txt", "--split", "40,30,30", "--same-picture", "keep"]
    ended = cxrlt(*merge, "--corrections", reviewed, "--workspace", folder, "--output", folder / "new.parquet", "--overwrite")
    assert ended.code == 0, ended.err
    new = read_dataset(folder / "new.parquet")
    assert (new.targets != old.targets).sum() == 2


def test_the_keyboard_alone_reaches_everything(page: Path, browser: Browser) -> None:
    """All controls are native and can be focused; the single keys can be switched off."""
    script = (
        SAVED
        + """
      const first = document.querySelector('#cell-1 input[value=flip]');
      first.focus(); first.click();
      const focusable = Array.from(document.querySelectorAll('button, input, a[href]')).every((one) => one.tabIndex === 0);
      document.getElementById('keys').click();
      press('k');
      return {status: document.getElementById('status').textContent, focusable,
              current: document.querySelector('.current').dataset.rank};
    """
    )
    with browser.user() as user:
        found = browser.opened(page, user).run(script)
    assert found == {"status": "1 of 6 reviewed: 0 keep, 1 flip, 0 unsure", "focusable": True, "current": "1"}


def test_progress_is_kept_in_the_browser(page: Path, browser: Browser) -> None:
    """Another tab of the same user has it; another user has not."""
    script = """return {
      status: document.getElementById('status').textContent, hidden: document.getElementById('storage').hidden,
      current: document.querySelector('.current').dataset.rank};"""
    with browser.user() as user, browser.user() as other:
        browser.opened(page, user).run(SAVED + "press('f'); press('u');")
        found, first = browser.opened(page, user).run(script), browser.opened(page, other).run(script)
    assert found == {"status": "2 of 6 reviewed: 0 keep, 1 flip, 1 unsure", "hidden": True, "current": "3"}
    assert first["status"].startswith("0 of 6 reviewed")


def test_without_storage_a_saved_csv_is_opened_again(page: Path, tmp_path: Path, browser: Browser) -> None:
    broken = "Storage.prototype.setItem = () => { throw new Error('no'); };"
    rows = read_corrections(page.parent / "corrections.csv")
    with (tmp_path / "saved.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "class", "given", "suggested", "score", "rank", "review"])
        writer.writerows([one.image, one.label, one.given, one.suggested, 0, 0, "keep"] for one in rows[1:3])
        writer.writerow(["other", "class", "0", "1", "0", "0", "flip"])
    text = json.dumps((tmp_path / "saved.csv").read_text())
    script = (
        SAVED
        + f"""
      const box = document.getElementById('load'), files = new DataTransfer();
      files.items.add(new File([{text}], 'saved.csv'));
      box.files = files.files; box.dispatchEvent(new Event('change'));
      const status = document.getElementById('status'), end = Date.now() + 20000;
      while (!status.textContent.endsWith('from the file') && Date.now() < end)
        await new Promise((done) => setTimeout(done, 20));
      return {{csv: await saved(), status: document.getElementById('status').textContent,
               hidden: document.getElementById('storage').hidden}};
    """
    )
    with browser.user() as user:
        found = browser.opened(page, user, before=broken).run(script)
    assert found["hidden"] is False, "it says that progress is not kept"
    assert found["status"].endswith("2 taken from the file")
    assert [row.split(",")[-1] for row in found["csv"].splitlines()] == ["review", "", "keep", "keep", "", "", ""]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(page: Path, scheme: str, browser: Browser) -> None:
    refuse_axe_violations(browser, page, scheme)


def test_without_pixels_the_page_says_so(folder: Path, cxrlt: Run) -> None:
    images = folder / "images/p.h5"
    images.rename(folder / "images/away.h5")
    try:
        ended = cxrlt("clean", "a-test", "--top", "3", "--name", "blind", "--workspace", folder)
        assert ended.code == 0, ended.err
    finally:
        (folder / "images/away.h5").rename(images)
    assert "no pictures in the page" in ended.err
    html = (folder / "corrections/blind/review.html").read_text()
    assert "Look the images up by their id" in html
    assert "<img" not in html
