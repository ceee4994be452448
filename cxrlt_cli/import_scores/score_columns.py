"""Which column of a file holds the scores of which class."""

import re
from collections.abc import Mapping
from pathlib import Path

from cxrlt_cli.artifacts.csv_rows import CsvRow, csv_rows
from cxrlt_cli.errors import UserError, closest, listed, nearest
from cxrlt_cli.labels.spaces import canonical

_MAP = ("column", "class")
_HINT = f"a CSV in UTF-8 with the columns {','.join(_MAP)}"


def columns_of_classes(given: str, names: list[str], path: Path, flag: str) -> dict[str, str]:
    """Class -> column, as `--columns` says.

    Args:
        given: a pattern with {class}, names of columns, or the path of a CSV with the columns column,class; empty: every
            column is a class of its own name.
        names: the columns of the file.
        path: the file, for messages.
        flag: that was given.

    Raises:
        UserError: no column fits the pattern, a column is not there, or a class is given two columns.
    """
    if not given:
        return {name: name for name in names}
    if "{class}" in given:
        return _fitting(given, names, path, flag)
    pairs = _mapped(Path(given)) if given.endswith(".csv") else _named(given)
    absent = [column for column, _ in pairs if column not in names]
    if absent:
        raise UserError(
            f"{flag}: {path} has no column {listed(f'{name}{nearest(name, names)}' for name in absent)}",
            f"its columns are: {listed(names, 40)}",
        )
    found: dict[str, str] = {}
    for column, name in pairs:
        if name in found:
            raise UserError(f"{flag}: {found[name]!r} and {column!r} are both the class {name!r}", "give it one column")
        found[name] = column
    return found


def _fitting(pattern: str, names: list[str], path: Path, flag: str) -> dict[str, str]:
    before, _, after = pattern.partition("{class}")
    found = re.compile(f"{re.escape(before)}(.+){re.escape(after)}")
    fitting = {match[1]: name for name in names if (match := found.fullmatch(name))}
    if not fitting:
        raise UserError(f"{flag} {pattern!r}: no column of {path} fits", f"its columns are: {listed(names, 40)}")
    return fitting


def _named(given: str) -> list[tuple[str, str]]:
    return [(name.strip(), name.strip()) for name in given.split(",") if name.strip()]


def _mapped(path: Path) -> list[tuple[str, str]]:
    """(column, class) of each row; a row without a class names a column that is not used."""
    rows = csv_rows(path, _HINT)
    header = next(rows, CsvRow([], 0, 0)).cells
    lacking = [name for name in _MAP if name not in header]
    if lacking:
        raise UserError(f"{path} has no column {listed(lacking)}", _HINT)
    places = [header.index(name) for name in _MAP]
    pairs = [(row.cells[places[0]].strip(), row.cells[places[1]].strip()) for row in rows]
    return [(column, name) for column, name in pairs if name]


def match_classes(columns: Mapping[str, str], labelled: list[str], paths: tuple[Path, Path]) -> dict[str, str]:
    """Class of the labels -> column of its scores, by name and synonym, in the order of the labels.

    Args:
        columns: class -> column, of the scores.
        labelled: the classes of the labels.
        paths: the file of scores and that of labels, for messages.

    Raises:
        UserError: no class has both, or two columns or two labels mean one class.
    """
    scored: dict[str, list[str]] = {}
    for name in columns:
        scored.setdefault(canonical(name), []).append(name)
    found: dict[str, str] = {}
    for label in labelled:
        same = scored.get(canonical(label), [])
        others = [other for other in found if canonical(other) == canonical(label)]
        if len(same) > 1:
            raise UserError(f"{paths[0]}: {listed(map(repr, same))} are the same class", "name the columns to use: --columns")
        if same and others:
            raise UserError(f"{paths[1]}: {others[0]!r} and {label!r} are the same class", "name the labels: --label-columns")
        if same:
            found[label] = columns[same[0]]
    if not found:
        raise UserError(
            f"no class has both scores and labels: {paths[0]} has {listed(columns, 20)}; {paths[1]} has {listed(labelled, 20)}",
            _suggestion(columns, labelled),
        )
    return found


def _suggestion(columns: Mapping[str, str], labelled: list[str]) -> str:
    """The hint: a pattern if column names contain class names; else the most similar names."""
    for column in columns.values():
        for name in sorted(labelled, key=len, reverse=True):
            place = re.search(re.sub(r"[ _]", "[ _]", re.escape(name).replace("\\ ", " ")), column, re.IGNORECASE)
            if place and place[0] != column:
                return f'say how columns are named: --columns "{column[: place.start()]}{{class}}{column[place.end() :]}"'
    near = [f"{name} = {close}?" for name in columns if (close := closest(name, labelled))]
    suggested = f" ({listed(near)})" if near else ""
    return f"say which column is which class{suggested}: --columns FILE.csv with the columns column,class"
