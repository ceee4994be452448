"""A column of label texts (`Atelectasis|Effusion`, `['atelectasis', 'effusion']`) becomes one column per label."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.source_table import BLANK
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed

_MOST = 2000  # labels; a column with more is free text
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_SEPARATORS = "|;,/"
_NOTHING = {"None", "null", "nan"}  # in a list


def names_in(text: str, separator: str) -> list[str]:
    """The labels that a cell names, each once, without surrounding blanks.

    Args:
        text: labels between separators, or a list as Python (or numpy, or JSON) writes it, which needs no separator. A tuple or
            a set of quoted texts is a list too; None, null and nan in a list name nothing.
        separator: between labels.

    Raises:
        ValueError: a list with something between its quoted texts.
    """
    text = text.strip()
    quoted = "'" in text or '"' in text
    brackets = ("[]", "()", "{}") if text[1:].lstrip()[:1] in ("'", '"') else ("[]",)
    if text[:1] + text[-1:] not in brackets:
        parts = text.split(separator)
    elif quoted:
        if set(_QUOTED.sub(" ", text[1:-1]).replace(",", " ").split()) - _NOTHING:
            raise ValueError("a list that is not closed")
        parts = [one or other for one, other in _QUOTED.findall(text[1:-1])]
    else:
        parts = text[1:-1].split(",")
    return list(dict.fromkeys(name for part in parts if (name := " ".join(part.split()))))


def labels_of_texts(column: pd.Series, separator: str, path: Path) -> tuple[list[str], np.ndarray]:
    """Reads a column of label texts.

    Args:
        column: see `names_in`.
        separator: between labels.
        path: the table, for messages.

    Returns:
        The labels, sorted; and (N, C) int8: 1 if a cell names the label, else 0; BLANK in the row of a blank cell. An empty
        list is not blank: all its labels are 0.

    Raises:
        UserError: a damaged list, no label at all, or more labels than `_MOST`.
    """
    codes, distinct = pd.factorize(column)  # -1 where it is null
    named = [_names(str(text), separator, column, path) for text in distinct]
    blank = np.array([*(not str(text).strip() for text in distinct), True])[codes]  # the last for -1
    classes = sorted({name for names in named for name in names}, key=lambda name: (name.casefold(), name))
    if not classes or len(classes) > _MOST:
        what = f"{len(classes)} different labels ({listed(classes, 3)})" if classes else "no labels"
        raise UserError(f"{path}, column {column.name!r} has {what}", "see --label-column and --separator")
    place = {name: index for index, name in enumerate(classes)}
    rows = np.zeros((len(named) + 1, len(classes)), dtype=np.int8)
    for row, names in enumerate(named):
        rows[row, [place[name] for name in names]] = 1
    labels = rows[codes]
    labels[blank] = BLANK
    _warn(column, blank, classes, separator, path)
    return classes, labels


def _names(text: str, separator: str, column: pd.Series, path: Path) -> list[str]:
    try:
        return names_in(text, separator)
    except ValueError as error:
        row = int(np.flatnonzero(column == text)[0]) + 1
        raise UserError(f"{path}, column {column.name!r}, row {row}: {error}: {text[:80]}", "correct the cell") from error


def _warn(column: pd.Series, blank: np.ndarray, classes: list[str], separator: str, path: Path) -> None:
    """Warns of blank cells, and of labels that look like several joined ones."""
    if blank.any():
        row = int(np.flatnonzero(blank)[0]) + 1
        warn(
            f"{path}, column {column.name!r}: {int(blank.sum())} of {len(column)} cells are blank (the first: row {row}); "
            "their labels are unknown (merge --blank)"
        )
    for other in _SEPARATORS.replace(separator, ""):
        several = [name for name in classes if other in name and {part.strip() for part in name.split(other)} <= set(classes)]
        if several:
            warn(f"{path}, column {column.name!r}: {listed(several)} may be several labels: --separator {other!r}")
