"""All maps that the tool can make, measured against boxes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrlt_cli.console import progress
from cxrlt_cli.explain.attention import Layers
from cxrlt_cli.explain.attribution import METHODS, Method
from cxrlt_cli.explain.box_metrics import THRESHOLDS, hits, ious, mask_of, part_inside, patient_interval
from cxrlt_cli.explain.boxes import Finding
from cxrlt_cli.explain.explain_image import explain
from cxrlt_cli.explain.heatmap import enlarged
from cxrlt_cli.metrics.proportions import proportion
from cxrlt_cli.predict.members import Member

#: Kind of map -> the layers and the method that make it.
KINDS: dict[str, tuple[Layers, Method | None]] = {
    "attention-last": ("last", None),
    "attention-rollout": ("rollout", None),
    **{method: ("last", method) for method in METHODS},
}
ALL = "all findings"


@dataclass(frozen=True)
class Pointed:
    """What one map made of one finding.

    Attributes:
        kind: of the map.
        image: image id.
        label: class name.
        hit: whether the highest place lies in a box.
        inside: part of the map's sum in the boxes.
        iou: (T,) at each threshold of `box_metrics`.
        hit_chance: part of the image in which a place is a hit.
        area: part of the image in the boxes.
    """

    kind: str
    image: str
    label: str
    hit: bool
    inside: float
    iou: np.ndarray
    hit_chance: float
    area: float


def point(member: Member, findings: list[Finding], pixels_of: Callable[[str], np.ndarray], tolerance: float) -> list[Pointed]:
    """Makes each map of each finding and compares it with the boxes.

    Args:
        member: the network.
        findings: with boxes in pixels of the square.
        pixels_of: image id -> (S, S) uint8.
        tolerance: part of the side by which boxes are widened in the pointing game.
    """
    of_image: dict[str, list[Finding]] = {}
    for finding in findings:
        of_image.setdefault(finding.image, []).append(finding)
    found = []
    with progress("maps", len(of_image)) as bar:
        for image, own in of_image.items():
            found += _of_image(member, image, own, pixels_of(image), tolerance)
            bar.advance(1)
    return found


def _of_image(member: Member, image: str, findings: list[Finding], pixels: np.ndarray, tolerance: float) -> list[Pointed]:
    labels, size = [finding.label for finding in findings], len(pixels)
    masks = [mask_of(finding.boxes, size) for finding in findings]
    wide = [mask_of(finding.boxes, size, tolerance * size) for finding in findings]
    found = []
    for kind, (layers, method) in KINDS.items():
        explained = explain(member, pixels, labels, 0, layers, method)
        maps = explained.attribution if method else explained.attention
        for number, one in enumerate(maps if maps is not None else ()):
            values = np.maximum(enlarged(one, size), 0)
            found.append(
                Pointed(
                    kind=kind,
                    image=image,
                    label=member.classes[labels[number]],
                    hit=hits(values, wide[number]),
                    inside=part_inside(values, masks[number]),
                    iou=ious(values, masks[number]),
                    hit_chance=float(wide[number].mean()),
                    area=float(masks[number].mean()),
                )
            )
    return found


def summary_rows(pointed: list[Pointed], patient_of: dict[str, str]) -> list[dict[str, Any]]:
    """A row a kind of map and class, with 95 % intervals over patients; `ALL` takes all findings of a kind together.

    Args:
        pointed: of `point`.
        patient_of: image id -> patient id.
    """
    rows = []
    for kind in dict.fromkeys(one.kind for one in pointed):
        own = [one for one in pointed if one.kind == kind]
        rows.append({"kind": kind, "class": ALL, **_summary(own, patient_of)})
        of_class = {label: [one for one in own if one.label == label] for label in sorted({one.label for one in own})}
        rows += [{"kind": kind, "class": label, **_summary(some, patient_of)} for label, some in of_class.items()]
    return rows


def _summary(own: list[Pointed], patient_of: dict[str, str]) -> dict[str, Any]:
    patients = np.unique([patient_of[one.image] for one in own], return_inverse=True)[1]
    hit = proportion(np.array([one.hit for one in own]), np.ones(len(own), dtype=bool), patients)
    inside, iou = np.array([one.inside for one in own]), np.stack([one.iou for one in own])
    best = int(iou.mean(axis=0).argmax())
    bounds = [patient_interval(values, patients) for values in (inside, iou[:, best])]
    return {
        "findings": len(own),
        "patients": int(patients.max()) + 1,
        "hit": hit.value,
        "hit_low": hit.low,
        "hit_high": hit.high,
        "hit_chance": float(np.mean([one.hit_chance for one in own])),
        "inside": float(inside.mean()),
        "inside_low": bounds[0][0],
        "inside_high": bounds[0][1],
        "area": float(np.mean([one.area for one in own])),
        "iou": float(iou[:, best].mean()),
        "iou_low": bounds[1][0],
        "iou_high": bounds[1][1],
        "threshold": float(THRESHOLDS[best]),
    }
