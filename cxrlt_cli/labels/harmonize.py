"""Maps the labels of one source into the label space of the dataset and applies its policies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.source_table import BLANK
from cxrlt_cli.console import data, say, shortened, table
from cxrlt_cli.errors import listed
from cxrlt_cli.labels.cached_sources import CachedSource
from cxrlt_cli.labels.policies import UNCERTAIN, Policy, soft_targets, to_targets


@dataclass(frozen=True)
class Harmonized:
    """A source's labels in the label space.

    Attributes:
        targets: (N, C) uint8, 0 where unknown.
        label_mask: (N, C) bool.
        soft: (N, C) float32, NaN without a soft target; None if no policy makes one.
        effect: number of labels that each policy decided, for the header.
    """

    targets: np.ndarray
    label_mask: np.ndarray
    soft: np.ndarray | None
    effect: dict[str, Any]


def harmonize(
    source: CachedSource, classes: list[str], mapping: Mapping[str, str | None], policy: Policy, seed: int
) -> Harmonized:
    """Maps a source's labels into the label space and applies its policy; prints every mapping with its counts.

    Args:
        source: the cached source.
        classes: the label space.
        mapping: label of the source -> class, None if it is left out (`labels.label_map`).
        policy: of the source.
        seed: decides soft targets.
    """
    published = source.table
    labels = np.full((len(published.labels), len(classes)), BLANK, dtype=np.int8)
    several = _labels_of_classes(mapping)
    for target, names in several.items():
        columns = [published.classes.index(name) for name in names]
        labels[:, classes.index(target)] = _union(published.labels[:, columns])
    lacking = np.array([name not in mapping.values() for name in classes])
    targets, label_mask = to_targets(labels, lacking, policy)
    soft = None
    if policy.soft_range:
        soft = soft_targets(labels, published.table["image_id"].tolist(), classes, policy.soft_range, seed)
    effect = {
        "missing": {
            "policy": policy.missing,
            "evaluation": policy.missing_eval,
            "classes": [c for c, no in zip(classes, lacking, strict=True) if no],
        },
        "blank": {"policy": policy.blank, "labels": int((labels[:, ~lacking] == BLANK).sum())},
        "uncertain": {"policy": policy.uncertain, "labels": int((labels == UNCERTAIN).sum())},
    }
    _report(source, mapping, effect)
    joined = [f"{target} ({', '.join(names)})" for target, names in several.items() if len(names) > 1]
    if joined:
        say(f"{source.name}: several labels map to one class, which is 1 if any of them is 1: {listed(joined, _MOST)}")
    return Harmonized(targets, label_mask, soft, effect)


def _labels_of_classes(mapping: Mapping[str, str | None]) -> dict[str, list[str]]:
    """Class -> the labels that map to it."""
    found: dict[str, list[str]] = {}
    for label, target in mapping.items():
        if target is not None:
            found.setdefault(target, []).append(label)
    return found


_STRENGTH = np.array(
    [0, BLANK, UNCERTAIN, 1], dtype=np.int8
)  # if several labels map to one class, the last of these present wins


def _union(labels: np.ndarray) -> np.ndarray:
    """(N,) of (N, L) labels that map to one class: 1 if any is 1, else -1 if any is -1, else BLANK if any is, else 0."""
    rank = np.argsort(_STRENGTH)[labels - _STRENGTH.min()]
    return np.asarray(_STRENGTH[rank.max(axis=1)])


_MOST = 40  # names per line
_BECOMES = {
    "absent": "0",
    "ignore": "unknown",
    "pseudo": "unknown, pseudo-labels in training",
    "positive": "1",
    "negative": "0",
}


def _report(source: CachedSource, mapping: Mapping[str, str | None], effect: dict[str, Any]) -> None:
    labels = source.table.labels
    counts = [(labels == value).sum(axis=0) for value in (1, 0, UNCERTAIN, BLANK)]
    rows = [
        [name, "left out" if target is None else target, *(str(count[index]) for count in counts)]
        for index, (name, target) in enumerate(mapping.items())
    ]
    header = [f"{source.name}: {len(labels)} images", "class", "1", "0", "-1", "blank"]
    data(table(header, shortened(rows, f"cxrlt info {source.images.with_suffix('.parquet')}")))
    left_out = [name for name, target in mapping.items() if target is None]
    if left_out:
        say(f"{source.name}: not in the label space, left out: {listed(left_out, _MOST)}")
    for what in ("uncertain", "blank"):
        if effect[what]["labels"]:
            policy = effect[what]["policy"]
            say(f"{source.name}: {effect[what]['labels']} {what} labels become {_BECOMES.get(policy, policy)}")
    lacking = effect["missing"]["classes"]
    if lacking:
        say(f"{source.name}: {len(lacking)} classes that it does not label are {_of_missing(effect)}: {listed(lacking, _MOST)}")


_IN_EVALUATION = {
    "ignore": "unknown in validation and test, out of all metrics (--missing-eval absent makes them 0 there)",
    "absent": "0 in validation and test, where metrics count them as negatives (--missing-eval)",
}


def _of_missing(effect: dict[str, Any]) -> str:
    training = {"absent": "0", "ignore": "unknown", "pseudo": "pseudo-labels"}[effect["missing"]["policy"]]
    return f"{training} in training, {_IN_EVALUATION[effect['missing']['evaluation']]}"
