"""The worst mistakes: what was missed and what was wrongly seen, as pictures with where the network looked."""

import base64
import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.explain.explain_image import explain
from cxrlt_cli.explain.heatmap import ATTENTION, ATTRIBUTION, overlay, peak_of
from cxrlt_cli.predict.members import Member, load_members
from cxrlt_cli.report.subjects import Subject
from cxrlt_cli.scores.labelled import Scored

_SIDE, _VEIL = 288, 72  # px of a picture, and of the veil over it

Kind = Literal["missed", "false alarm"]


@dataclass(frozen=True)
class Mistake:
    """One label of one image.

    Attributes:
        kind: a finding that got a low score, or none that got a high one.
        row: of the scored images.
        label: column.
        probability: as scored.
        above: share of the label's known images that scored higher.
    """

    kind: Kind
    row: int
    label: int
    probability: float
    above: float


def worst(scored: Scored, most: int) -> list[Mistake]:
    """Of each class its lowest positive and its highest negative; of these the worst, missed findings first.

    One of a class, so that a frequent class does not fill the page. Missed findings are those that most images outscore, false
    alarms those of the highest probability.

    Args:
        scored: scores and labels.
        most: so many of each kind at most.
    """
    missed, alarms = [], []
    for c in range(len(scored.classes)):
        rows = np.flatnonzero(scored.label_mask[:, c])
        scores, positive = scored.logits[rows, c], scored.targets[rows, c] == 1
        if positive.any():
            missed.append(_mistake("missed", rows, scores, np.flatnonzero(positive)[scores[positive].argmin()], c))
        if not positive.all():
            alarms.append(_mistake("false alarm", rows, scores, np.flatnonzero(~positive)[scores[~positive].argmax()], c))
    missed.sort(key=lambda mistake: -mistake.above)
    alarms.sort(key=lambda mistake: -mistake.probability)
    return missed[:most] + alarms[:most]


def _mistake(kind: Kind, rows: np.ndarray, scores: np.ndarray, at: Any, label: int) -> Mistake:
    above = float((scores > scores[at]).mean())
    return Mistake(kind, int(rows[at]), label, float(1 / (1 + np.exp(-np.float64(scores[at])))), above)


def pictures(subject: Subject, dataset: Dataset, mistakes: list[Mistake], device: torch.device) -> list[dict[str, Any]]:
    """What the page shows of mistakes.

    Args:
        subject: whose mistakes.
        dataset: where the pixels stand.
        mistakes: of `worst`.
        device: where to run the network.

    Raises:
        UserError: the pixels or the network cannot be read.
    """
    part = dataset if subject.scored.split == "all" else dataset.split(subject.scored.split)
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
        "picture": _picture(gray),
        **(_veiled(member, gray, name) if member and name in member.classes else {"veil": "", "peak": None, "how": ""}),
    }


def _veiled(member: Member, gray: np.ndarray, label: str) -> dict[str, Any]:
    """Where the label's query looked; of a network without queries, what mattered."""
    column = member.classes.index(label)
    queried = member.described.get("options", {}).get("queries") not in ("none", "csra")
    found = explain(member, gray, [column], 0, "last", None if queried else "layer-integrated-gradients")
    values, colour = (found.attribution, ATTRIBUTION) if found.attention is None else (found.attention, ATTENTION)
    assert values is not None
    png = _encoded(Image.fromarray(overlay(values[0], _VEIL, colour)), format="PNG", optimize=True)
    return {"veil": png, "peak": peak_of(values[0]), "how": "looked" if found.attention is not None else "mattered"}


def _picture(gray: np.ndarray) -> str:
    image = Image.fromarray(gray)
    if image.width > _SIDE:
        image = image.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return _encoded(image, format="JPEG", quality=85)


def _encoded(image: Image.Image, **options: Any) -> str:
    """As a data URL."""
    buffer = io.BytesIO()
    image.save(buffer, **options)
    kind = str(options["format"]).lower()
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
