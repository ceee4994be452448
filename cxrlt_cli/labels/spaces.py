"""Label spaces and synonyms."""

import re
import tomllib
import unicodedata
from functools import cache
from pathlib import Path

from cxrlt_cli.errors import UserError, nearest
from cxrlt_cli.paths import is_file

_HERE = Path(__file__).parent


@cache
def built_in_spaces() -> dict[str, list[str]]:
    """Name -> classes of the built-in label spaces."""
    return tomllib.loads((_HERE / "spaces.toml").read_text(encoding="utf-8"))


@cache
def _meanings() -> dict[str, str]:
    """Normalised name -> normalised first name of its group of synonyms."""
    groups = tomllib.loads((_HERE / "synonyms.toml").read_text(encoding="utf-8"))["groups"]
    return {_plain(name): _plain(group[0]) for group in groups for name in group}


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", name).strip().casefold()


def canonical(name: str) -> str:
    """A key that is equal for two names if and only if they mean the same finding."""
    plain = _plain(name)
    return _meanings().get(plain, plain)


def all_classes() -> list[str]:
    """The classes of all built-in spaces, each spelling once."""
    return list(dict.fromkeys(name for space in built_in_spaces().values() for name in space))


def known_names() -> list[str]:
    """All known names: classes and synonyms."""
    groups = tomllib.loads((_HERE / "synonyms.toml").read_text(encoding="utf-8"))["groups"]
    return list(dict.fromkeys([*all_classes(), *(name for group in groups for name in group)]))


def read_space(name: str) -> list[str]:
    """The classes of a label space.

    Args:
        name: of a built-in space, or the path of a text file with one class per line (`#` starts a comment).

    Raises:
        UserError: no such space or file, no class in it, or one finding twice.
    """
    if name in built_in_spaces():
        return list(built_in_spaces()[name])
    path = Path(name)
    there = f"built in: {', '.join(built_in_spaces())}; or a text file with one class per line"
    if not is_file(path):
        raise UserError(f"{name!r} is neither a label space nor a file{nearest(name, built_in_spaces())}", there)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as text: {error}", there) from error
    classes = [line.partition("#")[0].strip() for line in lines]
    return _checked([name for name in classes if name], path)


def _checked(classes: list[str], path: Path) -> list[str]:
    if not classes:
        raise UserError(f"{path} names no class", "write one class per line")
    seen: dict[str, str] = {}
    for name in classes:
        if canonical(name) in seen:
            raise UserError(
                f"{path} names {seen[canonical(name)]!r} and {name!r}, which mean the same", "a finding is one class"
            )
        seen[canonical(name)] = name
        if any(unicodedata.category(mark) == "Cc" for mark in name):
            raise UserError(f"{path} names {name!r}, which holds a control character", "write a class a line, as plain text")
    return classes
