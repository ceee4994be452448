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
    """Iterative stratification (Sechidis et al., ECML PKDD 2011) with patients as the units.

    The rarest class is dealt out first: each patient that has it goes to the split that lacks most of it. Fixed patients
    count from the start, so that the free ones even out what official lists leave uneven.
    """
    wanted = shares[:, None] * counts.sum(axis=0)[None]  # (3, C) positives that a split still lacks
    room = shares * images.sum()  # (3,) images that a split still lacks
    assigned = np.full(len(counts), -1)

    def assign(patient: int, split: int) -> None:
        assigned[patient] = split
        wanted[split] -= counts[patient]
        room[split] -= images[patient]

    for patient in np.flatnonzero(allowed.sum(axis=1) == 1):
        assign(int(patient), int(allowed[patient].argmax()))
    closed = ~allowed | (shares == 0)[None]  # a split without a share takes only patients that a list puts there
    closed[closed.all(axis=1)] = ~allowed[closed.all(axis=1)]
    for column in np.argsort((counts > 0).sum(axis=0), kind="stable"):
        having = np.flatnonzero((counts[:, column] > 0) & (assigned < 0))
        for patient in having[np.lexsort((rank[having], -counts[having, column]))]:
            lack = np.where(closed[patient], -np.inf, wanted[:, column])
            assign(patient, int(np.lexsort((-room, -lack))[0]))
    rest = np.flatnonzero(assigned < 0)
    for patient in rest[np.argsort(rank[rest])]:
        assign(patient, int(np.where(closed[patient], -np.inf, room).argmax()))
    return assigned
