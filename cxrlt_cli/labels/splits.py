"""Patients to train, val and test: official lists are kept, the rest is stratified for rare classes."""

import hashlib

import numpy as np
import pandas as pd

from cxrlt_cli.errors import UserError, listed

SPLITS = ("train", "val", "test")


def split_patients(
    patients: pd.Series, official: pd.Series, positive: np.ndarray, shares: tuple[float, float, float], seed: int
) -> np.ndarray:
    """Assigns every image to a split, all images of a patient to the same.

    Args:
        patients: (N,) patient ids.
        official: (N,) `train`, `val`, `test`, `train_val` (to be divided into the two) or null (free).
        positive: (N, C) bool, the known positives.
        shares: of train, val and test, 1 together; for the patients that no list decides.
        seed: decides between equals; the order of the rows does not.

    Returns:
        (N,) index into SPLITS.

    Raises:
        UserError: a patient stands in two official splits.
    """
    codes, ids = pd.factorize(patients, sort=True)
    allowed = _allowed(codes, ids, official)
    counts = np.zeros((len(ids), positive.shape[1]), dtype=np.int64)
    np.add.at(counts, codes, positive)
    assigned = _stratify(counts, np.bincount(codes, minlength=len(ids)), allowed, np.array(shares), _order(ids, seed))
    return assigned[codes]


def _allowed(codes: np.ndarray, ids: pd.Index, official: pd.Series) -> np.ndarray:
    """(P, 3) bool: the splits that official lists leave a patient. An unlisted image follows its patient's others."""
    may = {"train": (1, 0, 0), "val": (0, 1, 0), "test": (0, 0, 1), "train_val": (1, 1, 0)}
    allowed = np.ones((len(ids), 3), dtype=bool)
    for name, columns in may.items():
        rows = codes[(official == name).to_numpy()]
        allowed[rows] &= np.array(columns, dtype=bool)
    torn = ids[np.flatnonzero(~allowed.any(axis=1))]
    if len(torn):
        raise UserError(
            f"{len(torn)} patients stand in two official splits: {listed(torn)}",
            "their images would leak from training into the test: correct the lists",
        )
    return allowed


def _order(ids: pd.Index, seed: int) -> np.ndarray:
    """(P,) a rank for each patient that depends on nothing but its id and the seed."""
    keys = [hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest() for name in ids]
    return np.argsort(np.argsort(np.array([int.from_bytes(key, "big") for key in keys], dtype=np.uint64)))


def _stratify(counts: np.ndarray, images: np.ndarray, allowed: np.ndarray, shares: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Greedy stratification with patients as the units.

    Patients are dealt out one by one, those with the rarest class first (as Sechidis et al., ECML PKDD 2011, deal out images),
    the larger before the smaller. Each goes where it lowers most, or raises least, the chi-square distance
    sum((have - wanted)^2 / wanted) over all classes and the number of images. Fixed patients count from the start, so that
    the free ones even out what official lists leave uneven.
    """
    amounts = np.column_stack([counts, images]).astype(np.float64)  # (P, C + 1)
    wanted = np.maximum(shares[:, None] * amounts.sum(axis=0), 1e-9)  # (3, C + 1)
    have = np.zeros_like(wanted)
    assigned = np.full(len(counts), -1)
    for split in range(3):
        fixed = (allowed.sum(axis=1) == 1) & allowed[:, split]
        assigned[fixed] = split
        have[split] = amounts[fixed].sum(axis=0)
    closed = ~allowed | (shares == 0)  # a split without a share takes only patients that a list puts there
    closed[closed.all(axis=1)] = ~allowed[closed.all(axis=1)]
    rarity = np.argsort(np.argsort((counts > 0).sum(axis=0), kind="stable"))  # 0: the class of the fewest patients
    first = np.where(counts > 0, rarity, len(rarity)).min(axis=1, initial=len(rarity))
    for patient in np.lexsort((rank, -images, first)):
        if assigned[patient] < 0:
            amount = amounts[patient]
            change = ((2 * (have - wanted) * amount + amount**2) / wanted).sum(axis=1)
            split = int(np.where(closed[patient], np.inf, change).argmin())
            assigned[patient] = split
            have[split] += amount
    return assigned
