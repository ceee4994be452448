"""The worst mistakes: missed findings and false alarms, as pictures with attention or attribution maps."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.explain.inline import inline_overlay, inline_picture
from cxrlt_cli.predict.members import Member, load_members
from cxrlt_cli.report.subjects import Subject
from cxrlt_cli.scores.labelled import Scored, scored_part

_SIDE = 288  # px of an image

Kind = Literal["missed", "false alarm"]


@dataclass(frozen=True)
class Mistake:
    """One label of one image.

    Attributes:
        kind: a positive with a low score, or a negative with a high one.
        row: of the scored images.
        label: column.
        probability: as scored.
        above: fraction of the label's known images that scored higher.
    """

    kind: Kind
    row: int
    label: int
    probability: float
    above: float


def worst(scored: Scored, most: int) -> list[Mistake]:
    """The worst missed findings, then the worst false alarms: at most one of a class, and no image twice.

    Missed findings are sorted by the fraction of images with a higher score, false alarms by probability.

    Args:
        scored: scores and labels.
        most: maximum number of each kind.
    """
    missed, alarms = [], []
    for c in range(len(scored.classes)):
        rows = np.flatnonzero(scored.label_mask[:, c])
        order = np.argsort(scored.logits[rows, c], kind="stable")
        positive = scored.targets[rows[order], c] == 1
        deepest = 2 * most  # up to this many images may be taken by other classes
        missed += [_mistake("missed", rows, scored.logits[rows, c], at, c) for at in order[positive][:deepest]]
        alarms += [_mistake("false alarm", rows, scored.logits[rows, c], at, c) for at in order[~positive][::-1][:deepest]]
    missed.sort(key=lambda mistake: -mistake.above)
    alarms.sort(key=lambda mistake: -mistake.probability)
    shown: set[int] = set()
    return [*_each_image_once(missed, shown, most), *_each_image_once(alarms, shown, most)]


def _each_image_once(candidates: list[Mistake], shown: set[int], most: int) -> list[Mistake]:
    """The first candidates, at most one per class, whose image is not in `shown`; their images are added to it."""
    chosen: dict[int, Mistake] = {}
    for mistake in candidates:
        if len(chosen) < most and mistake.row not in shown and mistake.label not in chosen:
            chosen[mistake.label] = mistake
            shown.add(mistake.row)
    return list(chosen.values())


def _mistake(kind: Kind, rows: np.ndarray, scores: np.ndarray, at: Any, label: int) -> Mistake:
    above = float((scores > scores[at]).mean())
    return Mistake(kind, int(rows[at]), label, float(1 / (1 + np.exp(-np.float64(scores[at])))), above)


def pictures(subject: Subject, dataset: Dataset, mistakes: list[Mistake], device: torch.device) -> list[dict[str, Any]]:
    """The mistakes in the form that the template draws.

    Args:
        subject: whose scores they are from.
        dataset: which gives the pixels.
        mistakes: from `worst`.
        device: where to run the network.

    Raises:
        UserError: the pixels or the network cannot be read.
    """
    part = scored_part(dataset, subject.scored.split, subject.scored.header)
    rows = np.array([mistake.row for mistake in mistakes], dtype=np.int64)
    pixels = DatasetImages(part.rows(rows)).read(np.arange(len(rows)))
    member = load_members(subject.runs[:1], device)[0] if subject.runs else None
    if member and member.pixels != dataset.settings:
        member = None
    return [_shown(subject.scored, mistake, gray, member) for mistake, gray in zip(mistakes, pixels, strict=True)]


def _shown(scored: Scored, mistake: Mistake, gray: np.ndarray, member: Member | None) -> dict[str, Any]:
    name = scored.classes[mistake.label]
    truth = scored.label_mask[mistake.row] & (scored.targets[mistake.row] == 1)
    return {
        "kind": mistake.kind,
        "label": name,
        "probability": mistake.probability,
        "above": mistake.above,
        "image_id": str(scored.table["image_id"].iloc[mistake.row]),
        "truth": [scored.classes[c] for c in np.flatnonzero(truth)],
        "picture": inline_picture(gray, _SIDE),
        **inline_overlay(member, gray, name, "attention"),
    }
