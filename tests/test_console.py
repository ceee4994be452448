"""What a reader sees: aligned tables, a bar on a terminal, dated lines elsewhere."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CACHE, write_pictures

from cxrlt_cli import console


def test_tables_are_aligned() -> None:
    text = console.table(["class", "AP"], [["Mass", "0.1"], ["Hernia", "0.25"]])
    assert text.splitlines() == ["class     AP", "------  ----", "Mass     0.1", "Hernia  0.25"]


def test_dated_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.0)
    with console.progress("cache x", 10) as bar:
        bar.advance(4)
        bar.advance(6, "loss 0.5")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d cache x: 10/10 images, [\d.]+/s, loss 0\.5", lines[1])


def test_nothing_within_the_first_minute(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("cache x", 10) as bar:
        bar.advance(10)
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    write_pictures(tmp_path / "source", 60)
    command = [sys.executable, "-m", "cxrlt_cli", *CACHE, "--source", f"table={tmp_path / 'source/labels.csv'}"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=tmp_path, stderr=theirs, stdout=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 4096):
            seen += part
    except OSError:  # the terminal closes with the process
        pass
    assert process.wait(30) == 0
    text = seen.decode()
    assert "cache labels" in text
    assert re.search(r"/60", text)
    assert "60 images of 32 px" in text


def test_long_tables_show_their_ends() -> None:
    rows = [[f"c{number}", str(number)] for number in range(60)]
    assert console.shortened(rows, "x.csv") == rows
    found = console.shortened([*rows, ["c60", "60"]], "x.csv")
    assert found[:20] == rows[:20]
    assert found[20] == ["… 21 more, all in: x.csv", ""]
    assert found[21:] == [*rows[41:], ["c60", "60"]]
    assert len(console.table(["class", "n"], found).splitlines()) == 43


_HOSTILE = "a\x1b[2Jb\u202ec\nerror: d\x9be\u2028f\x07"
_SHOWN = r"a\x1b[2Jb\u202ec\nerror: d\x9be\u2028f\x07"


def test_control_characters_are_written_out() -> None:
    assert console.escaped(_HOSTILE) == _SHOWN
    assert console.escaped(_HOSTILE, keep="\n") == _SHOWN.replace(r"\n", "\n")
    for text in ("Größe 胸部 भारत", "Chest\u00a0X-ray", "می\u200cشود", "50 % … µ"):  # what scripts and typography need stays
        assert console.escaped(text) == text
    assert console.escaped("\udcff") == r"\udcff"


def test_every_way_to_the_terminal_writes_them_out(capsys: pytest.CaptureFixture[str]) -> None:
    console.say(_HOSTILE)
    console.warn(_HOSTILE)
    console.complain(_HOSTILE)
    console.data(console.table(["class", _HOSTILE], [[_HOSTILE, "1"]]))
    said = capsys.readouterr()
    assert said.err.splitlines() == [_SHOWN, f"warning: {_SHOWN}", _SHOWN]
    assert said.out.count(_SHOWN) == 2
    assert len(said.out.splitlines()) == 3


@pytest.mark.parametrize(("target", "code"), [("| head -n 1", 0), ("> /dev/full", 2)])
def test_results_that_nobody_takes(target: str, code: int, tmp_path: Path) -> None:
    script = "from cxrlt_cli.console import data\nfrom cxrlt_cli import app\n"
    script += "app.app = lambda: [data('x' * 100_000) for _ in range(3)]\napp.main()\n"
    (tmp_path / "run.py").write_text(script)
    shell = f"set -o pipefail; {sys.executable} run.py {target}"
    ended = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ("cannot write to standard output" in ended.stderr) == (code == 2)


def test_quiet_leaves_warnings_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with console.quiet(), console.progress("cache x", 10) as bar:
        bar.advance(4)
        console.say("a line")
        console.data("a table")
        console.warn("3 images cannot be read")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "warning: 3 images cannot be read\n"
    console.say("a line")
    assert capsys.readouterr().err == "a line\n"
