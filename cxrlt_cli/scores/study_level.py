"""One score and one label a study: its images' logits merged, a finding positive that one of them shows."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from cxrlt_cli.console import warn
from cxrlt_cli.data.studies import studies_of_table
from cxrlt_cli.scores.labelled import Scored

StudyMerge = Literal["mean", "max"]


def one_row_a_study(scored: Scored, how: StudyMerge) -> Scored:
    """A row for each study; an image without a study is one of its own.

    A label is positive where an image of the study has it, unknown where it is unknown for all of them. Of the columns, one
    in which its images differ says `several`, or nothing where it holds numbers.

    Args:
        scored: a row an image.
        how: mean or max of the images' logits.
    """
    table = scored.table
    codes = studies_of_table(table).codes
    count = int(codes.max()) + 1
    positive = _any(scored.label_mask & (scored.targets == 1), codes, count)
    negative = _any(scored.label_mask & (scored.targets == 0), codes, count)
    differ = int((positive & negative).sum())
    if differ:
        warn(f"{differ} labels differ between the images of a study: positive counts")
    return replace(
        scored,
        table=_joined(table, codes),
        logits=_merged(scored.logits, codes, count, how),
        targets=positive.astype(np.uint8),
        label_mask=positive | negative,
    )


def _joined(table: pd.DataFrame, codes: np.ndarray) -> pd.DataFrame:
    """The first row of each study; what its images do not agree on is not the first one's alone."""
    joined = table.iloc[np.unique(codes, return_index=True)[1]].reset_index(drop=True)
    for name in table.columns.difference(["image_id", "cache", "row"]):
        values = pd.Series(pd.factorize(table[name])[0]).groupby(codes)
        differ = (values.min() != values.max()).to_numpy()
        if differ.any():
            numbers = pd.api.types.is_numeric_dtype(joined[name])
            joined[name] = joined[name].astype(float if numbers else object).mask(differ, np.nan if numbers else "several")
    return joined


def _any(cells: np.ndarray, codes: np.ndarray, count: int) -> np.ndarray:
    found = np.zeros((count, cells.shape[1]), dtype=bool)
    np.logical_or.at(found, codes, cells)
    return found


def _merged(logits: np.ndarray, codes: np.ndarray, count: int, how: StudyMerge) -> np.ndarray:
    if how == "max":
        merged = np.full((count, logits.shape[1]), -np.inf, dtype=np.float32)
        np.maximum.at(merged, codes, logits)
        return merged
    images = np.bincount(codes, minlength=count)
    sums = [np.bincount(codes, weights=column, minlength=count) for column in logits.T]
    return (np.stack(sums, axis=1) / images[:, None]).astype(np.float32)
