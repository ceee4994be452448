"""Assigns patients to splits and folds: official lists are kept, other patients are stratified by rare classes."""

import hashlib
import math
from collections.abc import Collection

import numpy as np
import pandas as pd

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed

SPLITS = ("train", "val", "test")


def split_patients(
    patients: pd.Series, official: pd.Series, positive: np.ndarray, fractions: tuple[float, float, float], seed: int
) -> np.ndarray:
    """Assigns every image to a split, all images of a patient to the same.

    Args:
        patients: (N,) patient ids.
        official: (N,) `train`, `val`, `test`, `train_val` (divided into the two) or null (free).
        positive: (N, C) bool, known positives.
        fractions: of train, val and test, which sum to 1; for patients that are in no list.
        seed: breaks ties, independently of the order of the rows.

    Returns:
        (N,) index into SPLITS.

    Raises:
        UserError: a patient is in two official splits.
    """
    codes, ids = pd.factorize(patients)
    return _stratify(_amounts(codes, positive), _allowed(codes, ids, official), np.array(fractions), _order(ids, seed))[codes]


def fold_patients(patients: pd.Series, positive: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Divides patients into folds of equal size, stratified as `split_patients` does.

    Args:
        patients: (N,) patient ids.
        positive: (N, C) bool, known positives.
        count: number of folds, at least 2.
        seed: breaks ties, independently of the order of the rows.

    Returns:
        (N,) fold of each image, from 0.

    Raises:
        UserError: there are fewer patients than folds.
    """
    codes, ids = pd.factorize(patients)
    if len(ids) < count:
        raise UserError(f"--folds {count}: there are only {len(ids)} patients outside of the test split", "make fewer folds")
    allowed = np.ones((len(ids), count), dtype=bool)
    return _stratify(_amounts(codes, positive), allowed, np.full(count, 1 / count), _order(ids, seed))[codes]


def official_splits(rows: pd.DataFrame, train_only: Collection[str]) -> pd.Series:
    """(N,) the split given by official lists. If a source has no validation list, its training list is divided.

    Args:
        rows: `source` and `official_split` of each image.
        train_only: sources that only add training images.
    """
    official = rows["official_split"].astype(object).copy()
    for name in rows["source"].unique():
        own = rows["source"] == name
        if name in train_only:
            official[own] = "train"
        elif not (official[own].isin(["val", "train_val"])).any():
            official[own & (official == "train")] = "train_val"
    return official


def without_foreign_tests(rows: pd.DataFrame, train_only: Collection[str]) -> np.ndarray:
    """(N,) bool: false for the official test images of sources that only add training images.

    Args:
        rows: `source` and `official_split` of each image.
        train_only: those sources.
    """
    if not train_only:
        return np.ones(len(rows), dtype=bool)
    foreign = (rows["source"].isin(train_only) & (rows["official_split"] == "test")).to_numpy()
    if foreign.any():
        warn(f"{int(foreign.sum())} official test images of {', '.join(train_only)} are left out (--train-only)")
    return np.asarray(~foreign)


def _amounts(codes: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """(P, C + 1) positive images of each class, and images, of each patient; `codes` (N,) is the patient of each image."""
    patients, classes = int(codes.max()) + 1, positive.shape[1]
    cells = np.flatnonzero(positive)  # a dense sum over patients would mostly add zeros
    keys = codes[cells // classes] * classes + cells % classes
    counts = np.bincount(keys, minlength=patients * classes).reshape(patients, classes)
    return np.column_stack([counts, np.bincount(codes, minlength=patients)])


def _allowed(codes: np.ndarray, ids: pd.Index, official: pd.Series) -> np.ndarray:
    """(P, 3) bool: the splits that official lists allow for a patient. An unlisted image follows its patient's others."""
    may = {"train": (1, 0, 0), "val": (0, 1, 0), "test": (0, 0, 1), "train_val": (1, 1, 0)}
    allowed = np.ones((len(ids), 3), dtype=bool)
    if official.isna().all():
        return allowed
    kinds = pd.Categorical(official, categories=list(may)).codes
    for kind, columns in enumerate(may.values()):
        rows = codes[kinds == kind]
        allowed[rows] &= np.array(columns, dtype=bool)
    torn = ids[np.flatnonzero(~allowed.any(axis=1))]
    if len(torn):
        raise UserError(
            f"{len(torn)} patients are in two official splits: {listed(sorted(torn))}",
            "their images would leak from training into the test: correct the lists",
        )
    return allowed


def _order(ids: pd.Index, seed: int) -> np.ndarray:
    """(P,) a key per patient that depends on its id and the seed only."""
    key = hashlib.blake2b(str(seed).encode(), digest_size=8).hexdigest()
    return pd.util.hash_array(ids.to_numpy(dtype=object), hash_key=key, categorize=False)  # each is another


def _stratify(amounts: np.ndarray, allowed: np.ndarray, fractions: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Greedy stratification with patients as the units.

    Patients are assigned one by one, those with the rarest class first (as Sechidis et al., ECML PKDD 2011, assign images),
    patients with more images before those with fewer. Each goes to the split that decreases most, or increases least, the
    chi-square distance sum((have - wanted)^2 / wanted) over all classes and the number of images. Patients of official lists
    count from the start, so that the free ones balance them. Patients with the same labels are assigned together, which gives
    the same result and is many times faster.

    Args:
        amounts: (P, C + 1) positive images of each class, and images.
        allowed: (P, S) bool: the splits, or folds, that a patient may be in.
        fractions: (S,) of the patients.
        rank: (P,) a key that breaks ties.
    """
    counts, images = amounts[:, :-1], amounts[:, -1]
    assigned = np.full(len(counts), -1)
    fixed = allowed.sum(axis=1) == 1
    assigned[fixed] = allowed[fixed].argmax(axis=1)
    have = np.stack([amounts[assigned == split].sum(axis=0) for split in range(len(fractions))]).astype(np.float64)
    closed = ~allowed | (fractions == 0)  # a split with fraction 0 gets only patients of its official list
    closed[closed.all(axis=1)] = ~allowed[closed.all(axis=1)]
    rarity = np.argsort(np.argsort((counts > 0).sum(axis=0), kind="stable"))  # 0: the class with the fewest patients
    first = np.where(counts > 0, rarity, len(rarity)).min(axis=1, initial=len(rarity))
    free = np.flatnonzero(~fixed)
    like = _alike(np.column_stack([first, -images, counts, closed])[free])
    order = free[np.lexsort((rank[free], like))]
    sizes = np.bincount(like)
    kinds = order[np.cumsum(sizes) - sizes]  # one patient of each kind
    assigned[order] = _dealt_out(amounts[kinds], closed[kinds], sizes.tolist(), have, fractions[:, None] * amounts.sum(axis=0))
    return assigned


def _alike(rows: np.ndarray) -> np.ndarray:
    """(P,) the rank of each row of integers among the distinct rows: the inverse of `np.unique(axis=0)`, but faster."""
    wide = np.ascontiguousarray(rows.astype(">i4") ^ np.int32(-(2**31)))  # bytes that sort as the numbers do
    return np.unique(wide.view(f"V{4 * rows.shape[1]}").ravel(), return_inverse=True)[1]


def _dealt_out(amounts: np.ndarray, closed: np.ndarray, sizes: list[int], have: np.ndarray, wanted: np.ndarray) -> list[int]:
    """The split of each patient, by kinds of patients with the same labels.

    With f = have / wanted, another patient of amounts n changes the distance of a split by sum(2 n (f - 1) + n^2 / wanted);
    sum(2 n) is the same for all. Plain Python on the few classes of a kind is faster than small arrays.

    Args:
        amounts: (K, C + 1) positives of each class, and images, of a patient of each kind.
        closed: (K, S) bool.
        sizes: (K,) patients of each kind.
        have: (S, C + 1) amounts of the splits at the start.
        wanted: (S, C + 1) target amounts.
    """
    each = 1 / np.maximum(wanted, 1e-9)
    filled = (have * each).tolist()
    steps = each.tolist()
    squares = (amounts.astype(np.float64) ** 2 @ each.T).tolist()  # sum(n^2 / wanted), a row a kind
    rows, columns = np.nonzero(amounts)
    parts = list(zip(columns.tolist(), amounts[rows, columns].tolist(), strict=True))
    ends = np.searchsorted(rows, np.arange(len(amounts)), side="right").tolist()
    assigned: list[int] = []
    start = 0
    for end, shut, size, square in zip(ends, closed.tolist(), sizes, squares, strict=True):
        own, start = parts[start:end], end
        sums = [0.0] * len(filled)
        for column, count in own:
            for split, amount in enumerate(filled):
                sums[split] += count * amount[column]
        changes = [math.inf if no else 2 * sum_ + more for no, sum_, more in zip(shut, sums, square, strict=True)]
        taken = [0] * len(changes)
        for _ in range(size):
            split = changes.index(min(changes))
            assigned.append(split)
            taken[split] += 1
            changes[split] += 2 * square[split]
        for split, count_of in enumerate(taken):
            if count_of:
                have_now, step = filled[split], steps[split]
                for column, count in own:
                    have_now[column] += count * count_of * step[column]
    return assigned
