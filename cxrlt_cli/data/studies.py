"""Groups images by study, and forms batches of whole studies."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxrlt_cli.errors import UserError, listed


@dataclass(frozen=True)
class Studies:
    """The study and view of each image.

    Attributes:
        image_ids: (N,) unique ids.
        codes: (N,) int64 study numbers from 0 without gaps. Images of one study of one patient share a number; an image
            without a study has its own.
        lateral: (N,) float: 1 lateral view, 0 frontal, 0.5 other or unknown.
    """

    image_ids: list[str]
    codes: np.ndarray
    lateral: np.ndarray

    def of(self, image_ids: list[str]) -> "Studies":
        """The studies of the given images, in their order. Raises UserError if one is missing."""
        row = {name: index for index, name in enumerate(self.image_ids)}
        absent = [name for name in image_ids if name not in row]
        if absent:
            raise UserError(
                f"the dataset lacks {len(absent)} of the images: {listed(absent)}",
                "name the dataset that contains them with --dataset",
            )
        rows = np.array([row[name] for name in image_ids], dtype=np.int64)
        return Studies(image_ids, local_codes(self.codes[rows]), self.lateral[rows])


def studies_of_table(table: pd.DataFrame) -> Studies:
    """Studies of a dataset's rows. A study id must be unique only within one patient of one source."""
    keys = [table[name].astype("string") for name in ("source", "patient_id", "study_id")]
    return make_studies(list(table["image_id"]), keys, table["view"])


def make_studies(image_ids: list[str], keys: list[pd.Series], views: pd.Series) -> Studies:
    """Groups images that agree in all keys. The last key is the study id; an image where it is blank is its own study.

    Args:
        image_ids: (N,) ids.
        keys: columns of N values.
        views: (N,) view names as in the sources: AP, PA, AP AXIAL, FRONTAL … and LATERAL, LL, RL, L, XTABLE LATERAL.
    """
    groups = pd.DataFrame(dict(enumerate(keys))).groupby(list(range(len(keys))), dropna=False)
    codes = groups.ngroup().to_numpy(np.int64, copy=True)
    alone = (keys[-1].astype("string").fillna("").str.strip() == "").to_numpy(bool)
    codes[alone] = len(codes) + np.arange(alone.sum())
    names = views.astype("string").fillna("").str.upper().str.strip()
    frontal = names.str.match(r"(?:AP|PA|FRONTAL)").to_numpy(bool)
    lateral = (names.str.contains("LATERAL") | names.isin(["LL", "RL", "L"])).to_numpy(bool)
    return Studies(image_ids, local_codes(codes), np.where(lateral, 1.0, np.where(frontal, 0.0, 0.5)))


def local_codes(codes: np.ndarray) -> np.ndarray:
    """(N,) the studies renumbered from 0 without gaps, in the order of their codes."""
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def rows_by_study(codes: np.ndarray, order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Rows of each batch: as many whole studies as fit into `batch_size` images, at least one.

    Args:
        codes: (N,) study number of each row, from 0 without gaps.
        order: (S,) order of the studies.
        batch_size: images per batch.
    """
    by_study = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes))
    members = np.split(by_study, ends[:-1])
    found: list[list[np.ndarray]] = []
    held = 0
    for study in order:
        if not found or held + len(members[study]) > batch_size:
            found.append([])
            held = 0
        found[-1].append(members[study])
        held += len(members[study])
    return [np.concatenate(parts) for parts in found]
