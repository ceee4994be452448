"""Columns of a user's table (scanner, ward, ethnicity …) joined to the scored images, for subgroups."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file
from cxrlt_cli.scores.labelled import Scored
from cxrlt_cli.sources.listing import read_text_table, refuse_blank

_KEYS = ("image_id", "study_id", "patient_id")  # the first one in the table is the join key


def with_columns_of(scored: Scored, path: Path) -> Scored:
    """The same rows with the columns of a CSV or Parquet table, joined by image, study or patient id; null without a match.

    Patient ids of the dataset are `source:id`; if it has one source, the table may give `id` alone.

    Raises:
        UserError: no such table or id column, a blank or repeated id, a column that the dataset has too, or no row in common.
    """
    if not is_file(path):
        raise UserError(f"{path} is not there", "--by-table names a CSV or Parquet file")
    facts = read_text_table(path)
    key = next((name for name in _KEYS if name in facts), None)
    if key is None:
        raise UserError(f"{path} has none of the columns {', '.join(_KEYS)}", f"it has: {listed(facts.columns)}")
    refuse_blank(facts[key], path)
    theirs = facts[key].astype(str)
    if theirs.duplicated().any():
        raise UserError(f"{path} has a {key} twice: {listed(theirs[theirs.duplicated()].unique())}", "give each one row")
    new = [name for name in facts if name not in _KEYS]
    taken = [name for name in new if name in scored.table or name in scored.classes]
    if taken:
        raise UserError(f"{path} and the dataset both have {listed(taken)}", "rename or leave out the table's own")
    rows = _rows_of(scored, key, theirs, path)
    joined = facts[new].convert_dtypes().reindex(rows).reset_index(drop=True)
    return replace(scored, table=pd.concat([scored.table, joined], axis=1))


def _rows_of(scored: Scored, key: str, theirs: pd.Series, path: Path) -> pd.Series:
    """The table's row for each scored image, -1 without a match."""
    ours = scored.table[key]
    if ours.isna().all():
        raise UserError(f"the dataset has no {key}, by which {path} would be joined", "join by image_id or patient_id")
    row_of = pd.Series(range(len(theirs)), index=theirs.to_numpy())
    rows = ours.map(row_of)
    if key == "patient_id":
        parts = ours.str.partition(":")
        if parts[0].nunique() == 1:  # one source: its name may be left out
            rows = rows.fillna(parts[2].map(row_of))
    without = int(rows.isna().sum())
    if without == len(rows):
        raise UserError(
            f"{path} has none of the images: no {key} of it is in the dataset",
            f"the dataset has {listed(ours.dropna()[:3])}, the table {listed(theirs[:3])}",
        )
    if without:
        warn(f"{without:,} of {len(rows):,} images have no row in {path}: unknown in --by")
    return rows.fillna(-1).astype(int)
