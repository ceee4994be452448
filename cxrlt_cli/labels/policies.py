"""Policies for uncertain, blank and missing labels; the result is 1, 0, unknown, or a soft target in training."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cxrlt_cli.artifacts.folds import as_evaluated
from cxrlt_cli.artifacts.source_table import BLANK

UNCERTAIN = -1


@dataclass(frozen=True)
class Policy:
    """What the labels of a source that are neither 1 nor 0 become.

    Attributes:
        missing: a class that the source does not label, in training: `absent` makes it 0 (as in the paper), `ignore` unknown,
            `pseudo` a score of an earlier run.
        blank: a class that it labels, but not for this image: the same values, in every split; `pseudo` is unknown in
            validation and test.
        uncertain: -1: `positive` makes it 1, `negative` 0, `ignore` unknown; `soft:LOW-HIGH` makes it unknown, with a training
            target drawn from that range.
        missing_eval: a class that the source does not label, in validation and test: `ignore` makes it unknown, `absent` 0.
    """

    missing: str
    blank: str
    uncertain: str
    missing_eval: str = "ignore"

    @property
    def soft_range(self) -> tuple[float, float] | None:
        """LOW and HIGH of a soft policy."""
        if not self.uncertain.startswith("soft:"):
            return None
        low, _, high = self.uncertain.removeprefix("soft:").partition("-")
        return float(low), float(high)

    @property
    def wants_scores(self) -> bool:
        """Whether scores of an earlier run fill unknown labels."""
        return "pseudo" in (self.missing, self.blank)


def to_targets(labels: np.ndarray, lacking: np.ndarray, policy: Policy) -> tuple[np.ndarray, np.ndarray]:
    """Applies a source's policy to its labels as published.

    Args:
        labels: (N, C) int8: 1, 0, -1 (uncertain) or BLANK.
        lacking: (C,) bool: the classes that the source does not label; their labels are BLANK.
        policy: what -1 and BLANK become.

    Returns:
        targets (N, C) uint8, 0 where unknown, and label mask (N, C) bool.
    """
    value = np.array([0, policy.uncertain == "positive", 0, 1], dtype=np.uint8)  # for BLANK, -1, 0, 1
    label_mask = np.array([policy.blank == "absent", policy.uncertain in ("positive", "negative"), True, True])
    place = labels - np.int8(BLANK)
    targets, sure = value[place], label_mask[place]
    sure[:, lacking] = policy.missing == "absent"
    return targets, sure


def of_evaluation(
    targets: np.ndarray, label_mask: np.ndarray, lacking: np.ndarray, policy: Policy
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of validation and test images of one source: classes that it does not label are unknown, or 0 if requested.

    If they are unknown, positives implied by the hierarchy become unknown too: positives without known negatives would raise
    every metric.

    Args:
        targets: (N, C) uint8, 0 where unknown.
        label_mask: (N, C) bool.
        lacking: (C,) bool: the classes that the source does not label.
        policy: of the source.

    Returns:
        targets and label mask (N, C).
    """
    return as_evaluated(targets, label_mask, lacking, policy.missing_eval == "absent")


def soft_targets(
    labels: np.ndarray, image_ids: Sequence[str], classes: Sequence[str], limits: tuple[float, float], seed: int
) -> np.ndarray:
    """Targets of uncertain labels, drawn uniformly (label smoothing regularization: Pham et al., Neurocomputing 2021).

    Each is a function of the seed, the image id and the class alone: neither the order of the images nor that of the sources
    changes it.

    Args:
        labels: (N, C) int8, -1 being uncertain.
        image_ids: (N,) ids.
        classes: (C,) names.
        limits: the range; the paper uses 0.55 to 0.85 for uncertain as positive, 0 to 0.3 as negative.
        seed: decides the draws.

    Returns:
        (N, C) float32, NaN where the label is not uncertain.
    """
    found = np.full(labels.shape, np.nan, dtype=np.float32)
    rows, columns = np.nonzero(labels == UNCERTAIN)
    of_image = {row: _key(f"{seed}:{image_ids[row]}") for row in np.unique(rows).tolist()}
    of_class = np.array([_key(name) for name in classes], dtype=np.uint64)
    keys = np.array([of_image[row] for row in rows.tolist()], dtype=np.uint64) ^ of_class[columns]
    low, high = limits
    found[rows, columns] = low + (high - low) * _uniform(keys)
    return found


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _uniform(keys: np.ndarray) -> np.ndarray:
    """(K,) uint64 to [0, 1): SplitMix64's mixing (Steele, Lea and Flood, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        mixed = keys + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
