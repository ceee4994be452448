"""One score and one label per study: logits of its images are merged; a label is positive if any of its images is positive."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from cxrlt_cli.console import warn
from cxrlt_cli.data.studies import studies_of_table
from cxrlt_cli.scores.labelled import Scored

StudyMerge = Literal["mean", "max"]


def one_row_a_study(scored: Scored, how: StudyMerge) -> Scored:
    """One row per study; an image without a study is its own study.

    A label is positive if any image of the study is positive, and unknown if it is unknown for all. Where the images of a
    study differ in a table column, its value becomes `several` (missing for numeric columns).

    Args:
        scored: one row per image.
        how: mean or max over the images' logits.
    """
    table = scored.table
    codes = studies_of_table(table).codes
    count = int(codes.max()) + 1
    positive = _any(scored.label_mask & (scored.targets == 1), codes, count)
    negative = _any(scored.label_mask & (scored.targets == 0), codes, count)
    differ = int((positive & negative).sum())
    if differ:
        warn(f"{differ} labels differ between images of the same study: counted as positive")
    return replace(
        scored,
        table=_joined(table, codes),
        logits=_merged(scored.logits, codes, count, how),
        targets=positive.astype(np.uint8),
        label_mask=positive | negative,
    )


def _joined(table: pd.DataFrame, codes: np.ndarray) -> pd.DataFrame:
    """The first row of each study, with the columns in which its images differ replaced."""
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
