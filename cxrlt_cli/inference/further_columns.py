"""Further columns of the images from a table of one's own: scanner, ward, ethnicity … to divide an evaluation by."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.inference.scored import Scored
from cxrlt_cli.sources.listing import read_text_table, refuse_blank, refuse_duplicates

_KEYS = ("image_id", "study_id", "patient_id")  # the first that is there joins


def with_columns_of(scored: Scored, path: Path) -> Scored:
    """The same rows with the columns of a CSV or Parquet table, joined by image, study or patient; null where it has no row.

    Ids are those of the dataset, which holds patients as `dataset:id`; where all are of one dataset, `id` will do.

    Raises:
        UserError: no such table, no such id, an id that is blank or twice, a column that the dataset has, or no row in common.
    """
    facts = read_text_table(path)
    key = next((name for name in _KEYS if name in facts), None)
    if key is None:
        raise UserError(f"{path} has none of the columns {', '.join(_KEYS)}", f"it has: {listed(facts.columns)}")
    refuse_blank(facts[key], path)
    refuse_duplicates(facts[key], path)
    new = [name for name in facts if name not in _KEYS]
    taken = [name for name in new if name in scored.table or name in scored.classes]
    if taken:
        raise UserError(f"{path} and the dataset both have {listed(taken)}", "rename or leave out the table's own")
    facts = facts.set_index(facts[key].astype(str))[new]
    ids = _ids(scored.table[key], facts.index)
    without = int((~ids.isin(facts.index)).sum())
    if without == len(ids):
        raise UserError(f"{path} has none of the images: no {key} of it is in the dataset", f"as in {listed(ids[:3])}")
    if without:
        warn(f"{without:,} of {len(ids):,} images have no row in {path}: unknown in --by")
    joined = facts.reindex(ids).reset_index(drop=True)
    return replace(scored, table=pd.concat([scored.table, joined], axis=1))


def _ids(ours: pd.Series, theirs: pd.Index) -> pd.Series:
    """The ids to look for in a table: as the dataset has them, or without what stands before them, if that is one for all."""
    ids = ours.astype(object).where(ours.notna(), None)
    if ids.isin(theirs).any():
        return ids
    parts = ids.astype(str).str.partition(":")
    return parts[2] if parts[1].all() and parts[0].nunique() == 1 else ids
