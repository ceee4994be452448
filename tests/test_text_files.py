"""How the package reads and writes files: text is UTF-8 whatever the locale, and one module asks what lies at a path."""

import ast
import functools
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cxrlt_cli"
FILES = sorted(PACKAGE.rglob("*.py"))
_BINARY = {"Image", "os", "tarfile", "zipfile", "webbrowser"}  # whose `open` opens no text


@functools.cache
def _calls(code: str) -> list[tuple[ast.Call, str]]:
    """Calls, and the last part of the name of what is called."""
    nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    named = [node for node in nodes if isinstance(node.func, ast.Attribute | ast.Name)]
    return [(node, node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id) for node in named]


def _opens_text(call: ast.Call, name: str) -> bool:
    if name in ("read_text", "write_text"):
        return isinstance(call.func, ast.Attribute)  # `artifacts.files.write_text` is UTF-8 by itself
    if name != "open":
        return any(given.arg == "text" and ast.unparse(given.value) == "True" for given in call.keywords)
    if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in _BINARY:
        return False
    modes = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return not any("b" in mode and set(mode) <= set("rwab+x") for mode in modes)


def _without_encoding(code: str) -> list[int]:
    """The lines on which text is read or written in the encoding of the locale."""
    lines = []
    for call, name in _calls(code):
        encodings = [ast.unparse(given.value).strip("'") for given in call.keywords if given.arg == "encoding"]
        if _opens_text(call, name) and not set(encodings) & {"utf-8", "utf-8-sig"}:
            lines.append(call.lineno)
    return lines


def _asks_the_system(code: str) -> list[int]:
    """The lines that ask a path what lies there."""
    return [
        call.lineno
        for call, name in _calls(code)
        if name in ("exists", "is_file", "is_dir") and isinstance(call.func, ast.Attribute)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_text_is_utf_8_whatever_the_locale(path: Path) -> None:
    assert not _without_encoding(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_paths_asks_what_lies_at_a_path(path: Path) -> None:
    """`Path.exists` and its like raise where a folder may not be entered and where a name is too long."""
    if path.name != "paths.py" or path.parent != PACKAGE:
        assert not _asks_the_system(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("path.read_text()", True),
        ("path.read_text(encoding='latin-1')", True),
        ("path.read_text(encoding='utf-8-sig')", False),
        ("aside.write_text(text)", True),
        ("write_text(path, text)", False),
        ("open(path)", True),
        ("path.open('a')", True),
        ("path.open('rb')", False),
        ("path.open('w', encoding='utf-8')", False),
        ("gzip.open(path, 'rt')", True),
        ("os.open(path, 0)", False),
        ("subprocess.run(command, text=True)", True),
        ("subprocess.run(command, text=True, encoding='utf-8')", False),
    ],
)
def test_the_test_sees_it(code: str, found: bool) -> None:
    assert bool(_without_encoding(code)) == found
    assert _asks_the_system("path.exists()")
    assert not _asks_the_system("exists(path)")
