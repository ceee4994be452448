"""Which images are of one study, and batches that hold whole studies."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxrlt_cli.errors import UserError, listed


@dataclass(frozen=True)
class Studies:
    """Where images belong.

    Attributes:
        image_ids: (N,) ids, each once.
        codes: (N,) int64 from 0 without gaps, the same for the images of one study of one patient; an image without a study
            has one of its own.
        lateral: (N,) float, 1 for a lateral view, 0 for a frontal one, 0.5 for a view that is neither or not known.
    """

    image_ids: list[str]
    codes: np.ndarray
    lateral: np.ndarray

    def of(self, image_ids: list[str]) -> "Studies":
        """The same for some images, in their order. Raises UserError where one is not there."""
        row = {name: index for index, name in enumerate(self.image_ids)}
        absent = [name for name in image_ids if name not in row]
        if absent:
            raise UserError(f"no study is known of {len(absent)} images: {listed(absent)}", "name their dataset: --dataset")
        rows = np.array([row[name] for name in image_ids], dtype=np.int64)
        return Studies(image_ids, local_codes(self.codes[rows]), self.lateral[rows])


def studies_of_table(table: pd.DataFrame) -> Studies:
    """The studies of a dataset's rows. Study ids need to be unique only among those of a patient of a source."""
    keys = [table[name].astype("string") for name in ("source", "patient_id", "study_id")]
    return make_studies(list(table["image_id"]), keys, table["view"])


def make_studies(image_ids: list[str], keys: list[pd.Series], views: pd.Series) -> Studies:
    """Studies of images that agree in all keys, of which the last is the study's id; where that is blank, an image is alone.

    Args:
        image_ids: (N,) ids.
        keys: columns of N values.
        views: (N,) as the sources call them: AP, PA, AP AXIAL, FRONTAL … and LATERAL, LL, RL, L, XTABLE LATERAL.
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
    """(N,) the same studies, numbered from 0 without gaps in the order of their codes."""
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def rows_by_study(codes: np.ndarray, order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """The rows of each batch: whole studies, as many as fit into `batch_size` images; at least one.

    Args:
        codes: (N,) study of each row, from 0 without gaps.
        order: (S,) studies in the order in which they come.
        batch_size: images a batch.
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
