"""Labels by people, read from a table with a row per image, or per image and reader, and aligned with the scored images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from cxrlt_cli.artifacts.source_table import BLANK
from cxrlt_cli.console import say, warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.labels.spaces import canonical
from cxrlt_cli.paths import is_file
from cxrlt_cli.scores.labelled import Scored
from cxrlt_cli.sources.listing import labels_of, read_text_table, refuse_blank

Uncertain = Literal["leave-out", "positive", "negative"]
#: Usual names of the columns of image and reader, in lower case and without other characters.
_IMAGE = ("imageid", "imageindex", "image", "dicomid")
_READER = ("readerid", "reader", "radid", "radiologist", "annotatorid", "annotator")
_WORDS = {
    "yes": "1", "no": "0", "hedge": "-1", "true": "1", "false": "0", "positive": "1", "negative": "0", "present": "1",
    "absent": "0", "uncertain": "-1", "unknown": "",
}  # fmt: skip


@dataclass(frozen=True)
class HumanLabels:
    """Labels of the N images and C classes of an evaluation, by one or more people.

    Attributes:
        path: the table.
        names: (R,) of the readers; one empty name for a table without readers.
        positive: (R, N, C) bool.
        known: (R, N, C) bool, False where a reader did not read the image, or left the class blank.
    """

    path: Path
    names: list[str]
    positive: np.ndarray
    known: np.ndarray


def read_human_labels(path: Path, scored: Scored, columns: tuple[str, str], uncertain: Uncertain, readers: bool) -> HumanLabels:
    """Reads a table and aligns it with the images and classes of an evaluation, by id and name.

    Args:
        path: CSV (also .gz) or Parquet.
        scored: the images and classes.
        columns: names of the columns of the image and of the reader; empty for the usual names.
        uncertain: how -1 (HEDGE) is counted.
        readers: whether the table has a column of the reader.

    Raises:
        UserError: not there, no such column, no class or image in common, an unknown value, or a row twice with other labels.
    """
    if not is_file(path):
        raise UserError(f"{path} is not there", "--readers and --reference name a CSV or Parquet file")
    table = read_text_table(path)
    image = _column(table, path, "image", columns[0], _IMAGE)
    keys = [image]
    if readers:
        keys.append(_column(table, path, "reader", columns[1], _READER))
    for name in keys:
        refuse_blank(table[name], path)
    class_of = _classes(table, path, scored, keys)
    labels = labels_of(table, list(class_of), path, _WORDS)
    keep = _once(table[keys].astype(str), labels, path)
    table, labels = table[keep].reset_index(drop=True), labels[keep]
    rows = _rows_of(table[image].astype(str), scored, path)
    who = table[keys[1]].astype(str) if readers else pd.Series("", index=table.index)
    _report_uncertain(labels[rows >= 0], path, uncertain)
    return _aligned(path, scored, rows, who, list(class_of.values()), _decided(labels, uncertain))


def _column(table: pd.DataFrame, path: Path, what: str, name: str, usual: tuple[str, ...]) -> str:
    if name:
        if name not in table:
            raise UserError(f"{path} has no column {name!r}", f"its columns are: {listed(table.columns, 40)}")
        return name
    plain = {"".join(mark for mark in str(one).casefold() if mark.isalnum()): str(one) for one in table.columns}
    found = next((plain[one] for one in usual if one in plain), None)
    if found is None:
        raise UserError(f"{path} has no column of the {what}", f"name it: --{what}-column; it has {listed(table.columns, 40)}")
    return found


def _classes(table: pd.DataFrame, path: Path, scored: Scored, keys: list[str]) -> dict[str, str]:
    """Column -> class of the dataset; other columns are left out."""
    class_of = {canonical(name): name for name in scored.classes}
    columns = [str(name) for name in table.columns if name not in keys]
    found = {name: class_of[canonical(name)] for name in columns if canonical(name) in class_of}
    if not found:
        raise UserError(
            f"{path} has none of the classes {listed(scored.classes, 14)}: its columns are {listed(columns, 20)}",
            "rename its columns as the dataset names the classes",
        )
    twice = [name for name, meant in found.items() if list(found.values()).count(meant) > 1]
    if twice:
        raise UserError(f"{path} has {listed(twice)} for one class", "leave one column of each class")
    without = [name for name in scored.classes if name not in found.values()]
    if without:
        say(f"{path}: no column of {listed(without, 20)}")
    return found


def _once(keys: pd.DataFrame, labels: np.ndarray, path: Path) -> np.ndarray:
    """(N,) bool, each key once. Raises UserError where a key has two rows that differ."""
    repeated = keys.duplicated().to_numpy()
    if not repeated.any():
        return ~repeated
    code = keys.groupby(list(keys.columns), sort=False).ngroup().to_numpy()
    first = np.flatnonzero(~repeated)[code]
    other = np.flatnonzero((labels != labels[first]).any(axis=1))
    if len(other):
        named = listed(" / ".join(keys.iloc[row]) for row in other)
        raise UserError(
            f"{path} has {len(other)} rows again with other labels (rows {listed(other + 1)}): {named}", "leave one row of each"
        )
    warn(f"{path} has {int(repeated.sum())} rows twice, with the same labels: counted once")
    return ~repeated


def _rows_of(ids: pd.Series, scored: Scored, path: Path) -> np.ndarray:
    """(rows,) index of the scored image of each row; -1 if the image was not scored."""
    scored_ids = scored.table["image_id"].astype(str)
    row_of = pd.Series(range(len(scored_ids)), index=scored_ids.to_numpy())
    rows = ids.map(row_of)
    if rows.isna().all():  # one table may have file names, the other ids without suffix
        stems, without_suffix = scored_ids.str.replace(_SUFFIX, "", regex=True), ids.str.replace(_SUFFIX, "", regex=True)
        if not stems.duplicated().any():
            rows = without_suffix.map(pd.Series(range(len(scored_ids)), index=stems.to_numpy()))
    if rows.isna().all():
        raise UserError(
            f"{path} and {scored.path} have no image in common",
            f"the table has {listed(ids[:3])}, the scores {listed(scored_ids[:3])}",
        )
    absent, images = ids[rows.isna()].nunique(), ids.nunique()
    if absent:
        say(f"{path}: {absent:,} of its {images:,} images are not among the {len(scored_ids):,} that were scored: left out")
    return rows.fillna(-1).to_numpy(dtype=np.int64)


_SUFFIX = r"\.(?:png|jpe?g|dcm|dicom)$"


def _report_uncertain(labels: np.ndarray, path: Path, uncertain: Uncertain) -> None:
    count, blank = int((labels == -1).sum()), int((labels == BLANK).sum())
    if count:
        how = "left out" if uncertain == "leave-out" else f"counted as {uncertain}"
        say(f"{path}: {count:,} uncertain labels of the scored images are {how} (--uncertain)")
    if blank:
        say(f"{path}: {blank:,} blank labels of the scored images are left out")


def _decided(labels: np.ndarray, uncertain: Uncertain) -> np.ndarray:
    meant = {"leave-out": BLANK, "positive": 1, "negative": 0}[uncertain]
    return np.where(labels == -1, meant, labels)


def _aligned(
    path: Path, scored: Scored, rows: np.ndarray, who: pd.Series, classes: list[str], labels: np.ndarray
) -> HumanLabels:
    there = rows >= 0
    codes, names = pd.factorize(who[there], sort=True)
    shape = (len(names), len(scored.table), len(scored.classes))
    positive, known = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for column, name in enumerate(classes):
        c = scored.classes.index(name)
        positive[codes, rows[there], c] = labels[there, column] == 1
        known[codes, rows[there], c] = labels[there, column] != BLANK
    return HumanLabels(path, [str(name) for name in names], positive, known)
