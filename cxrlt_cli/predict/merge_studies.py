"""Merges the scores of the images of a study; each image gets the merged score."""

from pathlib import Path

import numpy as np

from cxrlt_cli.console import say
from cxrlt_cli.data.studies import Studies, make_studies
from cxrlt_cli.predict.merge import merge_logits
from cxrlt_cli.sources.listing import optional, read_text_table, refuse_blank, refuse_duplicates, require


def studies_of_list(path: Path, id_column: str, study_column: str, view_column: str) -> Studies:
    """The studies of the images that a table names. An empty `view_column` means `ViewPosition`, if the table has it.

    Raises:
        UserError: no such table, no such column, an id that is blank or twice.
    """
    table = read_text_table(path)
    named = [name for name in (id_column, study_column, view_column) if name]
    require(table, named, path, "name its columns: --id-column, --study-column, --view-column")
    refuse_blank(table[id_column], path)
    refuse_duplicates(table[id_column], path)
    views = optional(table, view_column or "ViewPosition")
    return make_studies(list(table[id_column].astype(str)), [table[study_column]], views)


def merge_by_study(logits: np.ndarray, studies: Studies, how: str, weights: tuple[float, float]) -> np.ndarray:
    """Gives each image the merged score of its study.

    Args:
        logits: (N, C) of the images.
        studies: of the images.
        how: see `merge_logits`.
        weights: of a frontal and of a lateral image; an image of another view has the mean of both. If a study has only images
            of weight 0, they are merged with equal weights.

    Returns:
        (N, C) float32; the only image of a study keeps its score, bit by bit.
    """
    frontal, lateral = weights
    weight = frontal + (lateral - frontal) * studies.lateral
    order = np.argsort(studies.codes, kind="stable")
    counts = np.bincount(studies.codes)
    starts = np.cumsum(counts) - counts
    merged = logits.astype(np.float32)
    for size in np.unique(counts[counts > 1]):
        rows = order[starts[counts == size] + np.arange(size)[:, None]]  # (size, G): a column a study
        w = weight[rows]
        w[:, w.sum(axis=0) == 0] = 1.0
        merged[rows] = merge_logits(logits[rows], how, w[:, :, None])
    return merged


def merge_studies(logits: np.ndarray, studies: Studies, how: str, weights: tuple[float, float]) -> np.ndarray:
    """As `merge_by_study`; prints how many studies there are and how many lack a view."""
    _report(studies)
    return merge_by_study(logits, studies, how, weights)


def _report(studies: Studies) -> None:
    count = int(studies.codes.max()) + 1
    has = {kind: np.bincount(studies.codes[studies.lateral == value], minlength=count) > 0 for kind, value in _KINDS.items()}
    both, other = has["frontal"] & has["lateral"], has["other"]
    lines = [
        f"{both.sum()} with both views",
        f"{(has['frontal'] & ~has['lateral']).sum()} without a lateral one",
        f"{(has['lateral'] & ~has['frontal']).sum()} without a frontal one",
    ]
    if other.any():
        lines.append(f"{other.sum()} with a view that is neither or not known, which counts as the mean of both")
    say(f"{count} studies of {len(studies.codes)} images: {', '.join(lines)}")


_KINDS = {"frontal": 0.0, "lateral": 1.0, "other": 0.5}
