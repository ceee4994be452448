"""Small, faint findings, most of which differ only by location: a dataset hard enough to compare networks."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from cxrlt_cli.demo.anatomy import Anatomy, Chest, blob, draw_chest, expose, soft_step

Rng = np.random.Generator
Point = tuple[float, float]
#: Draws a finding: the chest, random numbers, the side (0 is the picture's left) and the centre give (S, S) added density.
Brush = Callable[[Chest, Rng, int, Point], np.ndarray]

_VISIBLE = 0.4  # a pixel belongs to a finding where it adds at least this share of the finding's largest added density
HARD_CONTRAST = 2.2  # strength of all findings: with 2,000 training images some are learned in 5 epochs, and not all in 20
_EXPOSURE, _GRAIN = 1_000, 1_001  # random streams; the findings use 0, 1, 2 …


@dataclass(frozen=True)
class HardFinding:
    """A class of the hard dataset.

    Attributes:
        name: the class.
        kind: name of the drawing function.
        side: 0 the patient's right (the image's left), 1 the patient's left, None a random side.
        field: region of the lung.
    """

    name: str
    kind: str
    side: int | None
    field: str

    @property
    def place(self) -> str:
        """The location in words, such as `right upper lung field`."""
        side = "" if self.side is None else ("right ", "left ")[self.side]
        return side + _FIELD_WORDS[self.field]

    @property
    def prompt(self) -> str:
        """A noun phrase."""
        return f"{_KIND_WORDS[self.kind][0]} in the {self.place}"

    @property
    def description(self) -> str:
        """A sentence describing its appearance."""
        return f"{_KIND_WORDS[self.kind][1]} in the {self.place}"


@dataclass(frozen=True)
class Box:
    """The visible part of a finding, in pixels of the image; x and y are the upper left corner."""

    name: str
    x: int
    y: int
    w: int
    h: int


#: Sorted by frequency; each kind has frequent and rare members.
HARD_FINDINGS = (
    HardFinding("Patch right lower", "patch", 0, "lower"),
    HardFinding("Nodule right upper", "nodule", 0, "upper"),
    HardFinding("Band left base", "band", 1, "base"),
    HardFinding("Blunted angle right", "angle", 0, "angle"),
    HardFinding("Central haze left", "haze", 1, "central"),
    HardFinding("Nodule left lower", "nodule", 1, "lower"),
    HardFinding("Reticulation lower", "net", None, "lower"),
    HardFinding("Apical cap right", "cap", 0, "apex"),
    HardFinding("Patch left upper", "patch", 1, "upper"),
    HardFinding("Peripheral haze right", "haze", 0, "peripheral"),
    HardFinding("Nodule left upper", "nodule", 1, "upper"),
    HardFinding("Band right base", "band", 0, "base"),
    HardFinding("Blunted angle left", "angle", 1, "angle"),
    HardFinding("Patch right upper", "patch", 0, "upper"),
    HardFinding("Central haze right", "haze", 0, "central"),
    HardFinding("Reticulation upper", "net", None, "upper"),
    HardFinding("Nodule right lower", "nodule", 0, "lower"),
    HardFinding("Peripheral haze left", "haze", 1, "peripheral"),
    HardFinding("Apical cap left", "cap", 1, "apex"),
    HardFinding("Patch left lower", "patch", 1, "lower"),
)

_FIELD_WORDS = {
    "upper": "upper lung field",
    "middle": "middle lung field",
    "lower": "lower lung field",
    "base": "lung base",
    "angle": "costophrenic angle",
    "central": "central lung field",
    "peripheral": "peripheral lung field",
    "apex": "lung apex",
}
_KIND_WORDS = {
    "nodule": ("nodule", "A small round bright spot"),
    "patch": ("patchy opacity", "A faint cloud without a sharp border"),
    "haze": ("hazy opacity", "A faint upright oval haze"),
    "band": ("linear atelectasis", "A thin bright line, nearly level,"),
    "angle": ("small effusion", "Fluid that fills the sharp corner"),
    "cap": ("pleural cap", "A thin bright rim"),
    "net": ("reticulation", "A faint net of fine lines"),
    "ring": ("cavity", "A thin bright ring around a dark middle"),
}

#: Ranges of the centre: across one lung from -1 (mediastinum) to 1 (chest wall), down from 0 (apex) to 1 (diaphragm).
_FIELDS = {
    "upper": ((-0.2, 0.5), (0.22, 0.38)),
    "middle": ((-0.1, 0.5), (0.46, 0.60)),
    "lower": ((0.0, 0.5), (0.68, 0.84)),
    "base": ((0.0, 0.3), (0.82, 0.92)),
    "angle": ((1.0, 1.0), (1.0, 1.0)),
    "central": ((-0.70, -0.50), (0.42, 0.60)),
    "peripheral": ((0.50, 0.70), (0.42, 0.60)),
    "apex": ((0.0, 0.0), (0.0, 0.0)),
}


def draw_hard(
    names: Collection[str],
    patient: Anatomy,
    seed: tuple[int, ...],
    size: int,
    findings: Sequence[HardFinding] = HARD_FINDINGS,
    contrast: float = HARD_CONTRAST,
) -> tuple[np.ndarray, list[Box]]:
    """Draws a radiograph and returns the boxes of its findings.

    Each finding, the exposure and the noise use separate random streams, so that two images of the same seed differ only by
    their findings. Findings and exposure are the same at every size.

    Args:
        names: of findings.
        patient: anatomy, positioned for this image.
        seed: seed of positions and strengths of the findings, exposure and noise.
        size: side, px.
        findings: all that there are.
        contrast: strength of all findings.

    Returns:
        (size, size) uint8, 0 black; and the boxes in the order of `findings`.
    """
    chest, boxes = paint_hard(names, patient, seed, size, findings, contrast)
    picture = expose(chest, np.random.default_rng((*seed, _EXPOSURE)), np.random.default_rng((*seed, _GRAIN)))
    return picture, boxes


def paint_hard(
    names: Collection[str],
    patient: Anatomy,
    seed: tuple[int, ...],
    size: int,
    findings: Sequence[HardFinding] = HARD_FINDINGS,
    contrast: float = HARD_CONTRAST,
) -> tuple[Chest, list[Box]]:
    """The chest before exposure, and the boxes of its findings; arguments as for `draw_hard`."""
    chest = draw_chest(patient, size)
    boxes = []
    for index, finding in enumerate(findings):
        if finding.name in names:
            rng = np.random.default_rng((*seed, index))
            side = int(rng.integers(2)) if finding.side is None else finding.side
            added = contrast * _BRUSHES[finding.kind](chest, rng, side, _centre(patient, side, finding.field, rng))
            chest.density += added
            boxes.append(_box(finding.name, added))
    return chest, boxes


def _centre(patient: Anatomy, side: int, field: str, rng: Rng) -> Point:
    """Draws a random centre of a finding, in chest coordinates."""
    across, down = (rng.uniform(*limits) for limits in _FIELDS[field])
    bottom = patient.domes[side] - patient.curve + 0.16
    x = (-1, 1)[side] * (0.50 + 0.42 * across) * patient.width
    return x, patient.lung_top + down * (bottom - patient.lung_top)


def _box(name: str, added: np.ndarray) -> Box:
    visible = np.abs(added) >= _VISIBLE * np.abs(added).max()
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    return Box(name, int(columns[0]), int(rows[0]), int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1)


def _nodule(chest: Chest, rng: Rng, side: int, centre: Point) -> np.ndarray:
    radius = rng.uniform(0.045, 0.060)
    return np.asarray(rng.uniform(0.12, 0.20) * blob(chest.x, chest.y, centre, (radius, radius)) * chest.lung(side))


def _patch(chest: Chest, rng: Rng, side: int, centre: Point) -> np.ndarray:
    radius = (rng.uniform(0.10, 0.13), rng.uniform(0.08, 0.11))
    return np.asarray(rng.uniform(0.06, 0.12) * blob(chest.x, chest.y, centre, radius) * chest.lung(side))


def _haze(chest: Chest, rng: Rng, side: int, centre: Point) -> np.ndarray:
    radius = (rng.uniform(0.06, 0.08), rng.uniform(0.12, 0.16))
    return np.asarray(rng.uniform(0.04, 0.08) * blob(chest.x, chest.y, centre, radius) * chest.lung(side))


def _band(chest: Chest, rng: Rng, side: int, centre: Point) -> np.ndarray:
    slope, length = rng.uniform(-0.25, 0.25), rng.uniform(0.12, 0.17)
    along = chest.x - centre[0]
    line = np.exp(-(((chest.y - centre[1] - slope * along) / 0.022) ** 2) - (along / length) ** 4)
    return np.asarray(rng.uniform(0.14, 0.22) * line * chest.lung(side))


def _angle(chest: Chest, rng: Rng, side: int, centre: Point) -> np.ndarray:
    """Fluid in the lateral lower corner of a lung, under a surface that climbs towards the wall."""
    outward = (-1, 1)[side] * chest.x
    depth = centre[1] + 0.6 * abs(centre[0]) - rng.uniform(0.09, 0.14)
    below = soft_step(chest.y + 0.6 * outward - depth, 0.04)
    return np.asarray(rng.uniform(0.06, 0.13) * below * chest.lung(side))


def _cap(chest: Chest, rng: Rng, side: int, centre: Point) -> np.ndarray:
    above = soft_step(centre[1] + rng.uniform(0.16, 0.22) - chest.y, 0.04)
    return np.asarray(rng.uniform(0.16, 0.25) * above * chest.lung(side))


def _net(chest: Chest, rng: Rng, side: int, centre: Point) -> np.ndarray:
    phase = rng.uniform(0, 2 * np.pi, 2)
    lines = [np.cos(34 * (chest.x + sign * chest.y) + start) for sign, start in zip((-1, 1), phase, strict=True)]
    net = np.maximum(*lines).clip(0, None) ** 3
    spot = blob(chest.x, chest.y, centre, (0.17, 0.15))
    return np.asarray(rng.uniform(0.17, 0.26) * net * spot * chest.lung(side))


def _ring(chest: Chest, rng: Rng, side: int, centre: Point) -> np.ndarray:
    radius = rng.uniform(0.10, 0.13)
    away = (np.hypot(chest.x - centre[0], chest.y - centre[1]) - radius) / 0.030
    return np.asarray(rng.uniform(0.10, 0.16) * np.exp(-(away**2)) * chest.lung(side))


_BRUSHES: dict[str, Brush] = {
    "nodule": _nodule,
    "patch": _patch,
    "haze": _haze,
    "band": _band,
    "angle": _angle,
    "cap": _cap,
    "net": _net,
    "ring": _ring,
}
