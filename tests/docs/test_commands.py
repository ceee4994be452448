"""Every `cxrlt` command line in the README and under docs/ is accepted by the real options."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from cxrlt_cli.app import COMMANDS, app

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs/reference/cli.md"  # has usage lines instead of commands, and a test of its own
PAGES = [page for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]) if page != GENERATED]
FLAGS = {line.split()[0] for line in (ROOT / "tests/surface.txt").read_text().splitlines() if line.startswith("    --")}
OF_OTHERS = {
    "--help",
    "--version",
    "--kill-on-bad-exit",
    "--qos",
    "--no-deps",
    "--requeue",
    "--array",
    "--nproc-per-node",
    "--standalone",
    "--gpus",
    "--nv",
    "--build-arg",
}

_GROUP: Any = typer.main.get_command(app)
_FENCED = re.compile(r"^ *```\w*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:^ {4}.*\n?)+", re.MULTILINE)
_ASSIGNED = re.compile(r"^ *(\w+)=\"([^\"]*)\"", re.MULTILINE)
_ENDS = {";", "&&", "||", "|", "&", ">", "<", "(", ")", "done"}


def _blocks(text: str) -> list[str]:
    fenced = _FENCED.findall(text)
    return fenced + _INDENTED.findall(_FENCED.sub("", text))


def _commands(block: str) -> list[list[str]]:
    """The words after `cxrlt` of each command line of a block of shell; variables are replaced, `…` is left out."""
    values = {name: " ".join(value.split()) for name, value in _ASSIGNED.findall(block)}
    text = _ASSIGNED.sub("", block).replace("\\\n", " ")
    text = re.sub(r"\$\(\(.*?\)\)", "0", text)
    text = re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found[1], "0"), text)
    found = []
    for line in text.splitlines():
        if not re.search(r"\bcxrlt(_cli)? ", line):
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = [word for word in lexer if word != "…"]
        for place in [place for place, word in enumerate(words) if word in ("cxrlt", "cxrlt_cli")]:
            rest = words[place + 1 :]
            end = next((number for number, word in enumerate(rest) if word in _ENDS), len(rest))
            found.append(rest[:end])
    return found


def _accept(words: list[str]) -> None:
    """Parses a command line to the options of its command, as typing it does; nothing is run."""
    if words == ["--help"] or words[1:] == ["--help"]:
        return
    if "--config" in words:  # the file of the example is not there
        at = words.index("--config")
        words = words[:at] + words[at + 2 :]
    config, _, _ = COMMANDS[words[0]]
    values = _GROUP.commands[words[0]].make_context(words[0], list(words[1:])).params
    del values["workspace"], values["config"]
    config(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_command_lines_are_accepted(page: Path) -> None:
    refused = []
    for block in _blocks(page.read_text(encoding="utf-8")):
        for words in _commands(block):
            try:
                _accept(words)
            except Exception as error:  # noqa: BLE001 - all refusals of a page are listed
                refused.append((words, getattr(error, "message", repr(error))))
    assert not refused


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_flags_and_commands_in_the_text_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in _blocks(text):
        text = text.replace(block, "")
    spans = [span for span in re.findall(r"`([^`\n]+)`", text) if not span.startswith("python ")]
    given = {flag for span in spans for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", span)}
    named = {span.split()[1] for span in spans if re.match(r"cxrlt [a-z]", span)}
    assert not given - FLAGS - OF_OTHERS
    assert not named - set(COMMANDS)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("cxrlt train --epochs 2   # a comment\n", [["train", "--epochs", "2"]]),
        ("cxrlt merge && cxrlt train …\n", [["merge"], ["train"]]),
        ('T="--epochs 2\n  --lr 1"\ncxrlt study bag --train "$T" \\\n    --jobs 2\n', None),
        ("srun cxrlt check | tee log\n", [["check"]]),
    ],
)
def test_how_a_block_is_read(block: str, words: list[list[str]] | None) -> None:
    assert _commands(block) == (words or [["study", "bag", "--train", "--epochs 2 --lr 1", "--jobs", "2"]])


@pytest.mark.parametrize(
    "line", ["cxrlt trian", "cxrlt train --epoch 3", "cxrlt train --epochs three", "cxrlt predict --tta 99"]
)
def test_wrong_command_lines_are_refused(line: str) -> None:
    with pytest.raises(Exception, match=r"trian|--epoch|integer|99"):
        _accept(shlex.split(line)[1:])
